"""The numbers that a layer computes on: the same in every process."""

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.layer import Layer


@dataclass(frozen=True)
class Arrays:
    """What a layer reads, forwards and backwards."""

    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None
    output_grad: np.ndarray

    @classmethod
    def draw(cls, layer: Layer, dtype: str) -> "Arrays":
        """Normal numbers; the weights are scaled so that the outputs are of that size too."""
        random = np.random.default_rng(1)

        def normal(shape: tuple[int, ...]) -> np.ndarray:
            return random.standard_normal(shape, np.dtype(dtype).type)

        weight = normal(layer.weight) / np.dtype(dtype).type(math.sqrt(math.prod(layer.weight[1:])))
        bias = normal((layer.output[1],)) if layer.bias else None
        return cls(normal(layer.input), weight, bias, normal(layer.output))
