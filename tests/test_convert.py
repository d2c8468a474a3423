"""convext.convert and revert: what they change, what they leave alone, and what still works afterwards."""

import copy
import inspect
import io
import pickle
import re
import warnings

import pytest
import torch
from helpers.call import ran, torchs_kernels
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torch.nn.utils import fuse_conv_bn_eval, parametrizations, parametrize, prune, spectral_norm
from torch.nn.utils._per_sample_grad import call_for_per_sample_grads
from torch.utils.flop_counter import FlopCounterMode

import convext
from convext.conversion import is_converted

NAMES = [name for name in convext.__all__ if hasattr(nn, name)]

# (class, arguments, keywords, shape of the input)
CASES = [
    ("Conv1d", (4, 6, 3), {"padding": 2, "padding_mode": "circular"}, (2, 4, 12)),
    ("Conv1d", (4, 8, 4), {"padding": "same", "groups": 4, "bias": False}, (2, 4, 12)),
    ("Conv2d", (4, 6, (3, 2)), {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}, (2, 4, 9, 10)),
    ("Conv2d", (4, 6, 2), {"padding": "same", "padding_mode": "reflect"}, (2, 4, 9, 10)),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "output_padding": 1}, (2, 4, 12)),
    ("ConvTranspose2d", (4, 6, 3), {"stride": (2, 3), "padding": 1, "groups": 2}, (2, 4, 9, 10)),
]
CONVOLUTIONS = CASES[:4]


def make(case) -> tuple[nn.Module, Tensor]:
    """torch.nn's layer in float64, and an input."""
    name, arguments, keywords, shape = case
    layer = getattr(nn, name)(*arguments, **keywords, dtype=torch.float64)
    return layer, torch.randn(shape, dtype=torch.float64)


def twins(case) -> tuple[nn.Module, nn.Module, Tensor]:
    """torch.nn's layer, the same one converted, and an input."""
    layer, x = make(case)
    return layer, convext.convert(copy.deepcopy(layer)), x


def assert_same(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


def small_model() -> nn.Sequential:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1)),
        nn.Flatten(2),
        nn.Conv1d(4, 2, 5, padding=2),
    )
    return model.double()


IMAGES = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_only_the_class_changes(case):
    layer, x = make(case)
    cls, expected, text, attributes = type(layer), layer(x), repr(layer), dict(vars(layer))
    assert convext.convert(layer) is layer
    assert type(layer) is getattr(convext, cls.__name__)
    assert vars(layer) == attributes and repr(layer) == text
    assert_same(layer(x), expected)
    assert convext.revert(layer) is layer
    assert type(layer) is cls and torch.equal(layer(x), expected)


@pytest.mark.parametrize("name", NAMES)
def test_signatures_are_those_of_torch(name):
    assert inspect.signature(getattr(convext, name)) == inspect.signature(getattr(nn, name))
    assert issubclass(getattr(convext, name), getattr(nn, name))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_same_start_from_the_same_seed(case):
    name, arguments, keywords, _ = case
    torch.manual_seed(3)
    theirs = getattr(nn, name)(*arguments, **keywords)
    torch.manual_seed(3)
    ours = getattr(convext, name)(*arguments, **keywords)
    assert repr(ours) == repr(theirs)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())


def test_convert_reaches_every_layer_and_keeps_training_state():
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    calls = []
    model[0].register_forward_hook(lambda *_: calls.append(1))
    model(IMAGES).sum().backward()
    optimizer.step()
    parameters, state = list(model.parameters()), optimizer.state_dict()
    convext.convert(model)
    assert [type(m) for m in model.modules() if is_converted(m)] == [convext.Conv2d] * 3 + [convext.Conv1d]
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    model(IMAGES)
    assert len(calls) == 2 and optimizer.state_dict() == state


def test_filter_gets_each_convertible_layer_with_its_name():
    asked = []
    model = convext.convert(small_model(), lambda layer, name: asked.append(name) or name != "3.0")
    assert asked == ["0", "3.0", "3.1", "5"]
    assert [name for name, m in model.named_modules() if is_converted(m)] == ["0", "3.1", "5"]


class Subclass(nn.Conv2d):
    pass


def quantized() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.nn.quantized.Conv2d(2, 2, 1)


def with_own_forward() -> nn.Module:
    layer = nn.Conv2d(2, 2, 1)
    layer.forward = lambda x: x
    return layer


@pytest.mark.parametrize(
    ("create", "reason"),
    [
        (lambda: Subclass(2, 2, 1), "its class Subclass is derived from torch.nn's"),
        (with_own_forward, "its forward was replaced"),
        (lambda: nn.Conv3d(2, 2, 1), "no three-dimensional"),
        (lambda: nn.LazyConvTranspose3d(2, 1), "no three-dimensional"),
        (quantized, "quantized"),
    ],
)
def test_left_alone_and_reported(create, reason):
    layer = create()
    cls = type(layer)
    model = convext.convert(nn.Sequential(layer))
    assert type(layer) is cls
    (row,) = convext.report(model).layers
    assert not row.converted and reason in row.reason
    assert reason in str(convext.report(model))


