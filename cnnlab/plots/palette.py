"""The colors and small text of all figures, and the helpers that several figures share."""

import numpy as np

from cnnlab import lines

# Okabe and Ito's colors, which people with color-blindness can tell apart.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY_BLUE, BLACK = "#E69F00", "#56B4E9", "#000000"
VIOLET, GRAY = "#6A3D9A", "0.55"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY_BLUE, BLACK)  # of curves, one after another
# Each color has a mark of its own, by which it is known in print without color.
MARKERS = dict(zip((*CYCLE, VIOLET, GRAY), "os^DvPX<>", strict=True))

HEAD_COLORS = dict(zip(lines.HEADS, (BLUE, VERMILION, GREEN, PURPLE), strict=True))
NAMED_COLORS = HEAD_COLORS | {"joint": BLACK}  # joint: all four heads at once
OTHER_COLORS = (ORANGE, SKY_BLUE, "0.45", VIOLET)  # next to those of the heads
LAYER_COLORS = {
    "input": BLACK,
    "convolution": BLUE,
    "dense": ORANGE,
    "normalization": GREEN,
    "pooling": PURPLE,
    "other": "0.6",
    "head": VERMILION,
}
# Of the checks of heatmaps: correlation with and without sign; the map and its controls; methods.
SIGNED, ABSOLUTE = BLUE, VERMILION
MAP, RANDOM, DISPLACED = BLUE, ORANGE, BLACK
METHOD_COLORS = {
    "grad-cam": BLUE,
    "grad-cam++": VERMILION,
    "layercam": GREEN,
    "gradients": ORANGE,
    "smoothgrad": PURPLE,
    "integrated-gradients": SKY_BLUE,
    "occlusion": BLACK,
    "score-cam": VIOLET,
    "contrast": GRAY,
}

SMALL = 9  # points, the smallest text: 7 where a page is four fifths as wide as the figure


def spread(count, width):
    """Return (count,) numbers evenly around 0: the middles of that many parts of a width."""
    return width * ((np.arange(count) + 0.5) / count - 0.5)


def label_height(axis, height, text):
    """Write `text` at the right of the panel, at a height on its y-axis."""
    axis.text(1.01, height, text, va="center", fontsize=SMALL, transform=axis.get_yaxis_transform())


def tick_log(scale, values, zero=None):
    """Tick a log axis at `values`, named where there is room, and at `zero`, named 0."""
    named = [values[-1]]
    for value in values[::-1]:
        if np.log(named[-1] / value) > 0.14 * np.log(values[-1] / values[0]):
            named.append(value)
    names = {} if zero is None else {zero: "0"}
    names |= {value: f"{value:,.6g}" if value in named else "" for value in values}
    scale.set_ticks([], minor=True)
    scale.set_ticks(list(names), names.values(), fontsize=SMALL)
