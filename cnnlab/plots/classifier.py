"""Figures of one classifier: its learning curves, confusions, scores, images and variations."""

import math

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm

from cnnlab.plots.palette import BLUE, CYCLE, VERMILION

TITLE_LINE = 0.13  # inches, the height of a line over an image
SCORES = {"precision": ("o", -0.2), "recall": ("s", 0), "f_score": ("^", 0.2)}  # mark, shift
NUMBERS_UP_TO = 20  # a confusion matrix with more classes than this is drawn without numbers


def learning_curves(histories, title=""):
    """Draw error rates (1 - accuracy, percent) and losses against the epoch, both on log scales.

    `histories` is {name: dict of lists, one value an epoch} as of Keras's `History.history`, with
    `accuracy`, `loss` and, if there was validation, `val_accuracy`, `val_loss`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2))
    for color, (name, history) in zip(CYCLE, histories.items(), strict=False):
        epochs = np.arange(1, len(history["loss"]) + 1)
        for part, style in (("", "--"), ("val_", "-")):
            if part + "loss" not in history:  # trained without validation
                continue
            label = f"{name}, {'validation' if part else 'training'}"
            error = 100 * (1 - np.array(history[part + "accuracy"]))
            error = np.where(error > 0, error, np.nan)  # a log scale has no 0: break the line
            axes[0].plot(epochs, error, style, marker="o", color=color, label=label)
            axes[1].plot(epochs, history[part + "loss"], style, marker="o", color=color)
    axes[0].set(yscale="log", xlabel="epoch", title="error (100 % − accuracy), %")
    axes[1].set(yscale="log", xlabel="epoch", title="loss (cross-entropy)")
    for axis in axes:
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.yaxis.set_minor_formatter(plt.NullFormatter())
        axis.yaxis.set_major_formatter("{x:g}")
    figure.legend(loc="outside right center")
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    return figure


def confusion(matrix, names, axis=None, group=None):
    """Draw a confusion matrix, (classes, classes) counts; rows are true classes, columns predicted.

    Up to 20 classes are named by `names` and carry their counts. More are colors on a log scale,
    where an empty cell is white; grid lines divide them into groups of `group` classes, which
    `names` names. Returns the image, drawn on `axis` or, without one, in a new figure.
    """
    matrix = np.asarray(matrix)
    small = len(matrix) <= NUMBERS_UP_TO
    axis = axis or plt.subplots(figsize=(5.4, 4.8) if small else (8.4, 7.4))[1]
    shown = np.ma.masked_equal(matrix, 0)
    image = axis.imshow(shown, cmap="viridis_r", norm=LogNorm(1, max(2, matrix.max())))
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.grid(False)
    if small:
        axis.set_xticks(range(len(names)), names)
        axis.set_yticks(range(len(names)), names)
        _write_counts(axis, matrix)
    else:
        _mark_groups(axis, len(matrix), names, group)
        # Circle errors: their cells are a pixel or two wide and easily overlooked.
        rows, columns = np.nonzero(matrix * (1 - np.eye(len(matrix), dtype=int)))
        axis.scatter(columns, rows, s=40, facecolors="none", edgecolors=VERMILION, linewidths=1)
    axis.figure.colorbar(image, ax=axis, label="images (log scale)", shrink=0.8)
    return image


def _write_counts(axis, matrix):
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            color = "white" if count > math.sqrt(matrix.max()) else "black"
            axis.text(column, row, str(count), ha="center", va="center", color=color, fontsize=7.5)


def _mark_groups(axis, classes, names, group):
    starts = np.arange(0, classes, group)
    for start in starts[1:]:
        axis.axhline(start - 0.5, color="0.75", linewidth=0.7)
        axis.axvline(start - 0.5, color="0.75", linewidth=0.7)
    middles = starts + (group - 1) / 2
    axis.set_xticks(middles, names, rotation=90)
    axis.set_yticks(middles, names)
    axis.tick_params(length=0)


def class_scores(reports, names):
    """Draw precision, recall and F-score of every class as dots, a row of axes for each report.

    `reports` is {title: report of `metrics.class_report`}; `names` are the classes', or None to
    number them. The vertical scale of each row starts just below its worst figure.
    """
    figure, axes = plt.subplots(len(reports), 1, figsize=(9, 2.3 * len(reports)), squeeze=False)
    for axis, (title, report) in zip(axes[:, 0], reports.items(), strict=True):
        classes = np.arange(len(report["support"]))
        for name, (marker, shift) in SCORES.items():
            label = name.replace("f_score", "F-score")
            axis.plot(classes + shift, 100 * report[name], marker, label=label)
        axis.set(title=title, ylabel="%", xlim=(-0.7, len(classes) - 0.3))
        lowest = 100 * min(np.min(report[name]) for name in SCORES)
        room = 100 - lowest
        axis.set_ylim(lowest - max(0.1, 0.08 * room), 100 + max(0.05, 0.05 * room))
        if names is not None:
            axis.set_xticks(classes, names)
    axes[-1, 0].set_xlabel("class")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
    return figure


def image_grid(images, titles=None, columns=8, tile=1.15):
    """Draw images (n, h, w), (n, h, w, 1) or (n, h, w, 3) in rows of `columns`, without ticks.

    Gray ones are black (255) on white (0). `titles` are n strings; a `tile` is in inches.
    """
    columns = min(columns, max(1, len(images)))
    rows = max(1, math.ceil(len(images) / columns))
    title_lines = max((title.count("\n") + 1 for title in titles), default=0) if titles else 0
    height = tile + TITLE_LINE * title_lines + 0.06
    size = tile * columns, height * rows
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for index, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        axis.imshow(image, cmap="gray_r", vmin=0, vmax=255)
        if titles:
            axis.set_title(titles[index], fontsize=7.5, loc="center", pad=3)
    return figure


def factor_effects(rows, title=""):
    """Draw what each variation of a base network did, grouped by factor.

    `rows` are dicts of `factor`, `variant`, `values` (a share 0..1 for each seed) and `base` (True
    for the base's own setting). Small dots are seeds, the large one their mean, the band the base.
    """
    figure, axis = plt.subplots(figsize=(8.2, 0.24 * len(rows) + 1.2))
    base = 100 * np.array(next(row["values"] for row in rows if row["base"]))
    axis.axvspan(min(base), max(base), color="0.88", zorder=0)
    axis.axvline(np.mean(base), color="0.5", linewidth=1, zorder=1)
    labels, previous = [], None
    for height, row in enumerate(rows):
        color = BLUE if row["base"] else VERMILION
        values = 100 * np.array(row["values"])
        axis.plot(values, [height] * len(values), ".", color=color, alpha=0.5)
        axis.plot(values.mean(), height, "o", markersize=7, color=color)
        labels.append(row["variant"])
        if row["factor"] != previous:
            labels[-1] = f"{row['factor']}:  {row['variant']}"
            if previous is not None:
                axis.axhline(height - 0.5, color="0.8", linewidth=0.7)
        previous = row["factor"]
    axis.set_yticks(range(len(rows)), labels)
    axis.set(xscale="log", xlabel="validation error, %", title=title, ylim=(len(rows) - 0.5, -0.5))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("{x:g}")
    axis.grid(axis="y", visible=False)
    return figure
