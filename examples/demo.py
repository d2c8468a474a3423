"""convext on real data: digits, photographs, a heartbeat and point sets, each before and after the swap.

Run `python -m examples.demo` (or `python examples/demo.py`). It prints a table, writes its plots to
demo-output/, and fails when a difference is beyond the bounds that examples/compare.py derives. See
requirements.txt beside this file.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

if not __package__:  # run as a file: find the packages beside this folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import convext
from examples import digits, heartbeat, photographs, points
from examples.part import Result

OUTPUT = Path(__file__).resolve().parents[1] / "demo-output"


def sections(result: Result) -> dict[str, dict[str, str]]:
    """What there is to say of one network, by section and name."""
    agreement, training = result.agreement, result.training
    forward = [1e3 * seconds / result.items for seconds in result.forward.medians]
    said = {
        "Input": {
            "data": result.data,
            "one item": result.item,
        },
        "The same output": {
            "convolutions computed by convext": f"{agreement.computed_by_convext} of {agreement.layers}",
            "worst difference of a layer / bound": f"{agreement.layer_share:.2g}",
            "RMS of the output": f"{agreement.rms_output:.2g}",
            "RMS of its difference": f"{agreement.rms_difference:.1e}",
            "bound of that": f"{agreement.rms_bound:.1e}",
            "within both bounds": "yes" if agreement.within_bounds else "[bold red]NO",
        },
        "Forward pass": {
            "torch.nn, ms an item": f"{forward[0]:.3g}",
            "convext, ms an item": f"{forward[1]:.3g}",
            "speed-up": f"{result.forward.speedup:.2f} x",
        },
    }
    if training is not None:
        step = [1e3 * seconds for seconds in training.times.medians]
        said["Training"] = {
            "steps": f"{len(training.losses['torch'])}",
            "loss, first": f"{training.losses['torch'][0]:.4g}",
            "loss, last": f"{training.losses['torch'][-1]:.4g}",
            "largest difference of the losses": f"{training.largest_difference:.1e}",
            "  torch.nn from float64": f"{max(training.difference('torch', 'float64')):.1e}",
            "  convext from float64": f"{max(training.difference('convext', 'float64')):.1e}",
            "torch.nn, ms a step": f"{step[0]:.3g}",
            "convext, ms a step": f"{step[1]:.3g}",
            "speed-up": f"{training.times.speedup:.2f} x",
            "torch.nn, s in all": f"{sum(training.times.torch):.1f}",
            "convext, s in all": f"{sum(training.times.convext):.1f}",
        }
        said["Test"] = {
            "score": result.score,
            "torch.nn": result.scores[0],
            "convext": result.scores[1],
        }
    return said


def table(results: Sequence[Result]) -> Table:
    """A column for each network; what a network has nothing to say of stays empty."""
    columns = [sections(result) for result in results]
    shown = Table(title="Networks before and after the swap", box=box.SIMPLE_HEAD)
    shown.add_column("", no_wrap=True)
    for result in results:
        shown.add_column(result.network, justify="right")
    for section, names in max(columns, key=len).items():
        shown.add_row(f"[bold]{section}")
        for name in names:
            shown.add_row(f"  {name}", *(column.get(section, {}).get(name, "") for column in columns))
        shown.add_section()
    return shown


def main() -> int:
    """Run the four parts; the exit status is 1 when a difference is out of bounds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, help="folder of the plots (default: demo-output)"
    )
    output: Path = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)

    console = Console()
    if not console.is_terminal:
        console.width = 120
    bar = Progress(
        TextColumn("{task.description:44}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        refresh_per_second=2,  # rich draws in a thread of its own: seldom, for the timings' sake
    )
    with bar:

        def track(steps: int, description: str) -> Iterator[int]:
            return iter(bar.track(range(steps), description=description))

        results = [
            digits.run(track, output),
            *photographs.run(track, output),
            heartbeat.run(track, output),
            points.run(track, output),
        ]
    console.print(table(results))
    console.print(
        f"torch {torch.__version__}, convext {convext.__version__}; threads: {torch.get_num_threads()}."
    )
    console.print(
        "Times are medians; speed-up is torch.nn's time over convext's, the median of interleaved pairs."
    )
    console.print("The bounds are derived in examples/compare.py.")
    console.print(f"Plots: {', '.join(path.name for path in sorted(output.glob('*.png')))} in {output}")
    return 0 if all(result.agreement.within_bounds for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
