"""The figure of `checks.compare_methods`: which method, at which layer, beats the moved map."""

import matplotlib.pyplot as plt
import numpy as np

from cnnlab import plots  # noqa: F401  (its import sets the style)

COLORS = {"grad-cam": "#0072B2", "grad-cam++": "#D55E00", "layercam": "#009E73", "contrast": "0.3"}
KINDS = ("deletion", "insertion")
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
    for axis, kind in zip(axes, KINDS, strict=True):
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
