"""`python -m benchmarks` from end to end, on a tiny suite: every benchmark, every file that it writes."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch.nn.functional as F

from benchmarks import passes
from benchmarks.arrays import Arrays
from benchmarks.layer import Layer
from benchmarks.pairing import Effort
from benchmarks.peers import contest
from benchmarks.results import Results

ROOT = Path(__file__).resolve().parent.parent
IMAGE = {
    "input": [1, 8, 16, 16],
    "weight": [16, 8, 3, 3],
    "stride": [1, 1],
    "padding": [1, 1],
    "dilation": [1, 1],
}
SIGNAL = {"input": [2, 8, 100], "weight": [8, 4, 4], "stride": [2], "padding": [1], "dilation": [1]}
SUITE = {
    "network": "tiny",
    "layers": [
        {**IMAGE, "bias": True, "groups": 1, "transposed": False, "count": 1},
        {**IMAGE, "weight": [8, 1, 3, 3], "bias": False, "groups": 8, "transposed": False, "count": 2},
        {**SIGNAL, "bias": True, "groups": 1, "transposed": True, "count": 1},
    ],
}
QUICK = ("--seconds", "0.01", "--networks", "digits CNN")


def benchmarks(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    # A shell's background job ignores interrupts, and so would what it starts.
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def run(*arguments: object, status: int = 0) -> str:
    process = benchmarks(*arguments)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == status, output
    return output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run of everything wrote."""
    folder = tmp_path_factory.mktemp("benchmarks")
    (folder / "suite.json").write_text(json.dumps(SUITE))
    files = ("--json", folder / "r.json", "--csv", folder / "r.csv", "--html", folder / "r.html")
    everything = ("layers", "models", "overhead", "memory", "threads")
    more = ("--against", "torch,torch-nomkldnn", "--peers", "onnxruntime,jax", "--plot", folder / "plots")
    output = run(*everything, *QUICK, "--suite", folder / "suite.json", *files, *more)
    (folder / "output.txt").write_text(output)
    return folder


def test_everything_is_measured(folder: Path) -> None:
    found = Results.read_json(folder / "r.json")
    assert found.complete and found.noise
    kinds = {
        kind: [row for row in found.rows if row.benchmark == kind] for kind in ("layers", "models", "memory")
    }
    assert len(kinds["layers"]) == 9 and len(kinds["models"]) == 2 and len(kinds["memory"]) == 2
    for row in kinds["layers"]:
        ours, theirs = row.side("convext"), row.side("torch")
        assert ours.measured.median > 0 and ours.error < 1e-5 and theirs.error < 1e-5
        assert ours.computed_by and theirs.computed_by.isidentifier()
        swapped = {"output": "input_grad", "input_grad": "output"} if "transposed" in row.name else {}
        assert row.problem.startswith(f"pass={swapped.get(row.pass_, row.pass_)} ")
        assert row.scratch_bytes >= 0 and row.limit > 0 and 0 < row.fraction(ours) < 3
        assert row.speedup(over="torch-nomkldnn") is not None
    assert all(0 < share < 1 for row in kinds["models"] for share in row.convolution_share)
    assert all(side.error < 1e-5 for row in kinds["models"] for side in row.sides)
    assert {row.unit for row in kinds["memory"]} == {"bytes"}
    cores = len(os.sched_getaffinity(0))
    assert {row.threads for row in found.rows if row.benchmark == "threads"} >= {1, cores}


def test_the_machine_is_measured_first(folder: Path) -> None:
    found = Results.read_json(folder / "r.json")
    assert {limit.name for limit in found.limits} == {"FMA peak", "micro-kernel", "copy", "page fault"}
    assert all(limit.value > 0 for limit in found.limits)
    by_isa = {limit.isa: limit.value for limit in found.limits if limit.name == "FMA peak"}
    scalar = by_isa.pop("scalar")
    # Not AVX-512 more than AVX2: some processors (Zen 4) compute its vectors in halves.
    assert all(scalar < peak for peak in by_isa.values()), "vectors compute more"
    assert {"CPU", "caches", "torch", "convext uses", "OpenMP"} <= found.machine.keys()


def test_the_output_shows_progress_and_tables(folder: Path) -> None:
    output = (folder / "output.txt").read_text()
    for text in ("Measured limits", "\n2/", "2d depthwise", "digits CNN", "Noise floor", "wrote "):
        assert text in output, text


def test_csv_has_a_line_for_each_row(folder: Path) -> None:
    with (folder / "r.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(Results.read_json(folder / "r.json").rows)


def test_pictures(folder: Path) -> None:
    names = {path.stem for path in (folder / "plots").glob("*.png")}
    cores = len(os.sched_getaffinity(0))
    assert names >= {"speedups", "roofline", "models", "overhead", "memory"} | (
        {"threads"} if cores > 1 else set()
    )
    assert names == {path.stem for path in (folder / "plots").glob("*.svg")}


def test_stored_results_are_shown_and_compared(folder: Path, tmp_path: Path) -> None:
    old = json.loads((folder / "r.json").read_text())
    for row in old["rows"]:
        for speedup in row["speedups"]:
            speedup["ratio"] = {end: 2 * value for end, value in speedup["ratio"].items()}
    (tmp_path / "old.json").write_text(json.dumps(old))
    stored = ("--from", folder / "r.json", "--html", tmp_path / "again.html")
    output = run(*stored, "--compare", tmp_path / "old.json", "--fail-slower", "0.01")
    assert "Changes of" in output and "What changed" in (tmp_path / "again.html").read_text()
    # All intervals are left of three times the old speed-ups.
    failed = run(*stored, "--compare", folder / "r.json", "--fail-slower", "1e6", status=1)
    assert "slower than 1000000.0: tiny" in failed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("layers", "--suite", "no/such.json"), "No such file or directory: 'no/such.json'"),
        (("models", "--networks", "LeNet"), "no network is called LeNet; there are ResNet-50"),
        (("--from", "benchmarks/layers/lenet.json"), "results of format None; this reads format 1"),
    ],
)
def test_wrong_input_is_one_sentence(arguments: tuple[str, ...], message: str) -> None:
    output = run(*arguments, status=2)
    assert message in output and "Traceback" not in output


