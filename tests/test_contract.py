"""What a swap-in convolution must keep: shapes, layouts, strides, dtypes, empty tensors."""

import warnings
from collections.abc import Callable
from functools import partial
from itertools import product

import pytest
import torch
from helpers.call import FORMATS, FUNCTIONS, compare, error_of, pair, results, same_error
from torch import Tensor, nn
from torch.nn import functional as F

import convext

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, dtype=dtype).requires_grad_()


def leaf(tensor: Tensor) -> Tensor:
    """The same tensor, strides and all, as a leaf that requires a gradient."""
    return tensor.detach().requires_grad_()


# --- Layouts and strides ----------------------------------------------------------------------------


@pytest.mark.parametrize("grad", FORMATS)
@pytest.mark.parametrize("weight", FORMATS)
@pytest.mark.parametrize("x", FORMATS)
@pytest.mark.parametrize(
    "keywords",
    ({"padding": 1}, {"stride": 2}, {"groups": 4}, {"groups": 2, "dilation": 2}),
    ids=("padded", "strided", "depthwise", "grouped-dilated"),
)
@pytest.mark.parametrize("name", ("conv2d", "conv_transpose2d"))
def test_channels_last_in_and_out(name: str, keywords: dict, x: str, weight: str, grad: str) -> None:
    ours, torchs = pair(name, **keywords)
    operands = [torch.randn(2, 4, 6, 7), torch.randn(4, 4 // keywords.get("groups", 1), 3, 3)]
    operands = [leaf(t.to(memory_format=FORMATS[f])) for t, f in zip(operands, (x, weight), strict=True)]
    gradient = torch.randn_like(torchs(*operands).detach()).to(memory_format=FORMATS[grad])
    compare(ours, torchs, [*operands, None], gradient)


@pytest.mark.parametrize("name", ("conv2d", "conv_transpose2d"))
def test_channels_last_of_a_kernel_of_one_pixel(name: str) -> None:
    ours, torchs = pair(name)
    for x_format in FORMATS.values():
        for w_format in FORMATS.values():
            x = leaf(torch.randn(2, 4, 5, 6).to(memory_format=x_format))
            w = leaf(torch.randn(4, 3 if "transpose" in name else 4, 1, 1).to(memory_format=w_format))
            compare(ours, torchs, [x, w, None])


def test_channels_last_when_the_output_is_one_pixel() -> None:
    """A gradient of one element is dense in both layouts; those of the operands are not."""
    ours, torchs = pair("conv2d", stride=2, padding=1)
    x, w = torch.randn(1, 3, 1, 2), torch.randn(1, 3, 3, 3)
    compare(ours, torchs, [leaf(x), leaf(w.to(memory_format=torch.channels_last)), None])
    compare(ours, torchs, [leaf(x.to(memory_format=torch.channels_last)), leaf(w), None])


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64), ids=str)
@pytest.mark.parametrize("channels, outputs, groups", ((4, 3, 1), (24, 24, 6), (200, 100, 100)))
def test_few_channels_go_by_contiguous_copies(
    channels: int, outputs: int, groups: int, dtype: torch.dtype
) -> None:
    """So the numbers are those of contiguous operands, to the last bit. (Of groups, if vectors are wide.)"""
    x = drawn(3, channels, 17, 19, dtype=dtype)
    w = drawn(outputs, channels // groups, 3, 3, dtype=dtype)
    operands = [leaf(t.to(memory_format=torch.channels_last)) for t in (x, w)]
    call = partial(convext.conv2d, stride=2, padding=1, groups=groups)
    calls = convext.explain(call, *operands).calls
    assert groups > 1 or not any("nhwc" in str(c) for c in calls)
    first, last = call(x, w), call(*operands)
    grad = torch.randn_like(first.detach())
    grads = torch.autograd.grad(first, (x, w), grad)
    grads_last = torch.autograd.grad(last, operands, grad.to(memory_format=torch.channels_last))
    for c, a, b in zip(calls, (first, *grads), (last, *grads_last), strict=True):
        assert torch.equal(a, b) if "nhwc" not in str(c) else torch.allclose(a, b, atol=1e-4)


def test_not_a_number_stays_where_it_belongs_in_channels_last() -> None:
    """Also where the algorithm (Winograd's) spreads it first."""
    x, w = drawn(2, 64, 24, 24), drawn(64, 64, 3, 3)
    assert "winograd" in str(
        convext.explain(
            convext.Conv2d(64, 64, 3, padding=1), x.detach().to(memory_format=torch.channels_last)
        )
    )
    with torch.no_grad():
        x[1, 5, 10, 11] = torch.nan
    x_last = leaf(x.to(memory_format=torch.channels_last))
    y = convext.conv2d(x_last, w, padding=1)
    (w_grad,) = torch.autograd.grad(y, w, torch.ones_like(y))
    assert y.isnan().sum() == 64 * 9
    assert y[1, :, 9:12, 10:13].isnan().all()
    assert w_grad.isnan().sum() == 64 * 9
    assert w_grad[:, 5].isnan().all()


def strided_views() -> dict[str, Callable[[Tensor], Tensor]]:
    """Ways to make a tensor of the same shape and values that is not dense."""
    return {
        "every-other": lambda t: torch.stack([t, -t], -1)[..., 0],
        "sliced": lambda t: F.pad(t, (2, 3))[..., 2 : 2 + t.shape[-1]],
        "first-and-last-swapped": lambda t: t.transpose(0, -1).contiguous().transpose(0, -1),
        "second-and-last-swapped": lambda t: t.transpose(1, -1).contiguous().transpose(1, -1),
        "offset": lambda t: torch.cat([torch.zeros(1), t.flatten()])[1:].view(t.shape),
    }


@pytest.mark.parametrize("view", strided_views())
@pytest.mark.parametrize("name", FUNCTIONS)
def test_any_strides(name: str, view: str) -> None:
    n = int(name[-2])
    ours, torchs = pair(name)
    change = strided_views()[view]
    x, w = torch.randn(2, 3, *(5, 6)[:n]), torch.randn(3, 3, *(3, 2)[:n])
    bias = torch.randn(6)[::2]
    gradient = change(torch.randn_like(torchs(x, w)))
    compare(ours, torchs, [leaf(change(x)), leaf(change(w)), leaf(bias)], gradient)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_expanded_operands(name: str) -> None:
    """One element that stands for many (stride 0): input, weight, bias and the incoming gradient."""
    n = int(name[-2])
    ours, torchs = pair(name)
    x, w = torch.randn(1, 3, *(5, 1)[:n]), torch.randn(1, 3, *(1, 2)[:n])
    x, w, b = x.expand(4, 3, *(5, 6)[:n]), w.expand(3, 3, *(3, 2)[:n]), torch.randn(1).expand(3)
    gradient = torch.randn(1).expand_as(torchs(x, w, b))
    compare(ours, torchs, [leaf(x), leaf(w), leaf(b)], gradient)


@pytest.mark.parametrize("name", ("conv2d", "conv_transpose2d"))
@pytest.mark.parametrize("stride", (0, 1, 7, 10**9, 2**62))
def test_odd_strides_of_dimensions_of_one_element(name: str, stride: int) -> None:
    """They mean nothing, and must not be believed."""
    ours, torchs = pair(name)
    x = torch.randn(1, 1, 4, 1).as_strided((1, 1, 4, 1), (stride, stride, 1, stride))
    w = torch.randn(1, 1, 3, 1).as_strided((1, 1, 3, 1), (stride, stride, 1, stride))
    gradient = torch.randn_like(torchs(x, w))
    gradient = gradient.as_strided(gradient.shape, (stride, stride, 1, stride))
    compare(ours, torchs, [leaf(x), leaf(w), None], gradient)


def test_a_signal_with_channels_in_the_last_place() -> None:
    x = torch.randn(2, 7, 3).transpose(1, 2)
    compare(*pair("conv1d"), [leaf(x), drawn(4, 3, 3), drawn(4)])
    assert convext.conv1d(x, torch.randn(4, 3, 3)).is_contiguous()


def test_an_unbatched_slice_of_a_channels_last_batch() -> None:
    x = torch.randn(2, 3, 5, 6).to(memory_format=torch.channels_last)[0]
    compare(*pair("conv2d"), [leaf(x), drawn(4, 3, 3, 3), drawn(4)])
    assert convext.conv2d(x, torch.randn(4, 3, 3, 3)).is_contiguous()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_unbatched(name: str) -> None:
    n = int(name[-2])
    compare(*pair(name), [drawn(3, *(5, 6)[:n]), drawn(3, 3, *(2, 3)[:n]), drawn(3)])


@pytest.mark.parametrize("as_sequence", (list, tuple, torch.Size))
def test_one_number_in_a_list_stands_for_all(as_sequence: Callable) -> None:
    sizes = {"stride": as_sequence([2]), "padding": as_sequence([1]), "dilation": as_sequence([2])}
    compare(*pair("conv2d", **sizes), [drawn(1, 2, 9, 8), drawn(3, 2, 3, 2), None])
    compare(*pair("conv1d", **sizes), [drawn(1, 2, 9), drawn(3, 2, 3), None])


# --- Huge numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", (2**31, 2**32, 2**61))
def test_a_huge_stride_leaves_one_output(stride: int) -> None:
    compare(*pair("conv1d", stride=stride), [drawn(2, 3, 7), drawn(4, 3, 3), drawn(4)])
    compare(*pair("conv2d", stride=(1, stride)), [drawn(2, 3, 5, 7), drawn(4, 3, 3, 3), drawn(4)])


def test_the_common_multiple_of_stride_and_dilation_may_be_beyond_64_bits() -> None:
    sizes = {"stride": (2**32 + 1, 1), "padding": (2**32 + 1, 0), "dilation": (2**32 - 1, 1)}
    compare(*pair("conv2d", groups=16, **sizes), [drawn(1, 16, 1, 8), drawn(16, 1, 2, 1), None])


@pytest.mark.parametrize("memory_format", (torch.contiguous_format, torch.channels_last), ids=str)
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64), ids=str)
def test_panels_of_such_problems_would_be_beyond_64_bits(
    dtype: torch.dtype, memory_format: torch.memory_format
) -> None:
    """The definition, which has none, computes them."""
    x, w = (
        t.detach().to(dtype, memory_format=memory_format).requires_grad_()
        for t in (drawn(1, 16, 4, 4), drawn(16, 16, 2, 2))
    )
    compare(*pair("conv2d", stride=2**32 - 1, padding=2**32 - 1, dilation=2**32 - 1), [x, w, None])


