"""The problems that every algorithm is tested on: what real networks contain, the corners, and the tails."""

from __future__ import annotations

from dataclasses import replace

from helpers.problem import PASSES, Problem, conv1d, conv2d

SAME = ((1, 1), (1, 1))

ONE_DIMENSIONAL = [
    conv1d(1, 1, 5, 3, padding=(2, 2)),  # full
    conv1d(5, 7, 33, 1, n=3),
    conv1d(16, 24, 40, 1, stride=2, n=2),
    conv1d(6, 10, 33, 3, padding=(1, 1), n=2),
    conv1d(8, 8, 70, 3, dilation=8, padding=(16, 0), n=2),  # causal, dilated
    conv1d(1, 16, 60, 10, stride=5),
    conv1d(4, 4, 50, 31, padding=(15, 15)),
    conv1d(12, 12, 29, 4, g=12, padding=(3, 0), n=2),  # causal depthwise
    conv1d(8, 8, 40, 31, g=8, padding=(15, 15)),
    conv1d(5, 10, 70, 35, g=5, dilation=2, padding=(68, 0), n=2),  # causal, taps of several vectors
    conv1d(7, 7, 300, 5, g=7, dilation=3, padding=(6, 6)),
    conv1d(8, 8, 24, 6, g=2, stride=2, dilation=3, padding=(8, 7)),
    conv1d(2, 3, 4, 4),  # one output
]

TWO_DIMENSIONAL = [
    conv2d(1, 1, (9, 9), (3, 3), stride=(2, 2)),
    conv2d(8, 16, (7, 9), (1, 1), n=2),
    conv2d(17, 5, (8, 8), (1, 1), stride=(2, 2), n=2),
    conv2d(6, 9, (5, 6), (1, 1), padding=((1, 2), (0, 3))),
    conv2d(4, 6, (8, 9), (1, 1), g=2),
    conv2d(8, 14, (10, 17), (3, 3), padding=SAME, n=2),
    conv2d(7, 10, (11, 13), (3, 3), stride=(2, 2), padding=SAME, n=2),
    conv2d(3, 16, (21, 19), (7, 7), stride=(2, 2), padding=((3, 3), (3, 3))),  # stem
    conv2d(3, 5, (12, 15), (4, 4), stride=(4, 4)),  # patches
    conv2d(2, 3, (11, 16), (2, 2), stride=(3, 5)),  # rows and columns that nothing reads
    conv2d(4, 6, (14, 15), (3, 3), dilation=(2, 3), padding=((2, 2), (3, 3))),
    conv2d(3, 4, (13, 14), (3, 2), stride=(2, 3), dilation=(3, 2), padding=((2, 3), (1, 0)), n=2),
    conv2d(5, 4, (6, 7), (4, 2), padding=((1, 2), (0, 1))),  # same, even kernel
    conv2d(3, 4, (5, 6), (3, 4), padding=((2, 2), (3, 3))),  # full
    conv2d(3, 4, (4, 3), (3, 3), padding=((5, 6), (7, 4))),  # pixels that see only padding
    conv2d(6, 6, (9, 8), (5, 1), padding=((2, 2), (0, 0))),
    conv2d(6, 6, (9, 8), (1, 5), padding=((0, 0), (2, 2))),
    conv2d(4, 6, (19, 1), (3, 1), padding=((1, 1), (0, 0))),
    conv2d(3, 2, (6, 5), (6, 5), n=3),  # one output pixel
    conv2d(8, 6, (4, 5), (4, 5), g=2, n=3),
    conv2d(3, 3, (7, 7), (7, 7), g=3, n=3),
    conv2d(2, 3, (3, 9), (3, 3), stride=(3, 3)),
    conv2d(8, 12, (9, 10), (3, 3), g=4, padding=SAME, n=2),
    conv2d(12, 9, (9, 10), (3, 3), g=3, stride=(2, 1), padding=SAME),
    conv2d(7, 7, (9, 21), (3, 3), g=7, padding=SAME, n=2),
    conv2d(5, 5, (11, 12), (3, 3), g=5, stride=(2, 2), padding=((0, 1), (0, 1)), n=2),
    conv2d(4, 4, (12, 13), (5, 5), g=4, stride=(3, 2), padding=((2, 2), (2, 2))),
    conv2d(8, 8, (31, 31), (5, 5), g=8, stride=(3, 3)),  # classes of one and two taps
    conv2d(16, 16, (1, 60), (1, 3), g=16, stride=(3, 1), padding=SAME),  # a single row, of padding
    conv2d(3, 3, (16, 17), (7, 7), g=3, padding=((3, 3), (3, 3))),
    conv2d(3, 3, (14, 15), (3, 3), g=3, dilation=(2, 4), padding=((2, 2), (4, 4))),
    conv2d(3, 3, (2, 3), (2, 2), g=3, dilation=(10, 10), padding=((5, 5), (5, 5))),  # all taps read padding
    conv2d(3, 3, (2, 9), (2, 3), g=3, dilation=(10, 1), padding=((5, 5), (1, 1))),  # all rows of taps do
    conv2d(4, 5, (2, 9), (2, 3), dilation=(10, 1), padding=((5, 5), (1, 1)), n=2),
    conv2d(3, 6, (8, 9), (3, 3), g=3, padding=SAME, n=2),  # multiplier
    conv2d(2, 6, (9, 11), (3, 4), g=2, stride=(1, 2), padding=((0, 2), (3, 1))),
    conv2d(6, 2, (9, 11), (3, 3), g=2, padding=SAME),
    conv2d(4, 4, (8, 8), (1, 1), g=4, stride=(2, 2)),
]

