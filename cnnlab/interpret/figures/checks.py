"""Figures of the checks, one function for each; all return the figure."""

import matplotlib.pyplot as plt
import numpy as np

from cnnlab.interpret.checks.cascade import KINDS
from cnnlab.interpret.checks.masking import CONTROLS
from cnnlab.interpret.checks.statistics import known_interval, mean_known
from cnnlab.plots.palette import (
    ABSOLUTE,
    DISPLACED,
    MAP,
    MARKERS,
    METHOD_COLORS,
    RANDOM,
    SIGNED,
    SMALL,
)

CONTROL_NAMES = {"random": "random pixels", "displaced": "the displaced map"}
DOT = 0.068  # inches that a dot needs
FLOOR = 0.02  # percent, where a score without any error is drawn


def cascade(cascades):
    """Draw how alike the heatmaps stay while the network becomes random, for each {name: Cascade}.

    Thin lines are single draws, dashed lines the level of different images; next to a layer stands
    the share of comparisons lost to empty maps, and above a half the marker is hollow.
    """
    most = max(len(of_panel.stages) for of_panel in cascades.values())
    figure, axes = _panels(len(cascades), 3, width=3.1, height=0.2 * most + 1.2)
    for axis, (name, of_panel) in zip(axes, cascades.items(), strict=True):
        for kind, color, marker in zip(KINDS, (SIGNED, ABSOLUTE), "os", strict=True):
            _fall(axis, of_panel, kind, color, marker)
        for row, share in enumerate(of_panel.invalid, start=1):
            text = f"{100 * share:.0f} % empty" if share > 0 else ""
            at_the_right = axis.get_yaxis_transform()
            axis.text(1.02, row, text, va="center", fontsize=SMALL, transform=at_the_right)
        title = f"{name}\n{of_panel.method} at {of_panel.layer}"
        axis.set(title=title, xlabel="rank correlation", xlim=(-1.05, 1.05))
        rows = ["trained", *of_panel.stages]
        axis.set_yticks(range(len(rows)), rows, fontsize=SMALL)
        axis.set_ylim(len(rows) - 0.5, -0.5)
    _legend_below(figure, axes[0])
    return figure


def _fall(axis, of_panel, kind, color, marker):
    """Draw one kind of similarity: the draws, their mean, and the level of different images."""
    for of_draw in of_panel.of_draws(kind):
        axis.plot([1, *of_draw], range(len(of_draw) + 1), color=color, linewidth=0.7, alpha=0.35)
    mean = np.array([1, *of_panel.similarity(kind)])
    rows = np.arange(len(mean))
    name = "with sign" if kind == "signed" else "without sign"
    axis.plot(mean, rows, color=color, label=name)
    hollow = np.array([False, *(of_panel.invalid > 0.5)])
    for lost, face in ((False, color), (True, "white")):
        where = hollow == lost
        axis.plot(mean[where], rows[where], marker, color=color, markerfacecolor=face, markersize=5)
    level = {"color": color, "linewidth": 1.2, "linestyle": (0, (4, 3))}
    axis.axvline(of_panel.reference[kind], label=f"different images, {name}", **level)


def curves(named):
    """Draw the mean deletion or insertion curves, with 95 % intervals, of each {name: Curves}."""
    figure, axes = _panels(len(named), 4, width=2.15, height=2.1)
    for axis, (name, of_panel) in zip(axes, named.items(), strict=True):
        percent = 100 * of_panel.fractions
        mean, low, high = np.array([known_interval(column) for column in of_panel.curves.T]).T
        band = np.clip(low, 0, 1), np.clip(high, 0, 1)
        axis.fill_between(percent, *band, color=MAP, alpha=0.2, linewidth=0)
        axis.plot(percent, mean, color=MAP, label="the map")
        for control, color, line in zip(CONTROLS, (RANDOM, DISPLACED), ("-", "--"), strict=True):
            values = mean_known(getattr(of_panel, control).T)
            axis.plot(percent, values, line, color=color, label=CONTROL_NAMES[control])
        areas = [mean_known(of_panel.areas(of)) for of in ("curves", "displaced")]
        heading = f"{name}\narea {areas[0]:.2f}, displaced {areas[1]:.2f}"
        axis.set(title=heading, xlim=(0, 100), ylim=(-0.02, 1.02))
        done = "deleted" if of_panel.kind == "deletion" else "inserted"
        axis.set_xlabel(f"pixels {done}, %")
        axis.label_outer(remove_inner_ticks=True)
    figure.supylabel("probability of the class", fontsize=10)
    _legend_below(figure, axes[0])
    return figure


