"""TensorFlow: a compiled function; its CPU kernels want NHWC, so both ends are transposed."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from benchmarks.arrays import Arrays
from benchmarks.layer import Layer


def prepare(
    layer: Layer, arrays: Arrays, pass_: str, threads: int, frozen: bool
) -> Callable[[], list[np.ndarray]] | None:
    if layer.transposed or layer.groups > 1:
        return None
    if tf.config.threading.get_intra_op_parallelism_threads() != threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    x, weight, grad = map(tf.constant, (arrays.x, arrays.weight, arrays.output_grad))
    bias = None if arrays.bias is None else tf.constant(arrays.bias)

    def output(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
        y = convolution(layer, x, weight)
        return y if bias is None else y + tf.reshape(bias, (1, -1, *[1] * layer.dimensions))

    def gradients(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor | None) -> list[tf.Tensor]:
        leaves = [x] if pass_ == "input_grad" else [leaf for leaf in (weight, bias) if leaf is not None]
        with tf.GradientTape() as tape:
            tape.watch(leaves)
            y = output(x, weight, bias)
        return list(tape.gradient(y, leaves, grad))

    compiled = tf.function(gradients if pass_ != "output" else lambda *operands: [output(*operands)])
    return lambda: [result.numpy() for result in compiled(x, weight, bias)]


def convolution(layer: Layer, x: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    d = layer.dimensions
    inner = list(range(2, 2 + d))
    y = tf.nn.convolution(
        tf.pad(tf.transpose(x, [0, *inner, 1]), [(0, 0), *((p, p) for p in layer.padding), (0, 0)]),
        tf.transpose(weight, [*inner, 1, 0]),
        strides=layer.stride,
        dilations=layer.dilation,
    )
    return tf.transpose(y, [0, d + 1, *range(1, d + 1)])
