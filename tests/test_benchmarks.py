"""The benchmarks' own arithmetic: statistics, turns, layers, limits, files, comparisons, the command line."""

from __future__ import annotations

import io
import itertools
import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmarks import comparison, layer, options, passes, summary
from benchmarks.arrays import Arrays
from benchmarks.job import Job
from benchmarks.kinds.threads import counts
from benchmarks.layer import Layer
from benchmarks.libraries import CONVEXT, OTHERS, convext_choice, torch_backend
from benchmarks.limits import Limit, Limits, rate
from benchmarks.pairing import Contestant, Effort, Race, calls_for, race, take_turns
from benchmarks.progress import track
from benchmarks.results import Results, Row, Side, Speedup, speedups
from benchmarks.statistics import Ratio, Summary, geometric_mean, paired_ratio, spread

FULL = layer.suite("full")
SMALL = Layer("tiny", (2, 4, 9, 9), (6, 2, 3, 3), True, (2, 2), (1, 1), (1, 1), 2, False, 1)
UP = Layer("tiny", (1, 4, 9), (4, 3, 4), True, (2,), (1,), (1,), 1, True, 1)


# --- Statistics -------------------------------------------------------------------------------------


def test_quartiles() -> None:
    assert Summary.of([5.0]) == Summary(5.0, 5.0, 5.0, 1)
    assert Summary.of([1, 2, 3, 4]) == Summary(2.5, 1.75, 3.25, 4)


def test_a_drifting_machine_leaves_the_ratio() -> None:
    drift = np.geomspace(1, 4, 30)
    assert paired_ratio(3 * drift, 2 * drift) == Ratio(1.5, 1.5, 1.5)


def test_the_interval_holds_the_ratio_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    held = 0
    for seed in range(300):
        noisy = 2 * np.exp(random.normal(0, 0.1, 25))
        ratio = paired_ratio(noisy, np.ones(25), seed)
        assert ratio.low <= ratio.value <= ratio.high
        held += ratio.low <= 2 <= ratio.high
    assert 0.90 < held / 300 < 0.99


def test_one_wild_pair_in_many_does_not_matter() -> None:
    times = np.ones(21)
    times[7] = 1000
    assert paired_ratio(times, np.ones(21)) == Ratio(1, 1, 1)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=9))
def test_geometric_mean(ratios: list[float]) -> None:
    mean = geometric_mean(ratios)
    assert min(ratios) * (1 - 1e-9) <= mean <= max(ratios) * (1 + 1e-9)
    assert math.isclose(mean * geometric_mean(1 / ratio for ratio in ratios), 1, rel_tol=1e-9)


def test_of_nothing() -> None:
    assert math.isnan(geometric_mean([])) and math.isnan(spread([]))


# --- Turns ------------------------------------------------------------------------------------------


def test_contestants_take_turns_in_alternating_order() -> None:
    turns: list[int] = []

    def seconds(contestant: int) -> float:
        turns.append(contestant)
        return [1.0, 2.0, 4.0][contestant]

    effort = Effort(seconds=0, rounds=(3, 9))
    found = take_turns(["a", "b", "c"], seconds, effort, lambda: 0.0)
    assert turns == [0, 1, 2, 2, 1, 0, 0, 1, 2]
    assert found.speedup("a", "c") == Ratio(4, 4, 4)
    assert found.summary("b").median == 2


def test_a_race_ends_when_its_ratios_are_known() -> None:
    steady = take_turns(["a", "b"], lambda i: 1.0 + i, Effort(seconds=1, rounds=(2, 99)), lambda: 0.0)
    assert len(steady) == 8, "it looks after every eighth round"
    random = np.random.default_rng(0)
    noisy = take_turns(["a", "b"], lambda i: random.uniform(1, 3), Effort(rounds=(2, 99)), lambda: 0.0)
    assert len(noisy) == 99


def test_a_race_ends_when_its_time_is_up() -> None:
    clock = itertools.count()
    random = np.random.default_rng(0)
    found = take_turns(
        ["a", "b"], lambda i: random.uniform(1, 3), Effort(seconds=5, rounds=(2, 99)), lambda: next(clock)
    )
    assert len(found) == 6, "two rounds at least, then one for each second that is left"


