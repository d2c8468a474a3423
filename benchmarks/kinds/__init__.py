"""The benchmarks by name: each makes the jobs of a setting."""

from collections.abc import Callable, Iterable

from benchmarks.job import Job, Setting
from benchmarks.kinds import layers, memory, models, overhead, threads

KINDS: dict[str, Callable[[Setting], Iterable[Job]]] = {
    "layers": layers.jobs,
    "models": models.jobs,
    "overhead": overhead.jobs,
    "memory": memory.jobs,
    "threads": threads.jobs,
}
