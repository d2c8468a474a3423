# The part of the extension that needs no tensors (csrc/python/module.cpp).
# The operators are in torch.ops.convext.
from typing import TypedDict

class Plan(TypedDict):
    algorithm: str
    kernel: str
    isa: str
    blocks: dict[str, int]
    shared_bytes: int
    thread_bytes: int

def detected_isa() -> str: ...
def isa() -> str: ...
def set_isa(name: str) -> None: ...
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
