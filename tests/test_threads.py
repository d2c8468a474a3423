"""Results are the same to the bit for any number of threads, from run to run, wherever a call is made."""

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import grid
from helpers.problem import PASSES, Problem, conv1d, conv2d, draw
from helpers.process import run_python
from helpers.run import ALGORITHMS, distinct_isas, refusal, run
from torch import Tensor

import convext

THREADS = (1, 2, 3, 7, 64)

# More work than one thread takes in one step, so that threads share it; and too little for all of them.
SHAPES = [
    conv1d(32, 48, 700, 3, dilation=2, padding=(4, 0), n=3),
    conv1d(64, 96, 128, 1, n=3),
    conv1d(24, 24, 500, 31, g=24, padding=(15, 15), n=2),
    conv1d(2, 4, 2500, 20, g=2, padding=(19, 0), n=6),
    conv1d(40, 2, 9000, 7, padding=(3, 3)),
    conv2d(40, 70, (17, 19), (3, 3), padding=grid.SAME, n=3),
    conv2d(40, 70, (17, 19), (3, 3), dilation=(10, 12), padding=((10, 10), (12, 12)), n=3),
    conv2d(40, 70, (17, 19), (1, 1), n=3),
    conv2d(40, 70, (17, 19), (1, 1), stride=(2, 2), n=3),
    conv2d(3, 32, (60, 61), (7, 7), stride=(2, 2), padding=((3, 3), (3, 3)), n=2),
    conv2d(40, 70, (33, 37), (3, 3), stride=(2, 2), padding=((1, 1), (1, 1)), n=3),
    conv1d(24, 40, 600, 8, stride=4, padding=(2, 2), n=2),
    conv2d(48, 48, (30, 31), (3, 3), g=48, padding=grid.SAME, n=2),
    conv2d(24, 48, (20, 21), (5, 5), g=24, stride=(2, 2), padding=((2, 2), (2, 2)), n=2),
    conv2d(6, 6, (100, 131), (3, 3), g=6, stride=(2, 2), padding=grid.SAME),
    conv2d(32, 48, (20, 21), (3, 3), g=8, padding=grid.SAME, n=2),
    conv2d(3, 32, (20, 20), (3, 3), padding=grid.SAME, n=7),
    conv2d(2, 3, (3, 4), (2, 2)),
]
PROBLEMS = [
    problem.on(pass_, dtype, bias=1)
    for problem in SHAPES + [replace(p, **grid.CHANNELS_LAST) for p in SHAPES if p.kh * p.ih > 1]
    for pass_ in PASSES
    for dtype in ("f32", "f64")
]


@pytest.mark.parametrize(
    ("problem", "algorithm", "isa"),
    [
        pytest.param(problem, algorithm, isa, id=f"{algorithm}-{isa}-{problem.id}")
        for problem in PROBLEMS
        for algorithm in ALGORITHMS
        if refusal(problem, algorithm) is None
        for isa in distinct_isas(problem, algorithm)
    ],
)
def test_every_algorithm(problem: Problem, algorithm: str, isa: str) -> None:
    operands = draw(problem, "zero-mean")
    first = run(problem, operands, algorithm=algorithm, isa=isa, threads=1)
    for threads in THREADS:
        again = run(problem, operands, algorithm=algorithm, isa=isa, threads=threads)
        for result, wanted in zip(again, first, strict=True):
            assert np.array_equal(result, wanted)


@pytest.mark.parametrize("pass_", PASSES)
def test_more_threads_than_ranges_of_tasks(pass_: str) -> None:
    """Threads beyond the 64th have no range of their own, and only help others with the 96 tasks and more."""
    problem = conv1d(96, 96, 8200, 3, g=96, padding=(1, 1)).on(pass_, "f32", bias=1)
    operands = draw(problem, "zero-mean")
    first = run(problem, operands, algorithm="depthwise_lines", threads=1)
    many = run(problem, operands, algorithm="depthwise_lines", threads=70)
    for result, wanted in zip(many, first, strict=True):
        assert np.array_equal(result, wanted)


# --- Through torch ----------------------------------------------------------------------------------


def layer_and_gradients(seed: int = 0) -> list[Tensor]:
    """A few convolutions of every kind, forwards and backwards."""
    torch.manual_seed(seed)
    results = []
    for f, x, w, keywords in (
        (convext.conv2d, (2, 24, 20, 21), (32, 24, 3, 3), {"padding": 1}),
        (convext.conv2d, (2, 24, 20, 21), (32, 24, 1, 1), {}),
        (convext.conv2d, (2, 24, 20, 21), (24, 1, 3, 3), {"groups": 24, "stride": 2}),
        (convext.conv2d, (2, 6, 20, 21), (8, 6, 5, 3), {"padding": 2, "padding_mode": "circular"}),
        (convext.conv1d, (2, 24, 400), (32, 24, 5), {"padding": "same"}),
        (convext.conv_transpose2d, (2, 24, 9, 10), (24, 16, 4, 4), {"stride": 2}),
    ):
        operands = [torch.randn(x, requires_grad=True), torch.randn(w, requires_grad=True)]
        output = f(*operands, **keywords)
        results += [output.detach(), *torch.autograd.grad(output.square().sum(), operands)]
    return results


