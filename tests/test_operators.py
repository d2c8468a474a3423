"""The operators: derivatives of every order and direction, what is saved, what is computed, and by whom."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from helpers.call import Recorder, ran, same_error, torchs_kernels
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import convext

OPS = torch.ops.convext


def double(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


# Calls as a user makes them: function, shapes of (input, weight, bias or None), keywords.
CALLS = {
    "1d": (convext.conv1d, (2, 2, 5), (3, 2, 3), (3,), {}),
    "1d-pointwise": (convext.conv1d, (2, 3, 4), (2, 3, 1), (2,), {}),
    "1d-causal-depthwise": (convext.conv1d, (1, 2, 5), (2, 1, 3), None, {"groups": 2, "padding": "full"}),
    "1d-unbatched": (convext.conv1d, (2, 5), (2, 2, 2), (2,), {"stride": 2, "padding": 1}),
    "2d": (convext.conv2d, (2, 2, 4, 3), (2, 2, 3, 2), (2,), {"padding": (1, 0)}),
    "2d-pointwise": (convext.conv2d, (1, 3, 2, 3), (2, 3, 1, 1), (2,), {"stride": (1, 2)}),
    "2d-same": (convext.conv2d, (1, 2, 3, 4), (2, 2, 2, 3), (2,), {"padding": "same"}),
    "2d-strided": (convext.conv2d, (1, 2, 6, 5), (2, 2, 3, 2), None, {"stride": (2, 3), "padding": 1}),
    "2d-dilated": (convext.conv2d, (1, 1, 5, 6), (2, 1, 2, 2), (2,), {"dilation": (2, 3)}),
    "2d-grouped": (convext.conv2d, (1, 4, 3, 3), (4, 2, 2, 2), (4,), {"groups": 2}),
    "2d-depthwise": (convext.conv2d, (2, 2, 3, 4), (4, 1, 3, 3), (4,), {"groups": 2, "padding": 1}),
    "2d-unbatched": (convext.conv2d, (2, 3, 3), (1, 2, 2, 2), (1,), {}),
    "transpose1d": (convext.conv_transpose1d, (2, 2, 3), (2, 2, 3), (2,), {"stride": 2, "padding": 1}),
    "transpose2d": (
        convext.conv_transpose2d,
        (1, 4, 2, 3),
        (4, 1, 3, 2),
        (2,),
        {"stride": (3, 2), "output_padding": (2, 1), "groups": 2, "dilation": (1, 2)},
    ),
    "transpose2d-wide-output-padding": (
        convext.conv_transpose2d,
        (1, 2, 2, 2),
        (2, 2, 2, 2),
        None,
        {"stride": 1, "output_padding": 2, "dilation": 3},
    ),
}
for mode in ("reflect", "replicate", "circular"):
    padded = {"padding": 2, "padding_mode": mode}
    CALLS[f"1d-{mode}"] = (convext.conv1d, (2, 2, 4), (2, 1, 3), None, {"groups": 2, **padded})
    CALLS[f"2d-{mode}"] = (convext.conv2d, (1, 2, 3, 4), (2, 2, 3, 2), (2,), padded)


def user_call(name: str) -> tuple[Callable, list[Tensor]]:
    """The call as a function of its tensors, and these, in float64."""
    f, x, w, b, keywords = CALLS[name]
    tensors = [double(*shape) for shape in (x, w, b) if shape is not None]
    return lambda *operands: f(*operands, **keywords), tensors


# Shapes (input, weight, output) and geometry of the closed operators; some that no plain convolution has.
GEOMETRIES = {
    "1d": ((2, 4, 5), (2, 2, 3), (2, 2, 4), ([1], [1], [1], 2, "zeros")),
    "2d": ((1, 2, 4, 5), (3, 2, 3, 2), (1, 3, 2, 3), ([2, 1], [1, 0], [1, 2], 1, "zeros")),
    "beyond-the-taps": ((1, 2, 6, 5), (2, 1, 2, 1), (1, 2, 2, 2), ([2, 2], [0, 0], [1, 1], 2, "zeros")),
    "circular": ((1, 1, 3, 4), (2, 1, 3, 2), (1, 2, 3, 4), ([1, 1], [1, 0], [1, 1], 1, "circular")),
}


def closed_call(name: str, geometry: str) -> tuple[Callable, list[Tensor]]:
    """A closed operator as a function of its tensors, and these."""
    x, w, y, (stride, padding, dilation, groups, mode) = GEOMETRIES[geometry]
    rest = (stride, padding, dilation, groups, mode)
    if name == "conv_output":
        tensors = [double(*x), double(*w), double(w[0])]
        return lambda x, w, b: OPS.conv_output(x, w, b, y[2:], *rest), tensors
    if name == "conv_input_grad":
        tensors = [double(*y), double(*w), double(x[1])]
        return lambda y, w, b: OPS.conv_input_grad(y, w, b, x[2:], *rest), tensors
    return lambda y, x: OPS.conv_weight_grad(y, x, w[2:], *rest, True), [double(*y), double(*x)]


CLOSED = list(product(("conv_output", "conv_input_grad", "conv_weight_grad"), GEOMETRIES))


def check_all_derivatives(f: Callable, tensors: list[Tensor]) -> None:
    assert gradcheck(
        f, tensors, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True
    )
    assert gradgradcheck(
        f, tensors, check_batched_grad=True, check_fwd_over_rev=True, check_rev_over_rev=True
    )


@pytest.mark.parametrize("name", CALLS)
def test_derivatives_of_a_users_call(name: str) -> None:
    check_all_derivatives(*user_call(name))


@pytest.mark.parametrize(("name", "geometry"), CLOSED)
def test_derivatives_of_a_closed_operator(name: str, geometry: str) -> None:
    check_all_derivatives(*closed_call(name, geometry))


def test_third_derivatives() -> None:
    """The operators are closed: one may go on differentiating."""
    f, tensors = user_call("2d-strided")

    def gradients(*operands: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(f(*operands).pow(3).sum(), operands, create_graph=True)

    assert gradgradcheck(gradients, tensors)


@pytest.mark.parametrize("name", CALLS)
def test_torchs_own_operator_checks_of_a_users_call(name: str) -> None:
    f, x, w, b, keywords = CALLS[name]
    overload = "padding" if isinstance(keywords.get("padding"), str) else "default"
    operator = getattr(getattr(OPS, f.__name__), overload)
    keywords = {
        k: v if isinstance(v, str) or k == "groups" else as_list(v, len(w) - 2) for k, v in keywords.items()
    }
    bias = None if b is None else double(*b)
    # It is composite: autograd is that of what it calls, so there is no registration of its own to check.
    checks = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    torch.library.opcheck(operator, (double(*x), double(*w), bias), keywords, test_utils=checks)


def as_list(value: int | tuple[int, ...], length: int) -> list[int]:
    return [value] * length if isinstance(value, int) else list(value)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64), ids=("f32", "f64"))
@pytest.mark.parametrize(("name", "geometry"), CLOSED)
def test_torchs_own_operator_checks_of_a_closed_operator(
    name: str, geometry: str, dtype: torch.dtype
) -> None:
    x, w, y, rest = GEOMETRIES[geometry]
    shapes, size = {
        "conv_output": ((x, w, w[:1]), y[2:]),
        "conv_input_grad": ((y, w, x[1:2]), x[2:]),
        "conv_weight_grad": ((y, x), w[2:]),
    }[name]
    tensors = [double(*shape).detach().to(dtype).requires_grad_() for shape in shapes]
    last = (True,) if name == "conv_weight_grad" else ()
    torch.library.opcheck(getattr(OPS, name).default, (*tensors, list(size), *rest, *last))


# --- What is saved, and what is computed ------------------------------------------------------------


def saved_by(f: Callable, *operands: Tensor | None) -> tuple[Tensor, list[Tensor]]:
    """What the call returns, and what it keeps for its derivatives."""
    saved: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        return f(*operands), saved


FROZEN = list(product((False, True), repeat=3))


@pytest.mark.parametrize(
    ("x_needs", "w_needs", "b_needs"), FROZEN, ids=lambda needed: "free" if needed else "frozen"
)
@pytest.mark.parametrize("transposed", (False, True), ids=("conv", "conv_transpose"))
def test_a_frozen_operand_costs_nothing(
    transposed: bool, x_needs: bool, w_needs: bool, b_needs: bool
) -> None:
    f = convext.conv_transpose2d if transposed else convext.conv2d
    x, w, b = torch.randn(2, 3, 6, 6), torch.randn(3, 3, 3, 3), torch.randn(3)
    for operand, needs in ((x, x_needs), (w, w_needs), (b, b_needs)):
        operand.requires_grad_(needs)
    with Recorder() as forward:
        output, saved = saved_by(f, x, w, b)
    assert forward.names == ["conv_input_grad" if transposed else "conv_output"]
    # The input's gradient needs the weight, the weight's needs the input, and the bias' neither.
    expected = ([w] if x_needs else []) + ([x] if w_needs else [])
    assert sorted(t.data_ptr() for t in saved) == sorted(t.data_ptr() for t in expected)

    assert output.requires_grad == (x_needs or w_needs or b_needs)
    if not output.requires_grad:
        return
    with Recorder() as backward:
        output.sum().backward()
    expected_names = ["conv_output" if transposed else "conv_input_grad"] if x_needs else []
    expected_names += ["conv_weight_grad"] if w_needs else []
    assert sorted(backward.names) == sorted(expected_names)
    for operand, needs in ((x, x_needs), (w, w_needs), (b, b_needs)):
        assert (operand.grad is not None) == needs


def test_nothing_is_saved_without_gradients() -> None:
    x, w = torch.randn(1, 2, 5), torch.randn(2, 2, 3, requires_grad=True)
    with torch.no_grad():
        assert saved_by(convext.conv1d, x, w)[1] == []
    with torch.inference_mode():
        assert saved_by(convext.conv1d, x, w)[1] == []


def test_the_gradient_of_a_constant_costs_nothing() -> None:
    """A gradient that is not asked for is not computed, though its operand requires one."""
    x, w = double(1, 2, 5), double(2, 2, 3)
    output = convext.conv1d(x, w)
    with Recorder() as backward:
        torch.autograd.grad(output.sum(), w)
    assert backward.names == ["conv_weight_grad"]


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64), ids=("f32", "f64"))
@pytest.mark.parametrize("name", CALLS)
def test_torch_convolves_nothing_of_these_dtypes(name: str, dtype: torch.dtype) -> None:
    """Neither above nor below the dispatcher's Python modes: the profiler sees every operator that runs."""
    f, tensors = user_call(name)
    tensors = [t.detach().to(dtype).requires_grad_() for t in tensors]

    def differentiate() -> None:
        gradients = torch.autograd.grad(f(*tensors).sum(), tensors, create_graph=True)
        sum(g.square().sum() for g in gradients).backward()

    names = ran(differentiate)
    assert any(name.startswith("convext::conv") for name in names)
    assert [name for name in names if name.startswith("aten::conv")] + torchs_kernels(names) == []


# --- Errors of autograd -----------------------------------------------------------------------------


def backward_twice(f: Callable, x: Tensor, w: Tensor) -> None:
    output = f(x, w).sum()
    output.backward()
    output.backward()


def backward_after_change(f: Callable, x: Tensor, w: Tensor) -> None:
    output = f(x, w).sum()
    with torch.no_grad():
        w.mul_(2)
    output.backward()


@pytest.mark.parametrize("name", ("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"))
@pytest.mark.parametrize("misuse", (backward_twice, backward_after_change))
def test_misuse_of_autograd_is_torchs_error(name: str, misuse: Callable) -> None:
    image = (5,) * int(name[-2])

    def call(f: Callable) -> None:
        misuse(f, double(1, 2, *image), double(2, 2, *image))

    ours, torchs = getattr(convext, name), getattr(torch.nn.functional, name)
    assert same_error(lambda: call(ours), lambda: call(torchs))
