"""Figures of one network with four heads: its errors, how it learned, its first weights."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm

from cnnlab import lines, metrics
from cnnlab.plots import classifier
from cnnlab.plots.palette import HEAD_COLORS, MARKERS, SMALL, label_height, spread, tick_log
from cnnlab.validation import numbers

TILES = 12  # filters drawn
THRESHOLD = 0.99  # the accuracy whose first passing is marked


def head_confusions(true, predicted):
    """Draw the heads' confusion matrices for true and predicted labels (n, 4), or ValueError."""
    columns = zip(lines.NUM_CLASSES, np.transpose(true), np.transpose(predicted), strict=True)
    counts = {h: metrics.confusion(t, p, lines.NUM_CLASSES[h]) for h, t, p in columns}
    figure = plt.figure(figsize=(8, 5.3))
    layout = [["angle", "length"], ["angle", "width"], ["angle", "color"]]
    axes = figure.subplot_mosaic(layout, width_ratios=(4, 1))
    scale = LogNorm(1, max(2, len(true)))
    for head, matrix in counts.items():
        image = classifier.confusion(matrix, lines.CLASS_NAMES[head], axes[head])
        image.set_norm(scale)
        _label_matrix(axes[head], head, int(matrix.sum() - matrix.trace()), scale)
    figure.get_layout_engine().set(wspace=0.06)
    bar = {"label": "images (log scale)", "shrink": 0.8, "format": "{x:,.0f}"}
    figure.colorbar(image, ax=list(axes.values()), **bar)
    return figure


def _label_matrix(axis, head, errors, scale):
    axis.set_title(f"{head}: {errors:,} error{'' if errors == 1 else 's'}")
    axis.tick_params(length=0)
    if head == "angle":
        axis.tick_params(labelsize=SMALL)  # twelve numbers side by side
    else:
        axis.set(xlabel="", ylabel="")
    for text in axis.texts:
        dark = scale(int(text.get_text())) > 0.55
        text.set(fontsize=SMALL, color="white" if dark else "black")


def learning_progress(progress):
    """Draw the validation error of each head while networks learned, percent on a log scale.

    `progress` is {title: (epochs, {head: accuracies})}, a panel each: epochs (m,) are ascending and
    may be fractions, accuracies (m,) are 0..1, or ValueError. Where there is no error the line
    breaks, and a small dot is in a gray band below the scale. A large mark is where a head first
    reaches 99 %.
    """
    panels = {
        title: (np.asarray(epochs, float), _errors(accuracies, np.shape(epochs)))
        for title, (epochs, accuracies) in progress.items()
    }
    goal, percent = 100 * (1 - THRESHOLD), f"{100 * THRESHOLD:g} % right"
    every = [error for _, errors in panels.values() for error in errors.values()]
    least = min(goal, *(error[error > 0].min(initial=goal) for error in every))
    bottom, top = least / 8, least / 1.6  # of a band for 0, which a log scale does not have
    size = (8.2, 3.4) if len(panels) > 1 else (8, 4)
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for axis, (title, (epochs, errors)) in zip(axes[0], panels.items(), strict=True):
        axis.axhspan(bottom, top, color="0.93", linewidth=0)
        rows = np.geomspace(top, bottom, 6)[1:]
        for row, (head, error) in zip(rows, errors.items(), strict=False):
            first = np.flatnonzero(error <= goal)[:1]
            heights, color = np.where(error > 0, error, row), HEAD_COLORS[head]
            axis.plot(epochs, heights, ".", color=color)
            axis.plot(epochs, np.where(error > 0, error, np.nan), lw=1.3, color=color, label=head)
            large = {"marker": MARKERS[color], "markersize": 8, "mec": "white", "zorder": 3}
            axis.plot(epochs[first], heights[first], color=color, **large)
        axis.axhline(goal, color="0.4", linestyle="--", linewidth=1, zorder=1)
        axis.set(yscale="log", ylim=(bottom, 130), xlabel="epoch", title=title)
        tick_log(axis.yaxis, 10.0 ** np.arange(np.ceil(np.log10(top)), 3))
    axes[0, 0].set_ylabel("validation error, %")
    label_height(axis, goal, percent)
    label_height(axis, np.sqrt(bottom * top), "no error")
    looks = [(HEAD_COLORS[head], head) for head in errors]
    handles = [plt.Line2D([], [], color=c, marker=MARKERS[c], label=head) for c, head in looks]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def _errors(accuracies, shape):
    return {h: 100 * (1 - numbers(h, a, shape)) for h, a in accuracies.items()}


def channel_weights(kernels, before):
    """Draw the first convolution's weights, a row for each channel of the image.

    At the left are the first 12 filters, on one symmetric scale; at the right the root mean square
    of how much training changed every filter's weights in each channel.

    Raises:
        ValueError: the kernels and those before training are not the same (h, w, 3, filters).
    """
    kernels, shape = np.asarray(kernels, float), np.shape(before)
    if kernels.ndim != 4 or kernels.shape[2] != 3 or shape != kernels.shape:
        needed = "both must be the same (h, w, 3, filters)"
        raise ValueError(f"kernels have shape {kernels.shape}, before {shape}: {needed}")
    filters = kernels.shape[-1]
    count = min(TILES, filters)
    figure, axis = plt.subplots(figsize=(0.52 * count + 1.8, 3))
    _draw_tiles(axis, kernels[..., :count])
    axis.set_title(f"{'all' if count == filters else f'the first {count} of'} {filters} filters")
    # Inset, so that its rows are as high as the tiles, which are square.
    dots = axis.inset_axes((1 + 0.4 / count, 0, 4 / count, 1), sharey=axis)
    _draw_strengths(dots, kernels - before)
    dots.set_title("RMS change in training")
    return figure


def _draw_tiles(axis, kernels):
    """Draw (h, w, channels, filters) as tiles, centered on whole numbers, and their scale."""
    limit, count = np.abs(kernels).max() or 1, kernels.shape[-1]
    for row, column in np.ndindex(kernels.shape[2:]):
        extent = (column - 0.46, column + 0.46, row + 0.46, row - 0.46)
        scale = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
        image = axis.imshow(kernels[:, :, row, column], extent=extent, **scale)
    axis.set(xlim=(-0.5, count - 0.5), ylim=(2.5, -0.5), xlabel="filter")
    axis.set_xticks(range(count), range(1, count + 1))
    axis.set_yticks(range(3), ("red", "green", "blue"))
    axis.tick_params(length=0)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    below = {"location": "bottom", "shrink": 0.6, "aspect": 40, "pad": 0.04}
    bar = axis.figure.colorbar(image, ax=axis, ticks=(-limit, 0, limit), format="{x:.2g}", **below)
    bar.set_label("weight, one scale for all")
    bar.outline.set_visible(False)


def _draw_strengths(axis, weights):
    """Draw the root mean square over (h, w) for each channel and filter, and that of a channel."""
    strengths = np.sqrt(np.mean(weights**2, axis=(0, 1)))
    for row, values in enumerate(strengths):
        axis.plot(values, row + spread(len(values), 0.5), "o", color="0.55", alpha=0.8)
        axis.plot(np.sqrt(np.mean(values**2)), row, "|", color="black", markersize=22, mew=2)
    axis.set_xlim(0, 1.08 * strengths.max() or 1)
    axis.tick_params(axis="y", length=0, labelleft=False)
    axis.grid(axis="y", visible=False)
