"""convext.enable(): convext in the place of torch's own convolution, for all that is not told of convext."""

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import pytest
import torch
from helpers.call import FORMATS, compare_results, layout, ran, results, same_error, torchs_kernels
from helpers.process import run_python
from test_torch_suite import COMPUTED, LEFT_TO_TORCH, NAMES, OPS, bound, name, samples
from torch import Tensor, nn
from torch.nn import functional as F

import convext
from convext import _C


@pytest.fixture(autouse=True)
def _disabled_afterwards() -> Iterator[None]:
    yield
    assert not _C.is_enabled()


def operators(f: Callable[[], object]) -> list[str]:
    """The convolutions that run while convext is enabled."""
    with convext.enabled():
        return ran(f)


def assert_taken_over(f: Callable[[], object], *passes: str) -> None:
    """While convext is enabled, f convolves by these passes of convext and by nothing else."""
    names = operators(f)
    assert torchs_kernels(names) == []
    wanted = [f"convext::conv_{name}" for name in passes]
    assert sorted(n for n in names if n.startswith("convext::")) == sorted(wanted)


def assert_left_alone(f: Callable[[], Tensor]) -> None:
    """Enabled or not, f gives the same bits, and convext runs nothing."""
    assert not [n for n in operators(f) if n.startswith("convext::")]
    expected = f()
    with convext.enabled():
        result = f()
    assert result.dtype == expected.dtype and result.stride() == expected.stride()
    assert torch.equal(result, expected)


# --- Results ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", COMPUTED, ids=name)
@pytest.mark.parametrize("op_name", NAMES)
def test_op_samples(op_name: str, dtype: torch.dtype) -> None:
    for sample in samples(op_name, dtype, requires_grad=True):
        f, operands = bound(getattr(F, op_name), sample)
        with convext.enabled():
            ours = results(f, operands)
        compare_results(ours, f, operands)


@pytest.mark.parametrize("dtype", LEFT_TO_TORCH, ids=name)
@pytest.mark.parametrize("op_name", NAMES)
def test_op_samples_of_other_dtypes_are_torchs(op_name: str, dtype: torch.dtype) -> None:
    """To the bit, but for complex ones: torch makes real convolutions of these, and they are taken over."""
    tolerances = {} if dtype.is_complex else {"rtol": 0, "atol": 0}
    for sample in samples(op_name, dtype, requires_grad=dtype != torch.int64):
        f, operands = bound(getattr(F, op_name), sample)
        with convext.enabled():
            ours = results(f, operands)
        for result, wanted in zip(ours, results(f, operands), strict=True):
            assert layout(result) == layout(wanted)
            torch.testing.assert_close(result, wanted, **tolerances)
    assert any(n.startswith("convext::") for n in operators(partial(f, *operands))) == dtype.is_complex


@pytest.mark.parametrize("formats", list(product(FORMATS, repeat=3)), ids="-".join)
@pytest.mark.parametrize("f", (F.conv2d, F.conv_transpose2d))
def test_layouts_are_torchs(f: Callable, formats: tuple[str, str, str]) -> None:
    x, w, gradient = (
        torch.randn(2, 4, size, size).to(memory_format=FORMATS[format_])
        for size, format_ in zip((6, 3, 4 if f is F.conv2d else 8), formats, strict=True)
    )
    operands = [x.requires_grad_(), w[:, :4].repeat(2, 1, 1, 1)[:4].requires_grad_(), None]
    with convext.enabled():
        ours = results(f, operands, gradient)
    compare_results(ours, f, operands, gradient)


MASKS = list(product((False, True), repeat=3))