def test_padding_beyond_the_masks_of_lanes() -> None:
    """Only the operator takes it: all that the taps read is zeros."""
    sizes = [8, 8], [2, 2], [1, 2**33], [1, 1], 8, "zeros"
    gradient = torch.ops.convext.conv_input_grad(drawn(1, 8, 4, 4), drawn(8, 1, 3, 3), None, *sizes)
    assert gradient.count_nonzero() == 0


@pytest.mark.parametrize(
    "keywords",
    ({"dilation": 2**62}, {"padding": 2**62}, {"dilation": 2**63 - 1}, {"padding": 2**63 - 1}),
    ids=lambda keywords: "-".join(map(str, next(iter(keywords.items())))),
)
def test_sizes_beyond_64_bits_are_an_error(keywords: dict) -> None:
    """torch may return nonsense; here is a sentence instead."""
    with pytest.raises(RuntimeError, match="overflow"):
        convext.conv1d(torch.randn(1, 1, 5), torch.randn(1, 1, 3), **keywords)
    with pytest.raises(RuntimeError, match="overflow"):
        convext.conv2d(torch.randn(1, 1, 5, 5), torch.randn(1, 1, 3, 3), **keywords)


# --- Empty tensors ----------------------------------------------------------------------------------

EMPTY = {
    "no-images": ((0, 3, 5, 6), (4, 3, 3, 2)),
    "no-channels": ((2, 0, 5, 6), (4, 0, 3, 2)),
    "no-filters": ((2, 3, 5, 6), (0, 3, 3, 2)),
    "no-pixels": ((2, 3, 5, 0), (4, 3, 3, 2)),
    "no-pixels-but-padding": ((2, 3, 5, 0), (4, 3, 3, 2)),
    "no-taps": ((2, 3, 5, 6), (4, 3, 3, 0)),
    "nothing": ((0, 0, 5, 6), (0, 0, 3, 2)),
}


