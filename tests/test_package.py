"""The package around the kernels: report, explain, the settings, the checks before it is loaded."""

import copy

import numpy
import pytest
import torch
import torch.nn.functional as F
from helpers.process import run_python
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode

import convext
from convext import _C

PROBLEM = "pass=output n=2 ic=3 oc=8 ih=9 iw=9 oh=7 ow=7 kh=3 kw=3"


class Net(nn.Module):
    """Two layers, one of them used twice, one left out, and one that convext has no kernels for."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.twice = nn.Conv2d(4, 4, 3, padding=1)
        self.never = nn.Conv1d(1, 1, 1)
        self.low = nn.Conv2d(4, 2, 1, dtype=torch.bfloat16)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        x = self.norm(self.twice(self.twice(self.first(x))))
        return self.low(x.bfloat16())


def test_report_without_inputs():
    report = convext.report(convext.convert(Net(), lambda layer, name: name != "twice"))
    assert [(row.name, row.converted) for row in report.layers] == [
        ("first", True),
        ("twice", False),
        ("never", True),
        ("low", True),
    ]
    assert report.layers[1].reason is None and "not converted: it could be" in str(report)
    assert str(report).endswith("3 of 4 convolution layers are convext's")


def test_report_with_inputs():
    model = convext.convert(Net())
    state = {name: value.clone() for name, value in model.state_dict().items()}
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]
    report = convext.report(model, torch.randn(2, 3, 9, 9))
    rows = {row.name: row for row in report.layers}
    assert rows["first"].computed_by[0].split()[0] in _C.algorithms()
    assert len(rows["twice"].computed_by) == 1
    assert rows["never"].computed_by == () and rows["never"].seconds == 0
    assert rows["low"].computed_by == ("torch",)
    assert 0 < sum(row.share for row in report.layers) < 1
    assert "not called" in str(report)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert hooks == [
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()
    ]


def test_report_names_what_computes_layers_that_are_not_converted():
    (row,) = convext.report(nn.Conv2d(3, 4, 3), torch.randn(1, 3, 5, 5)).layers
    assert row.computed_by == ("torch",) and not row.converted and row.name == ""


def test_report_without_convolutions():
    assert str(convext.report(nn.Linear(2, 2))).endswith("0 of 0 convolution layers are convext's")


def test_explain_a_problem():
    (choice,) = convext.explain(PROBLEM).calls
    assert choice.problem == PROBLEM
    names = [choice.plan["algorithm"], *(name for name, _ in choice.rejected)]
    assert sorted(names) == sorted(_C.algorithms())
    assert all(reason for _, reason in choice.rejected)
    assert all(f"not {name}: {reason}" in str(choice) for name, reason in choice.rejected)
    with pytest.raises(ValueError, match="unknown word 'colour=red'"):
        convext.explain("pass=output colour=red")


@pytest.mark.parametrize("wrong", ("n=0", "g=0", "ic=3 oc=4 g=2", "kh=0", "stride_w=0", "dilation_h=-1"))
def test_explain_wants_a_problem_that_exists(wrong):
    with pytest.raises(ValueError, match="must be at least 1, and g divide ic and oc"):
        convext.explain(f"pass=output {wrong}")


@pytest.mark.parametrize(
    ("layer", "passes"),
    [
        (lambda: convext.Conv2d(3, 8, 3), ["output", "input_grad", "weight_grad"]),
        (lambda: convext.ConvTranspose2d(3, 8, 3), ["input_grad", "output", "weight_grad"]),
        (lambda: convext.Conv2d(3, 8, 3).requires_grad_(False), ["output", "input_grad"]),
    ],
)
def test_explain_a_layer_forwards_and_backwards(layer, passes):
    calls = convext.explain(layer(), torch.empty(2, 3, 9, 9)).calls
    assert calls[0].problem.startswith(f"pass={passes[0]} ")
    assert sorted(call.problem.split()[0].removeprefix("pass=") for call in calls) == sorted(passes)
    assert all(call.plan == _C.plan(call.problem) for call in calls)


@pytest.mark.parametrize(
    "layer",
    [
        "Conv2d(4, 6, 3, stride=2, padding=1)",
        "Conv2d(4, 6, (3, 1), padding='same', padding_mode='circular')",
        "ConvTranspose2d(4, 6, 3, stride=2, bias=False)",
    ],
)
@pytest.mark.parametrize("memory_format", ["contiguous_format", "channels_last"])
def test_explain_names_the_problems_that_run(layer, memory_format):
    run = run_python(
        f"""