@pytest.mark.parametrize("mask", MASKS, ids=str)
@pytest.mark.parametrize("transposed", (False, True), ids=("conv", "conv_transpose"))
def test_each_combination_of_gradients(transposed: bool, mask: tuple[bool, ...]) -> None:
    """aten::convolution_backward itself: what is not asked for is neither computed nor returned."""
    x, w, y = torch.randn(2, 4, 6), torch.randn(4, 4, 3), torch.randn(2, 4, 8 if transposed else 4)
    backward = partial(
        torch.ops.aten.convolution_backward, y, x, w, [4], [1], [0], [1], transposed, [0], 1, mask
    )
    passes = ["output" if transposed else "input_grad"] * mask[0] + ["weight_grad"] * mask[1]
    assert_taken_over(backward, *passes)
    with convext.enabled():
        ours = backward()
    for result, wanted, asked in zip(ours, backward(), mask, strict=True):
        if asked:
            torch.testing.assert_close(result, wanted)
        else:
            assert result is None


# --- Everything above it ----------------------------------------------------------------------------

IMAGE, SIGNAL = torch.randn(2, 3, 9, 8), torch.randn(2, 3, 9)
LAYERS = {
    "Conv1d": (partial(nn.Conv1d, 3, 4, 3, padding=1), SIGNAL),
    "Conv2d": (partial(nn.Conv2d, 3, 4, 3, padding=(1, 0)), IMAGE),
    "Conv2d-same": (partial(nn.Conv2d, 3, 4, 2, padding="same"), IMAGE),
    "Conv2d-reflect": (partial(nn.Conv2d, 3, 4, 3, padding=1, padding_mode="reflect"), IMAGE),
    "Conv2d-unbatched": (partial(nn.Conv2d, 3, 4, 3), IMAGE[0]),
    "ConvTranspose1d": (partial(nn.ConvTranspose1d, 3, 4, 3, stride=2), SIGNAL),
    "ConvTranspose2d": (partial(nn.ConvTranspose2d, 3, 4, 3, stride=2, output_padding=1), IMAGE),
}
layers = pytest.mark.parametrize("layer", LAYERS)
FORWARD = {layer: "input_grad" if "Transpose" in layer else "output" for layer in LAYERS}


def made(layer: str) -> tuple[nn.Module, Tensor]:
    create, x = LAYERS[layer]
    return create(), x.clone()