def test_tied_layers_and_weights_stay_tied():
    layer, other = nn.Conv1d(2, 2, 3), nn.Conv1d(2, 2, 3)
    other.weight = layer.weight
    model = convext.convert(nn.ModuleList([layer, layer, other]))
    assert model[0] is model[1] and model[0].weight is model[2].weight


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("parametrization", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_parametrized_layers(case, parametrization):
    layer, x = make(case)
    layer = parametrization(layer).eval()
    expected, original = layer(x), copy.deepcopy(layer)
    convext.convert(layer)
    assert is_converted(layer) and isinstance(layer, getattr(convext, case[0]))
    assert not is_converted(original), (
        "deep copies share their class, and must not be converted with the layer"
    )
    assert layer.state_dict().keys() == original.state_dict().keys()
    assert_same(layer(x), expected)
    convext.revert(layer)
    assert not is_converted(layer) and torch.equal(layer(x), expected)
    parametrize.remove_parametrizations(convext.convert(layer), "weight")
    assert type(layer) is getattr(convext, case[0])
    assert_same(layer(x), expected)


@pytest.mark.parametrize("name", ["LazyConv1d", "LazyConv2d", "LazyConvTranspose1d", "LazyConvTranspose2d"])
def test_lazy_layers(name):
    x = torch.randn((2, 3, 9) if name.endswith("1d") else (2, 3, 9, 9))
    layer = convext.convert(getattr(nn, name)(4, 3))
    assert type(layer) is getattr(convext, name)
    assert type(convext.revert(layer)) is getattr(nn, name)
    convext.convert(layer)(x)
    assert type(layer) is getattr(convext, name.removeprefix("Lazy")) and layer.weight.requires_grad


def saved_and_loaded(module: nn.Module) -> nn.Module:
    buffer = io.BytesIO()
    torch.save(module, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), saved_and_loaded],
    ids=["deepcopy", "pickle", "save"],
)
def test_copies(case, copied):
    _, layer, x = twins(case)
    again = copied(layer)
    assert type(again) is type(layer) and torch.equal(again(x), layer(x))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_hook_based_rewriting_of_the_weight(case):
    for change in (lambda m: prune.l1_unstructured(m, "weight", amount=0.3), spectral_norm):
        torch.manual_seed(0)
        layer, x = make(case)
        ours = convext.convert(copy.deepcopy(layer))
        torch.manual_seed(1)
        change(layer)
        torch.manual_seed(1)
        change(ours)
        assert_same(ours.eval()(x), layer.eval()(x))


def test_fusion_with_batch_norm():
    model = convext.convert(small_model()).eval()
    fused = fuse_conv_bn_eval(model[0], model[1])
    assert type(fused) is convext.Conv2d
    assert_same(fused(IMAGES), model[:2](IMAGES))


def test_what_looks_for_torchs_classes_wants_a_reverted_model():
    """FX calls torch.nn's own modules as modules, and traces through others."""
    model = convext.convert(small_model()).eval()
    expected = model(IMAGES)
    operators = {node.op for node in torch.fx.symbolic_trace(model).graph.nodes}
    assert "call_function" in operators
    traced = torch.fx.symbolic_trace(convext.revert(model))
    fused = convext.convert(fuse(traced))
    kinds = [type(module) for module in fused.modules()]
    assert convext.Conv2d in kinds and nn.BatchNorm2d not in kinds
    assert_same(fused(IMAGES), expected)


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_gradients_for_each_sample(case):
    theirs, ours, x = twins(case)
    for layer in (theirs, ours):
        call_for_per_sample_grads(layer, batch_size=len(x))(x).square().sum().backward()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_same(a.grad_sample, b.grad_sample)


def test_gradients_for_each_sample_want_a_batch():
    errors = []
    for layer in (nn.Conv2d(2, 3, 3), convext.Conv2d(2, 3, 3)):
        with pytest.raises(RuntimeError) as raised:
            call_for_per_sample_grads(layer, batch_size=2)(torch.randn(2, 5, 5))
        errors.append(re.sub("<.*?>", "", str(raised.value)))  # the function
    assert errors[0] == errors[1]


def test_gradients_for_each_sample_and_of_the_input_are_convexts():
    layer, x = convext.Conv2d(3, 4, 3), torch.randn(5, 3, 6, 6, requires_grad=True)
    names = ran(lambda: call_for_per_sample_grads(layer)(x).sum().backward())
    assert torchs_kernels(names) == [] and "convext::conv_weight_grad" in names
    theirs = convext.revert(copy.deepcopy(layer))
    again = x.detach().requires_grad_()
    call_for_per_sample_grads(theirs)(again).sum().backward()
    torch.testing.assert_close(x.grad, again.grad)
    torch.testing.assert_close(layer.weight.grad_sample, theirs.weight.grad_sample)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_flops_are_counted(case):
    theirs, ours, x = twins(case)
    with FlopCounterMode(display=False) as expected:
        theirs(x)
    with FlopCounterMode(display=False) as counter:
        y = ours(x.requires_grad_())
        assert counter.get_total_flops() == expected.get_total_flops() > 0
        y.sum().backward()  # two more passes of the same size (where torch multiplies by the groups)
    assert counter.get_total_flops() == 3 * expected.get_total_flops()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_compiled_without_a_graph_break(case):
    _, layer, x = twins(case)
    torch.compiler.reset()
    assert_same(torch.compile(layer, fullgraph=True, backend="aot_eager")(x), layer(x))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_fx_and_torchscript(case):
    _, layer, x = twins(case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced, scripted = torch.jit.trace(layer, (x,)), torch.jit.script(layer)
    names = {
        node.kind() for graph in (traced.inlined_graph, scripted.inlined_graph) for node in graph.nodes()
    }
    operator = f"convext::conv{'_transpose' if 'Transpose' in case[0] else ''}{case[0][-2:]}"
    assert operator in names and not any(name.startswith("aten::conv") for name in names)
    expected = layer(x)
    for again in (traced, scripted):
        assert torch.equal(again(x), expected)
    if case in CONVOLUTIONS:  # FX cannot trace torch's own transposed layers
        assert torch.equal(torch.fx.symbolic_trace(layer)(x), expected)
