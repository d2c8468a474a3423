"""The report on a model that was run: what it measures, what it leaves as it was, how it is shown."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import convext
from convext import _C


def network() -> nn.Sequential:
    """Layers that are hard to watch: changed in place, padded by torch, with a computed weight."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
        nn.BatchNorm2d(8),
        nn.Dropout(),
        weight_norm(nn.Conv2d(8, 4, 1)),
        nn.ConvTranspose2d(4, 4, 2, stride=2),
    )


CONVOLUTIONS = ["0", "2", "5", "6"]


def passes(layer: object) -> list[str]:
    return [call.problem.split()[0].removeprefix("pass=") for call in layer.calls]


def test_a_training_step_is_reported_layer_by_layer() -> None:
    report = convext.report(convext.convert(network()), torch.randn(2, 3, 12, 12), train=True)
    assert [layer.name for layer in report.layers] == CONVOLUTIONS
    rows = {layer.name: layer for layer in report.layers}
    assert passes(rows["0"]) == ["output", "weight_grad"], "the input needs no gradient"
    assert sorted(passes(rows["2"])) == ["input_grad", "output", "weight_grad"]
    assert passes(rows["6"])[0] == "input_grad", "a transposed convolution is an input gradient"
    assert all(layer.seconds > 0 and layer.torch_seconds > 0 for layer in report.layers)
    assert 0 < sum(layer.share for layer in report.layers) < 1
    assert report.torch_seconds > 0


def test_backward_counts() -> None:
    """Of a weight whose gradient takes long."""

    class Slow(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            torch.randn(2_000_000)
            return grad

    layer = nn.utils.parametrize.register_parametrization(nn.Conv1d(1, 1, 1), "weight", _Apply(Slow))
    x = torch.randn(1, 1, 8)
    (forward,) = convext.report(layer, x).layers
    (both,) = convext.report(layer, x, train=True).layers
    assert both.seconds > 5 * forward.seconds


class _Apply(nn.Module):
    def __init__(self, function: type[torch.autograd.Function]) -> None:
        super().__init__()
        self.function = function

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return self.function.apply(weight)


@pytest.mark.parametrize("train", [False, True])
def test_the_model_is_left_as_it_was(train: bool) -> None:
    model = convext.convert(network())
    model[4].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    kinds = [(type(module), module.training) for module in model.modules()]
    random = torch.get_rng_state()
    convext.report(model, torch.randn(2, 3, 12, 12), train=train)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert kinds == [(type(module), module.training) for module in model.modules()]
    assert all(parameter.grad is None for parameter in model.parameters())
    torch.set_rng_state(random)
    expected = torch.randn(3)
    torch.set_rng_state(random)
    convext.report(model, torch.ones(2, 3, 12, 12), train=train)
    assert torch.equal(torch.randn(3), expected)


def test_the_model_is_left_as_it_was_after_an_error() -> None:
    model = convext.convert(network())
    kinds = [type(module) for module in model.modules()]
    with pytest.raises(RuntimeError, match="to have 3 channels"):
        convext.report(model, torch.randn(2, 5, 12, 12), train=True)
    assert kinds == [type(module) for module in model.modules()]
    assert all(not module._forward_hooks for module in model.modules())


class Memory(nn.Module):
    """What a module may do with buffers: change one in place, bind one anew, fill one at first."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("cache", torch.zeros(1, 3, 4, 2))
        self.register_buffer("first", None)

    def forward(self, x):
        self.count += 1
        if self.first is None:
            self.first = x
        x = torch.cat([self.cache, x], -1)
        self.cache = x[..., -2:].detach()
        return x


def test_buffers_that_are_bound_anew_are_restored() -> None:
    memory = Memory()
    before = dict(memory.named_buffers())
    convext.report(nn.Sequential(memory, nn.Conv2d(3, 4, 1)), torch.ones(1, 3, 4, 6))
    assert memory.count is before["count"] and memory.count == 0
    assert memory.cache is before["cache"] and torch.equal(memory.cache, torch.zeros(1, 3, 4, 2))
    assert memory.first is None


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_buffers_of_torchscript_are_restored() -> None:
    norm = torch.jit.script(nn.BatchNorm2d(3))
    convext.report(nn.Sequential(nn.Conv2d(2, 3, 1), norm), torch.ones(1, 2, 4, 4), train=True)
    assert norm.num_batches_tracked == 0 and torch.equal(norm.running_var, torch.ones(3))


@pytest.mark.parametrize("train", [False, True])
def test_lazy_layers_are_materialised_and_no_more(train: bool) -> None:
    model = convext.convert(nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Conv2d(4, 2, 1)))
    report = convext.report(model, torch.randn(2, 3, 8, 8), train=train)
    assert [type(module) for module in model] == [convext.Conv2d, nn.BatchNorm2d, convext.Conv2d]
    assert all(layer.converted and layer.seconds > 0 for layer in report.layers)
    _, norm, _ = model
    assert torch.equal(norm.running_mean, torch.zeros(4)) and torch.equal(norm.running_var, torch.ones(4))
    assert norm.num_batches_tracked == 0 and model.training


def test_layers_that_are_not_converted_may_be_convexts_all_the_same() -> None:
    """While convext is enabled: the tables name its kernels, and the times beside its own are torch's."""
    x = torch.randn(1, 3, 8, 8)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 2, 1, dtype=torch.float16))
    model[1].register_forward_pre_hook(lambda _, inputs: inputs[0].half())
    ran_enabled: list[bool] = []
    model.register_forward_hook(lambda *_: ran_enabled.append(_C.is_enabled()))
    with convext.enabled():
        with convext.enabled():
            report = convext.report(model, x)
        assert _C.is_enabled(), "as often as before"
    assert not _C.is_enabled()
    assert ran_enabled[0] and 2 * sum(ran_enabled[1:]) == len(ran_enabled[1:])
    (choice,) = report.layers[0].calls
    assert report.layers[0].computed_by == (choice.label,) and choice.plan["algorithm"] in _C.algorithms()
    _, first, second, summary = str(report).splitlines()
    assert first.split()[4] == choice.plan["algorithm"] and first.endswith(choice.problem)
    assert second.split()[4] == "torch" and second.endswith("not converted: it could be")
    assert choice.problem in report._repr_html_() and report._repr_html_().count("<td>torch</td>") == 1
    assert summary.startswith("0 of 2 convolution layers are convext's, and it computes 1 more; ")


