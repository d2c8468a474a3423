"""JAX: XLA's compiled convolution, forwards and backwards, with a thread for each core of the process."""

from collections.abc import Callable
from functools import partial

import jax
import numpy as np
from jax import lax

from benchmarks.arrays import Arrays
from benchmarks.layer import Layer


def prepare(
    layer: Layer, arrays: Arrays, pass_: str, threads: int, frozen: bool
) -> Callable[[], list[np.ndarray]] | None:
    if layer.transposed:
        return None
    convolve = partial(convolution, layer)
    given = [arrays.x, arrays.output_grad, arrays.weight, arrays.bias]
    x, grad, *weights = (jax.device_put(array) for array in given if array is not None)
    if pass_ == "output":
        compiled, operands = jax.jit(lambda x, *weights: [convolve(x, *weights)]), (x, *weights)
    elif pass_ == "input_grad":
        compiled = jax.jit(lambda grad, x, *weights: jax.vjp(lambda x: convolve(x, *weights), x)[1](grad))
        operands = (grad, x, *weights)
    else:
        compiled = jax.jit(lambda grad, x, *weights: jax.vjp(partial(convolve, x), *weights)[1](grad))
        operands = (grad, x, *weights)
    return lambda: [np.asarray(result) for result in jax.block_until_ready(compiled(*operands))]


def convolution(layer: Layer, x: jax.Array, weight: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    letters = "HW"[2 - layer.dimensions :]
    y = lax.conv_general_dilated(
        x,
        weight,
        layer.stride,
        [(p, p) for p in layer.padding],
        rhs_dilation=layer.dilation,
        dimension_numbers=(f"NC{letters}", f"OI{letters}", f"NC{letters}"),
        feature_group_count=layer.groups,
    )
    return y if bias is None else y + bias.reshape(1, -1, *[1] * layer.dimensions)
