"""Demo (b): ResNet-50 and MobileNetV2 on scikit-learn's two photographs, before and after the swap.

No trained weights are at hand, so they are drawn at random, and the BatchNorm statistics are those of crops
of the photographs: activations have the size that they have in a trained network.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from sklearn.datasets import load_sample_images
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from examples.compare import agreement, convolutions, race, swapped_copy
from examples.models import MobileNetV2, ResNet50
from examples.part import Result, Track, save

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])  # of ImageNet's pixels
SHOWN = 5  # feature maps in the picture


def load(size: int = 224) -> Tensor:
    """Both photographs, scaled so that the centre crop of size x size loses an eighth: (2, 3, size, size)."""
    photographs = torch.stack(
        [torch.from_numpy(photograph.copy()) for photograph in load_sample_images().images]
    )
    images = ((photographs / 255 - MEAN) / STD).permute(0, 3, 1, 2)
    scale = size * 8 / 7 / min(images.shape[2:])
    images = F.interpolate(images, scale_factor=scale, mode="bilinear", antialias=True)
    top, left = ((side - size) // 2 for side in images.shape[2:])
    return images[:, :, top : top + size, left : left + size].contiguous()


def calibrate(model: nn.Module, images: Tensor, crops: int = 8) -> None:
    """Set the BatchNorm statistics to those of random crops, half as wide and high as the images."""
    height, width = (side // 2 for side in images.shape[2:])
    batch = [
        images[i % len(images), :, top : top + height, left : left + width]
        for i in range(crops)
        for top, left in [(int(torch.randint(height, ())), int(torch.randint(width, ())))]
    ]
    update_bn([torch.stack(batch)], model)


@torch.no_grad()
def first_layer(model: nn.Module, images: Tensor) -> Tensor:
    """The feature maps of the model's first convolution."""
    maps: Tensor = next(iter(convolutions(model).values()))(images)
    return maps


def plot(pairs: Mapping[str, tuple[nn.Module, nn.Module]], images: Tensor, path: Path) -> None:
    """For each network and photograph: some feature maps, and the difference that the swap made."""
    figure, axes = plt.subplots(2 * len(pairs), SHOWN + 2, figsize=(13, 7.4))
    figure.suptitle("The first layer's feature maps, computed by convext, and what the swap changed")
    rows = iter(axes)
    for name, (model, twin) in pairs.items():
        expected, actual = first_layer(model, images), first_layer(twin, images)
        by_contrast = actual.std((0, 2, 3)).argsort(descending=True).tolist()
        channels = by_contrast[:: len(by_contrast) // SHOWN]
        for image, before, after in zip(images, expected, actual, strict=True):
            plot_row(next(rows), name, image, before, after, channels)
    save(figure, path)


def plot_row(
    axes: Sequence[Axes], name: str, image: Tensor, before: Tensor, after: Tensor, channels: Sequence[int]
) -> None:
    """One photograph: itself, the maps of some channels, the largest difference over all channels."""
    for ax in axes:
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
        ax.spines[:].set_visible(False)
    *maps, last = axes[1:]
    axes[0].imshow((image.permute(1, 2, 0) * STD + MEAN).clamp(0, 1).numpy())
    axes[0].set_ylabel(name)
    for ax, channel in zip(maps, channels, strict=False):
        limit = after[channel].abs().quantile(0.995).item()
        ax.imshow(after[channel].numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit)
        ax.set_title(f"channel {channel}", fontsize="small", loc="center")
    difference = (after - before).abs().amax(0) / after.square().mean().sqrt()
    shown = last.imshow(difference.numpy(), cmap="magma", vmin=0, vmax=max(difference.max().item(), 2**-24))
    last.set_title("largest |difference| / RMS", fontsize="small", loc="center")
    last.figure.colorbar(shown, ax=last, format="%.0e", shrink=0.9)


def run(track: Track, output: Path, turns: int = 12, size: int = 224) -> list[Result]:
    """Compare both networks; write photographs.png."""
    torch.manual_seed(0)
    images = load(size)
    results: list[Result] = []
    pairs: dict[str, tuple[nn.Module, nn.Module]] = {}
    for name, model in (("ResNet-50", ResNet50()), ("MobileNetV2", MobileNetV2())):
        calibrate(model, images)
        twin = swapped_copy(model)
        agrees = agreement(model, twin, images)
        forward = race(model, twin, images, track(turns, f"photographs: timing {name}"))
        results.append(
            Result(
                network=name,
                data="2 photographs",
                item=f"3 x {size} x {size}",
                agreement=agrees,
                forward=forward,
                items=2,
            )
        )
        pairs[name] = model, twin
    plot(pairs, images, output / "photographs.png")
    return results
