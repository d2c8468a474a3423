"""Why a convolution is computed the way it is."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from convext import _C
from convext._tables import as_html, as_text


@dataclass(frozen=True)
class Choice:
    """How convext computes a problem, and what it decided against."""

    problem: str
    plan: "_C.Plan"
    rejected: tuple[tuple[str, str], ...]  # (algorithm, reason), in the order in which they were asked

    @classmethod
    def of(cls, problem: str) -> "Choice":
        rejected = tuple((name, reason) for name, reason in _C.explain(problem) if reason is not None)
        return cls(problem, _C.plan(problem), rejected)

    @property
    def label(self) -> str:
        return " ".join(filter(None, (self.plan["algorithm"], self.plan["kernel"])))

    def to_dict(self) -> dict[str, Any]:
        """The problem, the plan and what was rejected, as plain data."""
        return {"problem": self.problem, **self.plan, "rejected": dict(self.rejected)}

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What there is to say of the plan, by name."""
        plan = self.plan
        blocks = " ".join(f"{name}={size}" for name, size in plan["blocks"].items())
        return [
            ("algorithm", plan["algorithm"]),
            ("kernel", plan["kernel"] or "-"),
            ("blocks", blocks or "-"),
            ("workspace", f"{plan['shared_bytes']:,} bytes, and {plan['thread_bytes']:,} for each thread"),
            ("isa", plan["isa"]),
        ]

    def __str__(self) -> str:
        lines = as_text(self.facts).splitlines() + [f"not {name}: {why}" for name, why in self.rejected]
        return "\n".join([self.problem, *(f"  {line}" for line in lines)])

    def _repr_html_(self) -> str:
        rejected = [(f"not {name}", why) for name, why in self.rejected]
        return f"<b>{escape(self.problem)}</b>{as_html(self.facts + rejected)}"


@dataclass(frozen=True)
class PassedOn:
    """A convolution that PyTorch computes, because convext does not."""

    operator: str
    tensor: str

    label = "torch"

    def to_dict(self) -> dict[str, Any]:
        """What was called, as plain data."""
        return {"algorithm": self.label, "operator": self.operator, "tensor": self.tensor}

    def __str__(self) -> str:
        return f"{self.operator} of PyTorch, on {self.tensor}"

    def _repr_html_(self) -> str:
        return f"<b>{escape(str(self))}</b>"


@dataclass(frozen=True, repr=False)
class Explanation:
    """The convolutions that a call leads to, in the order in which they run; prints as text, or as tables in
    a notebook."""

    calls: tuple[Choice | PassedOn, ...]

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.calls)) or "no convolution"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "".join(f"<p>{call._repr_html_()}</p>" for call in self.calls) or "no convolution"


def explain(module_or_problem: Callable[..., Any] | str, *inputs: Any, **keyword_inputs: Any) -> Explanation:
    """Tells how convext would compute a convolution, and why not otherwise.

    Nothing is computed: the module runs on fake tensors, which have sizes but no values, forwards and then
    backwards, as if its inputs needed gradients too, also those within lists, tuples and dicts. What shows is
    what would run, so a convolution that is not convext's, or that convext leaves to PyTorch, shows up as
    PyTorch's.

    Args:
        module_or_problem: a module (a single layer or a whole model) or another callable, whose gradients
            are those of its inputs alone; or a problem string, as CONVEXT_VERBOSE=1 prints it.
        inputs: the arguments of the module.
        keyword_inputs: those that it takes by keyword.

    Returns:
        For every convolution that would run: the algorithm, kernel, blocks and workspace, and the algorithms
        that were rejected, with the reasons. Print it.

    Raises:
        ValueError: for a problem string that cannot be read.

    >>> print(explain(convext.Conv2d(64, 64, 3, padding=1), torch.empty(8, 64, 56, 56)))
    pass=output bias=1 n=8 ic=64 oc=64 ih=56 iw=56 ...
      algorithm  ...
      kernel     ...
    pass=input_grad n=8 ...
    pass=weight_grad bias=1 n=8 ...
    """
    if isinstance(module_or_problem, str):
        return Explanation((Choice.of(module_or_problem),))
    # Imports sympy, which takes as long as all of convext.
    from torch._subclasses.fake_tensor import FakeTensorMode

    with torch.enable_grad(), FakeTensorMode(allow_non_fake_inputs=True) as fakes, Recorder() as recorder:
        fake_inputs, fake_keywords = tree_map_only(
            Tensor, lambda x: fakes.from_tensor(x).detach(), (inputs, keyword_inputs)
        )
        leaves = [
            x.requires_grad_()
            for x in tree_leaves((fake_inputs, fake_keywords))
            if isinstance(x, Tensor) and x.dtype.is_floating_point
        ]
        if isinstance(module_or_problem, nn.Module):
            tensors = chain(module_or_problem.named_parameters(), module_or_problem.named_buffers())
            state: dict[str, Tensor] = {name: fakes.from_tensor(tensor) for name, tensor in tensors}
            leaves += [tensor for tensor in state.values() if tensor.requires_grad]
            result = functional_call(module_or_problem, state, fake_inputs, fake_keywords)
        else:
            result = module_or_problem(*fake_inputs, **fake_keywords)
        ends = [y for y in tree_leaves(result) if isinstance(y, Tensor) and y.requires_grad]
        if ends and leaves:
            torch.autograd.grad(ends, leaves, [torch.ones_like(y) for y in ends], allow_unused=True)
    return Explanation(tuple(recorder.calls))


class Recorder(TorchDispatchMode):
    """Writes down the convolutions that run in its `with` block, forwards and backwards."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Choice | PassedOn] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if describe := _DESCRIBE.get(func):
            self.calls.append(Choice.of(describe(result, *args)))
        elif is_taken := _IS_TAKEN.get(func):
            with self:  # if it is, convext's own operators are called
                taken = is_taken(*args)
            if not taken:
                self.calls.append(PassedOn(func.name(), f"{args[0].dtype} on {args[0].device}"))
        return result


_ops, _aten = torch.ops.convext, torch.ops.aten
_describe: Callable[..., str] = _ops.describe.default
# For each operator, the problem string of a call, given its result and arguments.
_DESCRIBE: dict[Any, Callable[..., str]] = {
    _ops.conv_output.default: lambda result, input, weight, bias, size, s, p, d, g, mode, *_: _describe(
        input, weight, bias, s, p, size, d, g, mode, "output"
    ),
    _ops.conv_input_grad.default: lambda result, output, weight, bias, size, s, p, d, g, mode, *_: _describe(
        result, weight, bias, s, p, output.shape[2:], d, g, mode, "input_grad"
    ),
    _ops.conv_weight_grad.default: lambda result, output, input, size, s, p, d, g, mode, bias, *_: _describe(
        input, result[0], result[1] if bias else None, s, p, output.shape[2:], d, g, mode, "weight_grad"
    ),
}
# For each operator of PyTorch, whether convext computes a call of it.
_IS_TAKEN: dict[Any, Callable[..., bool]] = {
    _aten.convolution.default: _ops.is_taken.default.decompose,
    _aten.convolution_backward.default: lambda gradient, input, weight, bias_sizes, *rest: (
        _ops.is_backward_taken.default.decompose(gradient, input, weight, *rest)
    ),
}
