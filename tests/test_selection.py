"""Which algorithm a problem gets, where the rules of several meet."""

import pytest
from helpers.problem import Problem, conv1d, conv2d
from helpers.run import ISAS

from convext import _C

STRIDE = (2, 2)


def chosen(problem: Problem, isa: str) -> str:
    return _C.plan(str(problem), isa)["algorithm"]


def depthwise(size: int, taps: int) -> Problem:
    """Of stride 2."""
    pad = (taps // 2, taps // 2)
    return conv2d(64, 64, (size, size), (taps, taps), g=64, stride=STRIDE, padding=(pad, pad), n=4)


@pytest.mark.parametrize("isa", ISAS)
def test_a_row_is_a_line_whatever_its_stride_across(isa: str) -> None:
    line = conv1d(64, 64, 300, 31, g=64, stride=2, padding=(15, 15), n=4)
    row = conv2d(64, 64, (1, 300), (1, 31), g=64, stride=STRIDE, padding=((0, 0), (15, 15)), n=4)
    for pass_ in ("output", "input_grad", "weight_grad"):
        assert chosen(row.on(pass_), isa) == chosen(line.on(pass_), isa)


@pytest.mark.parametrize("taps", (3, 5, 7, 9, 11))
def test_rows_that_fill_their_lanes_are_shared(taps: int) -> None:
    """Input gradients of stride 2, however many taps the rule for channels in the lanes would have."""
    for size in (32, 64, 128):
        assert chosen(depthwise(size, taps).on("input_grad"), "avx512") == "depthwise_rows"


@pytest.mark.parametrize("isa", ("avx2", "avx512"))
def test_channels_fill_the_lanes_of_weight_gradients_with_strides(isa: str) -> None:
    for size, taps in ((14, 3), (28, 3), (14, 5), (56, 5), (56, 7)):
        assert chosen(depthwise(size, taps).on("weight_grad"), isa) == "depthwise_channels"
    assert chosen(depthwise(128, 3).on("weight_grad"), isa) == "depthwise"


PIXELS_IN_THE_LANES = [
    conv2d(3, 64, (112, 112), (3, 3), stride=STRIDE, padding=((1, 1), (1, 1)), n=4),
    conv2d(1, 128, (56, 56), (3, 3), padding=((1, 1), (1, 1)), n=4),
    conv1d(8, 64, 4000, 3, padding=(1, 1), n=4),
    conv1d(12, 48, 4000, 1, n=4),
]


@pytest.mark.parametrize("isa", ("avx2", "avx512"))
@pytest.mark.parametrize("problem", PIXELS_IN_THE_LANES, ids=str)
def test_few_rows_of_taps_and_idle_lanes_put_pixels_there(problem: Problem, isa: str) -> None:
    assert chosen(problem.on("weight_grad"), isa) == "grouped"


def test_idle_lanes_of_a_scalar_are_none() -> None:
    assert chosen(conv1d(9, 48, 4000, 1, n=4).on("weight_grad"), "scalar") == "pointwise"


def test_images_are_cut_where_all_would_be_one_task_and_not_to_pieces() -> None:
    def images(problem: Problem) -> int:
        plan = _C.plan(str(problem.on("weight_grad")), "avx512", "grouped")
        return int(plan["blocks"]["images"])

    small = conv2d(3, 64, (20, 20), (3, 3), padding=((1, 1), (1, 1)), n=4)
    assert images(small) == 2
    many = conv2d(256, 8, (14, 14), (3, 3), padding=((1, 1), (1, 1)), n=64)  # its channels are tasks already
    assert images(many) * 14 * 14 >= 1024
