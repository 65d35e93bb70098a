"""Figures of the checks: how maps change with the weights, deletion and insertion, and pointing."""

import matplotlib.pyplot as plt
import numpy as np

from cnnlab import plots
from cnnlab.interpret.checks.cascade import KINDS, UNRELATED, Cascade
from cnnlab.interpret.checks.deletion import CONTROLS, Curves
from cnnlab.interpret.checks.localization import hottest_pixels
from cnnlab.interpret.checks.statistics import heat_of, known_interval, mean_known

SMALL = 8.5  # points, the smallest text
SIGNED, ABSOLUTE = "#0072B2", "#D55E00"  # Okabe and Ito's, see style.mplstyle
MAP, RANDOM, MOVED = "#0072B2", "#E69F00", "#000000"
CONTROL_NAMES = {"random": "random pixels", "moved": "the map moved"}
COLUMNS = 2  # panels in a row


def cascade(cascades, title=""):
    """Draw how alike the heatmaps stay while the network becomes random from the head down.

    Args:
        cascades: a `Cascade`, or {name: Cascade}, a panel for each.
        title: written over the figure.

    Returns:
        The figure. Thin lines are single draws, dashed lines the level of different images; beside
        a layer stands the share of comparisons that empty maps made impossible, and where that is
        more than half, the marker is hollow.
    """
    cascades = {"": cascades} if isinstance(cascades, Cascade) else dict(cascades)
    _require_some(cascades)
    most = max(len(found.stages) for found in cascades.values())
    figure, axes = _panels(len(cascades), width=5, height=0.24 * most + 1.5)
    for axis, (name, found) in zip(axes, cascades.items(), strict=True):
        axis.axvline(UNRELATED, color="0.55", linewidth=1, linestyle=":", label="limit")
        for kind, color, marker in zip(KINDS, (SIGNED, ABSOLUTE), "os", strict=True):
            _fall(axis, found, kind, color, marker)
        for row, share in enumerate(found.invalid, start=1):
            text = f"{100 * share:.0f} % empty" if share > 0 else ""
            beside = axis.get_yaxis_transform()
            axis.text(1.02, row, text, va="center", fontsize=SMALL, transform=beside)
        names = filter(None, dict.fromkeys((name, found.method)))
        axis.set(
            title=f"{', '.join(names)} at {found.layer}",
            xlabel="rank correlation",
            xlim=(-1.05, 1.05),
        )
        axis.set_yticks(range(len(found.stages) + 1), ["trained", *found.stages], fontsize=SMALL)
        axis.set_ylim(len(found.stages) + 0.5, -0.5)
    _legend_below(figure, axes[0], title)
    return figure


def _fall(axis, found, kind, color, marker):
    """Draw one kind of similarity: the draws, their mean, and the level of different images."""
    for of_draw in found.of_draws(kind):
        axis.plot([1, *of_draw], range(len(of_draw) + 1), color=color, linewidth=0.7, alpha=0.35)
    mean = np.array([1, *found.similarity(kind)])
    rows = np.arange(len(mean))
    name = "with sign" if kind == "signed" else "without sign"
    axis.plot(mean, rows, color=color, label=name)
    hollow = np.array([False, *(found.invalid > 0.5)])
    for lost, face in ((False, color), (True, "white")):
        where = hollow == lost
        axis.plot(mean[where], rows[where], marker, color=color, markerfacecolor=face, markersize=5)
    level = {"color": color, "linewidth": 1.2, "linestyle": (0, (4, 3))}
    axis.axvline(found.reference[kind], label=f"different images, {name}", **level)


def curves(found, title=""):
    """Draw deletion and insertion curves, the mean over the images, beside those of the controls.

    Args:
        found: a `Curves`, a list of them, or {name: Curves}; a panel for each.
        title: written over the figure.

    Returns:
        The figure. The band around the map's curve is the 95 % interval of the mean.
    """
    found = [found] if isinstance(found, Curves) else found
    found = dict(found) if isinstance(found, dict) else dict(enumerate(found))
    _require_some(found)
    figure, axes = _panels(len(found), width=4.2, height=3.1)
    for axis, (name, of_panel) in zip(axes, found.items(), strict=True):
        percent = 100 * of_panel.fractions
        mean, low, high = np.array([known_interval(column) for column in of_panel.curves.T]).T
        band = np.clip(low, 0, 1), np.clip(high, 0, 1)
        axis.fill_between(percent, *band, color=MAP, alpha=0.2, linewidth=0)
        axis.plot(percent, mean, color=MAP, label="the map")
        for control, color, line in zip(CONTROLS, (RANDOM, MOVED), ("-", "--"), strict=True):
            values = mean_known(getattr(of_panel, control).T)
            if np.isfinite(values).any():
                axis.plot(percent, values, line, color=color, label=CONTROL_NAMES[control])
        heading = f"{name}, {of_panel.kind}" if isinstance(name, str) else of_panel.kind
        axis.set(title=f"{heading}: {_areas(of_panel)}", xlim=(0, 100), ylim=(-0.02, 1.02))
        done = "deleted" if of_panel.kind == "deletion" else "inserted"
        axis.set(xlabel=f"pixels {done}, %", ylabel="probability of the class")
    _legend_below(figure, axes[0], title)
    return figure


