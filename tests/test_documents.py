"""The figures in the documents are those of the recorded results."""

from pathlib import Path

import pytest

from benchmarks.results import Results, grouped, speedups
from benchmarks.statistics import geometric_mean

ROOT = Path(__file__).parent.parent
PASSES = ("output", "input_grad", "weight_grad")


def recorded(processor: str, isa: str) -> Results:
    return Results.read_json(ROOT / "benchmarks" / "results" / processor / f"{isa}.json")


def families(results: Results) -> dict[str, list[str]]:
    """For each family, and for all: the layers, the means of the passes, and the slowest cell."""
    rows = [row for row in results.rows if row.benchmark == "layers"]
    cells: dict[str, list[str]] = {}
    for (name,), some in {**grouped(rows, "family"), ("all",): rows}.items():
        ratios = [[r.value for r in speedups(row for row in some if row.pass_ == p)] for p in PASSES]
        numbers = (*map(geometric_mean, ratios), min(map(min, ratios)))
        cells[name] = [str(len(ratios[0])), *(f"{number:.2f}" for number in numbers)]
    return cells


def tables(path: Path) -> list[dict[str, list[str]]]:
    """The tables of a document whose first column is a family: the numbers in each row."""
    found: list[dict[str, list[str]]] = []
    for line in path.read_text().splitlines():
        cells = [cell.strip() for cell in line.replace("**", "").replace(" / ", " | ").strip("|").split("|")]
        if line.startswith("| family "):
            found.append({})
        elif found and line.startswith(("| 1d ", "| 2d ", "| all ")):
            found[-1][cells[0]] = cells[1:]
    return found


def losses(results: Results) -> tuple[int, int]:
    """The cells of layers in which convext is slower, of how many."""
    ratios = [r.value for r in speedups(row for row in results.rows if row.benchmark == "layers")]
    return sum(ratio < 1 for ratio in ratios), len(ratios)


def test_the_readme_shows_what_was_recorded() -> None:
    results = recorded("zen4", "avx512")
    text = (ROOT / "README.md").read_text()
    assert tables(ROOT / "README.md") == [families(results)]
    assert f"`{results.command}`" in text
    slower, cells = losses(results)
    assert f"Of {cells} cells {slower} are slower" in " ".join(text.split())


@pytest.mark.parametrize(("table", "processor"), ((0, "zen4"), (1, "sapphire_rapids")))
def test_the_benchmarks_readme_shows_what_was_recorded(table: int, processor: str) -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text()
    avx512, avx2 = recorded(processor, "avx512"), recorded(processor, "avx2")
    first, second = families(avx512), families(avx2)
    shown = tables(ROOT / "benchmarks" / "README.md")[table]
    assert shown == {name: first[name] + second[name] for name in first}
    for results in (avx512, avx2):
        slower, cells = losses(results)
        assert results.command in text and f"{slower} of {cells}" in text
