"""Wrong calls: whatever torch raises on that very call, in its type and its words."""

import pytest
import torch
from helpers.call import FUNCTIONS, compare, error_of, pair, same_error
from torch import nn

import convext

IMAGE, FILTERS = (1, 2, 8, 8), (4, 2, 3, 3)
ERRORS = {
    "channels": ((1, 3, 8, 8), FILTERS, None, {}),
    "channels-of-groups": ((1, 4, 8, 8), (4, 4, 3, 3), None, {"groups": 2}),
    "filters-of-groups": ((1, 4, 8, 8), (3, 2, 3, 3), None, {"groups": 2}),
    "kernel-too-big": ((1, 2, 4, 4), (4, 2, 5, 5), None, {}),
    "kernel-too-big-dilated": ((1, 2, 4, 4), (4, 2, 3, 3), None, {"dilation": 3, "padding": 1}),
    "stride-0": (IMAGE, FILTERS, None, {"stride": 0}),
    "stride-negative": (IMAGE, FILTERS, None, {"stride": (1, -1)}),
    "padding-negative": (IMAGE, FILTERS, None, {"padding": -1}),
    "dilation-0": (IMAGE, FILTERS, None, {"dilation": 0}),
    "groups-0": (IMAGE, FILTERS, None, {"groups": 0}),
    "groups-negative": (IMAGE, FILTERS, None, {"groups": -2}),
    "bias-size": (IMAGE, FILTERS, (3,), {}),
    "bias-2d": (IMAGE, FILTERS, (4, 1), {}),
    "bias-0d": (IMAGE, FILTERS, (), {}),
    "input-2d": ((4, 4), FILTERS, None, {}),
    "input-5d": ((1, 1, 2, 8, 8), FILTERS, None, {}),
    "weight-3d": (IMAGE, (4, 2, 3), None, {}),
    "weight-1d": (IMAGE, (4,), None, {}),
    "no-width": ((2, 2, 4, 0), FILTERS, None, {}),
    "stride-length": (IMAGE, FILTERS, None, {"stride": (1, 1, 1)}),
    "padding-length": (IMAGE, FILTERS, None, {"padding": (1, 1, 1)}),
    "dilation-length": (IMAGE, FILTERS, None, {"dilation": (1, 1, 1)}),
}  # fmt: skip
CONV_ONLY = {
    "padding-word": (IMAGE, FILTERS, None, {"padding": "nearly"}),
    "same-strided": (IMAGE, FILTERS, None, {"padding": "same", "stride": 2}),
}
TRANSPOSED_ONLY = {
    "output-padding-negative": (IMAGE, (2, 4, 3, 3), None, {"output_padding": -1}),
    "output-padding-large": (IMAGE, (2, 4, 3, 3), None, {"output_padding": 2, "stride": 2}),
    "no-result": ((1, 2, 1, 1), (2, 4, 1, 1), None, {"padding": 1}),
}


CASES = {
    "conv1d": ERRORS | CONV_ONLY,
    "conv2d": ERRORS | CONV_ONLY,
    "conv_transpose1d": ERRORS | TRANSPOSED_ONLY,
    "conv_transpose2d": ERRORS | TRANSPOSED_ONLY,
}


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in CASES.items() for case in cases])
def test_errors_are_torchs(name: str, case: str) -> None:
    x, w, b, keywords = CASES[name][case]
    if name.endswith("1d"):  # the same without the third dimension
        x, w = x[:2] + x[3:], w[:2] + w[3:]
        keywords = {k: v[1:] if isinstance(v, tuple) else v for k, v in keywords.items()}
    operands = torch.randn(x), torch.randn(w), None if b is None else torch.randn(b)
    ours, torchs = pair(name, **keywords)
    if error_of(torchs, *operands) is None:  # no error for this function
        compare(ours, torchs, list(operands))
    else:
        same_error(ours, torchs, *operands)


DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64, torch.int64)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_mixed_dtypes_do_what_torch_does(name: str) -> None:
    n = int(name[-2])
    ours, torchs = pair(name)
    for x_dtype in DTYPES:
        for w_dtype in DTYPES:
            for b_dtype in (None, *DTYPES):
                if x_dtype == w_dtype and b_dtype in (None, x_dtype):
                    continue
                x = torch.ones(2, 3, *(5, 6)[:n], dtype=x_dtype)
                w = torch.ones(3, 3, *(3, 2)[:n], dtype=w_dtype)
                b = None if b_dtype is None else torch.ones(3, dtype=b_dtype)
                if error_of(torchs, x, w, b) is None:
                    assert torch.equal(ours(x, w, b), torchs(x, w, b))
                else:
                    same_error(ours, torchs, x, w, b)


@pytest.mark.parametrize(
    "keywords",
    ({"stride": None}, {"stride": 1.5}, {"padding": None}, {"dilation": "2"}, {"groups": 1.0}, {"colour": 1}),
    ids=lambda keywords: "-".join(map(str, next(iter(keywords.items())))),
)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_of_a_wrong_type_are_type_errors(name: str, keywords: dict) -> None:
    """As torch's; the text names the signature, which is another one here."""
    n = int(name[-2])
    ours, torchs = pair(name, **keywords)
    operands = torch.randn(1, 2, *(4, 4)[:n]), torch.randn(2, 2, *(3, 3)[:n])
    assert type(error_of(torchs, *operands)) is TypeError
    assert type(error_of(ours, *operands)) is TypeError


CONSTRUCTOR_ERRORS = {
    "groups-0": ((4, 4, 3), {"groups": 0}),
    "groups-negative": ((4, 4, 3), {"groups": -1}),
    "in-channels": ((3, 4, 3), {"groups": 2}),
    "out-channels": ((4, 3, 3), {"groups": 2}),
    "padding-word": ((4, 4, 3), {"padding": "foo"}),
    "same-strided": ((4, 4, 3), {"padding": "same", "stride": 2}),
    "padding-mode": ((4, 4, 3), {"padding_mode": "mirror"}),
    "transposed-padding-mode": ((4, 4, 3), {"padding_mode": "reflect"}),
}


@pytest.mark.parametrize("case", CONSTRUCTOR_ERRORS)
@pytest.mark.parametrize("layer", ("Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"))
def test_errors_of_constructors_are_torchs(layer: str, case: str) -> None:
    arguments, keywords = CONSTRUCTOR_ERRORS[case]
    ours, theirs = getattr(convext, layer), getattr(nn, layer)
    if error_of(theirs, *arguments, **keywords) is None:
        assert repr(ours(*arguments, **keywords)) == repr(theirs(*arguments, **keywords))
    else:
        same_error(ours, theirs, *arguments, **keywords)


@pytest.mark.parametrize(
    ("weight", "keywords"),
    (((4, 2), {}), ((4, 2, 3), {"stride": (1, 1, 1)}), ((4, 2, 3), {"dilation": (2, 2)})),
    ids=("weight-2d", "stride-length", "dilation-length"),
)
def test_full_padding_is_not_blamed_for_other_errors(
    weight: tuple[int, ...], keywords: dict[str, object]
) -> None:
    operands = torch.randn(1, 2, 8), torch.randn(weight)
    (ours, _), (_, torchs) = pair("conv1d", padding="full", **keywords), pair("conv1d", **keywords)
    same_error(ours, torchs, *operands)
