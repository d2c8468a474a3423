"""The cases of the textbooks, each small enough to check by hand, each layer a module to copy."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

import convext

# --- One dimension: valid, same and full ----------------------------------------------------------

SIGNAL = torch.tensor([[1.0, 2, 3, 4, 5]])
KERNEL = torch.tensor([[[1.0, 0, -1]]])


def test_valid_reads_only_the_signal() -> None:
    assert convext.conv1d(SIGNAL, KERNEL, padding="valid").tolist() == [[-2, -2, -2]]


def test_same_is_as_long_as_the_signal() -> None:
    assert convext.conv1d(SIGNAL, KERNEL, padding="same").tolist() == [[-2, -2, -2, -2, 4]]


def test_full_has_every_output_that_touches_the_signal() -> None:
    assert convext.conv1d(SIGNAL, KERNEL, padding="full").tolist() == [[-1, -2, -2, -2, -2, 4, 5]]


def test_same_is_the_middle_of_full_and_valid_the_middle_of_same() -> None:
    valid, same, full = (convext.conv1d(SIGNAL, KERNEL, padding=p) for p in ("valid", "same", "full"))
    assert torch.equal(same, full[:, 1:-1])
    assert torch.equal(valid, same[:, 1:-1])
    assert [x.shape[1] for x in (valid, same, full)] == [5 - 3 + 1, 5, 5 + 3 - 1]


def test_full_convolution_with_a_flipped_kernel_multiplies_polynomials() -> None:
    """(1 + 2x + 3x^2 + 4x^3 + 5x^4) (1 - x^2) = 1 + 2x + 2x^2 + 2x^3 + 2x^4 - 4x^5 - 5x^6."""
    assert convext.conv1d(SIGNAL, KERNEL.flip(-1), padding="full").tolist() == [[1, 2, 2, 2, 2, -4, -5]]


# --- Two dimensions: a 5 x 5 image and a 3 x 3 kernel ---------------------------------------------

IMAGE = torch.tensor(
    [[[[1.0, 2, 0, 3, 1], [0, 1, 2, 3, 1], [1, 2, 1, 0, 0], [5, 2, 3, 1, 1], [2, 1, 0, 1, 1]]]]
)
CROSS = torch.tensor([[[[1.0, 2, 1], [0, 1, 0], [2, 1, 0]]]])


def test_stride_one() -> None:
    assert convext.conv2d(IMAGE, CROSS).tolist() == [[[[10, 12, 12], [18, 16, 16], [13, 9, 3]]]]


def test_stride_two_takes_every_other_result() -> None:
    result = convext.conv2d(IMAGE, CROSS, stride=2)
    assert result.tolist() == [[[[10, 12], [13, 3]]]]
    assert torch.equal(result, convext.conv2d(IMAGE, CROSS)[:, :, ::2, ::2])


def test_padding_one_keeps_the_size() -> None:
    result = convext.conv2d(IMAGE, CROSS, padding=1)
    assert result.shape == IMAGE.shape
    assert result[0, 0, 0].tolist() == [1, 3, 4, 10, 8]
    assert result[0, 0, -1].tolist() == [14, 13, 9, 7, 4]
    assert torch.equal(result[:, :, 1:-1, 1:-1], convext.conv2d(IMAGE, CROSS))


# --- The size of the output -----------------------------------------------------------------------


def test_a_nine_by_nine_image_at_stride_two() -> None:
    layer = convext.Conv2d(1, 1, kernel_size=3, stride=2)
    assert layer(torch.randn(1, 1, 9, 9)).shape == (1, 1, 4, 4)


@pytest.mark.parametrize("kernel", (1, 2, 3, 5))
def test_the_formula_of_the_output_size(kernel: int) -> None:
    """floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1, in one dimension and in two."""
    for size, stride, padding, dilation in product((5, 8, 9, 16), (1, 2, 3), (0, 1, 2), (1, 2, 3)):
        reach = dilation * (kernel - 1) + 1
        if size + 2 * padding < reach:
            continue
        expected = (size + 2 * padding - reach) // stride + 1
        geometry = {"stride": stride, "padding": padding, "dilation": dilation}
        signal = convext.conv1d(torch.randn(1, 1, size), torch.randn(1, 1, kernel), **geometry)
        image = convext.conv2d(torch.randn(1, 1, size, 16), torch.randn(1, 1, kernel, 1), **geometry)
        assert signal.shape[-1] == expected
        assert image.shape[-2] == expected


# --- Layers, as one finds them in networks --------------------------------------------------------


def agrees(layer: nn.Module, x: Tensor, same: nn.Module) -> None:
    """Both modules, with the same parameters, give the same values and the same gradients (float64)."""
    layer, same, x = layer.double(), same.double(), x.double()
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    outputs = [module(i) for module, i in zip((layer, same), inputs, strict=True)]
    torch.testing.assert_close(outputs[0], outputs[1])
    grad = torch.randn_like(outputs[0])
    for output in outputs:
        output.backward(grad)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    for ours, theirs in zip(layer.parameters(), same.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad.view_as(ours))


class Block1d(nn.Sequential):
    """Fifty channels to a hundred, a ReLU: the step of a text or speech model."""

    def __init__(self, conv: type[nn.Module] = convext.Conv1d) -> None:
        super().__init__(conv(50, 100, kernel_size=3, padding=1), nn.ReLU())


def test_a_one_dimensional_block() -> None:
    block, same = Block1d(), Block1d(nn.Conv1d)
    same.load_state_dict(block.state_dict())
    x = torch.randn(32, 50, 10)
    assert block(x).shape == (32, 100, 10)
    assert (block(x) >= 0).all()
    agrees(block, x, same)


class OnEveryPoint(nn.Module):
    """A Linear on every point of a cloud: (N, channels, points), as a convolution of kernel size 1."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = convext.Conv1d(inputs, outputs, kernel_size=1)

    def forward(self, points: Tensor) -> Tensor:
        return self.conv(points)


