"""The demo: its networks are those of the papers, and swapped ones stay within the bounds that it states."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

import convext
from examples import demo, digits, heartbeat, photographs, points
from examples.compare import Times, agreement, layer_share, swapped_copy, train
from examples.models import TCN, DigitsCNN, MobileNetV2, ResNet50, TNet

NETWORKS = [
    pytest.param(DigitsCNN, (2, 1, 8, 8), (2, 10), 97_802, id="digits"),
    pytest.param(ResNet50, (2, 3, 64, 64), (2, 1000), 25_557_032, id="resnet50"),
    pytest.param(MobileNetV2, (2, 3, 64, 64), (2, 1000), 3_504_872, id="mobilenetv2"),
    pytest.param(TCN, (2, 1, 300), (2, 1, 300), 34_753, id="tcn"),
    pytest.param(TNet, (2, 3, 20), (2, 3, 3), 803_081, id="tnet"),
]


@pytest.mark.parametrize(("network", "shape", "output", "parameters"), NETWORKS)
def test_network(
    network: type[nn.Module], shape: tuple[int, ...], output: tuple[int, ...], parameters: int
) -> None:
    torch.manual_seed(0)
    model = network()
    x = torch.randn(shape)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    model(x)  # in training mode: the BatchNorm statistics become those of the activations
    assert model.eval()(x).shape == output
    agrees = agreement(model, swapped_copy(model), x)
    assert agrees.within_bounds, agrees


def test_tcn_is_causal_and_sees_its_receptive_field() -> None:
    torch.manual_seed(0)
    model = TCN(channels=4, blocks=3)
    x = torch.randn(1, 1, 60, requires_grad=True)
    model(x)[0, 0, 40].backward()
    seen = x.grad.flatten().nonzero().flatten()
    assert (seen.min().item(), seen.max().item()) == (40 - model.receptive_field + 1, 40)


def test_tnet_ignores_the_order_of_points() -> None:
    model = TNet().eval()
    nn.init.normal_(model.matrix[-2].weight)
    x = torch.randn(2, 3, 20)
    torch.testing.assert_close(model(x), model(x[:, :, torch.randperm(20)]))


@pytest.mark.parametrize("fault", ["not swapped", "last tap dropped", "one weight off by 1e-3"])
def test_bounds_notice_a_fault(fault: str) -> None:
    torch.manual_seed(0)
    model = DigitsCNN()
    twin = swapped_copy(model)
    with torch.no_grad():
        weight = twin.features[2].weight
        if fault == "not swapped":
            convext.revert(twin)
        elif fault == "last tap dropped":
            weight[..., -1, -1] = 0
        else:
            weight[0, 0, 0, 0] += 1e-3
    assert not agreement(model, twin, torch.rand(4, 1, 8, 8)).within_bounds


def test_layer_share_is_one_at_the_bound() -> None:
    layer = nn.Conv1d(3, 1, 1)
    x = torch.rand(1, 3, 5)
    y = layer(x).detach()
    size = layer._conv_forward(x, layer.weight.abs(), layer.bias.abs()).detach()
    off = y.double() + 8 * 2.0**-24 * math.sqrt(4) * size.double()
    assert layer_share(layer, off, y, x) == pytest.approx(1)
    assert layer_share(layer, y, y, x) == 0


def test_layer_share_of_nothing_allows_nothing() -> None:
    layer = nn.Conv1d(1, 1, 1, bias=False)
    zero = torch.zeros(1, 1, 4)
    assert layer_share(layer, zero, zero, zero) == 0
    assert layer_share(layer, zero + 1e-30, zero, zero) == math.inf


def test_training_starts_equal_and_leaves_the_model_alone() -> None:
    torch.manual_seed(0)
    model = DigitsCNN()
    before = [parameter.clone() for parameter in model.parameters()]
    batch = torch.rand(8, 1, 8, 8), torch.randint(10, (8,))
    training = train(model, [batch] * 3, digits.loss_of, lambda m: torch.optim.SGD(m.parameters(), lr=0.1))
    assert [len(losses) for losses in training.losses.values()] == [3, 3, 3]
    assert training.losses["torch"][2] < training.losses["torch"][0]
    assert training.largest_difference < 1e-4
    assert all(map(torch.equal, model.parameters(), before))


def test_speedup_is_taken_pair_by_pair() -> None:
    assert Times(torch=[1, 20, 3], convext=[1, 10, 1]).speedup == 2


def test_photographs_are_normalised_crops() -> None:
    images = photographs.load(64)
    assert images.shape == (2, 3, 64, 64)
    assert 0.5 < images.std() < 2 and images.min() > -3 and images.max() < 3


def test_rotation_keeps_lengths() -> None:
    cloud = points.to_points(digits.load()[0][:5])
    torch.testing.assert_close(points.rotate(cloud).norm(dim=1), cloud.norm(dim=1))


def test_demo_in_small(tmp_path: Path) -> None:
    def track(steps: int, description: str) -> range:
        return range(steps)

    results = [
        digits.run(track, tmp_path, steps=2, turns=1, batch=8),
        *photographs.run(track, tmp_path, turns=1, size=64),
        heartbeat.run(track, tmp_path, steps=2, turns=1, batch=1),
        points.run(track, tmp_path, steps=2, turns=1, batch=4),
    ]
    assert all(result.agreement.within_bounds for result in results)
    assert {path.name for path in tmp_path.iterdir()} == {
        "digits.png",
        "photographs.png",
        "heartbeat.png",
        "points.png",
    }
    assert demo.table(results).row_count > 10
