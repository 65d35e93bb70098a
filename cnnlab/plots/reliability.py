"""The figure of how well confidence agrees with how often predictions are right."""

from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np

from cnnlab import metrics
from cnnlab.plots.palette import NAMED_COLORS, OTHER_COLORS, SMALL

LEAST_STATED = 1e-7  # stated error, what float32 can tell from 0
LEAST_IMAGES = 20  # in a bin of a reliability diagram


def error_bins(confidence, right):
    """Group predictions by their stated error, 1 - confidence, in steps of half a decade.

    A bin of fewer than 20 images is joined to the next one of larger stated error, and the last,
    if it is still too small, to the one before. Takes (n,) probabilities and (n,) booleans; stated
    errors below 1e-7 count as 1e-7. Returns [(mean stated error, errors, images)], ascending.
    """
    stated = np.clip(1 - np.asarray(confidence, float), LEAST_STATED, 1)
    # Rounded, since a stated error of exactly a decade must not fall to either side by chance.
    step = np.floor(np.round(2 * np.log10(stated / LEAST_STATED), 9))
    groups = [[]]
    for value in np.unique(step):
        if len(groups[-1]) >= LEAST_IMAGES:
            groups.append([])
        groups[-1] = np.append(groups[-1], np.flatnonzero(step == value)).astype(int)
    if len(groups) > 1 and len(groups[-1]) < LEAST_IMAGES:
        groups[-2:] = [np.concatenate(groups[-2:])]
    wrong = ~np.asarray(right, bool)
    return [(float(stated[g].mean()), int(wrong[g].sum()), len(g)) for g in groups]


def reliability(curves):
    """Draw how often predictions are wrong against their stated error, both on log scales.

    `curves` is {name: (confidence (n,) 0..1, right (n,) booleans)}, or ValueError; the name of a
    head, or "joint", gives its color. Bars are Wilson's 95 % intervals. A bin without an error is a
    triangle that points down from the upper end of its interval.
    """
    curves = {name: metrics.check_confidence(name, *curve) for name, curve in curves.items()}
    figure, axis = plt.subplots(figsize=(8, 4.6))
    diagonal = [LEAST_STATED, 1]
    axis.plot(diagonal, diagonal, color="0.5", linewidth=1, label="error rate = 1 − confidence")
    others, lows = [name for name in curves if name not in NAMED_COLORS], []
    colors = NAMED_COLORS | dict(zip(others, cycle(OTHER_COLORS), strict=False))
    for marker, (name, (confidence, right)) in zip(cycle("osDPX"), curves.items(), strict=False):
        ece = metrics.expected_calibration_error(confidence, right)
        label = f"{name}\nECE {100 * ece:.2g} %, n = {len(right):,}"
        lows.append(_draw_bins(axis, error_bins(confidence, right), colors[name], marker, label))
    style = {"color": "0.4", "markerfacecolor": "white", "markersize": 7}
    axis.plot([], [], "v", label="no error: upper limit", **style)
    axis.set(xscale="log", xlim=(LEAST_STATED / 1.6, 1.6), xlabel="1 − confidence")
    axis.set(yscale="log", ylim=(min(lows) / 2, 1.6), ylabel="observed error rate")
    inside = {"transform": axis.transAxes, "color": "0.4", "backgroundcolor": "white", "zorder": 1}
    axis.text(0.02, 0.97, "wrong more often than its confidence says", va="top", **inside)
    axis.text(0.98, 0.03, "less often", ha="right", **inside)
    title = "ECE: expected calibration error"
    figure.legend(loc="outside right upper", labelspacing=1, title=title, title_fontsize=SMALL)
    return figure


def _draw_bins(axis, bins, color, marker, label):
    """Draw the bins of one curve; return the lowest point drawn."""
    stated, errors, counts = np.transpose(bins)
    lows, highs = np.transpose([metrics.wilson_interval(e, n) for _, e, n in bins])
    some = errors > 0
    axis.vlines(stated[some], lows[some], highs[some], color=color, linewidth=1.2)
    axis.plot(stated[some], (errors / counts)[some], marker, color=color, markersize=6, label=label)
    axis.plot(stated[~some], highs[~some], "v", color=color, markerfacecolor="white", markersize=7)
    return np.where(some, lows, highs).min()
