"""The layers are torch.nn's in all but their arithmetic: state, hooks, training. More: test_convert.py."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

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
def test_state_goes_both_ways(name: str) -> None:
    ours, theirs = made(name), made(name, nn)
    nn.init.normal_(theirs.weight)
    ours.load_state_dict(theirs.state_dict())
    assert torch.equal(ours.weight, theirs.weight)
    nn.init.normal_(ours.weight)
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(ours.weight, theirs.weight)


@layers
def test_a_parametrized_layer_learns_its_parameters(name: str) -> None:
    ours, theirs = (parametrizations.weight_norm(made(name, library)) for library in (convext, nn))
    for layer in (ours, theirs):
        layer(given(name)).sum().backward()
    for ours_parameter, theirs_parameter in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours_parameter.grad, theirs_parameter.grad)


@layers
def test_hooks_fire(name: str) -> None:
    layer, seen = made(name), []
    layer.register_forward_pre_hook(lambda module, args: seen.append("before"))
    layer.register_forward_hook(lambda module, args, output: seen.append("after"))
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append("backward"))
    layer(given(name).requires_grad_()).sum().backward()
    assert seen == ["before", "after", "backward"]


def test_tied_weights_gather_both_gradients() -> None:
    first, second, alone = made("Conv1d"), made("Conv1d"), made("Conv1d")
    second.weight = first.weight
    x = given("Conv1d")
    (first(x).sum() + second(2 * x).sum()).backward()
    (3 * alone(x)).sum().backward()
    torch.testing.assert_close(first.weight.grad, alone.weight.grad)


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
def test_training_steps_are_torchs(name: str) -> None:
    states = []
    for library in (convext, nn):
        layer = made(name, library)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            layer(given(name)).square().mean().backward()
            optimizer.step()
        states.append(layer.state_dict())
    for key, value in states[1].items():
        torch.testing.assert_close(states[0][key], value)