import torch, convext
layer = convext.{layer}
x = torch.randn(2, 4, 9, 9).to(memory_format=torch.{memory_format}).requires_grad_()
print(*(call.problem for call in convext.explain(layer, x).calls), sep="\\n")
y = layer(x)
y.backward(torch.randn_like(y))  # in the layout of y, as explain() takes it to be
""",
        CONVEXT_VERBOSE="1",
    )
    ran = [line.removeprefix("convext: ").split(" | ")[0] for line in run.stderr.splitlines()]
    assert run.stdout.splitlines() == ran and len(ran) == 3


@pytest.mark.parametrize(
    "layer, shape",
    ((nn.Conv2d(4, 6, 3, groups=2), (2, 4, 9, 9)), (nn.ConvTranspose1d(4, 3, 2, stride=2), (2, 4, 9))),
    ids=("conv2d", "conv_transpose1d"),
)
def test_explain_tells_who_computes_a_layer_of_torch(layer, shape):
    """torch itself; convext while it is enabled, but for what it does not serve."""
    x = torch.empty(shape)
    own = [call.problem for call in convext.explain(convext.convert(copy.deepcopy(layer)), x).calls]
    assert [call.label for call in convext.explain(layer, x).calls] == ["torch", "torch"]
    with convext.enabled():
        assert [call.problem for call in convext.explain(layer, x).calls] == own
        half = convext.explain(copy.deepcopy(layer).to(torch.float16), x.to(torch.float16))
        assert [call.label for call in half.calls] == ["torch", "torch"]


@pytest.mark.parametrize(
    "call, inputs",
    [
        (lambda: torch.ones(3), ()),
        (lambda x: x + 1, (torch.ones(3, dtype=torch.long),)),
        (lambda x: x.detach(), (torch.ones(3),)),
    ],
)
def test_explain_of_a_call_without_gradients(call, inputs):
    assert not convext.explain(call, *inputs).calls


@pytest.mark.parametrize(
    "inputs, keywords",
    [
        (lambda x: (x,), lambda x: {}),
        (lambda x: ([x, None],), lambda x: {}),
        (lambda x: ({"image": (x, 3)},), lambda x: {}),
        (lambda x: (), lambda x: {"images": {"image": x}}),
    ],
    ids=("plain", "list", "dict", "keyword"),
)
def test_explain_finds_the_tensors_in_its_inputs(inputs, keywords):
    """They are as fake as others, and gradients flow to them."""

    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = convext.Conv2d(3, 4, 3)

        def forward(self, images):
            (image,) = (t for t in torch.utils._pytree.tree_leaves(images) if isinstance(t, torch.Tensor))
            seen.append(image)
            return self.first(image)

    seen, x = [], torch.randn(2, 3, 9, 9)
    model = Nested()
    calls = convext.explain(model, *inputs(x), **keywords(x)).calls
    assert [call.problem for call in calls] == [
        call.problem for call in convext.explain(model.first, x).calls
    ]
    assert type(seen[0]) is FakeTensor and not x.requires_grad


def test_explain_computes_nothing():
    model = convext.convert(Net())
    x = torch.randn(2, 3, 9, 9)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x_before, state = x.clone(), torch.get_rng_state()
    explanation = convext.explain(model, x)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(x, x_before) and not x.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert "of PyTorch, on torch.bfloat16 on cpu" in str(explanation)


def test_isa():
    before = _C.isa()
    with convext.isa("scalar"):
        assert _C.isa() == "scalar"
        with pytest.raises(RuntimeError), convext.isa(before):
            raise RuntimeError
        assert _C.isa() == "scalar"
    assert _C.isa() == before
    with pytest.raises(ValueError, match="unknown instruction set 'sse9': use scalar, avx2 or avx512"):
        convext.set_isa("sse9")
    with pytest.raises(ValueError, match="unknown instruction set ''"), convext.isa(""):
        pass
    assert _C.isa() == before


@pytest.mark.parametrize(("size", "threads"), ((5, 1), (64, 2)))
def test_verbose_says_how_many_threads_ran(size, threads):
    code = f"""
        import torch, convext
        torch.set_num_threads(2)
        convext.conv2d(torch.ones(1, 8, {size}, {size}), torch.ones(8, 8, 3, 3))
    """
    assert f"| {threads} threads |" in run_python(code, CONVEXT_VERBOSE="1").stderr


def test_verbose_is_yes_or_no():
    wrong = run_python("import convext", CONVEXT_VERBOSE="yes", status=1)
    assert "ValueError: convext: CONVEXT_VERBOSE must be 0 or 1, not 'yes'" in wrong.stderr


def test_isa_from_the_environment():
    assert run_python("import convext; print(convext._C.isa())", CONVEXT_ISA="scalar").stdout == "scalar\n"
    wrong = run_python("import convext", CONVEXT_ISA="sse9", status=1)
    assert "unknown instruction set 'sse9'" in wrong.stderr


def test_show_config():
    with convext.isa("scalar"):
        config = convext.show_config()
    for text in (
        convext.__version__,
        torch.__version__,
        f"scalar (this machine: {_C.detected_isa()})",
        "libgomp",
    ):
        assert text in config


@pytest.mark.parametrize(
    ("pretend", "sentence"),
    [
        ("import platform; platform.machine = lambda: 'arm64'", "on x86-64 only; this is Linux on arm64."),
        ("import platform; platform.system = lambda: 'Darwin'", "on x86-64 only; this is Darwin on x86_64."),
        ("import torch; torch.__version__ = '2.99.1'", "was built with PyTorch"),
        ("import sys; sys.modules['torch'] = None", "needs PyTorch"),
        ("import sys; sys.modules['convext._build_info'] = None", "is not built yet"),
    ],
)  # fmt: skip
def test_one_sentence_before_the_extension_is_loaded(pretend, sentence):
    code = f"""
{pretend}
try:
    import convext
