"""How well stated confidence agrees with how often answers are right.

Heads have the colors that they have in `palette`.
"""

from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np

from cnnlab import metrics
from cnnlab.plots.palette import HEAD_COLORS, JOINT_COLOR, SMALL

NAMED_COLORS = HEAD_COLORS | {"joint": JOINT_COLOR}
OTHER_COLORS = ("#E69F00", "#56B4E9", "0.45", "#6A3D9A")  # of curves with other names
LEAST_DOUBT = 1e-7  # what float32 can tell from 0
LEAST_IMAGES = 20  # in a bin of a reliability diagram


def doubt_bins(confidence, right):
    """Group answers by their stated doubt, 1 - confidence, in steps of half a decade.

    A bin of fewer than 20 images is joined to the next one of larger doubt, and the last, if it
    is still too small, to the one before.

    Args:
        confidence: (n,) probabilities 0..1; doubts below 1e-7 count as 1e-7.
        right: (n,) booleans.

    Returns:
        [(mean doubt, errors, images)], ascending in doubt.
    """
    doubt = np.clip(1 - np.asarray(confidence, float), LEAST_DOUBT, 1)
    # Rounded, since a doubt of exactly a decade must not fall to either side by chance.
    step = np.floor(np.round(2 * np.log10(doubt / LEAST_DOUBT), 9))
    groups = [[]]
    for value in np.unique(step):
        if len(groups[-1]) >= LEAST_IMAGES:
            groups.append([])
        groups[-1] = np.append(groups[-1], np.flatnonzero(step == value)).astype(int)
    if len(groups) > 1 and len(groups[-1]) < LEAST_IMAGES:
        groups[-2:] = [np.concatenate(groups[-2:])]
    wrong = ~np.asarray(right, bool)
    return [(float(doubt[g].mean()), int(wrong[g].sum()), len(g)) for g in groups]


def reliability(curves):
    """Draw how often answers are wrong against the doubt they were given with.

    Args:
        curves: {name: (confidence (n,) 0..1, right (n,) booleans)}; the name of a head, or "joint",
            gives its color.

    Returns:
        The figure: both axes logarithmic, bars are Wilson's 95 % intervals. A bin without an error
        is a triangle that points down from the upper end of its interval.

    Raises:
        ValueError: no curve, shapes differ, or a confidence is outside 0..1.
    """
    if not curves:
        raise ValueError("no curve to draw: curves must be {name: (confidence, right)}")
    curves = {name: metrics.check_confidence(name, *answers) for name, answers in curves.items()}
    figure, axis = plt.subplots(figsize=(8, 4.6))
    diagonal = [LEAST_DOUBT, 1]
    axis.plot(diagonal, diagonal, color="0.5", linewidth=1, label="as sure as it says")
    others, lows = [name for name in curves if name not in NAMED_COLORS], []
    colors = NAMED_COLORS | dict(zip(others, cycle(OTHER_COLORS), strict=False))
    for marker, (name, (confidence, right)) in zip(cycle("osDPX"), curves.items(), strict=False):
        ece = metrics.expected_calibration_error(confidence, right)
        label = f"{name}\nECE {100 * ece:.2g} %, n = {len(right):,}"
        lows.append(_draw_bins(axis, doubt_bins(confidence, right), colors[name], marker, label))
    style = {"color": "0.4", "markerfacecolor": "white", "markersize": 7}
    axis.plot([], [], "v", label="no error: upper limit", **style)
    axis.set(xscale="log", xlim=(LEAST_DOUBT / 1.6, 1.6), xlabel="stated doubt, 1 − confidence")
    axis.set(yscale="log", ylim=(min(lows) / 2, 1.6), ylabel="observed error rate")
    place = {"transform": axis.transAxes, "color": "0.4", "backgroundcolor": "white", "zorder": 1}
    axis.text(0.02, 0.97, "wrong more often than it says", va="top", **place)
    axis.text(0.98, 0.03, "less often", ha="right", **place)
    title = "ECE: expected calibration error"
    figure.legend(loc="outside right upper", labelspacing=1, title=title, title_fontsize=SMALL)
    return figure


def _draw_bins(axis, bins, color, marker, label):
    """Draw the bins of one curve; return the lowest point drawn."""
    doubts, errors, counts = np.transpose(bins)
    lows, highs = np.transpose(
        [metrics.wilson_interval(e, n) for e, n in zip(errors, counts, strict=True)]
    )
    some = errors > 0
    axis.vlines(doubts[some], lows[some], highs[some], color=color, linewidth=1.2)
    axis.plot(doubts[some], (errors / counts)[some], marker, color=color, markersize=6, label=label)
    axis.plot(doubts[~some], highs[~some], "v", color=color, markerfacecolor="white", markersize=7)
    return np.where(some, lows, highs).min()