# Sizes that no plain convolution has, but a transposed one or a derivative does: an input that reaches
# further than any tap (output_padding), fewer outputs than fit, images cropped by negative padding.
UNUSUAL = [
    replace(conv2d(4, 3, (11, 12), (3, 3), stride=(4, 4)), ih=14, iw=15),
    replace(conv2d(4, 3, (11, 12), (1, 1)), oh=7, ow=5),
    replace(conv2d(3, 4, (11, 12), (3, 3), padding=SAME), oh=4, ow=6),
    replace(conv2d(3, 3, (9, 9), (3, 3), g=3, padding=SAME), oh=3, ow=12),
    conv2d(3, 4, (9, 10), (3, 3), padding=((-1, -2), (-2, 1))),
    conv2d(3, 3, (9, 10), (3, 3), g=3, padding=((-1, 0), (2, -1))),
    conv2d(5, 4, (9, 10), (1, 1), padding=((-1, -2), (-3, 1))),
]

PADDING_MODES = [
    replace(problem, mode=mode)
    for mode in ("reflect", "replicate", "circular")
    for problem in (
        conv1d(3, 4, 9, 5, padding=(3, 2), n=2),
        conv1d(6, 6, 17, 3, g=6, dilation=2, padding=(4, 0)),
        conv2d(4, 5, (7, 20), (3, 3), padding=SAME, n=2),
        conv2d(3, 4, (6, 7), (3, 4), stride=(2, 1), dilation=(1, 2), padding=((2, 1), (5, 4))),
        conv2d(8, 8, (30, 30), (3, 3), g=8, stride=(2, 2), padding=SAME),
        conv2d(5, 6, (6, 7), (1, 1), padding=((1, 1), (2, 0))),
        conv2d(3, 6, (8, 9), (5, 5), g=3, padding=((2, 2), (2, 2))),
        conv2d(2, 4, (9, 8), (3, 3), padding=((-1, 2), (1, -2))),
    )
]

LAYOUTS = [
    replace(problem, input=input_, weight=weight, output=output)
    for input_, weight, output in (
        ("nhwc", "nhwc", "nhwc"),
        ("nhwc", "nchw", "nhwc"),
        ("nchw", "nhwc", "nchw"),
        ("nhwc", "nchw", "nchw"),
    )
    for problem in (
        conv2d(8, 10, (7, 8), (3, 3), padding=SAME, n=2),
        conv2d(9, 6, (6, 7), (1, 1), n=2),
        conv2d(6, 6, (9, 8), (3, 3), g=6, stride=(2, 2), padding=SAME),
        conv2d(19, 19, (8, 17), (5, 5), g=19, padding=((2, 2), (2, 2)), n=2),
        conv2d(7, 6, (3, 4), (3, 4), n=2),
        conv2d(8, 6, (4, 4), (4, 4), g=2, n=2),
    )
]