except ImportError as error:
    print(error)
import sys
print("convext._C" in sys.modules)
"""
    message, loaded = run_python(code).stdout.splitlines()
    assert sentence in message and loaded == "False"


class Tagged(torch.Tensor):
    """A subclass that keeps torch's default __torch_function__."""


def test_tensor_subclasses_and_modes_see_the_functions():
    class Spy(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    x, w = torch.randn(1, 2, 5, 5), torch.randn(3, 2, 3, 3)
    seen = []
    with Spy():
        convext.conv2d(x, w)
        convext.conv2d(x, w, padding="same")
        convext.conv_transpose2d(x, w.transpose(0, 1))
    assert seen[:2] == [convext.conv2d] * 2 and seen[-1] is convext.conv_transpose2d
    y = convext.conv2d(x.as_subclass(Tagged), w)
    assert type(y) is Tagged
    torch.testing.assert_close(y.as_subclass(torch.Tensor), F.conv2d(x, w))


@pytest.mark.parametrize(
    "arguments",
    [
        {"stride": numpy.int64(2)},
        {"stride": (numpy.int64(2), 1), "groups": numpy.int64(1)},
        {"padding": torch.tensor(1)},
        {"dilation": [torch.tensor(2)]},
        {"stride": None},
        {"stride": 1.5},
        {"padding": (1, 0.5)},
        {"groups": 1.0},
        {"dilation": True},
        {"bias": 1},
        {"colour": "red"},
    ],
    ids=str,
)
def test_arguments_of_any_type_are_taken_or_refused_as_by_torch(arguments):
    x, w = torch.randn(1, 2, 5, 5), torch.randn(3, 2, 3, 3)
    try:
        expected = F.conv2d(x, w, **arguments)
    except TypeError:
        with pytest.raises(TypeError):
            convext.conv2d(x, w, **arguments)
    else:
        torch.testing.assert_close(convext.conv2d(x, w, **arguments), expected)


def test_full_padding():
    x = torch.randn(1, 2, 6, 7)
    for dilation in (1, 2, (1, 3)):
        layer = convext.Conv2d(2, 3, (3, 2), padding="full", dilation=dilation)
        pair = dilation if isinstance(dilation, tuple) else (dilation, dilation)
        assert layer.padding == (2 * pair[0], pair[1])
        torch.testing.assert_close(
            layer(x), convext.conv2d(x, layer.weight, layer.bias, padding="full", dilation=dilation)
        )
        assert convext.revert(layer)(x).shape[2:] == (6 + 2 * pair[0], 7 + pair[1])
    with pytest.raises(ValueError, match="Invalid padding string 'fool'"):
        convext.Conv2d(2, 3, 3, padding="fool")
