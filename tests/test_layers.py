"""The layers are torch.nn's in all but their arithmetic: initialisation, state, copies, hooks, wrappers."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.fusion import fuse_conv_bn_eval

import convext

LAYERS = {
    "Conv1d": ((3, 4, 3), (2, 3, 9)),
    "Conv2d": ((3, 4, (3, 2)), (2, 3, 6, 7)),
    "ConvTranspose1d": ((3, 4, 3), (2, 3, 9)),
    "ConvTranspose2d": ((3, 4, (3, 2)), (2, 3, 6, 7)),
}
layers = pytest.mark.parametrize("name", LAYERS)


def made(name: str, library=convext, **keywords: object) -> nn.Module:
    torch.manual_seed(7)
    return getattr(library, name)(*LAYERS[name][0], **keywords)


def given(name: str) -> torch.Tensor:
    torch.manual_seed(8)
    return torch.randn(LAYERS[name][1])


@layers
def test_the_same_seed_gives_the_same_parameters(name: str) -> None:
    ours, theirs = made(name), made(name, nn)
    for ours_parameter, theirs_parameter in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(ours_parameter, theirs_parameter)
    assert repr(ours) == repr(theirs)
    assert isinstance(ours, type(theirs))


@layers
def test_state_goes_both_ways(name: str) -> None:
    ours, theirs = made(name), made(name, nn, bias=True)
    torch.nn.init.normal_(theirs.weight)
    ours.load_state_dict(theirs.state_dict())
    assert torch.equal(ours.weight, theirs.weight)
    torch.nn.init.normal_(ours.weight)
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(ours.weight, theirs.weight)


def pickled(layer: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(layer))


def saved_and_loaded(layer: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@layers
@pytest.mark.parametrize(
    "copier", (copy.copy, copy.deepcopy, pickled, saved_and_loaded), ids=lambda f: f.__name__
)
def test_copies(name: str, copier) -> None:
    layer = made(name)
    twin = copier(layer)
    assert type(twin) is type(layer)
    assert torch.equal(twin(given(name)), layer(given(name)))


def with_weight_norm(layer: nn.Module) -> nn.Module:
    return parametrizations.weight_norm(layer)


def with_spectral_norm(layer: nn.Module) -> nn.Module:
    torch.manual_seed(9)
    return parametrizations.spectral_norm(layer).eval()


def with_pruning(layer: nn.Module) -> nn.Module:
    torch.manual_seed(9)
    return prune.random_unstructured(layer, "weight", 0.5)


def with_orthogonal_weight(layer: nn.Module) -> nn.Module:
    return parametrizations.orthogonal(layer)


@layers
@pytest.mark.parametrize(
    "wrap",
    (with_weight_norm, with_spectral_norm, with_pruning, with_orthogonal_weight),
    ids=lambda f: f.__name__,
)
def test_parametrized_layers(name: str, wrap) -> None:
    ours, theirs = wrap(made(name)), wrap(made(name, nn))
    outputs = ours(given(name)), theirs(given(name))
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.sum().backward()
    for ours_parameter, theirs_parameter in zip(ours.parameters(), theirs.parameters(), strict=True):
        if theirs_parameter.grad is not None:
            torch.testing.assert_close(ours_parameter.grad, theirs_parameter.grad)


def test_fusion_with_batch_norm() -> None:
    layer, norm = made("Conv2d").eval(), nn.BatchNorm2d(4).eval()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    fused = fuse_conv_bn_eval(layer, norm)
    assert type(fused) is convext.Conv2d
    torch.testing.assert_close(fused(given("Conv2d")), norm(layer(given("Conv2d"))))


@layers
def test_hooks_fire(name: str) -> None:
    layer, seen = made(name), []
    layer.register_forward_pre_hook(lambda module, args: seen.append("before"))
    layer.register_forward_hook(lambda module, args, output: seen.append("after"))
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append("backward"))
    layer(given(name).requires_grad_()).sum().backward()
    assert seen == ["before", "after", "backward"]


def test_tied_weights_gather_both_gradients() -> None:
    first, second = made("Conv1d"), made("Conv1d")
    second.weight = first.weight
    x = given("Conv1d")
    (first(x).sum() + second(2 * x).sum()).backward()
    alone = made("Conv1d")
    (3 * alone(x)).sum().backward()
    torch.testing.assert_close(first.weight.grad, alone.weight.grad)


@layers
def test_a_lazy_layer_becomes_a_layer(name: str) -> None:
    lazy = getattr(convext, f"Lazy{name}")(*LAYERS[name][0][1:])
    output = lazy(given(name))
    assert type(lazy) is getattr(convext, name)
    assert output.shape == made(name)(given(name)).shape


@pytest.mark.parametrize("name", ("ConvTranspose1d", "ConvTranspose2d"))
def test_a_transposed_layer_takes_an_output_size(name: str) -> None:
    ours, theirs = made(name, stride=2), made(name, nn, stride=2)
    smallest = theirs(given(name)).shape[2:]
    for extra in (0, 1):
        size = [s + extra for s in smallest]
        torch.testing.assert_close(ours(given(name), size), theirs(given(name), size))
    with pytest.raises(ValueError, match="requested an output size of"):
        ours(given(name), [s + 2 for s in smallest])


@layers
def test_a_training_step_is_torchs(name: str) -> None:
    steps = []
    for library in (convext, nn):
        layer = made(name, library)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            layer(given(name)).square().mean().backward()
            optimizer.step()
        steps.append(layer.state_dict())
    for key, value in steps[1].items():
        torch.testing.assert_close(steps[0][key], value)
