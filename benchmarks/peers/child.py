"""The process of one peer: python -m benchmarks.peers.child NAME

It answers JSON lines: {"layer", "pass", "threads"} prepares a pass and answers {"ready"} or {"refused": why};
{"calls": n} answers {"seconds": of one call}; {"save": path} writes the results as NumPy's .npz.
"""

import ctypes
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.arrays import Arrays
from benchmarks.layer import Layer

Work = Callable[[], list[np.ndarray]]
PR_SET_PDEATHSIG = 1


def prepare(name: str, request: dict[str, Any]) -> Work | None:
    layer = Layer.from_dict(request["layer"])
    library = importlib.import_module(f"benchmarks.peers.with_{name.removesuffix('-frozen')}")
    work: Work | None = library.prepare(
        layer, Arrays.draw(layer, "float32"), request["pass"], request["threads"], name.endswith("-frozen")
    )
    return work


def answer(name: str, request: dict[str, Any], state: dict[str, Work]) -> dict[str, Any]:
    if "layer" in request:
        state.clear()
        work = prepare(name, request)
        if work is None:
            return {"refused": "it has no such pass"}
        work()
        state["work"] = work
        return {"ready": True}
    work = state["work"]
    if "save" in request:
        np.savez(request["save"], *work())
        return {"saved": request["save"]}
    start = time.perf_counter()
    for _ in range(request["calls"]):
        work()
    return {"seconds": (time.perf_counter() - start) / request["calls"]}


def main(name: str, threads: int) -> None:
    # A stopped child would outlive a parent that is killed.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Some libraries take their number of threads from the number of cores that they may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print, too
    state: dict[str, Work] = {}
    for line in sys.stdin:
        try:
            said = answer(name, json.loads(line), state)
        except Exception as error:  # whatever a library cannot do is its answer
            said = {"refused": f"{type(error).__name__}: {error}"}
        print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
