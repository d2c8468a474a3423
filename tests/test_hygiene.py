"""The rules of the house: who includes whom, which instructions are where, one OpenMP runtime."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.process import run_python

ROOT = Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"
SOURCES = sorted([*CSRC.rglob("*.cpp"), *CSRC.rglob("*.h")])
ISA_SOURCES = [s for s in SOURCES if s.name in ("scalar.cpp", "avx2.cpp", "avx512.cpp")]


def name(path: Path) -> str:
    return str(path.relative_to(CSRC))


def includes(source: Path) -> list[str]:
    """What a file includes: "our/file.h" or <theirs>."""
    return re.findall(r'^\s*#\s*include\s+([<"][^>"]+[>"])', source.read_text(), re.MULTILINE)


# --- Layers -----------------------------------------------------------------------------------------

# Each layer, and those that it may include, beside the headers of the standard library and of the system.
LAYERS = {
    "core": {"core"},
    "simd": {"simd"},
    "kernels": {"core", "simd", "kernels"},
    "algorithms": {"core", "kernels", "algorithms"},
    "torch": {"core", "algorithms", "torch"},
    "python": {"core", "kernels", "algorithms", "torch", "python"},
}
# Headers in folders are some library's: torch's, pybind11's. Of the system's we know these.
SYSTEM_FOLDERS = {"sys"}


@pytest.mark.parametrize("source", SOURCES, ids=name)
def test_dependencies_point_downwards(source: Path) -> None:
    layer = source.relative_to(CSRC).parts[0]
    for include in includes(source):
        path = Path(include[1:-1])
        if include[0] == '"':
            assert (CSRC / path).is_file(), f"{include} is not named from csrc/"
            assert path.parts[0] in LAYERS[layer], f"{layer}/ must not include {include}"
        elif len(path.parts) > 1 and path.parts[0] not in SYSTEM_FOLDERS:
            allowed = {"torch": {"ATen", "c10", "torch"}, "python": {"pybind11"}}
            assert path.parts[0] in allowed.get(layer, set()), f"{layer}/ must not include {include}"


def test_every_file_is_in_a_layer() -> None:
    assert {source.relative_to(CSRC).parts[0] for source in SOURCES} == set(LAYERS)


@pytest.mark.parametrize("source", ISA_SOURCES, ids=name)
def test_what_the_files_of_an_instruction_set_include(source: Path) -> None:
    """No std:: at all: the linker may take a template that is compiled there for the whole library."""
    seen, waiting = set(), [source]
    while waiting:
        for include in includes(waiting.pop()):
            if include in seen:
                continue
            seen.add(include)
            if include[0] == "<":
                assert include in ("<stdint.h>", "<stddef.h>", "<immintrin.h>")
            else:
                folder = Path(include[1:-1]).parent
                assert folder in (Path("simd"), source.parent.relative_to(CSRC))
                waiting.append(CSRC / include[1:-1])
    assert f'"simd/{source.stem}.h"' in seen


def test_only_files_of_an_instruction_set_include_simd() -> None:
    for source in SOURCES:
        if source not in ISA_SOURCES and source.parent.name != "simd":
            assert not [i for i in includes(source) if i.startswith('"simd/')], source


# --- Text -------------------------------------------------------------------------------------------


def files_with(pattern: str, files: list[Path]) -> set[str]:
    return {str(f.relative_to(ROOT)) for f in files if re.search(pattern, f.read_text())}


def test_threads_are_used_in_one_place() -> None:
    assert files_with(r"#\s*pragma\s+omp", SOURCES) == {"csrc/core/parallel.cpp"}
    assert files_with(r"\bomp_\w+|std::thread|std::async|at::parallel_for", SOURCES) == {
        "csrc/core/parallel.cpp"
    }


def test_intrinsics_are_below_the_algorithms() -> None:
    folders = {Path(f).parts[1] for f in files_with(r"\b_mm\d*_\w+|__m(128|256|512)", SOURCES)}
    assert folders <= {"simd", "kernels"}
    assert "simd" in folders


def test_no_flag_that_changes_results_or_needs_this_machine() -> None:
    build = [ROOT / f for f in ("setup.py", "pyproject.toml", "Makefile")]
    flags = r"-march=|-mtune=native|-ffast-math|-Ofast|-funsafe-math|-ffinite-math|-fassociative-math"
    assert files_with(flags, [*build, *SOURCES]) == set()
    assert files_with("fast-math|GCC (target|optimize)", SOURCES) == set()
    assert files_with("-mavx512f", build) == {"setup.py"}, "the flags are elsewhere, and this test is blind"


def test_files_are_short() -> None:
    folders = ("benchmarks", "convext", "examples", "tests")
    files = [*SOURCES, *(f for folder in folders for f in (ROOT / folder).rglob("*.py"))]
    assert {str(f.relative_to(ROOT)) for f in files if len(f.read_text().splitlines()) > 400} == set()


# --- Objects ----------------------------------------------------------------------------------------


def object_of(source: Path) -> Path | None:
    """What a source was compiled to, by a build in this folder."""
    found = list((ROOT / "build").glob(f"temp*/{source.relative_to(ROOT).with_suffix('.o')}"))
    return found[0] if found else None


COMPILED = [s for s in SOURCES if s.suffix == ".cpp"]
needs_objects = pytest.mark.skipif(
    any(object_of(s) is None for s in COMPILED) or None in (shutil.which("nm"), shutil.which("objdump")),
    reason="needs the objects of `make build`, and binutils",
)


def lines(*command: object) -> list[str]:
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=True
    ).stdout.splitlines()


@needs_objects
@pytest.mark.parametrize("source", [s for s in ISA_SOURCES if s.stem != "scalar"], ids=name)
def test_an_instruction_set_exports_one_table_and_nothing_weak(source: Path) -> None:
    """The linker takes one weak symbol for all that need it; an older machine would fault in it."""
    exported, missing = [], set()
    for line in lines("nm", "-C", object_of(source)):
        kind, symbol = re.fullmatch(r"[0-9a-f ]{16} (\w) (.*)", line).groups()
        if kind == "U":
            missing.add(symbol)
        elif kind not in "tbdr":
            exported.append((kind, symbol))
    shape = source.parent.name.title().replace("_", "")
    assert exported == [("D", f"convext::k{shape}{source.stem.title()}")]
    assert missing <= {"memcpy", "memset", "memmove", "_GLOBAL_OFFSET_TABLE_"}


def instructions(source: Path) -> dict[str, bool]:
    """Which kinds of instructions an object has: VEX-coded ones, with 256 bits, of AVX-512."""
    text = "\n".join(lines("objdump", "-d", "--no-show-raw-insn", object_of(source)))
    return {
        "vex": re.search(r"^\s+[0-9a-f]+:\s+v[a-z0-9]+\s", text, re.MULTILINE) is not None,
        "256": "%ymm" in text,
        "avx512": re.search(r"%zmm|%[xy]mm(1[6-9]|2\d|3[01])|%k[0-7]", text) is not None,
    }


@needs_objects
@pytest.mark.parametrize("source", COMPILED, ids=name)
def test_instructions_are_where_they_may_be(source: Path) -> None:
    level = {"avx2": 1, "avx512": 2}.get(source.stem, 0) if source in ISA_SOURCES else 0
    found = instructions(source)
    assert found == {
        "vex": level >= 1,
        "256": found["256"] if level == 2 else level == 1,
        "avx512": level == 2,
    }


# --- The process ------------------------------------------------------------------------------------

RUNTIMES = """
import re, sys
import torch
{more}
torch.set_num_threads(2)
with open("/proc/self/maps") as maps:
    print(*sorted(set(re.findall(r"\\S*/lib(?:gomp|iomp|omp)[^/\\s]*", maps.read()))))
"""


def test_one_openmp_runtime() -> None:
    """torch's own, which convext shares."""
    convolve = "import convext; convext.conv2d(torch.randn(8, 8, 64, 64), torch.randn(8, 8, 3, 3))"
    runtimes = [run_python(RUNTIMES.format(more=more)).stdout.split() for more in ("", convolve)]
    assert runtimes[0] == runtimes[1]
    assert len(runtimes[1]) == 1
