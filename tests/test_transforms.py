"""What torch does to functions - compile, export, trace, map, checkpoint - it does to convext's."""

from collections.abc import Callable

import pytest
import torch
from helpers.call import FORMATS, Recorder, layout, pair, ran, results, torchs_kernels
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import convext

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own

# name, keywords, shapes of input and weight
CALLS = {
    "conv1d": ("conv1d", {"stride": 2, "padding": 1}, (2, 3, 9), (4, 3, 3)),
    "conv1d-same": ("conv1d", {"padding": "same"}, (2, 3, 9), (4, 3, 3)),
    "conv2d": ("conv2d", {"padding": (1, 0), "groups": 2}, (2, 4, 6, 7), (6, 2, 3, 2)),
    "conv2d-depthwise": ("conv2d", {"groups": 4}, (2, 4, 6, 7), (4, 1, 3, 3)),
    "conv_transpose1d": ("conv_transpose1d", {"stride": 2}, (2, 3, 5), (3, 2, 3)),
    "conv_transpose2d": ("conv_transpose2d", {"stride": 2, "dilation": 2}, (2, 3, 4, 5), (3, 2, 3, 2)),
}
calls = pytest.mark.parametrize("case", CALLS)


def both(case: str) -> tuple[Callable, Callable, Tensor, Tensor]:
    """The two functions, an input and a weight, in float64: a difference is a bug, not rounding."""
    name, keywords, x, w = CALLS[case]
    tensors = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in (x, w)]
    return *pair(name, **keywords), *tensors


def check(ours: list[Tensor], theirs: list[Tensor]) -> None:
    for result, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(result, wanted)


# --- Compilation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dynamic", (False, True), ids=("static", "dynamic"))
@calls
def test_compiled_forwards_and_backwards(case: str, dynamic: bool) -> None:
    """One graph, with static and with symbolic sizes."""
    ours, torchs, x, w = both(case)
    torch.compiler.reset()
    compiled = torch.compile(lambda x, w: ours(x, w), fullgraph=True, dynamic=dynamic, backend="aot_eager")
    check(results(compiled, [x, w]), results(torchs, [x, w]))
    longer = torch.cat([x.detach()] * 2, -1).requires_grad_()
    check(results(compiled, [longer, w]), results(torchs, [longer, w]))


def test_compiled_by_inductor() -> None:
    ours, torchs, x, w = both("conv2d")
    torch.compiler.reset()
    compiled = torch.compile(lambda x, w: ours(x.relu(), w).relu(), fullgraph=True)
    check(results(compiled, [x, w]), results(lambda x, w: torchs(x.relu(), w).relu(), [x, w]))


@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec:FutureWarning")
def test_compiled_autograd() -> None:
    ours, torchs, x, w = both("conv2d")
    torch.compiler.reset()
    with torch._dynamo.compiled_autograd._enable(torch.compile(backend="aot_eager")):
        ours(x, w).square().sum().backward()
    check([x.grad, w.grad], torch.autograd.grad(torchs(x, w).square().sum(), (x, w)))


@calls
def test_exported(case: str) -> None:
    ours, torchs, x, w = both(case)

    class Module(torch.nn.Module):
        def forward(self, x: Tensor, w: Tensor) -> Tensor:
            return ours(x, w)

    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(Module(), (x, w), dynamic_shapes=({0: batch}, {}))
    more = torch.cat([x, x, x])
    check([program.module()(more, w)], [torchs(more, w)])


@calls
def test_made_into_a_graph(case: str) -> None:
    """The operators that are closed under differentiation are what is traced."""
    ours, torchs, x, w = both(case)
    graph = make_fx(lambda x, w: torch.autograd.grad(ours(x, w).sum(), (x, w)))(x, w)
    check(graph(x, w), torch.autograd.grad(torchs(x, w).sum(), (x, w)))
    targets = {str(node.target) for node in graph.graph.nodes}
    assert {
        f"convext.{op}.default" for op in ("conv_output", "conv_input_grad", "conv_weight_grad")
    } & targets
    assert not any("aten.conv" in target for target in targets)


