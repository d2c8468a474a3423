"""A convolution layer of a real network, as data: its sizes, its family, the work that it takes."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

LAYERS = Path(__file__).parent / "layers"
PASSES = ("output", "input_grad", "weight_grad")


@dataclass(frozen=True)
class Layer:
    """The arguments of a convolution, as PyTorch has them: sizes are (n, c, h, w) or (n, c, l)."""

    network: str
    input: tuple[int, ...]
    weight: tuple[int, ...]
    bias: bool
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    transposed: bool
    count: int  # how often the network has it

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Layer":
        """The inverse of `to_dict`; raises ValueError if a field is missing or unknown."""
        names = {field.name for field in fields(cls)}
        if names != data.keys():
            raise ValueError(f"a layer has the fields {sorted(names)}; here are {sorted(data)}")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        layer = cls(**values)
        for name in ("stride", "padding", "dilation"):
            if len(getattr(layer, name)) != layer.dimensions:
                raise ValueError(f"{name} {data[name]} of a layer of {layer.dimensions} dimensions")
        return layer

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def dimensions(self) -> int:
        return len(self.input) - 2

    @property
    def kernel(self) -> tuple[int, ...]:
        return self.weight[2:]

    @property
    def output(self) -> tuple[int, ...]:
        """The shape of the output, by the formulas of torch.nn.Conv2d and ConvTranspose2d.

        >>> Layer("", (1, 3, 224, 224), (64, 3, 7, 7), False, (2, 2), (3, 3), (1, 1), 1, False, 1).output
        (1, 64, 112, 112)
        """
        axes = zip(self.input[2:], self.kernel, self.stride, self.padding, self.dilation, strict=True)
        if self.transposed:
            sizes = [(i - 1) * s - 2 * p + d * (k - 1) + 1 for i, k, s, p, d in axes]
            return (self.input[0], self.weight[1] * self.groups, *sizes)
        sizes = [(i + 2 * p - d * (k - 1) - 1) // s + 1 for i, k, s, p, d in axes]
        return (self.input[0], self.weight[0], *sizes)

    @property
    def flops(self) -> int:
        """Of any one pass; products with the padding's zeros count too, as everybody counts them."""
        moved = self.input if self.transposed else self.output
        return 2 * math.prod(moved) * math.prod(self.weight[1:])

    @property
    def numbers(self) -> int:
        """What any pass must at least read or write: input, weight, output and bias, in numbers."""
        channels = self.output[1] if self.bias else 0
        return math.prod(self.input) + math.prod(self.weight) + math.prod(self.output) + channels

    @property
    def family(self) -> str:
        """What kind of convolution it is.

        >>> Layer("", (1, 3, 224, 224), (64, 3, 7, 7), False, (2, 2), (3, 3), (1, 1), 1, False, 1).family
        '2d stem'
        """
        return f"{self.dimensions}d {self._kind()}"

    def _kind(self) -> str:
        channels, longest = self.input[1], max(self.kernel)
        if self.transposed:
            return "transposed"
        if self.groups == channels > 1:
            return "depthwise" if longest <= 31 else "depthwise long"
        if self.groups > 1:
            return "grouped"
        if longest >= 64:
            return "long kernel"
        if longest == 1:
            return "pointwise"
        if self.kernel == self.stride:
            return "patchify"
        if channels <= 4:
            return "stem"
        if max(self.dilation) > 1:
            return "dilated"
        if max(self.stride) > 1:
            return "strided"
        return {(3, 3): "3x3", (3,): "k3"}.get(self.kernel, "other dense")

    def with_batch(self, batch: int) -> "Layer":
        """The layer with this many images, if it was recorded with one."""
        return replace(self, input=(batch, *self.input[1:])) if self.input[0] == 1 else self

    def __str__(self) -> str:
        """Short and readable: input > channels, then what is not the default."""
        n, *image = self.input
        words = [f"{n} x " + " x ".join(map(str, image)), ">", str(self.output[1]), f"k{_sizes(self.kernel)}"]
        named = (("s", self.stride, 1), ("p", self.padding, 0), ("d", self.dilation, 1))
        words += [f"{letter}{_sizes(v)}" for letter, v, default in named if set(v) != {default}]
        words += [f"g{self.groups}"] if self.groups > 1 else []
        return " ".join(words + ["transposed"] * self.transposed)


def _sizes(sizes: Sequence[int]) -> str:
    """3 for (3, 3), 3x1 for (3, 1)."""
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))


def load(path: Path) -> list[Layer]:
    """The layers of a file: {"network": its name, "layers": [...]}, or a list of such."""
    data = json.loads(path.read_text())
    return [
        Layer.from_dict({"network": part["network"], **layer})
        for part in (data if isinstance(data, list) else [data])
        for layer in part["layers"]
    ]


def suite(name: str) -> list[Layer]:
    """The layers of a suite: "full" (all files of layers/), "quick" (see `representatives`), or a file."""
    if name not in ("quick", "full"):
        return load(Path(name))
    layers = [layer for path in sorted(LAYERS.glob("*.json")) for layer in load(path)]
    return layers if name == "full" else representatives(layers)


def representatives(layers: Iterable[Layer], each: int = 3) -> list[Layer]:
    """A few layers of each family: its quantiles by work, for `each` = 3 the quartiles and the median."""
    families: dict[str, list[Layer]] = {}
    for layer in layers:
        families.setdefault(layer.family, []).append(layer)
    chosen = []
    for _, members in sorted(families.items()):
        members.sort(key=lambda layer: layer.flops)
        picks = {round((i + 1) * (len(members) - 1) / (each + 1)) for i in range(each)}
        chosen += [members[i] for i in sorted(picks)]
    return chosen