def test_an_interrupt_keeps_what_was_measured(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "part.json"
    arguments = ("layers", "--suite", folder / "suite.json", "--seconds", "3", "--json", path)
    process = benchmarks(*arguments, "--html", tmp_path / "part.html")
    read = b""
    os.set_blocking(process.stdout.fileno(), False)
    end = time.monotonic() + 120
    while b"2/9 " not in read and time.monotonic() < end:
        read += process.stdout.buffer.read() or b""
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    os.set_blocking(process.stdout.fileno(), True)
    process.communicate(timeout=60)
    assert process.returncode == 130
    found = Results.read_json(path)
    assert not found.complete and 0 < len(found.rows) < 9
    assert f"these are the {len(found.rows)} rows" in (tmp_path / "part.html").read_text()


@pytest.mark.skipif("avx2" not in Path("/proc/cpuinfo").read_text(), reason="needs AVX2")
def test_isa_caps_both_sides(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "avx2.json"
    run(
        "layers",
        *QUICK,
        "--suite",
        folder / "suite.json",
        "--pass",
        "output",
        "--isa",
        "avx2",
        "--json",
        path,
    )
    found = Results.read_json(path)
    assert found.machine["convext uses"].startswith("avx2") and found.machine["torch uses"] == "AVX2"
    assert all(row.side("convext").computed_by.endswith("_avx2") for row in found.rows)


def test_peers_are_raced_process_against_process() -> None:
    """PyTorch stands for a peer, which may not be installed; another one is certainly not."""
    layer = Layer("tiny", (2, 4, 9, 9), (6, 2, 3, 3), True, (2, 2), (1, 1), (1, 1), 2, False, 1)
    operands = passes.Operands.of(Arrays.draw(layer, "float32"))
    work = passes.prepare(passes.convolution(F, layer), operands.double(), "weight_grad")
    exact = [result.numpy() for result in work()]
    effort = Effort(seconds=0, rounds=(3, 3))
    found = contest.run(layer, "weight_grad", ["torch-frozen", "nothing"], 1, effort, exact)
    (side,), (speedup,) = found.sides, found.speedups
    assert side.name == "torch-frozen" and side.measured.count == 3 and side.error < 1e-6
    assert (speedup.of, speedup.over) == ("torch-frozen", "torch") and speedup.ratio.value > 0
    assert found.refused == {
        "nothing": "ModuleNotFoundError: No module named 'benchmarks.peers.with_nothing'"
    }
    assert contest.installed(["nothing", "torch"]) == (["torch"], ["nothing"])


# --- The report in a browser ------------------------------------------------------------------------

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = (
    "disable-gpu",
    "disable-quic",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> object:
    """A headless Chromium of the system. Where .ci/run could install one, it is never skipped."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None and "CONVEXT_NEEDS_BROWSER" not in os.environ:
        pytest.skip("needs Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    assert executable, "apt-get install chromium"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", *(f"--{switch}" for switch in QUIET)]
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: object, folder: Path) -> object:
    """The report, opened without a network; anything that it complains of fails the test."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None
    )
    page.goto((folder / "r.html").as_uri())
    yield page
    assert not complaints
    page.close()


def column(page: object, name: str) -> list[str]:
    """The cells of a column, from top to bottom."""
    names = page.locator("#rows thead th").all_text_contents()
    return page.locator(f"#rows tbody tr td:nth-child({names.index(name) + 1})").all_text_contents()


def test_report_has_all_rows_and_pictures(page: object, folder: Path) -> None:
    found = Results.read_json(folder / "r.json")
    assert page.locator("#rows tbody tr").count() == len(found.rows)
    assert page.locator("figure").count() == len(list((folder / "plots").glob("*.png")))
    widths = page.eval_on_selector_all("img", "images => images.map(image => image.naturalWidth)")
    assert widths and min(widths) > 300, "every picture is drawn"


def test_report_sorts(page: object) -> None:
    page.get_by_role("button", name="speed-up").click()
    values = [float(cell) for cell in column(page, "speed-up")]
    assert values == sorted(values)
    page.get_by_role("button", name="speed-up").click()
    values = [float(cell) for cell in column(page, "speed-up")]
    assert values == sorted(values, reverse=True)
    page.get_by_role("button", name="pass", exact=True).click()
    names = column(page, "pass")
    assert names == sorted(names)
    page.get_by_role("button", name="GFLOP/s").click()
    cells = column(page, "GFLOP/s")
    assert "" in cells and "" not in cells[: cells.index("")], "what has no number stays last"


def test_report_filters(page: object) -> None:
    page.get_by_role("searchbox").fill("depthwise weight_grad")
    shown = page.locator("#rows tbody tr:visible")
    assert 0 < shown.count() < page.locator("#rows tbody tr").count()
    assert all("2d depthwise" in text for text in shown.all_text_contents())


def test_report_fits_a_phone(page: object) -> None:
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375, "only tables and pictures scroll"
    size = page.evaluate("getComputedStyle(document.body).fontSize")
    assert size == "16px"