@pytest.mark.parametrize("bias", (False, True), ids=("plain", "bias"))
@pytest.mark.parametrize("case", EMPTY)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_empty_tensors_do_what_torch_does(name: str, case: str, bias: bool) -> None:
    shapes = EMPTY[case]
    if name.endswith("1d"):  # the same without the third dimension
        shapes = [shape[:2] + shape[3:] for shape in shapes]
    x, w = map(torch.randn, shapes)
    assert 0 in (x.numel(), w.numel())
    if "transpose" in name:
        w = w.transpose(0, 1).contiguous()
    b = torch.randn(EMPTY[case][1][0]) if bias else None
    ours, torchs = pair(name, **({"padding": 2} if case == "no-pixels-but-padding" else {}))
    operands = [None if t is None else t.requires_grad_() for t in (x, w, b)]
    if error_of(results, torchs, operands) is not None:
        same_error(lambda: results(ours, operands), lambda: results(torchs, operands))
        return
    for result, wanted in zip(results(ours, operands), results(torchs, operands), strict=True):
        assert result.shape == wanted.shape
        assert result.stride() == wanted.stride() or result.numel() == 0
        torch.testing.assert_close(result, wanted)


# --- Padding ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", (2, 3, 4, 5))
@pytest.mark.parametrize("dilation", (1, 2))
def test_same_padding(kernel: int, dilation: int) -> None:
    keywords = {"padding": "same", "dilation": dilation}
    compare(*pair("conv1d", **keywords), [drawn(2, 3, 9), drawn(4, 3, kernel), drawn(4)])
    compare(*pair("conv2d", **keywords), [drawn(2, 3, 9, 10), drawn(4, 3, kernel, 3), drawn(4)])


