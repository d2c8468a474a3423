"""Comparing a call of convext with the same call of torch: values and gradients, layouts, errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

import convext
from helpers.reference import Expected, check_bound

Convolution = Callable[[Tensor, Tensor, Tensor | None], Tensor]
# Words in the names of operators: those of torch's kernels, and of what calls them.
KERNELS = ("mkldnn", "onednn", "thnn", "slow_conv", "nnpack", "xnnpack", "conv_depthwise")
CONVOLUTIONS = ("conv", *KERNELS)
FUNCTIONS = ("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d")
FORMATS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}


def pair(name: str, **keywords: object) -> tuple[Callable, Callable]:
    """convext's and torch's function of that name, with these keywords."""
    return partial(getattr(convext, name), **keywords), partial(
        getattr(torch.nn.functional, name), **keywords
    )


def results(f: Convolution, operands: list[Tensor | None], grad: Tensor | None = None) -> list[Tensor]:
    """The output of f(input, weight, bias) and the gradients of the operands that require one."""
    output = f(*operands)
    wanted = [t for t in operands if t is not None and t.requires_grad]
    if not wanted:
        return [output]
    return [
        output.detach(),
        *torch.autograd.grad(output, wanted, ones_like(output) if grad is None else grad),
    ]


def ones_like(tensor: Tensor) -> Tensor:
    return torch.ones_like(tensor, memory_format=torch.contiguous_format)


def expect(f: Convolution, operands: list[Tensor | None], grad: Tensor) -> list[Expected]:
    """What `results` should be, by torch's f in float64.

    A convolution is bilinear, and so are its gradients: on absolute values it gives the sums of magnitudes,
    on ones the numbers of terms.
    """

    def evaluate(transform: Callable[[Tensor], Tensor], with_bias: bool = True) -> list[Tensor]:
        inner = [None if t is None else transform(t.detach().double()) for t in operands]
        for new, old in zip(inner, operands, strict=True):
            if new is not None:
                new.requires_grad_(old.requires_grad)
        if not with_bias and inner[2] is not None:
            inner[2] = torch.zeros_like(inner[2]).requires_grad_(inner[2].requires_grad)
        return [r.detach().numpy() for r in results(f, inner, transform(grad.double()))]

    parts = evaluate(torch.clone), evaluate(torch.abs), evaluate(torch.ones_like, with_bias=False)
    return [Expected(*part) for part in zip(*parts, strict=True)]


def layout(tensor: Tensor) -> tuple[int, ...]:
    """The strides that mean something: those of dimensions with more than one element."""
    if tensor.numel() == 0:
        return ()
    return tuple(s for s, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1)


def in_both_layouts(tensor: Tensor | None) -> bool:
    return tensor is None or (
        tensor.dim() == 4
        and tensor.is_contiguous()
        and tensor.is_contiguous(memory_format=torch.channels_last)
    )


def compare(
    ours: Convolution,
    torchs: Convolution,
    operands: list[Tensor | None],
    grad: Tensor | None = None,
) -> None:
    """Values and gradients are within the bound of float64's; dtypes, shapes and layouts are torch's. (Of
    operands that are dense in both layouts, torch's backends make now the one, now the other.)
    """
    compare_results(results(ours, operands, grad), torchs, operands, grad)


def compare_results(
    ours: list[Tensor], torchs: Convolution, operands: list[Tensor | None], grad: Tensor | None = None
) -> None:
    """`compare` of results that are there already."""
    plain = results(torchs, operands, grad)
    if grad is None:
        grad = torch.ones_like(plain[0])
    unit = torch.finfo(plain[0].dtype).eps / 2
    expected = expect(torchs, operands, grad)
    unclear = all(in_both_layouts(operand) for operand in operands[:2])
    for result, theirs, wanted in zip(ours, plain, expected, strict=True):
        assert result.shape == theirs.shape
        assert result.dtype == theirs.dtype
        assert layout(result) == layout(theirs) or unclear
        check_bound(result.detach().numpy(), wanted, unit)


class Recorder(TorchDispatchMode):
    """The names of the convext operators that run: each once, below what transforms make of them."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if "conv" in func.name():
            self.names.append(func.name().removeprefix("convext::"))
        return func(*args, **(kwargs or {}))


def ran(f: Callable[[], object]) -> list[str]:
    """The names of the convolutions that run, of torch's and of convext's: the profiler sees every operator,
    above and below the dispatcher's Python modes."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        f()
    return [e.name for e in profiler.events() if any(word in e.name for word in CONVOLUTIONS)]


def torchs_kernels(names: list[str]) -> list[str]:
    """Those by which torch convolves, among the names of operators."""
    return [n for n in names if n.startswith("aten::") and any(word in n for word in KERNELS)]


def error_of(f: Callable, *args: object, **kwargs: object) -> Exception | None:
    """What a call raises."""
    try:
        f(*args, **kwargs)
    except Exception as error:
        return error
    return None


def same_error(ours: Callable, torchs: Callable, *args: object, **kwargs: object) -> str:
    """Asserts that both calls raise the same type with the same text; returns the text."""
    got, wanted = error_of(ours, *args, **kwargs), error_of(torchs, *args, **kwargs)
    assert wanted is not None, "torch accepts this call"
    assert got is not None, f"accepted; torch raises {wanted!r}"
    assert type(got) is type(wanted)
    assert str(got) == str(wanted)
    return str(got)
