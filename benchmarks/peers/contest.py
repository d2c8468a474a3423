"""Races of peers against PyTorch, process against process."""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.layer import Layer
from benchmarks.pairing import Effort, race
from benchmarks.results import Side, Speedup

TORCH = "torch"  # as a peer among peers


class Child:
    """A peer's process, which runs only while it is asked something."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.child", name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        atexit.register(self._process.kill)

    def ask(self, **request: Any) -> dict[str, Any]:
        """Its answer. RuntimeError if it refuses, or has died."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.send_signal(signal.SIGCONT)
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError) as error:
            raise RuntimeError(f"the process of {self.name} died") from error
        self._process.send_signal(signal.SIGSTOP)
        if "refused" in answer:
            raise RuntimeError(answer["refused"])
        return answer

    def seconds(self, calls: int) -> float:
        return float(self.ask(calls=calls)["seconds"])

    def results(self) -> list[np.ndarray]:
        """What its work computed."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "results.npz"
            self.ask(save=str(path))
            with np.load(path) as saved:
                return [saved[name] for name in saved.files]


@cache
def child(name: str, threads: int) -> Child:
    """Started once, as some libraries take seconds to load."""
    return Child(name, threads)


def installed(peers: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those peers whose library is there, and those whose is not."""
    here = [peer for peer in peers if find_spec(peer.removesuffix("-frozen")) is not None]
    return here, [peer for peer in peers if peer not in here]


@dataclass
class Found:
    """What peers did; `refused` says why others did not."""

    sides: list[Side] = field(default_factory=list)
    speedups: list[Speedup] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def run(
    layer: Layer,
    pass_: str,
    peers: Sequence[str],
    threads: int,
    effort: Effort,
    exact: list[np.ndarray] | None,
) -> Found:
    """Races each peer against PyTorch, pair by pair; `exact` are the results to compare with."""
    found = Found()
    request = {"layer": layer.to_dict(), "pass": pass_, "threads": threads}
    for peer in peers:
        try:
            pair = [child(peer, threads), child(TORCH, threads)]
            for one in pair:
                one.ask(**request)
            timed = race(pair, effort)
            error = None if exact is None else largest_error(pair[0].results(), exact)
        except RuntimeError as reason:
            found.refused[peer] = str(reason)
            continue
        found.sides.append(Side(peer, timed.summary(peer), error))
        found.speedups.append(Speedup(peer, TORCH, timed.speedup(peer, TORCH)))
    return found


def largest_error(results: list[np.ndarray], exact: list[np.ndarray]) -> float:
    """As benchmarks.passes.error, of arrays."""
    return max(
        float(np.abs(result.astype(float) - reference).max() / max(np.abs(reference).max(), 1e-300))
        for result, reference in zip(results, exact, strict=True)
    )
