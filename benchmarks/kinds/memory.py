"""`memory`: the most that a network needs at a time beyond what it needs to exist.

A process of its own for each measurement, as memory that was freed is kept for reuse: it runs the call once,
resets the kernel's high-water mark of the process, and runs it again. Its malloc gives blocks of 1 MiB and
more back at once: the holes that it keeps otherwise depend on the order of all calls, and vary from run to
run by more than the sides differ.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import networks
from benchmarks.job import Job, Setting
from benchmarks.networks import Network
from benchmarks.pairing import Effort, take_turns
from benchmarks.results import Row, Side, Speedup

SIDES = ("convext", "torch")
# Memory hardly varies: two rounds show by how much.
EFFORT = Effort(seconds=0, rounds=(2, 2))
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}  # glibc's; it no longer adapts then
CHILD = "import sys; from benchmarks.kinds.memory import child; print(child(*sys.argv[1:]))"


def jobs(setting: Setting) -> Iterator[Job]:
    for network in networks.chosen(setting.options.networks):
        for kind in networks.CALLS:
            yield Job(f"{network.name}, memory of {kind}", partial(measure, network, kind, setting))


def measure(network: Network, kind: str, setting: Setting) -> Row:
    threads, dtype = setting.threads[-1], setting.options.dtype

    def peak(side: int) -> float:
        arguments = (SIDES[side], network.name, kind, str(threads), dtype)
        command = [sys.executable, "-c", CHILD, *arguments]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | MALLOC)
        return float(done.stdout)

    timed = take_turns(SIDES, peak, EFFORT, lambda: 0.0)
    return Row(
        benchmark="memory",
        network=network.name,
        name=network.name,
        family=kind,
        pass_=kind,
        dtype=dtype,
        threads=threads,
        unit="bytes",
        sides=tuple(Side(name, timed.summary(name)) for name in SIDES),
        speedups=(Speedup("convext", "torch", timed.speedup("convext", "torch")),),
    )


def status(field: str) -> int:
    """A field of /proc/self/status that is a size, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def child(side: str, name: str, kind: str, threads: str, dtype: str) -> int:
    """The peak of one side, in bytes."""
    import torch

    import convext

    torch.set_num_threads(int(threads))
    network = networks.NETWORKS[name]
    number = getattr(torch, dtype)
    model = network.model(number)
    if side == "convext":
        convext.convert(model)
    batch = network.batch(kind, number)
    before = status("VmRSS")
    call = networks.call(model, batch, kind)
    call()
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    call()
    return max(status("VmHWM") - before, 1)