def _areas(found):
    mean = [float(mean_known(found.areas(of))) for of in ("curves", "moved")]
    moved = f", moved {mean[1]:.2f}" if np.isfinite(mean[1]) else ""
    return f"area {mean[0]:.2f}{moved}"


def localization(games, heats, title=""):
    """Draw how often the hottest pixel, and how much of the heat, lies on the object.

    Args:
        games: {name: Localization} of `pointing_game`.
        heats: {name: Localization} of `heat_inside`, the same names.
        title: written over the figure.

    Returns:
        The figure: dots with 95 % intervals, a row for each name; the tick is chance.

    Raises:
        ValueError: the names differ, or there are none.
    """
    if list(games) != list(heats):
        raise ValueError(f"the names differ: {', '.join(games)} and {', '.join(heats)}")
    _require_some(games)
    size = (8.4, 0.28 * len(games) + 1.5)
    figure, axes = plt.subplots(1, 2, figsize=size, sharey=True)
    titles = "hottest pixel on the object", "share of the heat on the object"
    for axis, found, name in zip(axes, (games, heats), titles, strict=True):
        rows = np.arange(len(found))
        share, low, high, chance = (
            100 * np.array([getattr(part, field) for part in found.values()])
            for field in ("share", "low", "high", "chance")
        )
        axis.hlines(rows, low, high, color=MAP)
        axis.plot(share, rows, "o", color=MAP, markersize=6, label="heatmaps")
        style = {"color": "black", "markersize": 11, "markeredgewidth": 1.6}
        axis.plot(chance, rows, "|", label="even heat (chance)", **style)
        axis.set(title=name, xlabel="%", xlim=(-1, 101), ylim=(len(rows) - 0.5, -0.5))
        axis.set_yticks(rows, list(found))
        axis.grid(axis="y", visible=False)
    _legend_below(figure, axes[0], title)
    return figure


def pointing(heatmaps, masks, titles=None, columns=8, tile=1.15):
    """Draw heatmaps with the outline of the true mask and a ring around the hottest place.

    Args:
        heatmaps: `Heatmaps`, or numbers (n, height, width) >= 0, drawn 0 .. the highest of each.
        masks: (n, height, width) bool.
        titles: n strings, or None.
        columns: pictures in a row.
        tile: inches a picture is wide.

    Returns:
        The figure. An empty map is black, and has no ring.
    """
    heat, there = heat_of(heatmaps)
    heat = heat / np.where(there, heat.max(axis=(1, 2)), 1)[:, None, None]
    figure = plots.image_grid(1 - heat, titles, columns, tile, vmin=0, vmax=1)
    for axis, of_image, mask, shown in zip(figure.axes, heat, masks, there, strict=False):
        axis.images[0].set(cmap="inferno", array=of_image)
        _outline(axis, mask)
        if shown:
            rows, across = np.nonzero(hottest_pixels(of_image))
            place = {"s": 45, "facecolors": "none", "edgecolors": "#56B4E9", "linewidths": 1.5}
            axis.scatter(across.mean(), rows.mean(), **place)
    return figure


def _outline(axis, mask):
    """Draw the border of a mask along the edges of its pixels."""
    padded = np.pad(np.asarray(mask, int), 1)
    for row, column in zip(*np.nonzero(np.diff(padded, axis=0)), strict=True):
        axis.plot([column - 1.5, column - 0.5], [row - 0.5] * 2, color="white", linewidth=0.8)
    for row, column in zip(*np.nonzero(np.diff(padded, axis=1)), strict=True):
        axis.plot([column - 0.5] * 2, [row - 1.5, row - 0.5], color="white", linewidth=0.8)


