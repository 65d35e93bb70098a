"""Figures of one classifier: its learning curves, confusions, scores and images."""

import math

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm

from cnnlab.plots.palette import CYCLE, MARKERS, SMALL, VERMILION, label_height

TITLE_LINE = 0.15  # inches, the height of a line over an image
CHARACTER = 0.0085  # inches a character is wide on average, for each point of its size
SCORES = {"precision": ("o", -0.2), "recall": ("s", 0), "f_score": ("^", 0.2)}  # mark, shift
NUMBERS_UP_TO = 20  # a confusion matrix with more classes than this is drawn without numbers


def learning_curves(histories, title=""):
    """Draw error rates (1 - accuracy, percent) and losses against the epoch, both on log scales.

    `histories` is {name: dict of lists, one value an epoch} as of Keras's `History.history`, with
    `accuracy`, `loss` and, if there was validation, `val_accuracy`, `val_loss`. An error of 0
    lies on a shelf below a dotted line, as a log scale has none.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8.2, 2.7))
    curves = [
        (f"{name}, {'validation' if part else 'training'}", color, part, history)
        for color, (name, history) in zip(CYCLE, histories.items(), strict=False)
        for part in ("", "val_")
        if part + "loss" in history
    ]
    errors = [100 * (1 - np.array(history[part + "accuracy"])) for *_, part, history in curves]
    shelf = min((each[each > 0].min() for each in errors if (each > 0).any()), default=1) / 3
    for (label, color, part, history), error in zip(curves, errors, strict=True):
        epochs, style = np.arange(1, len(error) + 1), ("-" if part else "--") + MARKERS[color]
        axes[0].plot(epochs, np.maximum(error, shelf), style, color=color, label=label)
        axes[1].plot(epochs, history[part + "loss"], style, color=color)
    axes[0].set(yscale="log", xlabel="epoch", title="error (100 % − accuracy), %")
    axes[1].set(yscale="log", xlabel="epoch", title="loss (cross-entropy)")
    for axis in axes:
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.yaxis.set_minor_formatter(plt.NullFormatter())
        axis.yaxis.set_major_formatter("{x:g}")
    if any((each == 0).any() for each in errors):
        axes[0].axhline(1.6 * shelf, color="0.5", linewidth=0.8, linestyle=":")
        axes[0].set_ylim(bottom=shelf / 1.5)
        label_height(axes[0], shelf, "no error")
    figure.legend(loc="outside upper center", ncols=2)
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
    axis = axis or plt.subplots(figsize=(4.2, 4.2) if small else (6.4, 5.6))[1]
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
        axis.scatter(columns, rows, s=25, facecolors="none", edgecolors=VERMILION, linewidths=1)
        axis.figure.colorbar(image, ax=axis, label="images (log scale)", shrink=0.8)
    return image


def _write_counts(axis, matrix):
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            color = "white" if count > math.sqrt(matrix.max()) else "black"
            axis.text(
                column, row, str(count), ha="center", va="center", color=color, fontsize=SMALL
            )


def _mark_groups(axis, classes, names, group):
    starts = np.arange(0, classes, group)
    for start in starts[1:]:
        axis.axhline(start - 0.5, color="0.75", linewidth=0.7)
        axis.axvline(start - 0.5, color="0.75", linewidth=0.7)
    middles = starts + (group - 1) / 2
    axis.set_xticks(middles, names, rotation=90)
    axis.set_yticks(middles, names)
    axis.tick_params(length=0)


def class_scores(report, names, worst=None):
    """Draw precision, recall and F-score of every class as dots; the scale starts at the lowest.

    `report` is one of `metrics.class_report`, `names` are the classes'. With `worst`, only so many
    classes are drawn: those with the lowest F-scores, the lowest first.
    """
    scores = {name: 100 * np.asarray(report[name]) for name in SCORES}
    order = np.arange(len(names))
    if worst:
        order = np.argsort(scores["f_score"], kind="stable")[:worst]
    figure, axis = plt.subplots(figsize=(8.2, 3.4 if worst else 2.6))
    for name, (marker, shift) in SCORES.items():
        places = np.arange(len(order)) + shift
        axis.plot(places, scores[name][order], marker, label=name.replace("f_score", "F-score"))
    lowest = min(each.min() for each in scores.values())
    room = max(0.1, 0.06 * (100 - lowest))
    axis.set(ylabel="%", xlabel="class", ylim=(lowest - room, 100 + room))
    turn = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if worst else {}
    axis.set_xticks(range(len(order)), [str(names[k]) for k in order], **turn)
    figure.legend(loc="outside upper center", ncols=3)
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
    longest = max((len(line) for title in titles or () for line in title.split("\n")), default=1)
    font = min(SMALL, tile / (CHARACTER * max(longest, 1)))
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for index, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        axis.imshow(image, cmap="gray_r", vmin=0, vmax=255)
        if titles:
            axis.set_title(titles[index], fontsize=font, loc="center", pad=3)
    return figure