def localization(games, heats):
    """Draw the `pointing_game` and `heat_inside` of the same names, with 95 % intervals."""
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 0.28 * len(games) + 1.5), sharey=True)
    titles = "hottest pixel on the object", "share of the heat on the object"
    for axis, named, title in zip(axes, (games, heats), titles, strict=True):
        rows = np.arange(len(named))
        share, low, high, chance = (
            100 * np.array([getattr(of_row, field) for of_row in named.values()])
            for field in ("share", "low", "high", "chance")
        )
        axis.hlines(rows, low, high, color=MAP)
        axis.plot(share, rows, "o", color=MAP, markersize=6, label="heatmaps")
        style = {"color": "black", "markersize": 11, "markeredgewidth": 1.6}
        axis.plot(chance, rows, "|", label="even heat (chance)", **style)
        axis.set(title=title, xlabel="%", xlim=(-1, 101), ylim=(len(rows) - 0.5, -0.5))
        axis.set_yticks(rows, list(named))
        axis.grid(axis="y", visible=False)
    _legend_below(figure, axes[0])
    return figure


def gains(compared, bare=()):
    """Draw how much better than the displaced map each method is, with 95 % intervals.

    Compared is {name: rows of `checks.compare_methods`}, the same methods for each; the dots of
    layers called in `bare`, the bare convolutions, are hollow.
    """
    shown = {row["method"]: None for rows in compared.values() for row in rows}
    most = max(len(rows) for rows in compared.values())
    size = (8.6, DOT * (most + 2) * len(compared) + 1.2)
    figure, axes = plt.subplots(1, 2, figsize=size, sharey=True, sharex=True)
    for axis, kind in zip(axes, ("deletion", "insertion"), strict=True):
        for group, rows in enumerate(compared.values()):
            offsets = 0.8 * (np.arange(len(rows)) - (len(rows) - 1) / 2) / most
            for row, offset in zip(rows, offsets, strict=True):
                mean, low, high = row[f"{kind}_gain"]
                color, height = METHOD_COLORS[row["method"]], group + offset
                face = "white" if row["layer"] in bare else color
                axis.plot([low, high], [height] * 2, color=color, linewidth=0.9)
                mark = {"marker": MARKERS[color], "markerfacecolor": face, "markersize": 4}
                axis.plot(mean, height, color=color, **mark)
        axis.axvline(0, color="0.4", linewidth=1, zorder=1)
        axis.set(title=f"{kind}: gain over the displaced map", xlabel="gain in area")
        axis.grid(axis="y", visible=False)
        for group in range(1, len(compared)):
            axis.axhline(group - 0.5, color="0.88", linewidth=0.7, zorder=0)
    axes[0].set_yticks(range(len(compared)), list(compared))
    axes[0].set_ylim(len(compared) - 0.5, -0.5)
    looks = [(METHOD_COLORS[name], name) for name in shown]
    handles = [plt.Line2D([], [], color=c, marker=MARKERS[c], label=name) for c, name in looks]
    if bare:
        hollow = {"color": "0.3", "marker": "o", "markerfacecolor": "white", "linestyle": ""}
        handles.append(plt.Line2D([], [], label="hollow: at the bare convolution", **hollow))
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def probes(networks, colors):
    """Draw the errors of {title: (trained, untrained)}, results of `linear_probes` each.

    Colors are {question: color}; solid the trained network, dashed the other.
    """
    # On a log scale 99 % and 99.9 % differ; no error at all is drawn at the lower border.
    size = (1.45 * len(networks) + 1, 2.8)
    figure, axes = plt.subplots(1, len(networks), figsize=size, sharey=True, squeeze=False)
    labeled = {}
    for axis, (title, pair) in zip(axes[0], networks.items(), strict=True):
        for rows, style in zip(pair, ("-", "--"), strict=True):
            for question in next(iter(rows.values())):
                errors = [max(100 * (1 - row[question]), FLOOR) for row in rows.values()]
                color = colors[question]
                mark = {"marker": MARKERS.get(color, "o"), "markersize": 4 if style == "-" else 2.5}
                (line,) = axis.plot(errors, style, color=color, clip_on=False, **mark)
                labeled.setdefault(question, line)
        axis.set_xticks(range(len(pair[0])))
        axis.set(title=title, yscale="log", ylim=(FLOOR, 100))
    axes[0, 0].set_ylabel("errors of a linear probe, %")
    axes[0, 0].set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    figure.supxlabel("rectified layer (0: the image)", fontsize=10)
    figure.legend(labeled.values(), labeled.keys(), loc="outside right center")
    return figure


def _panels(count, most, width, height):
    """Return a figure and its (count,) axes, at most so many in a row; sizes are in inches."""
    columns, rows = min(count, most), -(-count // most)
    size = (width * columns, height * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    figure.get_layout_engine().set(wspace=0.04)
    for axis in axes.flat[count:]:
        axis.set_axis_off()
    return figure, axes.flat[:count]


def _legend_below(figure, axis):
    handles, labels = axis.get_legend_handles_labels()
    # As many entries in a row as there is room for, about 1.8 inches each.
    columns = min(len(labels), int(figure.get_figwidth() / 1.8))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=SMALL)