# Dilation that is wide against the image: taps that read padding are left out, pixel by pixel.
WIDE_DILATION = [
    conv1d(6, 7, 40, 3, dilation=30, padding=(60, 0), n=2),
    conv1d(5, 6, 9, 3, dilation=9, padding=(9, 9)),  # only one tap is left
    conv2d(5, 19, (9, 10), (3, 3), dilation=(6, 7), padding=((6, 6), (7, 7)), n=2),
    conv2d(3, 6, (33, 35), (3, 3), stride=(2, 3), dilation=(18, 17), padding=((18, 18), (17, 17))),
    conv2d(4, 5, (7, 8), (2, 3), dilation=(12, 5), padding=((12, 12), (9, 2))),  # pixels without a tap
]

# Large enough to be cut: sums in chunks of pixels, planes, dilated images and patches in blocks.
SEVERAL_BLOCKS = [
    conv2d(200, 210, (5, 7), (1, 1), g=2, n=3),
    conv2d(40, 70, (17, 19), (1, 1), n=3),
    conv2d(40, 70, (17, 19), (3, 3), padding=SAME, n=3),
    conv1d(2, 4, 2500, 20, g=2, padding=(19, 0), n=6),
    conv2d(2, 2, (100, 131), (9, 4), g=2, stride=(2, 2), padding=((2, 0), (2, 0))),  # a row, a column unread
    conv2d(8, 20, (54, 54), (3, 3), dilation=(6, 6), padding=((6, 6), (6, 6))),
    conv2d(2, 5, (118, 82), (2, 2), stride=(3, 2), padding=((1, 0), (0, 1))),
    conv2d(2, 4, (18, 90), (9, 9), padding=((4, 4), (4, 4))),
    conv2d(1, 3, (260, 150), (7, 7), stride=(4, 4)),  # rows of pixels beyond the first cache
    conv1d(2, 4, 1500, 40, padding=(20, 19)),
    conv1d(2, 20, 40, 33, padding=(620, 0)),  # columns that read nothing
]

LONG_ROWS = conv2d(2, 3, (3, 4200), (1, 3), padding=((0, 0), (1, 1)))

# One dimension at a time, from one to beyond two of the widest register tiles.
WIDTHS = (*range(1, 19), 23, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65, 95, 96, 97, 127, 128, 129, 131)
CHANNELS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 19, 27, 28, 29, 32, 33, 48, 49, 65)
TAILS = [
    *(conv2d(3, 10, (2, w), (3, 3), padding=SAME) for w in WIDTHS),
    *(conv2d(4, 9, (1, w), (1, 1), n=2) for w in WIDTHS),
    *(conv2d(2, 2, (3, w), (3, 3), g=2, padding=SAME) for w in WIDTHS),
    *(conv1d(2, 7, 2 * w + 1, 3, stride=2, padding=(0, 1)) for w in WIDTHS),
    *(conv1d(3, 3, w, 20, g=3, padding=(9, 10)) for w in WIDTHS),
    *(conv2d(2, oc, (4, 5), (3, 3), padding=SAME) for oc in CHANNELS),
    *(conv2d(3, oc, (3, 7), (1, 1), n=2) for oc in CHANNELS),
    *(conv2d(ic, 2, (4, 5), (3, 3), padding=SAME) for ic in CHANNELS),
    *(conv2d(ic, 3, (3, 7), (1, 1), n=2) for ic in CHANNELS),
    *(conv1d(c, 2 * c, 11, 3, g=c, padding=(1, 1)) for c in CHANNELS),
    *(conv2d(c, c, (4, 5), (3, 3), g=c, padding=SAME, n=2) for c in CHANNELS),
]

CHANNELS_LAST = {"input": "nhwc", "weight": "nhwc", "output": "nhwc"}