@pytest.mark.parametrize("weight_format", FORMATS)
@pytest.mark.parametrize("input_format", FORMATS)
@calls
def test_fake_results_are_laid_out_like_real_ones(case: str, input_format: str, weight_format: str) -> None:
    name, keywords, x, w = CALLS[case]
    ours, _ = pair(name, **keywords)
    x, w = torch.randn(x), torch.randn(w)
    if x.dim() == 4:
        x, w = x.to(memory_format=FORMATS[input_format]), w.to(memory_format=FORMATS[weight_format])
    real = results(ours, [x.requires_grad_(), w.requires_grad_()])
    with FakeTensorMode() as mode:
        fakes = [mode.from_tensor(t) for t in (x, w)]
        for fake, result in zip(results(ours, fakes), real, strict=True):
            assert fake.shape == result.shape
            assert fake.dtype == result.dtype
            assert fake.stride() == result.stride()
            assert layout(fake) == layout(result)


# --- Maps and derivatives ---------------------------------------------------------------------------


@pytest.mark.parametrize("dims", ((0, None), (None, 0), (0, 0), (1, 2), (-1, 1)), ids=str)
@calls
def test_vmap(case: str, dims: tuple) -> None:
    """Over inputs, over weights, over both, in any dimension."""
    ours, torchs, x, w = both(case)
    operands = [
        t if dim is None else torch.stack([t, 2 * t, t - 1], dim) for t, dim in zip((x, w), dims, strict=True)
    ]
    check(
        [torch.func.vmap(ours, dims)(*operands)],
        [torch.func.vmap(torchs, dims)(*operands)],
    )


@calls
def test_per_sample_gradients(case: str) -> None:
    ours, torchs, x, w = both(case)

    def gradients(f: Callable) -> Tensor:
        loss = torch.func.grad(lambda w, x: f(x, w).square().sum())
        return torch.func.vmap(loss, (None, 0))(w, x[:, None])

    check([gradients(ours)], [gradients(torchs)])


@calls
def test_jacobians_and_hessians(case: str) -> None:
    ours, torchs, x, w = both(case)
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        check([transform(ours, 1)(x, w)], [transform(torchs, 1)(x, w)])
    hessians = [torch.func.hessian(lambda w, f=f: f(x, w).pow(3).sum())(w) for f in (ours, torchs)]
    check(hessians[:1], hessians[1:])


@calls
def test_linearized_and_pulled_back(case: str) -> None:
    ours, torchs, x, w = both(case)
    tangents = torch.randn_like(x), torch.randn_like(w)
    check(torch.func.jvp(ours, (x, w), tangents), torch.func.jvp(torchs, (x, w), tangents))
    outputs = [torch.func.vjp(f, x, w) for f in (ours, torchs)]
    cotangent = torch.randn_like(outputs[0][0])
    check(outputs[0][1](cotangent), outputs[1][1](cotangent))


def sum_of(f: Callable) -> Callable:
    return lambda *operands: f(*operands).pow(3).sum()


def ensemble(f: Callable, x: Tensor, w: Tensor) -> Tensor:
    """Two models at once, as torch's tutorial on model ensembling has it."""
    models = [convext.Conv2d(3, 4, 3, bias=False) for _ in range(2)]
    parameters, buffers = torch.func.stack_module_state(models)
    model = models[0].to("meta")
    call = lambda p, b: torch.func.functional_call(model, (p, b), (x.float(),))  # noqa: E731
    return torch.func.vmap(call)(parameters, buffers)


def forward_ad(f: Callable, x: Tensor, w: Tensor) -> None:
    with torch.autograd.forward_ad.dual_level():
        f(torch.autograd.forward_ad.make_dual(x, x), w)


