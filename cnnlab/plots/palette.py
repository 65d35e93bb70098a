"""The colors and small text of all figures, and the helpers that several figures share."""

import numpy as np

from cnnlab import lines

# Four of Okabe and Ito's colors, which people with color-blindness can tell apart.
HEAD_COLORS = dict(zip(lines.HEADS, ("#0072B2", "#D55E00", "#009E73", "#CC79A7"), strict=True))
JOINT_COLOR = "#000000"  # all four heads right at once
SMALL = 8.5  # points, the smallest text


def spread(count, width):
    """Return (count,) numbers evenly around 0: the middles of that many parts of a width."""
    return width * ((np.arange(count) + 0.5) / count - 0.5)


def label_height(axis, height, text):
    """Write `text` at the right of the panel, at a height on its y-axis."""
    axis.text(1.01, height, text, va="center", fontsize=SMALL, transform=axis.get_yaxis_transform())


def tick_log(scale, places, zero=None):
    """Tick a log axis at `places`, named where there is room, and at `zero`, named 0."""
    named = [places[-1]]
    for place in places[::-1]:
        if np.log(named[-1] / place) > 0.14 * np.log(places[-1] / places[0]):
            named.append(place)
    names = {} if zero is None else {zero: "0"}
    names |= {place: f"{place:,.6g}" if place in named else "" for place in places}
    scale.set_ticks([], minor=True)
    scale.set_ticks(list(names), names.values(), fontsize=SMALL)
