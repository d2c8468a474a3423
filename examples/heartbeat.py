"""Demo (c): a dilated TCN predicts the next sample of PyWavelets' recorded electrocardiogram, three
heartbeats long.

It learns from the first two beats and is tested on the third, which is weaker and drifts: so the beats that
it learns from are shown at random gains and offsets.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pywt.data
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from examples.compare import Batch, Training, agreement, race, rms, swapped_copy, train
from examples.models import TCN
from examples.part import Result, Track, plot_losses, save
from examples.style import CONVEXT, GREY, TORCH

TEST = 320  # samples, the last ones of 1,024: one beat
SCALE = 100.0  # recorded units to one of the network's


def load() -> Tensor:
    """The signal in the network's units: (1, 1, 1024)."""
    return torch.tensor(pywt.data.ecg(), dtype=torch.float32)[None, None] / SCALE


def draw(signal: Tensor, batch: int, length: int = 384) -> Tensor:
    """Random stretches of the signal, each at a random gain and offset: (batch, 1, length)."""
    starts = torch.randint(signal.shape[2] - length, (batch,)).tolist()
    stretches = torch.cat([signal[:, :, start : start + length] for start in starts])
    return stretches * (1 + 0.2 * torch.randn(batch, 1, 1)) + 0.3 * torch.randn(batch, 1, 1)


def predict(model: nn.Module, signal: Tensor) -> Tensor:
    """The sample after each: the network computes the change to it. (n, 1, l) -> (n, 1, l)."""
    change: Tensor = model(signal)
    return signal + change


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    """The mean square error of the predicted samples."""
    (signal,) = batch
    return F.mse_loss(predict(model, signal[..., :-1]), signal[..., 1:])


def plot(
    training: Training,
    actual: Tensor,
    previous: Tensor,
    torch_predicts: Tensor,
    convext_predicts: Tensor,
    path: Path,
) -> None:
    """The unseen beat, predicted by both copies and by repeating the last sample; the losses."""
    figure, axes = plt.subplots(2, 2, figsize=(13, 7), sharex="col")
    figure.suptitle("A dilated TCN learns from two heartbeats to predict the third, one sample ahead")
    samples = range(1024 - TEST, 1024)
    beat, error = axes[:, 0]
    repeated, predicted = previous - actual, convext_predicts - actual
    beat.plot(samples, torch_predicts.numpy(), color=TORCH, linewidth=4, alpha=0.5, label="torch.nn")
    beat.plot(samples, convext_predicts.numpy(), color=CONVEXT, linewidth=1, label="convext")
    beat.plot(samples, actual.numpy(), "k.", markersize=2.5, label="recorded")
    beat.set(ylabel="signal [recorded units]", title="The unseen beat and its prediction")
    beat.legend()
    for wrong, colour, name in (
        (repeated, GREY, "the last sample again"),
        (predicted, CONVEXT, "TCN, convext"),
    ):
        error.plot(samples, wrong.numpy(), color=colour, linewidth=0.9, label=f"{name}: RMS {rms(wrong):.1f}")
    error.set(xlabel="sample", ylabel="error [recorded units]", title="The error of the prediction")
    error.legend()
    plot_losses(training, axes[0, 1], axes[1, 1], "10⁴ units²")
    save(figure, path)


def run(track: Track, output: Path, steps: int = 120, turns: int = 30, batch: int = 8) -> Result:
    """Train and compare; write heartbeat.png."""
    torch.manual_seed(0)
    signal = load()
    batches = [draw(signal[..., :-TEST], batch) for _ in range(steps)]
    training = train(
        TCN(),
        ((batches[i],) for i in track(steps, "heartbeat: training the TCN, both ways")),
        loss_of,
        lambda model: torch.optim.Adam(model.parameters(), lr=2e-3),
    )
    trained = training.torch, swapped_copy(training.torch)
    agrees = agreement(*trained, signal)
    forward = race(*trained, signal, track(turns, "heartbeat: timing"))

    actual, previous = signal[0, 0, -TEST:] * SCALE, signal[0, 0, -TEST - 1 : -1] * SCALE
    with torch.no_grad():
        torch_predicts, convext_predicts = (
            predict(model.eval(), signal[..., :-1])[0, 0, -TEST:] * SCALE
            for model in (training.torch, training.convext)
        )
    score = rms(torch_predicts - actual), rms(convext_predicts - actual)
    plot(training, actual, previous, torch_predicts, convext_predicts, output / "heartbeat.png")
    return Result(
        network="TCN",
        data="1 ECG",
        item="1 x 1024",
        agreement=agrees,
        forward=forward,
        training=training,
        score="RMS (units)",
        scores=(f"{score[0]:.3f}", f"{score[1]:.3f}"),
    )
