"""ncnn: a network of one layer, forward only; it has no batches, so images are computed one by one."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import ncnn
import numpy as np

from benchmarks.arrays import Arrays
from benchmarks.layer import Layer


def prepare(
    layer: Layer, arrays: Arrays, pass_: str, threads: int, frozen: bool
) -> Callable[[], list[np.ndarray]] | None:
    if pass_ != "output" or layer.transposed:
        return None
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    with tempfile.TemporaryDirectory() as folder:
        parameters, weights = Path(folder) / "layer.param", Path(folder) / "layer.bin"
        parameters.write_text(description(layer, arrays.weight.size))
        bias = b"" if arrays.bias is None else arrays.bias.tobytes()
        weights.write_bytes(bytes(4) + arrays.weight.tobytes() + bias)  # four zeros: float32 follows
        net.load_param(str(parameters))
        net.load_model(str(weights))

    def infer(image: np.ndarray) -> np.ndarray:
        with net.create_extractor() as extractor:
            extractor.input("x", ncnn.Mat(image))
            return np.array(extractor.extract("y")[1])

    return lambda: [np.stack([infer(image) for image in arrays.x])]


def description(layer: Layer, weights: int) -> str:
    """The network in ncnn's text format, where numbers name the fields."""
    kind = "Convolution" if layer.groups == 1 else "ConvolutionDepthWise"
    fields = {
        **{0: layer.output[1], 5: int(layer.bias), 6: weights},
        **{1: layer.kernel[-1], 2: layer.dilation[-1], 3: layer.stride[-1], 4: layer.padding[-1]},
    }
    if layer.dimensions == 2:
        fields |= {11: layer.kernel[0], 12: layer.dilation[0], 13: layer.stride[0], 14: layer.padding[0]}
    if layer.groups > 1:
        fields[7] = layer.groups
    words = " ".join(f"{key}={value}" for key, value in fields.items())
    return f"7767517\n2 2\nInput x 0 1 x\n{kind}{'1D' * (layer.dimensions == 1)} y 1 1 x y {words}\n"
