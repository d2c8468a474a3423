"""Random configurations against float64: every pass, through the functions that users call."""

from functools import partial

import torch
from helpers.call import FORMATS, compare, pair
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import convext

fuzz = partial(
    settings, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@st.composite
def convolutions(draw, transposed: bool) -> dict:
    """Sizes and arguments of a call; odd corners are as likely as common layers."""
    dims = draw(st.integers(1, 2))

    def each(low: int, high: int) -> tuple[int, ...]:
        return draw(st.tuples(*[st.integers(low, high)] * dims))

    groups = draw(st.sampled_from((1, 1, 1, 2, 3, 5, 16)))
    most = 2 if groups > 3 else draw(st.sampled_from((4, 10, 10, 36)))
    per_group = draw(st.tuples(*[st.integers(1, most)] * 2))
    ic, oc = (groups * c for c in per_group)
    kernel = each(1, draw(st.sampled_from((1, 3, 5))))
    size = each(1, draw(st.sampled_from((4, 12, 20) if dims == 2 else (8, 70, 200))) // (1 + transposed))
    call = {
        "n": draw(st.integers(1, 2)),
        "channels": (ic, oc, groups),
        "size": size,
        "kernel": kernel,
        "keywords": {
            "stride": each(1, draw(st.sampled_from((1, 2, 4)))),
            "padding": each(0, draw(st.sampled_from((0, 1, 4)))),
            "dilation": each(1, draw(st.sampled_from((1, 1, 3)))),
            "groups": groups,
        },
        "bias": draw(st.booleans()),
        "dtype": draw(st.sampled_from((torch.float32, torch.float64))),
        "formats": draw(st.tuples(*[st.sampled_from(list(FORMATS))] * 3)),
        "positive": draw(st.booleans()),
        "threads": draw(st.sampled_from((1, 1, 1, 2))),
        "seed": draw(st.integers(0, 2**32)),
    }
    if transposed:
        steps = zip(call["keywords"]["stride"], call["keywords"]["dilation"], strict=True)
        call["keywords"]["output_padding"] = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in steps)
    else:
        call["mode"] = draw(st.sampled_from(("zeros", "zeros", "zeros", "reflect", "replicate", "circular")))
    return call


def tensors(call: dict, weight_shape: tuple[int, ...], out_channels: int) -> list[Tensor | None]:
    """Input, weight and bias, which all require a gradient."""
    torch.manual_seed(call["seed"])
    torch.set_num_threads(call["threads"])

    def tensor(shape: tuple[int, ...], format_: str) -> Tensor:
        fill = torch.rand if call["positive"] else torch.randn
        made = fill(shape, dtype=call["dtype"])
        return (made.to(memory_format=FORMATS[format_]) if len(shape) == 4 else made).requires_grad_()

    x = tensor((call["n"], call["channels"][0], *call["size"]), call["formats"][0])
    w = tensor(weight_shape, call["formats"][1])
    return [x, w, tensor((out_channels,), "nchw") if call["bias"] else None]


def gradient_for(output: Tensor, format_: str) -> Tensor:
    """An incoming gradient, with a memory format of its own."""
    gradient = torch.randn_like(output.detach())
    return gradient.to(memory_format=FORMATS[format_]) if gradient.dim() == 4 else gradient


@fuzz(max_examples=1200)
@given(convolutions(transposed=False))
def test_convolutions(call: dict) -> None:
    ic, oc, groups = call["channels"]
    keywords, mode = call["keywords"], call["mode"]
    dims = len(call["size"])
    for size, kernel, dilation, padding in zip(
        call["size"], call["kernel"], keywords["dilation"], keywords["padding"], strict=True
    ):
        assume(size + 2 * padding >= dilation * (kernel - 1) + 1)
        assume(mode != "reflect" or padding < size)
        assume(mode != "circular" or padding <= size)
    ours = partial(getattr(convext, f"conv{dims}d"), padding_mode=mode, **keywords)
    function = getattr(F, f"conv{dims}d")
    sides = [side for padding in reversed(keywords["padding"]) for side in (padding, padding)]

    def torchs(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        if mode == "zeros":
            return function(x, w, b, **keywords)
        return function(F.pad(x, sides, mode), w, b, **(keywords | {"padding": 0}))

    operands = tensors(call, (oc, ic // groups, *call["kernel"]), oc)
    gradient = gradient_for(torchs(*operands), call["formats"][2])
    compare(ours, torchs, operands, gradient)


@fuzz(max_examples=400)
@given(convolutions(transposed=True))
def test_transposed_convolutions(call: dict) -> None:
    ic, oc, groups = call["channels"]
    keywords = call["keywords"]
    dims = len(call["size"])
    for i in range(dims):
        span = keywords["dilation"][i] * (call["kernel"][i] - 1) + 1 + keywords["output_padding"][i]
        assume((call["size"][i] - 1) * keywords["stride"][i] - 2 * keywords["padding"][i] + span >= 1)
    ours, torchs = pair(f"conv_transpose{dims}d", **keywords)
    operands = tensors(call, (ic, oc // groups, *call["kernel"]), oc)
    compare(ours, torchs, operands, gradient_for(torchs(*operands), call["formats"][2]))