class LinearOnEveryPoint(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, points: Tensor) -> Tensor:
        return self.linear(points.transpose(1, 2)).transpose(1, 2)


def test_kernel_size_one_is_a_linear_layer_on_every_point() -> None:
    conv, linear = OnEveryPoint(3, 64), LinearOnEveryPoint(3, 64)
    with torch.no_grad():
        linear.linear.weight.copy_(conv.conv.weight[:, :, 0])
        linear.linear.bias.copy_(conv.conv.bias)
    x = torch.randn(4, 3, 100)
    outputs = conv.double()(x.double()), linear.double()(x.double())
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(conv.conv.weight.grad[:, :, 0], linear.linear.weight.grad)
    torch.testing.assert_close(conv.conv.bias.grad, linear.linear.bias.grad)


class Standard(nn.Sequential):
    """Every output channel sees every input channel."""

    def __init__(self, library=convext) -> None:
        super().__init__(library.Conv2d(8, 12, kernel_size=3, padding=1))


class Grouped(nn.Sequential):
    """Four groups: an output channel sees the two input channels of its own group."""

    def __init__(self, library=convext) -> None:
        super().__init__(library.Conv2d(8, 12, kernel_size=3, padding=1, groups=4))


class Depthwise(nn.Sequential):
    """As many groups as channels: every channel has its own kernel."""

    def __init__(self, library=convext) -> None:
        super().__init__(library.Conv2d(8, 8, kernel_size=3, padding=1, groups=8))


class DepthwiseMultiplied(nn.Sequential):
    """Every channel has two kernels of its own."""

    def __init__(self, library=convext) -> None:
        super().__init__(library.Conv2d(8, 16, kernel_size=3, padding=1, groups=8))


class Pointwise(nn.Sequential):
    """Mixes channels, not pixels."""

    def __init__(self, library=convext) -> None:
        super().__init__(library.Conv2d(8, 12, kernel_size=1))


class DepthwiseSeparable(nn.Sequential):
    """Depthwise, then pointwise: pixels first, channels after (MobileNet)."""

    def __init__(self, library=convext) -> None:
        super().__init__(
            library.Conv2d(8, 8, kernel_size=3, padding=1, groups=8, bias=False),
            library.Conv2d(8, 12, kernel_size=1),
        )


class SpatiallySeparable(nn.Sequential):
    """A column, then a row: the k x k kernels that are an outer product, for 2k products instead of k * k."""

    def __init__(self, library=convext) -> None:
        super().__init__(
            library.Conv2d(8, 12, kernel_size=(5, 1), padding=(2, 0), bias=False),
            library.Conv2d(12, 12, kernel_size=(1, 5), padding=(0, 2), groups=12),
        )