OUTPUT, INPUT, WEIGHT = "conv_output", "conv_input_grad", "conv_weight_grad"
vmap, both_operands = torch.func.vmap, (0, 1)
# What is done with f, x, w; and the passes that this takes, however many are mapped over.
PASSES = {
    "grad": (lambda f, x, w: torch.func.grad(sum_of(f), 1)(x, w), [OUTPUT, WEIGHT]),
    "vjp": (lambda f, x, w: torch.func.vjp(f, x, w)[1](f(x, w)), [OUTPUT, OUTPUT, INPUT, WEIGHT]),
    "jvp": (lambda f, x, w: torch.func.jvp(f, (x, w), (x, w)), [OUTPUT] * 3),
    "forward_ad": (forward_ad, [OUTPUT] * 2),
    "jacrev": (lambda f, x, w: torch.func.jacrev(f)(x, w), [OUTPUT, INPUT]),
    "jacfwd": (lambda f, x, w: torch.func.jacfwd(f)(x, w), [OUTPUT] * 2),
    "hessian": (lambda f, x, w: torch.func.hessian(sum_of(f))(x, w), [OUTPUT] * 2 + [INPUT] * 2),
    "over inputs": (lambda f, x, w: vmap(f, (0, None))(x[:, None], w), [OUTPUT]),
    "over weights": (lambda f, x, w: vmap(f, (None, 0))(x, torch.stack([w, w])), [OUTPUT]),
    "over both": (lambda f, x, w: vmap(f)(x[:, None], torch.stack([w, w])), [OUTPUT]),
    "per sample": (
        lambda f, x, w: vmap(torch.func.grad(sum_of(f), both_operands), (0, None))(x[:, None], w),
        [OUTPUT, INPUT, WEIGHT],
    ),
    "ensemble": (ensemble, [OUTPUT]),
}


@pytest.mark.parametrize("transform", PASSES)
def test_transforms_take_one_call_for_each_pass(transform: str) -> None:
    """Nothing is computed in a loop, or twice, or by torch."""
    _, _, x, w = both("conv2d")
    x, w = x.detach()[:, :3], w.detach()[:3, :1].repeat(1, 3, 1, 1)
    run, passes = PASSES[transform]
    with Recorder() as recorder:
        run(convext.conv2d, x, w)
    assert sorted(recorder.names) == sorted(passes)
    assert torchs_kernels(ran(lambda: run(convext.conv2d, x, w))) == []


# --- Autograd's own tools ---------------------------------------------------------------------------


@pytest.mark.parametrize("reentrant", (False, True), ids=("hooks", "reentrant"))
def test_checkpointed(reentrant: bool) -> None:
    gradients = []
    for f in pair("conv2d"):
        torch.manual_seed(1)
        x, w = (torch.randn(shape, requires_grad=True) for shape in ((2, 3, 6, 7), (4, 3, 3, 3)))
        output = checkpoint(lambda x, w, f=f: f(x, w).relu(), x, w, use_reentrant=reentrant)
        output.square().sum().backward()
        gradients.append([x.grad, w.grad])
    check(*gradients)


def test_saved_on_the_cpu() -> None:
    ours, torchs, x, w = both("conv2d")
    with torch.autograd.graph.save_on_cpu():
        output = ours(x, w)
    check(torch.autograd.grad(output.sum(), (x, w)), torch.autograd.grad(torchs(x, w).sum(), (x, w)))


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
def test_anomaly_mode_names_the_call() -> None:
    x, w = torch.randn(1, 1, 3, requires_grad=True), torch.full((1, 1, 2), float("nan"), requires_grad=True)
    with (
        pytest.raises(RuntimeError, match=r"ConvOutputBackward.* returned nan"),
        pytest.warns(UserWarning, match="Error detected in ConvOutputBackward"),
        torch.autograd.detect_anomaly(check_nan=True),
    ):
        convext.conv1d(x, w).sum().backward()


def test_inputs_that_are_views_or_changed_in_place() -> None:
    base = torch.randn(2, 6, 9, dtype=torch.float64, requires_grad=True)
    w = torch.randn(4, 3, 3, dtype=torch.float64, requires_grad=True)
    gradients = []
    for f in (convext.conv1d, F.conv1d):
        x = base * 1
        output = f(x[:, ::2].mul_(2), w).relu_()
        gradients.append(torch.autograd.grad(output.sum(), (base, w)))
    check(*gradients)