# Images beyond 16 MiB, which depthwise kernels read ahead: every edge of a tile, with rows along and down.
FROM_MEMORY = [
    conv2d(40, 40, (251, 249), (3, 3), g=40, padding=SAME, **CHANNELS_LAST),
    conv2d(80, 80, (251, 249), (3, 3), stride=(2, 2), g=80, padding=SAME, **CHANNELS_LAST),
    conv2d(96, 96, (161, 159), (3, 3), g=96, padding=SAME, **CHANNELS_LAST),
    conv2d(40, 40, (251, 249), (3, 3), g=40, padding=SAME),
    conv2d(48, 48, (251, 249), (3, 4), stride=(2, 2), g=48, padding=SAME, n=2),
    conv2d(690, 690, (14, 14), (3, 3), g=690, padding=SAME, n=32),  # several images of a plane at once
    conv2d(40, 40, (251, 256), (3, 3), g=40, padding=SAME),  # stored past the caches, in whole lines
    conv2d(48, 48, (251, 256), (3, 4), stride=(2, 2), g=48, padding=SAME, n=2),
]
PIXELS_TIMES_CHANNELS = [
    conv2d(100, 18, (7, 8), (3, 3), padding=SAME, n=2),  # summed by tap
    conv2d(18, 100, (7, 8), (3, 3), stride=(2, 2), padding=SAME, n=2),
    conv2d(50, 50, (9, 10), (3, 3), dilation=(6, 7), padding=((6, 6), (7, 7))),  # taps that are left out
    conv2d(18, 18, (24, 20), (3, 3), dilation=(16, 9), padding=((16, 16), (9, 9)), n=2),  # in whole blocks
    conv2d(3, 20, (8, 12), (4, 4), stride=(4, 4), n=2),  # pixels that are one
    conv2d(20, 20, (16, 16), (8, 8), stride=(8, 8), n=2),
    conv2d(129, 128, (5, 5), (3, 3), padding=SAME),  # input channels in blocks
    conv2d(16500, 2, (2, 4), (2, 2), stride=(2, 2)),  # in blocks though nothing is copied
    conv2d(17, 20, (13, 17), (1, 1)),  # two blocks of pixels, with weights of their own
    conv2d(150, 20, (23, 29), (1, 1), n=2),  # more, which share them, and sums of parts of the channels
    conv2d(12, 24, (23, 29), (1, 1), g=2),
    conv2d(512, 512, (3, 19), (3, 3), g=512, padding=SAME),  # pixels of half a page: narrower tiles
]


def _all_passes(problems: list[Problem], dtypes: tuple[str, ...]) -> list[Problem]:
    """Each problem for each pass and dtype; every other one has a bias."""
    return [
        problem.on(pass_, dtype, bias=(i + j) % 2)
        for i, problem in enumerate(problems)
        for j, pass_ in enumerate(PASSES)
        for dtype in dtypes
    ]


GRID = list(
    dict.fromkeys(
        _all_passes(
            ONE_DIMENSIONAL
            + TWO_DIMENSIONAL
            + UNUSUAL
            + PADDING_MODES
            + LAYOUTS
            + WIDE_DILATION
            + SEVERAL_BLOCKS,
            ("f32", "f64"),
        )
        + _all_passes(
            [
                replace(p, **CHANNELS_LAST)
                for p in TWO_DIMENSIONAL + UNUSUAL + PADDING_MODES + SEVERAL_BLOCKS + PIXELS_TIMES_CHANNELS
            ],
            ("f32", "f64"),
        )
        + _all_passes(TAILS + [replace(p, **CHANNELS_LAST) for p in TAILS if p.kh * p.ih > 1], ("f32",))
    )
)

# Large enough that a root of a mean square says something, and that sums are long.
LARGE = [
    conv1d(64, 128, 100, 1, n=4),
    conv1d(32, 32, 128, 3, dilation=4, padding=(4, 4), n=4),
    conv1d(8, 8, 200, 31, g=8, padding=(15, 15), n=2),
    conv2d(256, 64, (14, 14), (1, 1), n=2),
    conv2d(64, 128, (14, 14), (1, 1), stride=(2, 2), n=2),
    conv2d(64, 64, (14, 14), (3, 3), padding=SAME, n=2),
    conv2d(32, 48, (15, 15), (3, 3), stride=(2, 2), padding=SAME, n=4),
    conv2d(3, 32, (33, 33), (7, 7), stride=(2, 2), padding=((3, 3), (3, 3)), n=2),
    conv2d(32, 32, (28, 28), (3, 3), g=32, padding=SAME, n=4),
    conv2d(16, 32, (20, 20), (5, 5), g=16, padding=((2, 2), (2, 2)), n=2),
    conv2d(64, 64, (10, 10), (3, 3), g=16, padding=SAME, n=2),
]
# Channels last is left to converted copies where channels do not fill the lanes.
ACCURACY = [
    problem.on(pass_, dtype)
    for problem in LARGE + [replace(p, **CHANNELS_LAST) for p in LARGE if p.ic // p.g >= 16]
    for pass_ in PASSES
    for dtype in ("f32", "f64")
]
