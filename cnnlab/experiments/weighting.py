"""Ways of weighting the losses of four heads, and heads alone, compared in several settings.

Each way gets a learning rate of its own in each setting, chosen on validation lines.
"""

from typing import NamedTuple

import numpy as np

from cnnlab import datasets, lines, runtime, splits
from cnnlab.experiments import stored


class Setting(NamedTuple):
    """Where ways of weighting are compared: a network, and what it learns from."""

    network: str
    epochs: int
    share: float = 1  # of the training lines
    noisy: bool = False  # some labels are drawn anew


SETTINGS = {
    "small": Setting("small", 3),
    "small, 12 epochs": Setting("small", 12),
    "small, noisy labels": Setting("small", 12, noisy=True),
    "final": Setting("final", 2),
    "final, 10 %": Setting("final", 20, share=0.1),
    "final, 1 %": Setting("final", 200, share=0.01),
}
DRAWN_ANEW = {"length": 0.0, "width": 0.1, "angle": 0.2, "color": 0.3}  # shares of labels
WAYS = ("equal", "5, 2, 1, 50", "learned")
FOUR_NETWORKS = "four networks"  # one head each: they need no loss weights
SIZES = {0.01: "final, 1 %", 0.1: "final, 10 %", 1: "final"}  # shares of the training lines

COMPARED = tuple(name for name, setting in SETTINGS.items() if setting.share == 1)  # in all ways

if runtime.in_smoke():
    SETTINGS = {n: s._replace(epochs=1, share=max(0.1, s.share)) for n, s in SETTINGS.items()}


def noisy(part, seed):
    """Return the lines with labels of which a share is drawn anew; some stay right by chance."""
    random, labels = np.random.default_rng(seed), part.labels.copy()
    for column, (head, count) in zip(labels.T, lines.NUM_CLASSES.items(), strict=True):
        chosen = random.random(len(column)) < DRAWN_ANEW[head]
        column[chosen] = random.integers(0, count, chosen.sum())
    return part._replace(labels=labels)


def fraction_of(part, share, seed):
    """Return a share of the lines, every class alike."""
    if share == 1:
        return part
    chosen = splits.stratified(lines.encode(part.labels), test=share, validation=0, seed=seed).test
    return lines.Lines(*(column[chosen] for column in part))


def watched(part):
    """Return a third of the lines, every class alike, because looking often costs time."""
    return lines.Lines(*(column[::3] for column in part))


def train(recipe, setting, names, options, callbacks=()):
    """Train a network with these heads in a setting; returns it and its history.

    `recipe` is {name: object}, what Task-2.py defines; `options` are the learning rate, the seed
    and the weights. The seed also decides which share of the lines is learned from, and which
    labels are wrong.
    """
    import keras  # here, because documents are filled from this module without it

    learning_rate, seed, weights = options
    network, epochs, share, with_noise = SETTINGS[setting]
    part = fraction_of(datasets.line_heads().train, share, seed)
    part = noisy(part, seed) if with_noise else part
    keras.utils.set_random_seed(seed)
    trained = recipe["build_network"](**recipe["NETWORKS"][network], names=names)
    how = recipe["Recipe"](epochs, learning_rate, seed, weights)
    return trained, recipe["train"](trained, part, how, callbacks=list(callbacks))


def runs(setting, method):
    """Return the stored runs of a way of weighting, or of "only HEAD"."""
    return stored.runs("Task-2", f"compare/{setting}/{method}")


def stored_errors(setting):
    """Return test errors of each way of weighting: {way: {"joint" or head: one number a seed}}."""
    errors = {
        way: {
            name: [run["errors"][name] for run in runs(setting, way)]
            for name in ("joint", *lines.HEADS)
        }
        for way in WAYS
    }
    alone = {name: runs(setting, f"only {name}") for name in lines.HEADS}
    # Four networks are wrong together where at least one of them is.
    wrong = [
        set().union(*(run["wrong"] for run in seed)) for seed in zip(*alone.values(), strict=True)
    ]
    return errors | {
        FOUR_NETWORKS: {"joint": [len(each) for each in wrong]}
        | {name: [run["errors"][name] for run in of_head] for name, of_head in alone.items()}
    }


def stored_first_passed(setting):
    """Return epochs at which heads first passed 99 %: {way: {head: one number or None a seed}}."""
    alone = {n: [r["first passed"][n] for r in runs(setting, f"only {n}")] for n in lines.HEADS}
    return {
        way: {n: [run["first passed"][n] for run in runs(setting, way)] for n in lines.HEADS}
        for way in WAYS
    } | {FOUR_NETWORKS: alone}


def stored_weights(setting):
    """Return the mean weight of each head that was learned in a setting: {head: number}."""
    learned = [run["learned weights"] for run in runs(setting, "learned")]
    return {name: float(np.mean([each[name] for each in learned])) for name in lines.HEADS}


def stored_by_size():
    """Return error rates {"together" or "alone": {head: (sizes, seeds)}}, and numbers of lines."""

    def shares(name, method):
        return np.array(
            [[r["errors"][name] / r["n"] for r in runs(s, method)] for s in SIZES.values()]
        )

    return {
        "together": {name: shares(name, "equal") for name in lines.HEADS},
        "alone": {name: shares(name, f"only {name}") for name in lines.HEADS},
    }
