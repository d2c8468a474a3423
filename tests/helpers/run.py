"""Running one algorithm on one problem, apart from torch's dispatcher, on buffers that fault when overrun."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from convext import _C
from helpers.memory import guarded
from helpers.problem import Operands, Problem, draw, written
from helpers.reference import Expected, expect

ISAS = ("scalar", "avx2", "avx512")
AVAILABLE_ISAS = ISAS[: ISAS.index(_C.detected_isa()) + 1]
ALGORITHMS = _C.algorithms()


def refusal(problem: Problem, algorithm: str) -> str | None:
    """Why ``algorithm`` cannot compute ``problem``; None if it can (on every ISA)."""
    try:
        _C.plan(str(problem), "scalar", algorithm)
    except ValueError as error:
        return str(error)
    return None


def distinct_isas(problem: Problem, algorithm: str) -> list[str]:
    """The available instruction sets on which ``algorithm`` takes a different kernel."""
    kernels = {_C.plan(str(problem), isa, algorithm)["kernel"]: isa for isa in reversed(AVAILABLE_ISAS)}
    return list(reversed(kernels.values()))


@lru_cache(maxsize=16)  # the tests of one problem follow each other
def given(problem: Problem, data: str) -> tuple[Operands, list[Expected]]:
    """Operands of a problem and what its pass makes of them."""
    operands = draw(problem, data)
    return operands, expect(problem, operands)


def run(
    problem: Problem,
    operands: Operands,
    *,
    algorithm: str = "",
    isa: str = "",
    threads: int = 1,
    side: str = "behind",
) -> list[np.ndarray]:
    """What the pass writes; what it reads must stay as it was. Every buffer touches an inaccessible page."""
    layouts = {name: getattr(problem, name) for name in ("input", "weight", "output")} | {"bias": "nchw"}
    memory, address = {}, {}
    for name, layout in layouts.items():
        array = getattr(operands, name)
        if array is None:
            address[name] = 0
            continue
        memory[name] = guarded(array.transpose(0, 2, 3, 1) if layout == "nhwc" else array, side)
        address[name] = memory[name].ctypes.data
    before = {name: array.tobytes() for name, array in memory.items() if name not in written(problem)}
    _C.run(str(problem), **address, threads=threads, isa=isa, algorithm=algorithm)
    for name, data in before.items():
        assert memory[name].tobytes() == data, f"the pass changed its {name}"
    results = []
    for name in written(problem):
        array = memory[name].copy()
        results.append(array.transpose(0, 3, 1, 2) if layouts[name] == "nhwc" else array)
    return results


def torch_results(p: Problem, operands: Operands) -> list[np.ndarray]:
    """What torch makes of the same data in the same dtype; for padding with zeros."""
    x, w, y = (torch.from_numpy(a) for a in (operands.input, operands.weight, operands.output))
    bottom = (p.oh - 1) * p.stride_h + (p.kh - 1) * p.dilation_h + 1 - p.ih - p.pad_top
    right = (p.ow - 1) * p.stride_w + (p.kw - 1) * p.dilation_w + 1 - p.iw - p.pad_left
    pads = (p.pad_left, right, p.pad_top, bottom)
    geometry = ((p.stride_h, p.stride_w), (0, 0), (p.dilation_h, p.dilation_w))
    padded = torch.nn.functional.pad(x, pads)
    if p.pass_ == "output":
        bias = None if operands.bias is None else torch.from_numpy(operands.bias)
        return [torch.conv2d(padded, w, bias, *geometry, p.g).numpy()]
    mask = (p.pass_ == "input_grad", p.pass_ == "weight_grad", p.pass_ == "weight_grad" and bool(p.bias))
    grads = torch.ops.aten.convolution_backward(y, padded, w, [p.oc], *geometry, False, (0, 0), p.g, mask)
    if p.pass_ == "input_grad":
        assert not p.bias, "torch's input gradient adds no bias"
        return [torch.nn.functional.pad(grads[0], [-pad for pad in pads]).numpy()]
    return [grad.numpy() for grad in grads if grad is not None]