def test_short_calls_are_measured_together() -> None:
    effort = Effort(sample=1e-3)
    assert calls_for(1e-5, effort) == 100 and calls_for(1.0, effort) == 1 and calls_for(0.0, effort) == 10_000


def test_race_finds_what_is_slower() -> None:
    short, long = torch.zeros(1000), torch.zeros(200_000)
    contestants = [Contestant("short", lambda: short.add_(1)), Contestant("long", lambda: long.add_(1))]
    found = race(contestants, Effort(seconds=0.05))
    assert found.speedup("short", "long").low > 1 > found.speedup("long", "short").high


def test_rounds_are_kept_by_name() -> None:
    found = Race(["a", "b"])
    found.add([1, 10])
    found.add([2, 30])
    assert found.seconds("b").tolist() == [10, 30]
    assert found.speedup("a", "b").value == pytest.approx(12.5)


# --- Layers -----------------------------------------------------------------------------------------


def test_layers_of_real_networks() -> None:
    assert len(FULL) == 476
    assert {one.dimensions for one in FULL} == {1, 2} and any(one.transposed for one in FULL)
    quick = layer.suite("quick")
    assert len(quick) < 80 and {one.family for one in quick} == {one.family for one in FULL}
    assert not set(quick) - set(FULL)


@pytest.mark.parametrize("one", [SMALL, UP, *layer.representatives(FULL, each=1)], ids=str)
def test_shapes_and_work_are_those_of_torch(one: Layer) -> None:
    with torch.device("meta"):
        x, weight = torch.empty(one.input), torch.empty(one.weight)
        y = passes.convolution(F, one)(x, weight, None)
    assert one.output == tuple(y.shape)
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
        passes.convolution(F, one)(x, weight, None)
    assert counter.get_total_flops() == one.flops