class Dilated(nn.Sequential):
    """Taps three pixels apart: a wide view at the price of a narrow one."""

    def __init__(self, library=convext) -> None:
        super().__init__(library.Conv2d(8, 12, kernel_size=3, padding=3, dilation=3))


class Upsampling(nn.Sequential):
    """A transposed convolution: doubles the size."""

    def __init__(self, library=convext) -> None:
        super().__init__(library.ConvTranspose2d(8, 12, kernel_size=4, stride=2, padding=1))


class CausalDilated1d(nn.Sequential):
    """Sees only the past: the padding lies before the signal (WaveNet, TCN)."""

    def __init__(self, library=convext) -> None:
        super().__init__(nn.ConstantPad1d((8, 0), 0.0), library.Conv1d(8, 12, kernel_size=3, dilation=4))


class Upsampling1d(nn.Sequential):
    """A transposed convolution of a signal: four times as long."""

    def __init__(self, library=convext) -> None:
        super().__init__(library.ConvTranspose1d(8, 12, kernel_size=8, stride=4, padding=2))


LAYERS = {  # the layer, the shape of its input, the number of its weights
    Standard: ((2, 8, 9, 10), 12 * 8 * 9),
    Grouped: ((2, 8, 9, 10), 12 * 2 * 9),
    Depthwise: ((2, 8, 9, 10), 8 * 9),
    DepthwiseMultiplied: ((2, 8, 9, 10), 16 * 9),
    Pointwise: ((2, 8, 9, 10), 12 * 8),
    DepthwiseSeparable: ((2, 8, 9, 10), 8 * 9 + 12 * 8),
    SpatiallySeparable: ((2, 8, 9, 10), 12 * 8 * 5 + 12 * 5),
    Dilated: ((2, 8, 9, 10), 12 * 8 * 9),
    Upsampling: ((2, 8, 5, 6), 8 * 12 * 16),
    CausalDilated1d: ((2, 8, 20), 12 * 8 * 3),
    Upsampling1d: ((2, 8, 7), 8 * 12 * 8),
}


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
def test_every_kind_of_layer_is_torchs(layer: type[nn.Module]) -> None:
    shape, weights = LAYERS[layer]
    ours, theirs = layer(), layer(nn)
    theirs.load_state_dict(ours.state_dict())
    assert sum(p.numel() for name, p in ours.named_parameters() if name.endswith("weight")) == weights
    agrees(ours, torch.randn(shape), theirs)


def test_grouped_is_its_groups_side_by_side() -> None:
    x, layer = torch.randn(2, 8, 9, 10), Grouped()[0]
    parts = zip(x.chunk(4, 1), layer.weight.chunk(4), layer.bias.chunk(4), strict=True)
    alone = [convext.conv2d(part, weight, bias, padding=1) for part, weight, bias in parts]
    torch.testing.assert_close(layer(x), torch.cat(alone, 1))


def test_spatially_separable_is_the_outer_product_of_its_kernels() -> None:
    x, column, row = torch.randn(1, 1, 9, 9).double(), torch.randn(5, 1).double(), torch.randn(1, 5).double()
    separate = convext.conv2d(convext.conv2d(x, column[None, None]), row[None, None])
    torch.testing.assert_close(separate, convext.conv2d(x, (column @ row)[None, None]))


def test_dilated_is_a_kernel_with_holes() -> None:
    x, layer = torch.randn(2, 8, 9, 10), Dilated()[0]
    holed = torch.zeros(12, 8, 7, 7)
    holed[:, :, ::3, ::3] = layer.weight
    torch.testing.assert_close(layer(x), convext.conv2d(x, holed, layer.bias, padding=3))


def test_transposed_is_the_transpose() -> None:
    """<y, conv(x)> = <conv_transpose(y), x> for all x and y."""
    x, w = torch.randn(2, 8, 9, 11).double(), torch.randn(12, 8, 3, 3).double()
    out = convext.conv2d(x, w, stride=2, padding=1)
    y = torch.randn_like(out)
    back = convext.conv_transpose2d(y, w, stride=2, padding=1)
    assert back.shape == x.shape
    torch.testing.assert_close((y * out).sum(), (back * x).sum())
