"""PyTorch's own samples for its convolutions (OpInfo and ModuleInfo), run against convext."""

from collections.abc import Iterator
from functools import partial

import pytest
import torch
from helpers.call import compare, layout, results, same_error
from torch import Tensor, nn
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.common_modules import module_db

import convext

NAMES = ("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d")
OPS = {name: next(op for op in op_db if op.name == f"nn.functional.{name}") for name in NAMES}
CLASSES = [f"{lazy}{kind}{n}d" for lazy in ("", "Lazy") for kind in ("Conv", "ConvTranspose") for n in (1, 2)]
MODULES = {name: next(info for info in module_db if info.module_cls.__name__ == name) for name in CLASSES}
COMPUTED = (torch.float32, torch.float64)
LEFT_TO_TORCH = (torch.float16, torch.bfloat16, torch.complex64, torch.complex128, torch.int64)


def name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def samples(op_name: str, dtype: torch.dtype, requires_grad: bool) -> Iterator:
    """OpInfo's samples and reference inputs, as they are and with other strides."""
    op = OPS[op_name]
    for sample in op.reference_inputs("cpu", dtype, requires_grad=requires_grad):
        yield sample
        yield sample.noncontiguous()


def bound(f, sample) -> tuple[partial, list[Tensor | None]]:
    """The sample's call as a function of (input, weight, bias), and these."""
    weight, *rest = sample.args
    bias = sample.kwargs.pop("bias", None) if not rest else rest.pop(0)
    assert not rest

    def call(function, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        return function(x, w, b, **sample.kwargs)

    return partial(call, f), [sample.input, weight, bias]


@pytest.mark.parametrize("dtype", COMPUTED, ids=name)
@pytest.mark.parametrize("op_name", NAMES)
def test_op_samples(op_name: str, dtype: torch.dtype) -> None:
    count = 0
    for sample in samples(op_name, dtype, requires_grad=True):
        torchs, operands = bound(getattr(nn.functional, op_name), sample)
        ours, _ = bound(getattr(convext, op_name), sample)
        compare(ours, torchs, operands)
        count += 1
    assert count >= 10


@pytest.mark.parametrize("dtype", LEFT_TO_TORCH, ids=name)
@pytest.mark.parametrize("op_name", NAMES)
def test_op_samples_of_other_dtypes_are_torchs_to_the_bit(op_name: str, dtype: torch.dtype) -> None:
    for sample in samples(op_name, dtype, requires_grad=dtype != torch.int64):
        torchs, operands = bound(getattr(nn.functional, op_name), sample)
        ours, _ = bound(getattr(convext, op_name), sample)
        for result, wanted in zip(results(ours, operands), results(torchs, operands), strict=True):
            assert result.dtype == wanted.dtype
            assert layout(result) == layout(wanted)
            assert torch.equal(result, wanted)


@pytest.mark.parametrize("op_name", ("conv1d", "conv2d"))  # torch has no error inputs for the others
def test_op_error_inputs(op_name: str) -> None:
    op = OPS[op_name]
    cases = list(op.error_inputs("cpu"))
    assert len(cases) >= 5
    for case in cases:
        sample = case.sample_input
        call = sample.input, *sample.args
        same_error(getattr(convext, op_name), getattr(nn.functional, op_name), *call, **sample.kwargs)


@pytest.mark.parametrize("training", (True, False), ids=("train", "eval"))
@pytest.mark.parametrize("dtype", COMPUTED, ids=name)
@pytest.mark.parametrize("module", MODULES)
def test_module_samples(module: str, dtype: torch.dtype, training: bool) -> None:
    info = MODULES[module]
    inputs = info.module_inputs_func(info, "cpu", dtype, requires_grad=True, training=training)
    assert len(inputs) >= 2
    for sample in inputs:
        made = []
        for library in (convext, nn):
            torch.manual_seed(1)
            constructor = sample.constructor_input
            layer = (
                getattr(library, module)(*constructor.args, **constructor.kwargs).to(dtype).train(training)
            )
            layer(*sample.forward_input.args, **sample.forward_input.kwargs)  # a lazy layer is one no more
            made.append(layer)
        ours, theirs = made
        assert repr(ours) == repr(theirs)
        for (ours_name, parameter), (theirs_name, wanted) in zip(
            ours.state_dict().items(), theirs.state_dict().items(), strict=True
        ):
            assert ours_name == theirs_name
            assert torch.equal(parameter, wanted), "another initialisation"
        (x,) = sample.forward_input.args
        compare(
            partial(call, ours),
            partial(call, theirs),
            [x, theirs.weight, theirs.bias],
        )


def call(layer: nn.Module, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    parameters = {"weight": weight} | ({} if bias is None else {"bias": bias})
    return torch.func.functional_call(layer, parameters, (x,))
