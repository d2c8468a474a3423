"""What a result was measured on: the processor, the system, the versions, the settings."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy
import torch

import convext
from convext import _C

CPU = Path("/sys/devices/system/cpu/cpu0")
# What the kernels of either side may use.
FLAGS = r"avx2|fma|f16c|avx512\w+|avx_vnni|amx\w+|avx10\w*"
SETTINGS = ("CONVEXT_", "OMP_", "GOMP_", "KMP_", "MKL_", "ONEDNN_", "ATEN_", "MALLOC_", "LD_PRELOAD")


def describe() -> dict[str, str]:
    """The header of a result, by name."""
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "CPU": _cpuinfo("model name"),
        "cores": f"{len(os.sched_getaffinity(0))} usable",
        "instruction sets": " ".join(flag for flag in _cpuinfo("flags").split() if re.fullmatch(FLAGS, flag)),
        "caches": ", ".join(_caches()) or "unknown",
        "frequency governor": _read(CPU / "cpufreq/scaling_governor") or "unknown",
        "huge pages": _read(Path("/sys/kernel/mm/transparent_hugepage/enabled")) or "unknown",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "NumPy": numpy.__version__,
        "torch": f"{torch.__version__}, {torch.get_num_threads()} threads",
        "torch uses": torch.backends.cpu.get_cpu_capability(),
        "convext": f"{convext.__version__}{_commit()}",
        "convext uses": f"{_C.isa()} (this machine: {_C.detected_isa()})",
        "OpenMP": ", ".join(sorted(_openmp())),
        "settings": " ".join(f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(SETTINGS))
        or "none",
    }
    return {name: fact for name, fact in facts.items() if fact}


def installed(package: str) -> str | None:
    """The version of a package, without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _cpuinfo(field: str) -> str:
    found = re.search(rf"^{field}\s*: (.*)$", _read(Path("/proc/cpuinfo")), re.MULTILINE)
    return found[1] if found else ""


def _caches() -> list[str]:
    caches = []
    for cache in sorted((CPU / "cache").glob("index*")):
        level, kind, size = (_read(cache / name) for name in ("level", "type", "size"))
        if kind != "Instruction":
            caches.append(f"L{level} {size}iB")
    return caches


def _openmp() -> set[str]:
    """The OpenMP runtimes in this process; with more than one, their threads compete."""
    return set(re.findall(r"lib(?:gomp|iomp|omp)[^/\s]*", _read(Path("/proc/self/maps"))))


def _commit() -> str:
    """The commit of this checkout, if it is one, and whether it was changed since."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return f" ({done.stdout.strip()})" if done.returncode == 0 else ""
