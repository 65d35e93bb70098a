"""The figure of the linear probes."""

import matplotlib.pyplot as plt

from cnnlab import plots  # noqa: F401  (its import sets the style)

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