def _panels(count, width, height):
    """Return a figure and its (count,) axes, at most COLUMNS in a row."""
    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    size = (width * columns, height * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    figure.get_layout_engine().set(wspace=0.04)
    for axis in axes.flat[count:]:
        axis.set_axis_off()
    return figure, axes.flat[:count]


def _legend_below(figure, axis, title):
    handles, labels = axis.get_legend_handles_labels()
    # As many entries in a row as there is room for, about 1.8 inches each.
    columns = min(len(labels), int(figure.get_figwidth() / 1.8))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=SMALL)
    if title:
        figure.suptitle(title, x=0.01, ha="left")


def _require_some(found):
    if not found:
        raise ValueError("there is nothing to draw: give at least one result")


COLORS = {"grad-cam": "#0072B2", "grad-cam++": "#D55E00", "layercam": "#009E73", "contrast": "0.3"}
HEIGHT = 0.085  # inches a dot needs


def gains(compared, bare):
    """Draw how much better than the moved map each method is, with 95 % intervals.

    Args:
        compared: {name: rows of `checks.compare_methods`}, the same methods for each.
        bare: names of the layers that are bare convolutions; their dots are hollow.

    Returns:
        The figure: a group of dots for each name, left of 0 where the map is worse than in a wrong
        place.

    Raises:
        ValueError: nothing to draw.
    """
    if not compared:
        raise ValueError("there is nothing to draw: give rows of at least one comparison")
    most = max(len(rows) for rows in compared.values())
    size = (8.6, HEIGHT * (most + 2) * len(compared) + 1.2)
    figure, axes = plt.subplots(1, 2, figsize=size, sharey=True, sharex=True)
    for axis, kind in zip(axes, ("deletion", "insertion"), strict=True):
        for group, rows in enumerate(compared.values()):
            offsets = 0.8 * (np.arange(len(rows)) - (len(rows) - 1) / 2) / most
            for row, offset in zip(rows, offsets, strict=True):
                _draw(axis, row, kind, group + offset, hollow=row["layer"] in bare)
        axis.axvline(0, color="0.4", linewidth=1, zorder=1)
        axis.set(title=f"{kind}: gain over the moved map", xlabel="area")
        axis.grid(axis="y", visible=False)
    for group in range(1, len(compared)):
        for axis in axes:
            axis.axhline(group - 0.5, color="0.88", linewidth=0.7, zorder=0)
    axes[0].set_yticks(range(len(compared)), list(compared))
    axes[0].set_ylim(len(compared) - 0.5, -0.5)
    _legend(figure)
    return figure


def _draw(axis, row, kind, height, hollow):
    mean, low, high = row[f"{kind}_gain"]
    color = COLORS[row["method"]]
    face = "white" if hollow else color
    axis.plot([low, high], [height] * 2, color=color, linewidth=0.9)
    axis.plot(mean, height, "o", color=color, markerfacecolor=face, markersize=4)


def _legend(figure):
    handles = [
        plt.Line2D([], [], color=color, marker="o", label=method)
        for method, color in COLORS.items()
    ]
    handles.append(
        plt.Line2D(
            [],
            [],
            color="0.3",
            marker="o",
            markerfacecolor="white",
            linestyle="",
            label="hollow: at the bare convolution",
        )
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=5)


FLOOR = 0.02  # percent, where a score without any error is drawn


def draw(networks, colors=None):
    """Draw how often a linear classifier on each layer is right, from the image to the last layer.

    Args:
        networks: {title: result of `probes.linear_probes`}, a panel each.
        colors: {question: color}, or None.

    Returns:
        The figure: errors on a log scale, so that 99 % and 99.9 % differ; a score without any
        error is drawn at the lower border.
    """
    figure, axes = plt.subplots(
        1, len(networks), figsize=(2.3 * len(networks) + 1, 3.2), sharey=True, squeeze=False
    )
    for axis, (title, rows) in zip(axes[0], networks.items(), strict=True):
        for question in next(iter(rows.values())):
            errors = [max(100 * (1 - row[question]), FLOOR) for row in rows.values()]
            color = colors and colors.get(question)
            axis.plot(errors, "o-", color=color, label=question, clip_on=False)
        names = ["image", *(f"layer {number}" for number in range(1, len(rows)))]
        axis.set_xticks(range(len(rows)), names, rotation=90)
        axis.set(title=title, yscale="log", ylim=(FLOOR, 100))
    axes[0, 0].set_ylabel("errors of a linear probe, %")
    axes[0, 0].set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    found = {}
    for axis in axes[0]:
        handles, labels = axis.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    figure.legend(found.values(), found.keys(), loc="outside right center")
    return figure
