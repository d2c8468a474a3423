"""Models that others wrote, of images, sound and text, with random weights: the same before and after.

They come from the libraries of the test extra, by their default configurations; only what makes them large
without another convolution in it (the number of blocks, the vocabulary) is made smaller.
"""

import copy
import itertools
from collections.abc import Callable

import pytest
import torch
from helpers.call import ran, torchs_kernels
from helpers.reference import rms
from torch import Tensor, nn

import convext
from convext.conversion import is_converted, why_not

transformers = pytest.importorskip("transformers")
diffusers = pytest.importorskip("diffusers")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # theirs
]


def image(size: int = 64) -> dict[str, Tensor]:
    return {"pixel_values": torch.randn(2, 3, size, size)}


def sound(samples: int = 2000) -> dict[str, Tensor]:
    return {"input_values": torch.randn(2, samples)}


def text(words: int = 12) -> dict[str, Tensor]:
    return {"input_ids": torch.randint(0, 100, (2, words))}


def wave() -> dict[str, Tensor]:
    return {"input_values": torch.randn(2, 1, 2000)}


def speech() -> dict[str, Tensor]:
    return {
        "input_features": torch.randn(1, 80, 3000),
        "decoder_input_ids": torch.ones(1, 4, dtype=torch.long),
    }


def noise() -> dict[str, Tensor]:
    return {"sample": torch.randn(2, 3, 32, 32)}


FEW = {"num_hidden_layers": 2}
WHISPER = {"encoder_layers": 1, "decoder_layers": 1, "vocab_size": 100, "decoder_start_token_id": 1}
WHISPER |= {"pad_token_id": 1, "bos_token_id": 1, "eos_token_id": 1}
UNET = {"block_out_channels": (32, 64), "norm_num_groups": 8}
UNET |= {
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
}
# architecture: the model's input, and what of its configuration is not the default
TRANSFORMERS = {
    "ResNet": (image, {}),
    "ConvNext": (image, {}),
    "ConvNextV2": (image, {}),
    "MobileNetV1": (image, {}),
    "MobileNetV2": (image, {}),
    "RegNet": (image, {}),
    "Bit": (image, {}),
    "EfficientNet": (image, {}),
    "PoolFormer": (image, {}),
    "Segformer": (image, {}),
    "Cvt": (image, {}),
    "ViT": (lambda: image(224), FEW),
    "Wav2Vec2": (sound, FEW),
    "Hubert": (sound, FEW),
    "WavLM": (sound, FEW),
    "Data2VecAudio": (sound, FEW),
    "SEW": (sound, FEW),
    "Encodec": (wave, {}),
    "Dac": (wave, {"decoder_hidden_size": 256}),
    "Whisper": (speech, WHISPER),
    "Mamba": (text, FEW | {"vocab_size": 100}),
    "SqueezeBert": (text, FEW | {"vocab_size": 100}),
    "ConvBert": (text, FEW | {"vocab_size": 100}),
}
DIFFUSERS = {
    "UNet2DModel": (noise, {"sample_size": 32} | UNET),
    "AutoencoderKL": (noise, {}),
}


def made(name: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """The model and its input."""
    torch.manual_seed(0)
    if name in TRANSFORMERS:
        create, changes = TRANSFORMERS[name]
        configuration = getattr(transformers, f"{name}Config")(**changes)
        model = getattr(transformers, f"{name}Model")(configuration)
    else:
        create, changes = DIFFUSERS[name]
        model = getattr(diffusers, name)(**changes)
    inputs = create()
    if name == "UNet2DModel":
        inputs["timestep"] = torch.tensor(7)
    return model.eval(), inputs


def outputs(model: nn.Module, inputs: dict[str, Tensor], dtype: torch.dtype) -> list[Tensor]:
    """All tensors of numbers that the model returns for its input in this dtype."""
    given = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
    leaves = torch.utils._pytree.tree_leaves(tuple(model(**given).values()))
    return [t for t in leaves if isinstance(t, Tensor) and t.is_floating_point()]


def with_gradients(model: nn.Module, inputs: dict[str, Tensor]) -> list[Tensor]:
    """The outputs in float64, and the gradients of the parameters: a difference is a bug, not rounding."""
    results = outputs(model, inputs, torch.float64)
    ends = [t for t in results if t.requires_grad]
    parameters = [p for p in model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(sum(t.square().mean() for t in ends), parameters, allow_unused=True)
    return [t.detach() for t in (*results, *gradients) if t is not None]


@pytest.mark.parametrize("name", [*TRANSFORMERS, *DIFFUSERS])
def test_the_same_before_and_after(name: str) -> None:
    torch.set_num_threads(2)
    model, inputs = made(name)
    single = outputs(model, inputs, torch.float32)
    single_state = copy.deepcopy(model.state_dict())
    model = model.double()
    expected, keys = with_gradients(model, inputs), list(model.state_dict())

    with convext.enabled():
        compare(with_gradients(model, inputs), expected)
        assert torchs_kernels(ran(lambda: with_gradients(model, inputs))) == []

    classes = [type(module) for module in model.modules()]
    convext.convert(model)
    assert any(map(is_converted, model.modules())) or name == "Bit"  # whose layers are all subclasses
    assert list(model.state_dict()) == keys
    compare(with_gradients(model, inputs), expected)
    if name != "Mamba":  # it also calls torch.nn.functional, which enable() reaches, but convert cannot
        check_who_computes(model, lambda: with_gradients(model, inputs))

    model = model.float()
    model.load_state_dict(single_state)
    check_single_precision(outputs(model, inputs, torch.float32), single, expected)

    convext.revert(model)
    assert [cls.__name__ for cls in classes] == [type(module).__name__ for module in model.modules()]
    compare(outputs(model, inputs, torch.float32), single, exactly=True)


def compare(results: list[Tensor], wanted: list[Tensor], exactly: bool = False) -> None:
    assert len(results) == len(wanted)
    for result, expected in zip(results, wanted, strict=True):
        if exactly:
            assert torch.equal(result, expected)
        else:
            scale = expected.abs().max().item()
            torch.testing.assert_close(result, expected, rtol=0, atol=1e-10 * max(scale, 1e-6))


def check_who_computes(model: nn.Module, run: Callable[[], object]) -> None:
    """All but the layers that are left alone is convext's."""
    left = [m for m in model.modules() if isinstance(m, nn.modules.conv._ConvNd) and not is_converted(m)]
    assert all(why_not(m) for m in left)
    if not left:
        assert torchs_kernels(ran(run)) == []


def check_single_precision(ours: list[Tensor], torchs: list[Tensor], exact: list[Tensor]) -> None:
    """The rounding errors of a whole network in float32 are at most twice torch's."""
    for a, b, wanted in zip(ours, torchs, itertools.islice(exact, len(ours)), strict=True):
        errors = [rms((t.detach().double() - wanted).numpy()) for t in (a, b)]
        assert errors[0] <= 2 * errors[1]