def test_a_subclass_of_convexts_layers_is_shown_as_convexts() -> None:
    class Own(convext.Conv2d):
        pass

    report = convext.report(Own(3, 8, 3), torch.randn(1, 3, 8, 8))
    assert report.layers[0].calls[0].problem in str(report)


def test_what_was_enabled_stays_so_after_an_error() -> None:
    def fail(*_: object) -> None:
        if not _C.is_enabled():
            raise ZeroDivisionError

    model = nn.Sequential(nn.Conv1d(1, 1, 1))
    model.register_forward_hook(fail)
    with convext.enabled():
        with pytest.raises(ZeroDivisionError):
            convext.report(model, torch.ones(1, 1, 8))
        assert _C.is_enabled()


def test_keyword_inputs() -> None:
    model = Keywords()
    x = torch.randn(1, 3, 8, 8)
    for report in (convext.report(model, x, scale=2.0), convext.report(model, x=x, scale=2.0)):
        assert [passes(layer) for layer in report.layers] == [["output"]]
    (layer,) = convext.report(model, x=x.requires_grad_(), scale=2.0, train=True).layers
    assert sorted(passes(layer)) == ["input_grad", "output", "weight_grad"]


class Keywords(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = convext.Conv2d(3, 4, 3)

    def forward(self, x, *, scale):
        return self.conv(x) * scale


def test_a_training_step_needs_something_to_train() -> None:
    with pytest.raises(ValueError, match="nothing in the output of the model needs a gradient"):
        convext.report(nn.Conv1d(1, 1, 1).requires_grad_(False), torch.randn(1, 1, 8), train=True)


def test_plain_data() -> None:
    model = convext.convert(network(), lambda layer, name: name != "5")
    report = convext.report(model, torch.randn(2, 3, 12, 12))
    data = json.loads(json.dumps(report.to_dict()))
    assert [layer["name"] for layer in data["layers"]] == CONVOLUTIONS
    first, _, left, _ = data["layers"]
    assert first["calls"][0]["problem"] == report.layers[0].calls[0].problem
    assert first["calls"][0]["algorithm"] in report.layers[0].computed_by[0]
    assert first["seconds"] == report.layers[0].seconds
    assert not left["converted"] and [call["algorithm"] for call in left["calls"]] == ["torch"]
    assert data["seconds"] == report.seconds


def test_layers_left_alone_have_one_line() -> None:
    report = convext.report(nn.Conv1d(1, 1, 1), torch.randn(1, 1, 8), train=True)
    header, line, _ = str(report).splitlines()
    assert header.split()[0] == "layer" and line.endswith("not converted: it could be")


def test_notebooks_show_tables() -> None:
    model = convext.convert(nn.Sequential(nn.Conv1d(1, 2, 3)))
    report = convext.report(model, torch.randn(1, 1, 8))
    html = report._repr_html_()
    assert html.count("<tr>") == 2 and report.layers[0].calls[0].problem in html
    assert html.endswith(f"<p>{str(report).splitlines()[-1]}</p>")
    explanation = convext.explain(model, torch.randn(1, 1, 8))
    html = explanation._repr_html_()
    assert html.count("<table>") == len(explanation.calls) == 3
    for call in explanation.calls:
        assert call.problem in html and all(f"not {name}" in html for name, _ in call.rejected)
    assert convext.explain(nn.Linear(1, 1), torch.ones(1, 1))._repr_html_() == "no convolution"
