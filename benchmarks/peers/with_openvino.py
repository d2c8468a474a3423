"""OpenVINO: a graph of one convolution with constant weights, forward only, in float32."""

from collections.abc import Callable

import numpy as np
import openvino
from openvino import opset13 as ops

from benchmarks.arrays import Arrays
from benchmarks.layer import Layer


def prepare(
    layer: Layer, arrays: Arrays, pass_: str, threads: int, frozen: bool
) -> Callable[[], list[np.ndarray]] | None:
    if pass_ != "output":
        return None
    x = ops.parameter(layer.input, np.float32, "x")
    place = (layer.stride, layer.padding, layer.padding, layer.dilation)
    if layer.groups == 1:
        function = ops.convolution_backprop_data if layer.transposed else ops.convolution
        y = build(function, layer, x, arrays.weight, place)
    else:
        function = ops.group_convolution_backprop_data if layer.transposed else ops.group_convolution
        grouped = arrays.weight.reshape(layer.groups, layer.weight[0] // layer.groups, *layer.weight[1:])
        y = build(function, layer, x, grouped, place)
    if arrays.bias is not None:
        y = ops.add(y, ops.constant(arrays.bias.reshape(1, -1, *[1] * layer.dimensions)))
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1}
    compiled = openvino.Core().compile_model(openvino.Model([y], [x]), "CPU", settings)
    request = compiled.create_infer_request()
    return lambda: list(request.infer([arrays.x]).values())


def build(
    function: Callable[..., object],
    layer: Layer,
    x: object,
    weight: np.ndarray,
    place: tuple[tuple[int, ...], ...],
) -> object:
    stride, before, after, dilation = map(list, place)
    if layer.transposed:
        named = {"strides": stride, "pads_begin": before, "pads_end": after, "dilations": dilation}
        return function(x, ops.constant(weight), **named)
    return function(x, ops.constant(weight), stride, before, after, dilation)