def test_a_layer_is_plain_data(tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    data = SMALL.to_dict()
    network = data.pop("network")
    path.write_text(json.dumps([{"network": network, "layers": [data, data]}]))
    assert layer.suite(str(path)) == [SMALL, SMALL]
    with pytest.raises(ValueError, match="a layer has the fields"):
        Layer.from_dict({**SMALL.to_dict(), "colour": 1})
    with pytest.raises(ValueError, match=r"padding \[1\] of a layer of 2 dimensions"):
        Layer.from_dict({**SMALL.to_dict(), "padding": [1]})


def test_batch() -> None:
    assert UP.with_batch(4).input == (4, 4, 9) and SMALL.with_batch(4) == SMALL


# --- Passes and libraries ---------------------------------------------------------------------------


@pytest.mark.parametrize("pass_", layer.PASSES)
@pytest.mark.parametrize("one", [SMALL, UP], ids=str)
@pytest.mark.parametrize("name", list(OTHERS))
def test_libraries_compute_the_same(name: str, one: Layer, pass_: str) -> None:
    operands = passes.Operands.of(Arrays.draw(one, "float32"))
    exact = passes.prepare(passes.convolution(F, one), operands.double(), pass_)()
    library = OTHERS[name]
    work = library.prepare(one, operands, pass_)
    if work is None:
        assert name == "torch-mkldnn-layout" and (pass_ != "output" or one.transposed)
        return
    with library.settings():
        results = tuple(result.to_dense() if result.is_mkldnn else result for result in work())
    assert len(results) == (2 if pass_ == "weight_grad" else 1)
    assert passes.error(results, exact) < 1e-5
    assert torch.backends.mkldnn.is_available() and torch._C._get_mkldnn_enabled()


@pytest.mark.parametrize("pass_", layer.PASSES)
def test_what_computed_it(pass_: str) -> None:
    operands = passes.Operands.of(Arrays.draw(SMALL, "float32"))
    choice = convext_choice(CONVEXT.prepare(SMALL, operands, pass_))
    assert choice is not None and choice.problem.startswith(f"pass={pass_}")
    assert torch_backend(SMALL, operands) in dir(torch._C._ConvBackend)


def test_errors_are_relative_to_the_largest_number() -> None:
    exact = (torch.tensor([1.0, -4.0]), torch.tensor([100.0]))
    assert passes.error((torch.tensor([1.0, -5.0]), torch.tensor([101.0])), exact) == pytest.approx(0.25)


# --- Limits -----------------------------------------------------------------------------------------

MEASURED = Limits(
    [
        Limit("FMA peak", 100, "GFLOP/s", 2, "avx2", "float32"),
        Limit("copy", 5, "GB/s", 2, bytes=2**10),
        Limit("copy", 40, "GB/s", 2, bytes=2**20),
        Limit("copy", 10, "GB/s", 2, bytes=2**30),
    ]
)


def test_roofline() -> None:
    # Much arithmetic on few bytes, and the other way round.
    assert MEASURED.seconds(1e9, 2**20, "avx2", "float32", 2) == pytest.approx(0.01)
    assert MEASURED.seconds(1, 2**30, "avx2", "float32", 2) == pytest.approx(2**30 / 10e9)
    assert math.isnan(MEASURED.seconds(1, 1, "avx512", "float32", 2))


def test_bandwidth_between_and_beyond_the_measured_sizes() -> None:
    assert MEASURED.bandwidth(2**25, 2) == pytest.approx(25), "half way, by the logarithm"
    assert MEASURED.bandwidth(2**40, 2) == 10
    assert MEASURED.bandwidth(2**5, 2) == 40, "short copies are too short to measure"


def test_rate_adds_up_the_threads() -> None:
    def worker() -> Callable[[], float]:
        def work() -> float:
            time.sleep(0.01)  # needs neither Python's lock nor a core of its own
            return 1.0

        return work

    one, two = (rate(threads, worker, sample=0.02) for threads in (1, 2))
    assert 1.7 * one < two <= 200, "a sleep may take longer than asked for, but not shorter"


def test_thread_counts() -> None:
    assert [counts(1), counts(2), counts(3), counts(8)] == [[1], [1, 2], [1, 2, 3], [1, 2, 4, 8]]


# --- Files and comparisons --------------------------------------------------------------------------


def row(value: float, low: float, high: float, **changes: object) -> Row:
    one = Row(
        benchmark="layers",
        network="tiny",
        name=str(SMALL),
        family=SMALL.family,
        pass_="output",
        dtype="float32",
        threads=2,
        sides=(
            Side("convext", Summary(1e-3, 9e-4, 1.1e-3, 9), 1e-7, "dense"),
            Side("torch", Summary(2, 2, 2, 9)),
        ),
        speedups=(Speedup("convext", "torch", Ratio(value, low, high)),),
        flops=1e6,
        limit=5e-4,
        convolution_share=(0.5, 0.25),
    )
    return replace(one, **changes)


@pytest.mark.parametrize("processor", ("sapphire_rapids", "zen4"))
@pytest.mark.parametrize("isa", ("avx512", "avx2"))
def test_recorded_results_can_be_shown(isa: str, processor: str) -> None:
    recorded = Results.read_json(Path(summary.__file__).parent / "results" / processor / f"{isa}.json")
    assert recorded.complete and len(recorded.rows) > 1000


def results(*rows: Row) -> Results:
    return Results("command", {"CPU": "some"}, MEASURED.measured, list(rows), [Ratio(1, 0.99, 1.01)], True)


def test_results_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    written = results(row(2, 1.9, 2.1), row(0.5, 0.4, 0.6, pass_="input_grad"))
    written.write_json(path)
    assert Results.read_json(path) == written
    data = json.loads(path.read_text())
    with pytest.raises(ValueError, match="results of format 0; this reads format 1"):
        Results.from_dict({**data, "format": 0})


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    results(row(2, 1.9, 2.1)).write_csv(path)
    header, line = (text.split(",") for text in path.read_text().splitlines())
    cells = dict(zip(header, line, strict=True))
    assert (
        cells["convext median"] == "0.001" and cells["convext / torch"] == "2" and cells["pass_"] == "output"
    )


def test_what_a_row_says() -> None:
    one = row(2, 1.9, 2.1)
    assert one.gflops(one.side("convext")) == pytest.approx(1)
    assert one.fraction(one.side("convext")) == pytest.approx(0.5)
    assert one.side("jax") is None and one.speedup("jax") is None and one.fraction(None) is None
    assert speedups([one, replace(one, speedups=())]) == [Ratio(2, 1.9, 2.1)]


def test_no_exponent_in_a_table() -> None:
    assert [summary.digits(value) for value in (0.01234, 99.95, 999.4, 999.6, 123456)] == [
        "0.0123",
        "100",
        "999",
        "1000",
        "123456",
    ]


def test_summary_in_markdown() -> None:
    models = {"benchmark": "models", "name": "TCN", "pass_": "training"}
    found = results(row(2, 1.9, 2.1), row(0.5, 0.4, 0.6, network="other"), row(3, 2.9, 3.1, **models))
    text = summary.markdown(found)
    assert "| all | 2 | 1.00 | **0.50** | 1 |" in text, "a loss is bold, and counted"
    assert "| TCN | training | 2 | 2000 | 1 | 3.00 (2.90 to 3.10) | 50%, now 25% |" in text
    assert "CPU some" in text and "off by 1.000 x at most" in text


def test_changes() -> None:
    old = results(row(2, 1.8, 2.2), row(1, 1, 1, pass_="input_grad"), row(1, 1, 1, pass_="weight_grad"))
    new = results(row(1, 0.9, 1.1), row(1.5, 1.5, 1.5, pass_="input_grad"), row(1, 1, 1, threads=1))
    worst, best = comparison.changes(old, new)
    assert worst.ratio == Ratio(0.5, 0.9 / 2.2, 1.1 / 1.8) and best.ratio.value == 1.5
    assert comparison.failures(new, old, 0.95) == [worst.row]
    assert comparison.failures(new, old, 0.6) == [], "the interval reaches 0.61"


def test_only_what_is_surely_slower_fails() -> None:
    found = results(row(0.9, 0.8, 1.0), row(0.9, 0.89, 0.91, pass_="input_grad"), row(2, 2, 2, threads=1))
    assert [one.pass_ for one in comparison.failures(found, None, 0.95)] == ["input_grad"]


# --- The command line -------------------------------------------------------------------------------


def test_options(tmp_path: Path) -> None:
    chosen = options.parse(["layers", "--pass", "output,weight_grad", "--against", "all", "--threads", "1,2"])
    assert chosen.passes == ["output", "weight_grad"] and chosen.against == list(options.AGAINST)
    assert chosen.threads == [1, 2] and chosen.benchmark == ["layers"]
    assert options.parse(["--from", "old.json"]).stored == Path("old.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name benchmarks to run, or results to show"),
        (["layers", "--from", "x.json"], "name benchmarks to run, or results to show"),
        (["sprint"], "unknown: sprint; use layers, models"),
        (["layers", "--pass", "sideways"], "unknown: sideways; use output, input_grad, weight_grad"),
        (["layers", "--threads", "0"], "at least one thread"),
        (["layers", "--isa", "sse9"], "invalid choice: 'sse9'"),
    ],
)
def test_wrong_options(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options.parse(arguments)
    assert message in capsys.readouterr().err


def test_names_in_options_are_those_in_the_code() -> None:
    from benchmarks.kinds import KINDS
    from benchmarks.passes import MEMORY_FORMATS

    assert KINDS.keys() == options.BENCHMARKS.keys()
    assert tuple(OTHERS) == options.AGAINST
    assert set(MEMORY_FORMATS) == {"contiguous", "channels_last"}
    folder = Path(layer.__file__).parent / "peers"
    modules = {path.stem.removeprefix("with_") for path in folder.glob("with_*.py")} - {"torch"}
    assert {name.removesuffix("-frozen") for name in options.PEERS} == modules


def test_progress_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    jobs = [Job(name, lambda: row(1, 1, 1)) for name in ("first", "second", "third")]
    assert list(track(jobs, console)) == jobs
    shown = console.file.getvalue()
    assert all(text in shown for text in ("0/3", "2/3", "3/3", "left:", "second"))


def test_isa_is_set_before_torch_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", environment := {})
    options.set_environment(options.parse(["layers", "--isa", "avx2"]))
    assert environment == {
        "CONVEXT_ISA": "avx2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    }
