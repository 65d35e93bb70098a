"""Figures of repeated experiments, several seeds each: methods, sizes and variants of training."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator

from cnnlab import lines, metrics
from cnnlab.plots.palette import (
    BLACK,
    BLUE,
    CYCLE,
    HEAD_COLORS,
    MARKERS,
    NAMED_COLORS,
    ORANGE,
    SMALL,
    VERMILION,
    label_height,
    spread,
    tick_log,
)
from cnnlab.validation import numbers

# The mark of a break in an axis: two strokes across it, with white between them.
BREAK = {"color": "white", "linewidth": 3, "clip_on": False, "zorder": 5}
BREAK |= {"marker": [(-1, -1), (1, 1)], "markersize": 6, "markeredgecolor": "black", "mew": 0.9}
BREAK_ENDS = np.array((1.8, 2.2))  # times the position of 0
DECADES = {1: "1", 10: "10", 100: "100", 1000: "1k", 10_000: "10k", 100_000: "100k"}


def _by_head(rows, shape, top=1):
    """Turn {row: {head: values}} into {(row, head): values in 0..top}, arrays of that shape."""
    pairs = ((name, head, values) for name, row in rows.items() for head, values in row.items())
    return {(n, head): numbers(f"{n}, {head}", values, shape, top) for n, head, values in pairs}


def _interval(seeds, top):
    """Return (mean, low, high), the 95 % interval cut off at 0 and top; one seed has none."""
    mean = np.mean(seeds)
    return np.clip(metrics.mean_interval(seeds) if len(seeds) > 1 else (mean,) * 3, 0, top)


def factor_effects(rows, linear=0.5):
    """Draw how each change of a base network changes its error, with intervals, by factor.

    `rows` are dicts of `factor`, `variant` and `effects`, {dataset: (mean, low, high, p)} in
    percentage points, as of `metrics.paired_differences`; None for the base's own setting. A panel
    for each dataset; the scale is linear up to `linear`, logarithmic beyond.
    """
    datasets = list(next(row["effects"] for row in rows if row["effects"]))
    size = 8.2, 0.185 * len(rows) + 1.1
    figure, axes = plt.subplots(1, len(datasets), figsize=size, sharey=True, squeeze=False)
    names, previous = [], None
    for height, row in enumerate(rows):
        new = row["factor"] != previous
        names.append(f"{row['factor']}:  {row['variant']}" if new else row["variant"])
        for axis, dataset in zip(axes[0], datasets, strict=True):
            if new and previous is not None:
                axis.axhline(height - 0.5, color="0.8", linewidth=0.7)
            if row["effects"] is None:
                axis.plot(0, height, "|", color="0.4", markersize=9)
                continue
            mean, low, high, p = row["effects"][dataset]
            color = "0.45" if p >= 0.05 else VERMILION if mean > 0 else BLUE
            axis.plot((low, high), (height, height), color=color, linewidth=1.6)
            axis.plot(mean, height, "o", color=color, mfc=color if p < 0.05 else "white")
        previous = row["factor"]
    for axis, dataset in zip(axes[0], datasets, strict=True):
        axis.axvline(0, color="0.4", linewidth=1, zorder=1)
        axis.set_xscale("symlog", linthresh=linear, linscale=1.2)
        low, high = axis.get_xlim()
        ticks = [each for each in (-100, -10, -1, 0, 1, 10, 100) if low <= each <= high]
        axis.set_xticks(ticks, [f"{each:+d}" if each else "0" for each in ticks])
        axis.set_xticks([], minor=True)
        axis.set_title(dataset)
        axis.grid(axis="y", visible=False)
    axes[0, 0].set_yticks(range(len(rows)), names)
    axes[0, 0].set_ylim(len(rows) - 0.5, -0.5)
    figure.supxlabel("change of the validation error, percentage points", fontsize=10)
    return figure


def factor_curves(curves, steps):
    """Draw the validation error of each variant as it learns, a panel for each factor.

    `curves` is {factor: {variant: shares 0..1, (seeds, checks)}}; `steps`, of the checks, ascend.
    Lines are means of the seeds, on a log scale; the first variant of a factor is the base.
    """
    columns = 3
    rows = -(-len(curves) // columns)
    figure, axes = plt.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    figure.set_size_inches(8.2, 2.4 * rows + 0.4)
    for axis in axes.flat[len(curves) :]:
        axis.set_axis_off()
    for axis, (factor, variants) in zip(axes.flat, curves.items(), strict=False):
        for color, (variant, seeds) in zip((BLACK, *CYCLE), variants.items(), strict=False):
            mean = 100 * numbers(variant, seeds, ("seeds", len(steps))).mean(axis=0)
            look = {"color": color, "marker": MARKERS[color], "label": variant}
            axis.plot(steps, np.where(mean > 0, mean, np.nan), **look)
        close = {"handlelength": 1, "handletextpad": 0.4, "columnspacing": 0.5}
        place = {"loc": "lower left", "bbox_to_anchor": (-0.03, 1), "borderaxespad": 0.2}
        axis.legend(fontsize=8, ncols=2, **close, **place).set_in_layout(False)
        axis.set_title(factor, pad=6 + 12 * -(-len(variants) // 2))
    axes[0, 0].set_yscale("log")
    axes[0, 0].yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes[0, 0].yaxis.set_major_formatter("{x:g}")
    axes[0, 0].yaxis.set_minor_formatter(plt.NullFormatter())
    figure.supxlabel("steps", fontsize=10)
    figure.supylabel("validation error, %", fontsize=10)
    return figure


def ladder(errors, n):
    """Draw the errors of networks that differ by one more change each, from the top down.

    `errors` is {dataset: {test: {rung: counts, one a seed}}} among `n[dataset]` images of each
    test, a panel for each dataset and a color for each of its tests, two at most. Small dots are
    seeds, large marks their means; the scale is linear below 1.
    """
    rows = max(len(rungs) for tests in errors.values() for rungs in tests.values())
    figure, axes = plt.subplots(1, len(errors), figsize=(8.2, 0.3 * rows + 1.3), squeeze=False)
    for axis, (dataset, tests) in zip(axes[0], errors.items(), strict=True):
        most = 0
        for (test, rungs), color in zip(tests.items(), (BLUE, VERMILION), strict=False):
            counts = [numbers(rung, seeds, ("seeds",), n[dataset]) for rung, seeds in rungs.items()]
            for height, seeds in enumerate(counts):
                axis.plot(seeds, height + spread(len(seeds), 0.5), ".", color=color, alpha=0.5)
            means = [seeds.mean() for seeds in counts]
            look = {"color": color, "marker": MARKERS[color], "linewidth": 0.8, "label": test}
            axis.plot(means, range(len(means)), **look)
            most = max(most, *map(max, counts))
        axis.set_xscale("symlog", linthresh=1, linscale=0.4)
        ticks = [0, *(d for d in DECADES if d <= 3 * most)]
        axis.set_xticks(ticks, [f"{tick // 1000}k" if tick >= 1000 else tick for tick in ticks])
        axis.set_xlim(left=-0.2)
        axis.set_title(f"{dataset}: errors in {n[dataset]:,}", fontsize=10)
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, fontsize=SMALL)
        _stripe_rows([axis], [("+ " if height else "") + rung for height, rung in enumerate(rungs)])
    return figure


def robustness(rows, networks):
    """Draw the errors of two networks on many tests, in percent, a panel for each dataset.

    `rows` is {dataset: [{"test": name, network: accuracy 0..1, ...}]}, and `networks` is {dataset:
    {label: network}}, two each. The scale is linear below 0.1 %.
    """
    most = max(map(len, rows.values()))
    figure, axes = plt.subplots(1, len(rows), figsize=(8.2, 0.175 * most + 1.0), squeeze=False)
    for axis, (dataset, of_dataset) in zip(axes[0], rows.items(), strict=True):
        heights, names = range(len(of_dataset)), networks[dataset]
        errors = [[100 * (1 - row[name]) for row in of_dataset] for name in names.values()]
        axis.hlines(heights, *errors, color="0.7", linewidth=1.2)
        for each, color, label in zip(errors, (ORANGE, BLUE), names, strict=True):
            look = {"color": color, "marker": MARKERS[color], "label": label, "markersize": 5}
            axis.plot(each, heights, linestyle="", clip_on=False, **look)
        axis.set_xscale("symlog", linthresh=0.1, linscale=0.4)
        axis.set_xticks([0, 0.1, 1, 10, 100], ["0", "0.1", "1", "10", "100"])
        axis.set_xticks([], minor=True)
        axis.set(title=dataset, xlim=(-0.01, 110))
        _stripe_rows([axis], [row["test"] for row in of_dataset])
        axis.tick_params(axis="y", labelsize=SMALL)
    figure.supxlabel("errors, %", fontsize=10)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def method_errors(errors, n, title=""):
    """Draw how many of `n` test images each method got wrong: jointly, and by each head.

    `errors` is {method: {"joint" or a head: counts 0..n, one a seed}}, or ValueError; some heads
    may be missing. The scale is linear below 1. Small dots are seeds, each always at the same
    height; the large one is their mean, the bar its 95 % interval.
    """
    counts = _by_head(errors, ("seeds",), n)
    panels = [h for h in ("joint", *lines.HEADS) if any(h in row for row in errors.values())]
    figure = plt.figure(figsize=(8, 0.42 * len(errors) + 1.3))
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for (method, panel), seeds in counts.items():
        axis, height = axes[panels.index(panel)], list(errors).index(method)
        color = NAMED_COLORS[panel]
        mean, *bar = _interval(seeds, n)
        axis.plot(bar, (height, height), color=color, linewidth=1.6)
        heights = height + spread(len(seeds), 0.7)
        axis.plot(seeds, heights, ".", color=color, alpha=0.5, clip_on=False)
        axis.plot(mean, height, "o", color=color, markersize=7, clip_on=False)
        axis.set_title(panel, loc="center")
    largest = max(1, *(seeds.max() for seeds in counts.values()))
    decades = [decade for decade in DECADES if decade <= largest]
    named = decades if largest < 1000 else decades[:0:-2]  # from 1,000 on every other one
    axis.set_xscale("symlog", linthresh=1, linscale=0.6)
    axis.set_xticks([0, *decades], ["0", *(DECADES[d] if d in named else "" for d in decades)])
    axis.set_xticks(np.outer(decades, np.arange(2, 10)).ravel(), minor=True)
    axis.set_xlim(-0.25, 1.6 * largest)
    _stripe_rows(axes, list(errors))
    explained = "dots: seeds and their mean; bar: its 95 % interval"
    figure.supxlabel(f"errors in {n:,} test images ({explained})", fontsize=10)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _stripe_rows(axes, names):
    """Name the rows from the top down, and shade every other one so that the eye keeps to it."""
    for axis in axes:
        for height in range(0, len(names), 2):
            axis.axhspan(height - 0.5, height + 0.5, color="0.95", linewidth=0, zorder=0)
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="y", visible=False)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)


def learning_speed(first_passed):
    """Draw how soon each head first passed 99 % of the validation images, epochs on a log scale.

    `first_passed` is {method: {head: epochs above 0, one a seed, None where it never passed}}. Thin
    marks are seeds, large ones means. A column at the right has a mark for each seed that never
    passed; the mean of the others is then hollow.
    """
    size = 8, 0.62 * len(first_passed) + 1.4
    figure, (axis, never) = plt.subplots(1, 2, figsize=size, width_ratios=(9, 1), sharey=True)
    for row, of_method in enumerate(first_passed.values()):
        for head, seeds in of_method.items():
            height, color = row + spread(4, 0.8)[lines.HEADS.index(head)], HEAD_COLORS[head]
            passed = np.array([epoch for epoch in seeds if epoch is not None], float)
            failed = len(seeds) - len(passed)
            for panel, positions in ((axis, passed), (never, 0.5 + spread(failed, 0.9))):
                heights = np.full(len(positions), height)
                panel.plot(positions, heights, "|", color=color, markersize=10, mew=1.1)
            if len(passed):
                fill = "white" if failed else color
                look = {"color": color, "marker": MARKERS[color], "markersize": 6.5, "mfc": fill}
                axis.plot(passed.mean(), height, **look)
    explained = "thin: seeds; mark: their mean, hollow if some never got there"
    axis.set(xscale="log", xlabel=f"epochs to 99 % on the validation images\n({explained})")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("")
    never.set(xlim=(0, 1), xticks=(0.5,), xticklabels=("never",))
    never.tick_params(axis="x", length=0)
    _stripe_rows((axis, never), list(first_passed))
    for head, color in HEAD_COLORS.items():
        never.plot([], [], MARKERS[color], color=color, label=head)
    figure.legend(loc="outside upper center", ncols=4, handletextpad=0)
    return figure


def training_size(errors, sizes):
    """Draw the error rate of each head against the number of training images, both on log scales.

    `errors` is {"together" or "alone": {head: shares 0..1, (sizes, seeds)}}: heads trained in one
    network, or each in its own, or ValueError; some may be missing. `sizes` are ascending. Lines
    join means, dots are seeds, bars 95 % intervals; 0 is a line below a break in the axis.
    """
    sizes = np.asarray(sizes, float)
    percents = {k: 100 * v for k, v in _by_head(errors, (len(sizes), "seeds")).items()}
    # The position of 0 is below all else; a mean of few errors is smaller than any of its seeds.
    values = np.concatenate([np.append(s, s.mean(axis=1)) for s in percents.values()])
    zero = min(values[values > 0], default=1) / 4
    decades = 10.0 ** np.arange(np.ceil(np.log10(2 * zero)), 3)
    figure, axes = plt.subplots(2, 2, figsize=(8, 4.4), sharex=True, sharey=True)
    for (training, head), seeds in percents.items():
        axis, color = axes.flat[lines.HEADS.index(head)], HEAD_COLORS[head]
        # Side by side, so that neither hides the other.
        looks = {"together": (0.96, "-o", color), "alone": (1.04, "--o", "white")}
        side, line, fill = looks[training]
        means, *ends = np.maximum(np.transpose([_interval(s, 100) for s in seeds]), zero)
        axis.vlines(side * sizes, *ends, color=color, linewidth=1.2)
        dots = np.maximum(seeds, zero)
        axis.plot(side * sizes, dots, ".", color=color, alpha=0.5, clip_on=False)
        axis.plot(side * sizes, means, line, color=color, mfc=fill, markersize=5.5)
    axes[0, 0].set(xscale="log", yscale="log", ylim=(zero / 1.5, 130))
    for axis, head in zip(axes.flat, lines.HEADS, strict=True):
        axis.axhline(zero, color="0.6", linewidth=0.8, zorder=1)
        axis.set_title(head)
        tick_log(axis.yaxis, decades, zero)
        axis.plot((0, 0), BREAK_ENDS * zero, transform=axis.get_yaxis_transform(), **BREAK)
        tick_log(axis.xaxis, sizes)
    figure.supxlabel("training images", fontsize=10)
    figure.supylabel("error rate, %", fontsize=10)
    gray = {"color": "0.35"}  # in the legend, since each panel has the color of its head
    axis.plot([], [], "-o", label="with the other heads", **gray)
    axis.plot([], [], "--o", label="alone", mfc="white", **gray)
    axis.plot([], [], ".", label="one seed", alpha=0.6, **gray)
    axis.plot([], [], "|", label="95 % interval", markersize=11, **gray)
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def accuracy_by_recolored_fraction(fractions, accuracies):
    """Draw the accuracy on lines of an unseen color against the fraction of recolored images.

    `fractions`, of training images, are 0..1, ascending, on a log scale, 0 at the left of a break;
    `accuracies` is {head: accuracies 0..1, (fractions, seeds)} of the heads for shape. Lines join
    the means, dots are seeds, dashes show chance. Raises ValueError for a wrong shape or accuracy.
    """
    fractions = np.asarray(fractions, float)
    shape = len(fractions), "seeds"
    percents = {head: 100 * numbers(head, v, shape) for head, v in accuracies.items()}
    chances = {head: 100 / lines.NUM_CLASSES[head] for head in percents}
    some = fractions > 0
    zero = fractions[some].min() / 4
    positions = np.maximum(fractions, zero)
    figure, axis = plt.subplots(figsize=(8, 3.1))
    for head, seeds in percents.items():
        color, index, means = HEAD_COLORS[head], lines.HEADS.index(head), seeds.mean(axis=1)
        # Heads lie on one another at 100 % and at chance: shift the seeds, alternate the dashes.
        shifted = positions * 1.05 ** (index - 1)
        axis.plot(shifted, seeds, ".", color=color, alpha=0.5, clip_on=False)
        look = {"color": color, "marker": MARKERS[color], "markersize": 5.5}
        axis.plot(positions[:2], means[:2], ":", **look)  # across the break
        axis.plot(positions[some], means[some], label=head, **look)
        dashes = (5 * index, (5, 5))
        axis.axhline(chances[head], color=color, linestyle=dashes, linewidth=1.2, zorder=1)
    for chance in set(chances.values()):
        names = ", ".join(head for head in percents if chances[head] == chance)
        label_height(axis, chance, f"chance, {chance:.2g} %:\n{names}")
    axis.set(xscale="log", xlim=(zero / 1.5, 1.4 * fractions[-1]), ylim=(0, 102))
    axis.set_xlabel("share of the training images that were recolored")
    axis.set_ylabel("accuracy on green lines, %")
    tick_log(axis.xaxis, fractions[some], zero)
    axis.plot(BREAK_ENDS * zero, (0, 0), transform=axis.get_xaxis_transform(), **BREAK)
    figure.legend(loc="outside upper center", ncols=3)
    return figure
