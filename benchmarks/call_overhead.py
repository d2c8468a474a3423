"""What a call costs: a convolution too small to take time, through the modules, with gradients on.

    python benchmarks/call_overhead.py [--pairs 200]

The two libraries take turns, so that the machine's moods meet both alike; printed are the medians, in
microseconds, and the median of the ratios of neighbours. The forward call records the graph; the backward
call computes the gradients of input, weight and bias.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

import convext

CALLS = 100  # in one measurement


def microseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - start) / CALLS * 1e6


def forward(layer: torch.nn.Module, x: torch.Tensor) -> Callable[[], object]:
    return lambda: layer(x)


def backward(layer: torch.nn.Module, x: torch.Tensor) -> Callable[[], object]:
    y = layer(x)
    leaves, ones = (x, *layer.parameters()), torch.ones_like(y)
    return lambda: torch.autograd.grad(y, leaves, ones, retain_graph=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200)
    pairs = parser.parse_args().pairs

    ours = convext.Conv2d(1, 1, 3)
    theirs = torch.nn.Conv2d(1, 1, 3)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(1, 1, 9, 9, requires_grad=True)

    print(f"{'':10} {'convext':>8} {'torch':>8} {'ratio':>7}")
    for name, prepare in (("forward", forward), ("backward", backward)):
        calls = prepare(ours, x), prepare(theirs, x)
        for call in calls:
            microseconds(call)
        times = [tuple(microseconds(call) for call in calls) for _ in range(pairs)]
        a, b = (statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(theirs / ours for ours, theirs in times)
        print(f"{name:10} {a:6.1f} us {b:5.1f} us {ratio:6.2f}x")


if __name__ == "__main__":
    main()
