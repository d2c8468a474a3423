"""Arrays that touch an inaccessible page: a kernel that reads or writes one byte too far faults at once."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np

PROT_NONE = 0
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

# Where the inaccessible page lies that an array touches.
SIDES = ("behind", "before")


def guarded(values: np.ndarray, side: str) -> np.ndarray:
    """A copy of ``values`` that has inaccessible pages on both sides and touches the one on ``side``."""
    page = mmap.PAGESIZE
    room = -(-values.nbytes // page) * page
    memory = mmap.mmap(-1, room + 2 * page, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for guard in (base, base + page + room):
        if _libc.mprotect(guard, page, PROT_NONE) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
    start = page + (room - values.nbytes if side == "behind" else 0)
    array = np.frombuffer(memory, values.dtype, values.size, start).reshape(values.shape)
    array[...] = values
    return array
