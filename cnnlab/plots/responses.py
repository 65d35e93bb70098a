"""Figures of what the heads predict at angles and sizes between those they were trained on."""

from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb

from cnnlab import lines
from cnnlab.plots.palette import HEAD_COLORS, SMALL, spread
from cnnlab.validation import numbers

STYLES = ("-", "--", "-.", (0, (1, 1)))  # of curves in one panel


def angle_responses(angles, probabilities, title=""):
    """Draw what the angle head predicts at angles between the twelve it was trained on.

    Takes true angles (m,), 0..180 degrees, ascending, and (m, 12) mean softmax of each class, 0..1,
    or ValueError. At the left are all directions, a line at θ being the same as at θ + 180°; at the
    right 0..45°, with dots where two neighboring classes are equally probable.
    """
    angles = np.asarray(angles, float)
    probabilities = numbers("probabilities", probabilities, (len(angles), 12))
    figure = plt.figure(figsize=(8, 3.9))
    directions = figure.add_subplot(1, 2, 1, projection="polar")
    _draw_directions(directions, angles, probabilities)
    _draw_crossovers(figure.add_subplot(1, 2, 2), angles, probabilities)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _hues():
    """Return (12, 3) colors around the color circle, the bright ones darkened to show on white."""
    colors = plt.get_cmap("hsv")(np.arange(12) / 12)[:, :3]
    luminance = colors**2.2 @ (0.2126, 0.7152, 0.0722)
    return colors * np.minimum(1, 0.36 / luminance)[:, None] ** (1 / 2.2)


def _draw_directions(axis, angles, probabilities):
    turned = np.radians([*angles, *(angles + 180), angles[0] + 360])
    for curve, color in zip(probabilities.T, _hues(), strict=True):
        around = [*curve, *curve, curve[0]]
        axis.plot(turned, around, color=color, linewidth=1.3)
        axis.fill(turned, around, color=color, alpha=0.2, linewidth=0)
    ticks = np.arange(0, 360, 15)
    axis.set_thetagrids(ticks, [f"{a % 180}°" for a in ticks], fontsize=SMALL)
    axis.set(ylim=(0, 1), yticks=(0.5, 1), yticklabels=())


def _draw_crossovers(axis, angles, probabilities):
    for angle, curve, color in zip(lines.ANGLES, probabilities.T, _hues(), strict=True):
        shown = angle <= 45
        width, order = (1.8, 3) if shown else (0.8, 2)
        axis.plot(angles, curve, color=color, linewidth=width, zorder=order)
        if shown:
            side = {0: "left", 45: "right"}.get(angle, "center")
            axis.text(angle, 1.03, f"{angle}°", color=color, ha=side, weight="bold")
    crossings = []
    for left in range(3):
        axis.axvline(15 * left + 7.5, color="0.4", linestyle=":", linewidth=1)
        between = (angles >= 15 * left) & (angles <= 15 * left + 15)
        first, second = probabilities[between, left], probabilities[between, left + 1]
        for x in crossings_of(angles[between], second - first):
            height = np.interp(x, angles[between], first)
            axis.plot(x, height, "o", color="black", zorder=4, markersize=5)
            crossings.append(x)
    axis.set(xlim=(0, 45), ylim=(0, 1.12), xlabel="true angle", ylabel="mean softmax of each class")
    axis.set_xticks(np.arange(0, 46, 7.5), [f"{x:g}°" for x in np.arange(0, 46, 7.5)])
    where = ", ".join(f"{x:.1f}°" for x in crossings)
    axis.set_title(f"neighbors are equal at {where or 'no angle'}")


def crossings_of(x, heights):
    """Return where the polyline through (x, heights), both (m,), changes its sign."""
    above = heights >= 0
    before = np.flatnonzero(above[1:] != above[:-1])
    rise = heights[before + 1] - heights[before]
    return x[before] - heights[before] * (x[before + 1] - x[before]) / rise


def size_responses(lengths, length_curves, widths, width_curves):
    """Draw the probability of "long" against the drawn length, and of "thick" against the width.

    Lengths and widths are (m,) pixels, ascending; curves {name: (m,) mean probabilities 0..1}, or
    ValueError. Dots are where a curve crosses 0.5, which the legend gives in pixels; dotted
    verticals are at the two trained values.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8, 4.2), sharey=True)
    _draw_sizes(axes[0], "length", lengths, length_curves, lines.LENGTHS)
    _draw_sizes(axes[1], "width", widths, width_curves, lines.WIDTHS)
    return figure


def _draw_sizes(axis, head, pixels, curves, trained):
    pixels = np.asarray(pixels, float)
    looks = zip(_shades(HEAD_COLORS[head], len(curves)), cycle(STYLES), strict=False)
    for (name, curve), (shade, style) in zip(curves.items(), looks, strict=True):
        curve = numbers(f"{head} curve {name!r}", curve, pixels.shape)
        crossings = crossings_of(pixels, curve - 0.5)
        axis.plot(pixels, curve, linestyle=style, color=shade, label=f"{name}: {_half(crossings)}")
        axis.plot(crossings, np.full(len(crossings), 0.5), "o", color=shade, markersize=6)
    for value, name in zip(trained, lines.CLASS_NAMES[head], strict=True):
        axis.axvline(value, color="0.4", linestyle=":", linewidth=1, zorder=1)
        axis.text(value, 1.02, name, transform=axis.get_xaxis_transform(), ha="center")
    axis.axhline(0.5, color="0.4", linestyle="--", linewidth=1, zorder=1)
    axis.set(xlim=(pixels[0], pixels[-1]), ylim=(-0.02, 1.02))
    axis.set_ylabel(f"P({lines.CLASS_NAMES[head][1]})")
    axis.set_xlabel(f"drawn {head}, pixels (dotted: as trained)")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16))


def _half(crossings):
    if len(crossings) > 2:
        return f"half {len(crossings)} times, at {crossings[0]:.2f} … {crossings[-1]:.2f} pixels"
    where = " and ".join(f"{x:.2f}" for x in crossings)
    return f"half at {where} pixels" if where else "never half"


def _shades(color, count):
    """Return `count` RGB tuples from a darker to a lighter shade of a color."""
    return [tuple((1 - abs(m)) * np.array(to_rgb(color)) + max(0, m)) for m in spread(count, 1.2)]