def step(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    y = model(x.requires_grad_())
    y.sum().backward()
    return y


@layers
def test_layers_in_training_and_inference(layer: str) -> None:
    model, x = made(layer)
    forward = FORWARD[layer]
    assert_taken_over(lambda: step(model, x.clone()), "output", "input_grad", "weight_grad")
    with torch.no_grad():
        assert_taken_over(lambda: model(x), forward)
    with torch.inference_mode():
        assert_taken_over(lambda: model(x), forward)
        assert_taken_over(lambda: model(x.clone()), forward)


@layers
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_scripted_and_traced_models(layer: str) -> None:
    """Made before it is enabled, or while it is: the same graphs, which take other sizes too."""
    model, x = made(layer)
    before = torch.jit.script(model), torch.jit.trace(model, (x,))
    with convext.enabled():
        meanwhile = torch.jit.script(model), torch.jit.trace(model, (x,))
    longer = torch.cat([x, x], -1)
    for ours, theirs in zip(meanwhile, before, strict=True):
        assert [n.kind() for n in ours.inlined_graph.nodes()] == [
            n.kind() for n in theirs.inlined_graph.nodes()
        ]
        for compiled in (ours, theirs):
            if layer != "Conv2d-unbatched":  # the trace has its number of dimensions
                assert_taken_over(
                    lambda f=compiled: step(f, x.clone()), "output", "input_grad", "weight_grad"
                )
                torch.testing.assert_close(compiled(longer), model(longer))


def test_autocast() -> None:
    """It casts float32 to bfloat16, which is torch's; float64 stays, and is convext's."""
    model, x = made("Conv2d")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_left_alone(lambda: model(x))
        assert_taken_over(lambda: F.conv2d(x.double(), model.weight.double()), "output")
        # a gradient of what was computed outside is computed as outside
        with torch.autocast("cpu", enabled=False):
            y = model(x)
        assert_taken_over(lambda: y.sum().backward(), "weight_grad")


def test_derivatives_of_every_order() -> None:
    x, w = (torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((1, 2, 5, 4), (2, 2, 3, 2)))
    f = partial(F.conv2d, padding=1)
    with convext.enabled():
        assert torch.autograd.gradcheck(f, (x, w), check_forward_ad=True, check_batched_grad=True)
        assert torch.autograd.gradgradcheck(f, (x, w))

    def twice() -> None:
        (gradient,) = torch.autograd.grad(f(x, w).pow(3).sum(), x, create_graph=True)
        gradient.square().sum().backward()

    assert torchs_kernels(operators(twice)) == []


@pytest.mark.parametrize("dims", ((0, None), (None, 0), (0, 0)), ids=str)
def test_vmap_is_one_call(dims: tuple) -> None:
    x, w = torch.randn(3, 2, 3, 9), torch.randn(3, 4, 3, 3)
    operands = [t if dim is not None else t[0] for t, dim in zip((x, w), dims, strict=True)]
    mapped = torch.func.vmap(F.conv1d, dims)
    assert_taken_over(lambda: mapped(*operands), "output")
    with convext.enabled():
        ours = mapped(*operands)
    torch.testing.assert_close(ours, mapped(*operands))


# --- What is left to torch --------------------------------------------------------------------------


def test_three_dimensions() -> None:
    assert_left_alone(lambda: F.conv3d(torch.ones(1, 2, 4, 4, 4), torch.ones(3, 2, 2, 2, 2)))
    assert_left_alone(lambda: F.conv_transpose3d(torch.ones(1, 2, 4, 4, 4), torch.ones(2, 3, 2, 2, 2)))
    layer, x = nn.Conv3d(2, 3, 2), torch.randn(1, 2, 4, 4, 4)

    def gradient() -> Tensor:
        return torch.autograd.grad(layer(x).square().sum(), layer.weight)[0]

    assert_left_alone(gradient)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantized_models() -> None:
    model = nn.Sequential(torch.ao.quantization.QuantStub(), nn.Conv2d(3, 4, 3)).eval()
    model.qconfig = torch.ao.quantization.get_default_qconfig(torch.backends.quantized.engine)
    prepared = torch.ao.quantization.prepare(model)
    prepared(IMAGE)
    quantized = torch.ao.quantization.convert(prepared)
    assert_left_alone(lambda: quantized(IMAGE).dequantize())


def test_mkldnn_tensors() -> None:
    w = torch.randn(4, 3, 3, 3)
    assert_left_alone(lambda: F.conv2d(IMAGE.to_mkldnn(), w.to_mkldnn()).to_dense())


def test_disabled_is_torch() -> None:
    """Enabled and disabled again: the same bits, strides and errors as in a process without convext."""
    code = """
import sys, torch
from torch.nn import functional as F
if sys.argv[1] == "convext":
    import convext
    with convext.enabled():
        F.conv1d(torch.ones(1, 1, 3), torch.ones(1, 1, 2))
torch.manual_seed(0)
for f, n in (F.conv1d, 1), (F.conv2d, 2), (F.conv_transpose1d, 1), (F.conv_transpose2d, 2):
    for dtype in torch.float32, torch.float64, torch.bfloat16:
        for stride in 1, 2, 0, (1, 1, 1):
            for shape in (2, 4, *(8, 9)[:n]), (4, *(8, 9)[:n]), (1, 4, *(1, 0)[:n]), (2,):
                x, w = (torch.randn(s, dtype=dtype).requires_grad_() for s in (shape, (4, 4, *(3, 2)[:n])))
                try:
                    y = f(x, w, stride=stride)
                    for t in (y, *torch.autograd.grad(y.float().sum(), (x, w))):
                        print(t.shape, t.stride(), t.detach().flatten().view(torch.int16).tolist())
                except Exception as error:
                    print(type(error), error)
"""
    outputs = [run_python(code, which).stdout for which in ("convext", "torch")]
    assert outputs[0] == outputs[1] and len(outputs[0]) > 10000


def test_a_call_left_to_torch_costs_less_than_a_microsecond() -> None:
    x, w = torch.ones(1, 1, 2, 2, 2), torch.ones(1, 1, 1, 1, 1)

    def microseconds() -> float:
        start = time.perf_counter()
        for _ in range(200):
            F.conv3d(x, w)
        return (time.perf_counter() - start) / 200 * 1e6

    def extra() -> float:
        without = microseconds()
        with convext.enabled():
            return microseconds() - without

    microseconds()
    assert statistics.median(extra() for _ in range(50)) < 1


# --- Errors -----------------------------------------------------------------------------------------


def enabled_call(f: Callable) -> Callable:
    def call(*args: object, **kwargs: object) -> object:
        with convext.enabled():
            return f(*args, **kwargs)

    return call


@pytest.mark.parametrize("op_name", ("conv1d", "conv2d"))  # torch has no error inputs for the others
def test_op_error_inputs(op_name: str) -> None:
    f = getattr(F, op_name)
    for case in OPS[op_name].error_inputs("cpu"):
        sample = case.sample_input
        same_error(enabled_call(f), f, sample.input, *sample.args, **sample.kwargs)


def test_errors_of_the_backward_pass() -> None:
    """A gradient of another shape or dtype, for aten::convolution_backward itself."""
    x, w, y = torch.ones(2, 3, 6), torch.ones(4, 3, 3), torch.ones(2, 4, 4)

    def backward(y: Tensor) -> object:
        return torch.ops.aten.convolution_backward(y, x, w, [4], [1], [0], [1], False, [0], 1, (True,) * 3)

    for wrong in (y[..., :3], y[:1], y[:, :2], y.double(), y[0]):
        same_error(enabled_call(backward), backward, wrong)


# --- The switch -------------------------------------------------------------------------------------


def is_convexts() -> bool:
    return "convext::conv_output" in ran(lambda: F.conv1d(torch.ones(1, 1, 3), torch.ones(1, 1, 2)))


def test_calls_nest() -> None:
    convext.disable()  # nothing to undo
    assert not is_convexts()
    convext.enable()
    with convext.enabled():
        convext.enable()
        convext.disable()
        assert is_convexts()
    assert is_convexts()
    convext.disable()
    assert not is_convexts()


def test_an_exception_undoes_it() -> None:
    with pytest.raises(ZeroDivisionError), convext.enabled():
        raise ZeroDivisionError
    assert not is_convexts()


def test_it_is_shown() -> None:
    before = convext.show_config()
    with convext.enabled():
        assert convext.show_config() != before
    assert convext.show_config() == before


def test_registering_warns_of_nothing() -> None:
    code = "import convext; convext.enable(); convext.enable()"
    assert run_python(code, PYTHONWARNINGS="error").stderr == ""


TOGGLED = """
import copy, threading, time, torch, convext
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)
data = torch.randn(200, 2, 1, 8, 8, dtype=torch.float64)
models = [nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).double() for _ in range(3)]
alone = copy.deepcopy(models)

def train(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x in data:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

threads = [threading.Thread(target=train, args=(model,)) for model in models]
for thread in threads:
    thread.start()
toggles = 0
while any(thread.is_alive() for thread in threads):
    convext.enable()
    convext.disable()
    toggles += 1
    time.sleep(1e-4)  # else it hardly ever leaves the interpreter to the others
assert toggles > 10
for model, other in zip(models, alone):
    train(other)
    for ours, theirs in zip(model.parameters(), other.parameters()):
        torch.testing.assert_close(ours, theirs)
"""


@pytest.mark.parametrize("again", range(3))
def test_one_thread_toggles_it_while_three_others_train(again: int) -> None:
    """In a new process, so that it is registered in the middle of their work too."""
    run_python(TOGGLED)
