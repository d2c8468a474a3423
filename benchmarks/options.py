"""The command line. Nothing here imports torch: some options must be known before it is loaded."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.layer import PASSES

BENCHMARKS = {
    "layers": "layers of real networks, pass by pass",
    "models": "whole networks: inference and a training step, and where the time goes",
    "overhead": "what a call costs: convolutions too small to take time",
    "memory": "the largest amount of memory that inference and a training step need",
    "threads": "how layers scale with the number of threads",
}
AGAINST = ("torch", "torch-nomkldnn", "torch-mkldnn-layout", "torch-compile")
PEERS = ("onnxruntime", "onnxruntime-frozen", "openvino-frozen", "ncnn-frozen", "jax", "tensorflow")
# What makes PyTorch's parts use no more than an instruction set; read when they are loaded.
TORCH_ISA = {
    "scalar": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "avx512": {},
}


def listed(allowed: Sequence[str]) -> Callable[[str], list[str]]:
    """A parser of lists such as "a,b"; "all" stands for everything that is allowed."""

    def parse(text: str) -> list[str]:
        names = list(allowed) if text == "all" else text.split(",")
        if unknown := set(names) - set(allowed):
            raise argparse.ArgumentTypeError(
                f"unknown: {', '.join(sorted(unknown))}; use {', '.join(allowed)}"
            )
        return names

    return parse


def benchmark(name: str) -> str:
    """One of BENCHMARKS. (argparse's own `choices` refuse an empty list.)"""
    if name not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"unknown: {name}; use {', '.join(BENCHMARKS)}")
    return name


def thread_counts(text: str) -> list[int]:
    """Numbers of threads, such as "1,2"."""
    counts = [int(count) for count in text.split(",")]
    if min(counts) < 1:
        raise argparse.ArgumentTypeError("at least one thread")
    return counts


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of a command line; exits with a sentence if it is wrong."""
    command = parser()
    chosen = command.parse_args(arguments)
    if bool(chosen.benchmark) == bool(chosen.stored):
        command.error("name benchmarks to run, or results to show by --from")
    return chosen


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures convext beside torch.nn. benchmarks/README.md has the method.",
        epilog="Ctrl-C stops a run and keeps what was measured.",
    )
    parser.add_argument(
        "benchmark", type=benchmark, nargs="*", help="; ".join(f"{k}: {v}" for k, v in BENCHMARKS.items())
    )
    what = parser.add_argument_group("what is measured")
    what.add_argument(
        "--suite",
        default="quick",
        help="layers: quick (three of each family), full, or a file (default: quick)",
    )
    what.add_argument(
        "--networks", default="", metavar="A,B", help="networks of `models` and `memory` (default: all)"
    )
    what.add_argument(
        "--pass", dest="passes", type=listed(PASSES), default=list(PASSES), help=f"of {','.join(PASSES)}"
    )
    what.add_argument("--batch", type=int, default=4, help="for layers recorded with one image (default: 4)")
    what.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    what.add_argument("--memory-format", choices=("contiguous", "channels_last"), default="contiguous")
    what.add_argument(
        "--threads", type=thread_counts, help="such as 1,2 (default: torch's; `threads`: 1, 2, 4, ...)"
    )
    what.add_argument("--isa", choices=tuple(TORCH_ISA), help="the most that either side may use")
    what.add_argument(
        "--against", type=listed(AGAINST), default=["torch"], help=f"of {','.join(AGAINST)} (default: torch)"
    )
    what.add_argument(
        "--peers",
        type=listed(PEERS),
        default=[],
        help=f"of {','.join(PEERS)}, those that are installed; or all",
    )
    how = parser.add_argument_group("how long")
    how.add_argument("--seconds", type=float, default=0.5, help="for a race, at most (default: 0.5)")
    how.add_argument("--max-gflop", type=float, default=60.0, help="larger layers are left out (default: 60)")
    out = parser.add_argument_group("what becomes of it")
    out.add_argument("--from", dest="stored", type=Path, metavar="FILE.json", help="show these results again")
    out.add_argument("--json", type=Path, help="all that was measured; what --compare reads")
    out.add_argument("--csv", type=Path, help="a line for each row")
    out.add_argument("--markdown", type=Path, metavar="FILE", help="the summary, as tables for a README")
    out.add_argument("--plot", type=Path, metavar="FOLDER", help="the pictures, as PNG and SVG")
    out.add_argument("--html", type=Path, help="a report in one file, with pictures and a sortable table")
    out.add_argument("--compare", type=Path, metavar="OLD.json", help="say what changed since")
    out.add_argument(
        "--fail-slower",
        type=float,
        metavar="R",
        help="exit status 1 if a speed-up is surely below R (with --compare: below R times the old one)",
    )
    return parser


def set_environment(options: argparse.Namespace) -> None:
    """Settings that count only before torch is loaded."""
    if options.isa:
        os.environ |= {"CONVEXT_ISA": options.isa, **TORCH_ISA[options.isa]}