def test_same_padding_of_an_even_kernel_warns_as_torch_does() -> None:
    texts = []
    for f in pair("conv1d", padding="same"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.set_warn_always(True)
            for kernel in (2, 3):
                f(torch.randn(1, 1, 9), torch.randn(1, 1, kernel))
            torch.set_warn_always(False)
        texts.append([str(w.message).partition(" (Triggered")[0] for w in caught])
    assert texts[0] == texts[1] and len(texts[0]) == 1


@pytest.mark.parametrize("mode", PADDING_MODES)
@pytest.mark.parametrize("padding", (0, 1, (2, 3), "same", "valid"), ids=str)
@pytest.mark.parametrize("bias", (False, True), ids=("plain", "bias"))
def test_padding_modes_of_layers(mode: str, padding: object, bias: bool) -> None:
    """torch's layer pads a copy; convext's reads through the edge. The same values and gradients."""
    keywords = {"padding": padding, "padding_mode": mode, "bias": bias}
    for stride in (1,) if padding == "same" else (1, 2):
        theirs = nn.Conv2d(3, 4, (3, 2), stride=stride, **keywords)
        ours = convext.Conv2d(3, 4, (3, 2), stride=stride, **keywords)
        ours.load_state_dict(theirs.state_dict())
        compare(
            ours._conv_forward,
            theirs._conv_forward,
            [drawn(2, 3, 5, 6), theirs.weight, theirs.bias],
        )


@pytest.mark.parametrize("mode", PADDING_MODES)
@pytest.mark.parametrize("formats", list(product(FORMATS, repeat=3)), ids="-".join)
def test_layouts_with_padding_modes_of_layers(mode: str, formats: tuple[str, str, str]) -> None:
    """The gradient of the input has the layout that torch's padding gives it."""
    theirs = nn.Conv2d(4, 5, 3, padding=1, padding_mode=mode)
    ours = convext.Conv2d(4, 5, 3, padding=1, padding_mode=mode)
    tensors = torch.randn(2, 4, 6, 7), torch.randn(5, 4, 3, 3), torch.randn(2, 5, 6, 7)
    x, w, gradient = (t.to(memory_format=FORMATS[f]) for t, f in zip(tensors, formats, strict=True))
    compare(ours._conv_forward, theirs._conv_forward, [leaf(x), leaf(w), None], gradient)


@pytest.mark.parametrize(
    ("mode", "padding", "size"),
    [("reflect", 4, 5), ("circular", 5, 5), ("replicate", 9, 5), ("replicate", 3, 1), ("reflect", 0, 1)],
)
def test_the_widest_padding_of_each_mode(mode: str, padding: int, size: int) -> None:
    compare(
        partial(convext.conv1d, padding=padding, padding_mode=mode),
        lambda x, w, b: F.conv1d(F.pad(x, (padding, padding), mode), w, b),
        [drawn(2, 3, size), drawn(4, 3, 1), drawn(4)],
    )


@pytest.mark.parametrize("mode", PADDING_MODES[1:])
def test_negative_padding_crops(mode: str) -> None:
    """Legal for every mode but zeros; mixed signs too."""
    compare(
        partial(convext.conv2d, padding=(-1, 2), padding_mode=mode),
        lambda x, w, b: F.conv2d(F.pad(x, (2, 2, -1, -1), mode), w, b),
        [drawn(2, 3, 6, 7), drawn(4, 3, 2, 3), drawn(4)],
    )


@pytest.mark.parametrize(("mode", "padding"), [("reflect", 5), ("circular", 6), ("zeros", -1)])
def test_padding_that_a_mode_does_not_take_is_torchs_error(mode: str, padding: int) -> None:
    operands = torch.randn(2, 3, 5), torch.randn(4, 3, 1)

    def layer(library) -> Callable:
        made = library.Conv1d(3, 4, 1, padding=padding, padding_mode=mode)
        return lambda: made(operands[0])

    assert same_error(layer(convext), layer(nn))


# --- Dtypes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64), ids=("f32", "f64"))
@pytest.mark.parametrize("name", FUNCTIONS)
def test_autocast_casts_what_torch_casts(name: str, dtype: torch.dtype) -> None:
    n = int(name[-2])
    x, w, b = (drawn(*s, dtype=dtype) for s in ((2, 3, *(5, 6)[:n]), (3, 3, *(2, 3)[:n]), (3,)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = [f(x, w, b) for f in pair(name)]
    assert outputs[0].dtype == outputs[1].dtype
    gradients = [torch.autograd.grad(o.float().sum(), (x, w, b)) for o in outputs]
    if dtype == torch.float32:
        assert torch.equal(*outputs)
        assert all(torch.equal(*pair_) for pair_ in zip(*gradients, strict=True))
    else:
        torch.testing.assert_close(*outputs)


def test_denormal_infinite_and_undefined_values() -> None:
    x = torch.tensor([[[1.0, float("inf"), 2.0, float("nan"), 3.0, 1e-40, -0.0]]])
    for w in ([[[1.0, 2.0]]], [[[0.0, 1.0]]], [[[1.0]]]):
        ours, torchs = (f(x, torch.tensor(w)) for f in pair("conv1d"))
        torch.testing.assert_close(ours, torchs, equal_nan=True, rtol=0, atol=0)
