"""An exception in the middle of a call leaves no lock, no leak and no wrong result behind."""

import pytest
import torch
from helpers.process import run_python
from torch.utils._python_dispatch import TorchDispatchMode

import convext

# Every allocation of a forward and a backward fails once: the process may have more and more memory,
# until the call succeeds. After each failure the same call works, and in the end nothing has leaked.
OUT_OF_MEMORY = """
import ctypes
import resource
import torch
import convext

torch.set_num_threads(2)
torch.manual_seed(0)
STEP = 512 * 1024
DIVERSE = [
    (convext.conv2d, (1, 16, 128, 128), (16, 16, 3, 3), {"padding": 1}),
    (convext.conv2d, (1, 16, 128, 128), (16, 16, 3, 3), {"padding": 1, "padding_mode": "reflect"}),
    (convext.conv2d, (1, 16, 128, 128), (16, 16, 1, 1), {}),
    (convext.conv2d, (1, 16, 128, 128), (16, 1, 3, 3), {"groups": 16}),
    (convext.conv_transpose1d, (1, 16, 16384), (16, 16, 4), {"stride": 2}),
]

def size():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()

class Mallinfo2(ctypes.Structure):
    NAMES = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in NAMES.split()]

mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Mallinfo2

# What malloc has given away. (The size of the process also counts holes: at the limit blocks go to the heap.)
def in_use():
    info = mallinfo2()
    return info.uordblks + info.hblkhd

def call(f, x, w, keywords):
    output = f(x, w, **keywords)
    return [output.detach(), *torch.autograd.grad(output, (x, w), torch.ones_like(output))]

for f, x, w, keywords in DIVERSE:
    layout = torch.channels_last if len(x) == 4 else torch.contiguous_format  # converted copies may fail too
    x = torch.randn(x).to(memory_format=layout).requires_grad_()
    w = torch.randn(w, requires_grad=True)
    wanted = call(f, x, w, keywords)
    before = in_use()
    failures, room = 0, 0
    while True:
        resource.setrlimit(resource.RLIMIT_AS, (size() + room, resource.RLIM_INFINITY))
        try:
            call(f, x, w, keywords)
            done = True
        except RuntimeError as error:
            done = False
            failures += 1
            assert "allocate memory" in str(error), error
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if done:
            break
        room += STEP
        same = [torch.equal(a, b) for a, b in zip(call(f, x, w, keywords), wanted)]
        assert all(same), "another result after a failure"
    assert in_use() - before < 2**20, "a leak"  # the tensors are of 1 MiB or more
    print(failures)
"""


# glibc keeps nothing for later: what is freed is gone, so that every large allocation meets the limit.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_ARENA_MAX": "1"}


def test_out_of_memory_at_every_allocation() -> None:
    failures = [int(line) for line in run_python(OUT_OF_MEMORY, **MALLOC).stdout.split()]
    assert len(failures) == 5
    assert min(failures) >= 5


class Refusing(TorchDispatchMode):
    """Raises instead of the n-th operator."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.left -= 1
        if self.left < 0:
            raise KeyError("refused")
        return func(*args, **(kwargs or {}))


def forward_and_backward(x: torch.Tensor, w: torch.Tensor) -> list[torch.Tensor]:
    output = convext.conv2d(x, w, padding=1, padding_mode="circular")
    return [output.detach(), *torch.autograd.grad(output.sum(), (x, w))]


def test_an_exception_of_any_operator_that_runs() -> None:
    x, w = torch.randn(1, 2, 5, 5, requires_grad=True), torch.randn(3, 2, 3, 3, requires_grad=True)
    wanted = forward_and_backward(x, w)
    for at in range(100):
        try:
            with Refusing(at):
                forward_and_backward(x, w)
        except KeyError:
            assert all(torch.equal(a, b) for a, b in zip(forward_and_backward(x, w), wanted, strict=True))
        else:
            break
    assert 3 <= at < 100


def test_an_exception_of_a_hook_on_saved_tensors() -> None:
    x, w = torch.randn(1, 2, 5, requires_grad=True), torch.randn(3, 2, 3, requires_grad=True)

    def refuse(tensor: torch.Tensor) -> torch.Tensor:
        raise KeyError("refused")

    with pytest.raises(KeyError), torch.autograd.graph.saved_tensors_hooks(refuse, refuse):
        convext.conv1d(x, w)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, refuse):
        output = convext.conv1d(x, w)
    for _ in range(2):
        with pytest.raises(KeyError):
            output.sum().backward(retain_graph=True)
    assert x.grad is None
    convext.conv1d(x, w).sum().backward()
    assert x.grad is not None


def test_a_result_too_large_for_any_machine() -> None:
    x, w = torch.zeros(1).expand(2**20, 1, 2**20), torch.zeros(2**20, 1, 1)
    with pytest.raises(RuntimeError, match=r"allocate memory|overflow"):
        convext.conv1d(x, w)
    assert convext.conv1d(torch.ones(1, 1, 3), torch.ones(1, 1, 2)).tolist() == [[[2, 2]]]
