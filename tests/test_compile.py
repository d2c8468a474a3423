"""What takes torch's compilers seconds: inductor, exported programs and packages in a new process."""

import copy
from pathlib import Path

import pytest
import torch
from helpers.call import FORMATS, ran, torchs_kernels
from helpers.process import run_python
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend

import convext

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.xdist_group("compile"),
]


def models() -> tuple[nn.Module, nn.Module]:
    """A network with each kind of layer that takes images of every size, and its converted copy."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, groups=4, padding="same"),
        nn.ConvTranspose2d(4, 2, 2, stride=2),
        nn.Flatten(2),
        nn.Conv1d(2, 3, 5, stride=2, padding=2, padding_mode="replicate"),
        nn.ConvTranspose1d(3, 2, 3, stride=2, output_padding=1),
    )
    return convext.convert(copy.deepcopy(model)), model


def images(*shape: int) -> Tensor:
    return torch.randn(shape).requires_grad_()


def outputs(model: nn.Module, x: Tensor) -> list[Tensor]:
    """What the model returns, and its gradients with respect to the input and the parameters."""
    parameters = list(model.parameters())
    y = model(x)
    return [y.detach(), *torch.autograd.grad(y.square().mean(), [x, *parameters])]


def check(ours: list[Tensor], theirs: list[Tensor]) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.fixture(autouse=True)
def _nothing_compiled_yet() -> None:
    torch._dynamo.reset()


SIZES = ((2, 3, 8, 9), (3, 3, 12, 7), (5, 3, 6, 6), (2, 3, 20, 11), (4, 3, 10, 10))


@pytest.mark.parametrize(("dynamic", "graphs"), ((True, 1), (None, 2)), ids=("dynamic", "automatic"))
def test_one_graph_serves_all_sizes(dynamic: bool | None, graphs: int) -> None:
    """With dynamic=True from the start; else the second size makes sizes symbolic, once."""
    ours, theirs = models()
    counter = CompileCounterWithBackend("inductor")
    compiled = torch.compile(ours, fullgraph=True, dynamic=dynamic, backend=counter)
    for size in SIZES:
        x = images(*size)
        check(outputs(compiled, x), outputs(theirs, x))
    assert counter.frame_count == graphs


@pytest.mark.parametrize("format_", FORMATS.values(), ids=FORMATS)
def test_max_autotune(format_: torch.memory_format) -> None:
    ours, theirs = models()
    x = torch.randn(2, 3, 8, 9).to(memory_format=format_).requires_grad_()
    compiled = torch.compile(ours, fullgraph=True, mode="max-autotune")
    check(outputs(compiled, x), outputs(theirs, x))


@pytest.mark.parametrize("format_", FORMATS.values(), ids=FORMATS)
def test_compiled_models_of_torch_are_taken_over(format_: torch.memory_format) -> None:
    """convext.enable() reaches what inductor made of torch.nn's layers, before and after."""
    _, model = models()
    model = model.to(memory_format=format_)
    x = torch.randn(2, 3, 8, 9).to(memory_format=format_).requires_grad_()
    expected = outputs(model, x)
    compiled = torch.compile(model, fullgraph=True)
    check(outputs(compiled, x), expected)
    with convext.enabled():
        names = ran(lambda: check(outputs(compiled, x), expected))
        assert torchs_kernels(names) == [] and names.count("convext::conv_output") > 0
    check(outputs(compiled, x), expected)
    assert not [name for name in ran(lambda: compiled(x)) if name.startswith("convext")]


def test_compiled_autograd() -> None:
    ours, theirs = models()
    x = images(2, 3, 8, 9)
    with torch._dynamo.config.patch(compiled_autograd=True):

        @torch.compile
        def step() -> None:
            ours(x).square().mean().backward()

        names = ran(step)
    assert torchs_kernels(names) == []
    theirs(x.detach()).square().mean().backward()
    check([p.grad for p in ours.parameters()], [p.grad for p in theirs.parameters()])


def run_in_a_new_process(code: str, folder: Path, x: Tensor) -> Tensor:
    """Runs code that makes y of x, after `import torch, convext`; returns y."""
    torch.save(x, folder / "x.pt")
    run_python(f"import torch, convext\nx = torch.load('x.pt')\n{code}\ntorch.save(y, 'y.pt')\n", cwd=folder)
    return torch.load(folder / "y.pt")


def exported(model: nn.Module) -> torch.export.ExportedProgram:
    """For every batch and every size of image."""
    batch, height, width = (torch.export.Dim(name, min=2, max=1024) for name in ("batch", "height", "width"))
    return torch.export.export(
        model.eval(), (torch.randn(2, 3, 8, 10),), dynamic_shapes=({0: batch, 2: height, 3: width},)
    )


@pytest.mark.slow
def test_exported_programs_are_loaded_in_a_new_process(tmp_path: Path) -> None:
    ours, theirs = models()
    torch.export.save(exported(ours), tmp_path / "model.pt2")
    for size in SIZES[:2]:
        x = torch.randn(size)
        y = run_in_a_new_process(
            "with torch.no_grad(): y = torch.export.load('model.pt2').module()(x)", tmp_path, x
        )
        torch.testing.assert_close(y, theirs(x).detach())


@pytest.mark.slow
def test_ahead_of_time_compiled_packages_are_loaded_in_a_new_process(tmp_path: Path) -> None:
    ours, theirs = models()
    package = str(tmp_path / "package.pt2")
    torch._inductor.aoti_compile_and_package(exported(ours), package_path=package)
    for size in SIZES[:2]:
        x = torch.randn(size)
        y = run_in_a_new_process("y = torch._inductor.aoti_load_package('package.pt2')(x)", tmp_path, x)
        torch.testing.assert_close(y, theirs(x).detach())


@pytest.mark.slow
def test_ahead_of_time_compiled_packages_of_torch_are_taken_over(tmp_path: Path) -> None:
    _, model = models()
    package = str(tmp_path / "package.pt2")
    torch._inductor.aoti_compile_and_package(exported(model), package_path=package)
    loaded, x = torch._inductor.aoti_load_package(package), torch.randn(SIZES[0])
    with convext.enabled():
        assert torchs_kernels(ran(lambda: loaded(x))) == []
        torch.testing.assert_close(loaded(x), model(x).detach())


@pytest.mark.parametrize("dynamo", (False, True), ids=("traced", "exported"))
def test_onnx_export_says_what_to_do(dynamo: bool, tmp_path: Path) -> None:
    """Of the model that was reverted, ONNX knows every operator."""
    ours, _ = models()
    ours, x = ours[:4].eval(), torch.randn(2, 3, 8, 10)
    with pytest.raises(Exception, match=r"export the model after convext.revert\(model\)"):
        torch.onnx.export(ours, (x,), tmp_path / "model.onnx", dynamo=dynamo)
    torch.onnx.export(convext.revert(ours), (x,), tmp_path / "model.onnx", dynamo=dynamo)
    assert (tmp_path / "model.onnx").stat().st_size > 1000
