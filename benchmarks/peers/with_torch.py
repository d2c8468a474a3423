"""PyTorch, eager."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.arrays import Arrays
from benchmarks.layer import Layer
from benchmarks.passes import Operands, convolution
from benchmarks.passes import prepare as prepare_pass


def prepare(
    layer: Layer, arrays: Arrays, pass_: str, threads: int, frozen: bool
) -> Callable[[], list[np.ndarray]]:
    torch.set_num_threads(threads)
    work = prepare_pass(convolution(F, layer), Operands.of(arrays), pass_)
    return lambda: [result.numpy() for result in work()]