def same(results: list[Tensor], wanted: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(results, wanted, strict=True))


@pytest.mark.parametrize("threads", THREADS)
def test_torchs_number_of_threads(threads: int) -> None:
    wanted = layer_and_gradients()
    torch.set_num_threads(threads)
    assert same(layer_and_gradients(), wanted)
    assert same(layer_and_gradients(), wanted)


def test_fewer_threads_than_asked_for() -> None:
    """OpenMP grants less: the threads that there are do all tasks."""
    done = run_python(
        """
        import torch
        from test_threads import layer_and_gradients, same
        torch.set_num_threads(1)
        wanted = layer_and_gradients()
        torch.set_num_threads(7)
        print(same(layer_and_gradients(), wanted))
        """,
        OMP_THREAD_LIMIT="2",
    )
    assert done.stdout.strip() == "True"


def test_calls_from_many_python_threads_at_once() -> None:
    wanted = layer_and_gradients()
    torch.set_num_threads(2)
    lock = threading.Lock()

    def call(_: int) -> list[Tensor]:
        with lock:  # the random numbers are the process'
            torch.manual_seed(0)
            x, w = torch.randn(2, 24, 20, 21), torch.randn(32, 24, 3, 3)
        return [convext.conv2d(x, w, padding=1) for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        for results in pool.map(call, range(8)):
            assert same(results, [wanted[0]] * 20)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_inside_torchs_inter_op_threads() -> None:
    wanted = layer_and_gradients()
    torch.set_num_threads(2)

    tasks = torch.jit.CompilationUnit("""
def convolve(x: Tensor, w: Tensor) -> Tensor:
    return torch.ops.convext.conv2d(x, w, None, [1], [1])

def tasks(x: Tensor, w: Tensor) -> List[Tensor]:
    futures = [torch.jit.fork(convolve, x, w) for i in range(4)]
    return [torch.jit.wait(future) for future in futures]
""").tasks
    torch.manual_seed(0)
    x, w = torch.randn(2, 24, 20, 21), torch.randn(32, 24, 3, 3)
    assert same(tasks(x, w), [wanted[0]] * 4)


def test_a_forked_child_after_openmp_was_used() -> None:
    """A DataLoader's worker: it is forked after the parent used its threads, and sets one thread."""
    done = run_python(
        """
        import os, torch
        from test_threads import layer_and_gradients, same
        torch.set_num_threads(2)
        wanted = layer_and_gradients()
        child = os.fork()
        if child == 0:
            torch.set_num_threads(1)
            os._exit(0 if same(layer_and_gradients(), wanted) else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert done.stdout.strip() == "0"


@pytest.mark.parametrize("start", ("fork", "spawn"))
def test_a_data_loader_whose_workers_convolve(start: str) -> None:
    done = run_python(
        f"""
        import torch
        from helpers.convolving import Convolved, all_convolved
        from torch.utils.data import DataLoader

        torch.set_num_threads(2)
        wanted = all_convolved()
        loader = DataLoader(Convolved(), batch_size=2, num_workers=2, multiprocessing_context="{start}")
        print(torch.equal(torch.cat(list(loader)), wanted))
        """
    )
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize("backend", ("loky", "threading"))
def test_workers_of_joblib(backend: str) -> None:
    """As scikit-learn uses it: processes that are started anew, or threads. (In one that is forked after the
    parent used OpenMP, and keeps its number of threads, torch's own convolution hangs too.)"""
    done = run_python(
        f"""
        import torch
        from helpers.convolving import all_convolved, convolved
        from joblib import Parallel, delayed

        torch.set_num_threads(2)
        wanted = all_convolved()
        got = Parallel(n_jobs=2, backend="{backend}")(delayed(convolved)(i) for i in range(8))
        print(torch.equal(torch.stack(got), wanted))
        """
    )
    assert done.stdout.strip() == "True"


@pytest.mark.slow
@pytest.mark.parametrize("training", (False, True), ids=("forward", "training"))
def test_python_threads_get_as_much_done_as_with_torch(training: bool) -> None:
    """Four threads that call at once, each with one thread of its own; pairs of turns, A B B A."""
    torch.set_num_threads(1)
    layers = {library: library.Conv2d(32, 32, 3, padding=1) for library in (convext, torch.nn)}
    x = torch.randn(2, 32, 28, 28)

    def work(layer: torch.nn.Module) -> None:
        for _ in range(20):
            y = layer(x)
            if training:
                torch.autograd.grad(y.sum(), layer.weight)

    def seconds(library: object) -> float:
        start = time.perf_counter()
        list(pool.map(work, [layers[library]] * 4))
        return time.perf_counter() - start

    with ThreadPoolExecutor(4) as pool:
        ratios = []
        for _ in range(12):
            turns = [seconds(library) for library in (torch.nn, convext, convext, torch.nn)]
            ratios.append((turns[0] + turns[3]) / (turns[1] + turns[2]))
    assert statistics.median(ratios[2:]) >= 0.95
