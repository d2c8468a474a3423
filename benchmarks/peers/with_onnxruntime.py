"""ONNX Runtime: a graph of one node, forward only."""

from collections.abc import Callable

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.arrays import Arrays
from benchmarks.layer import Layer


def prepare(
    layer: Layer, arrays: Arrays, pass_: str, threads: int, frozen: bool
) -> Callable[[], list[np.ndarray]] | None:
    if pass_ != "output":
        return None
    weights = {"weight": arrays.weight} | ({} if arrays.bias is None else {"bias": arrays.bias})
    inputs = {"x": arrays.x} | ({} if frozen else weights)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model(layer, weights, inputs), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, inputs)


def model(layer: Layer, weights: dict[str, np.ndarray], inputs: dict[str, np.ndarray]) -> bytes:
    node = helper.make_node(
        "ConvTranspose" if layer.transposed else "Conv",
        ["x", *weights],
        ["y"],
        strides=layer.stride,
        pads=[*layer.padding, *layer.padding],
        dilations=layer.dilation,
        group=layer.groups,
    )

    def described(name: str, shape: tuple[int, ...]) -> object:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        [node],
        "layer",
        [described(name, array.shape) for name, array in inputs.items()],
        [described("y", layer.output)],
        [numpy_helper.from_array(array, name) for name, array in weights.items() if name not in inputs],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())
