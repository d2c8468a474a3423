# The extension. Its operators are in torch.ops.convext.
from collections.abc import Sequence
from typing import TypedDict

from torch import Tensor

# csrc/torch/python_functions.cpp; convext.functional documents them.
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Tensor: ...
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Tensor: ...
def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor: ...
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor: ...

# csrc/python/module.cpp
class Plan(TypedDict):
    algorithm: str
    kernel: str
    isa: str
    blocks: dict[str, int]
    shared_bytes: int
    thread_bytes: int

def detected_isa() -> str: ...
def isa() -> str: ...
def verbose() -> bool: ...
def error_factors() -> dict[str, float]: ...
def float32_precision() -> str: ...
def set_float32_precision(precision: str) -> None: ...
def set_isa(name: str) -> None: ...
def enable() -> None: ...
def disable() -> None: ...
def is_enabled() -> bool: ...
def algorithms() -> list[str]: ...
def plan(problem: str, isa: str = "", algorithm: str = "") -> Plan: ...
def explain(problem: str, isa: str = "") -> list[tuple[str, str | None]]: ...
def run(
    problem: str,
    input: int,
    weight: int,
    bias: int,
    output: int,
    threads: int = 1,
    isa: str = "",
    algorithm: str = "",
) -> None: ...

# csrc/python/kernels.cpp, for tests
def kernels() -> list[str]: ...
def stencil_row_taps(isa: str, stride: int) -> int: ...  # one above the other, as stencil_rows takes them
def run_kernel(name: str, fields: dict[str, object]) -> None: ...
