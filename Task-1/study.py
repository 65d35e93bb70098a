"""Repeat the recipes of Task-1.py with several seeds: python Task-1/study.py -> Task-1/study.json.

The networks and their training are not written here a second time: the cells of Task-1.py that
carry the tag "recipe" are executed. Kinds of runs:

rate       a learning rate for each setting of Part 2, compared on validation images
variation  the settings of Part 2 at their chosen learning rates, with other seeds
ladder     from the given network to the final one, a change at a time
leak       networks trained on lines at whole-pixel positions
dataset    how new the test lines are, and how exactly they are drawn
others     a network, tested on its test images and on those that a scanner, a camera or another
           program makes of them; "final-lines" and "quick-..." one at a time, for their seconds
"""

import functools
import sys
import time
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from cnnlab import datasets, lines, runtime
from cnnlab.experiments import ladder, leaks, quick, robustness, variations, varied
from cnnlab.saving import save_model
from cnnlab.training.classifier import predict
from tools import recipes, studies

SCRIPT = HERE / "Task-1.py"
STUDY = studies.Study("Task-1/study.py")


class Network(NamedTuple):
    """A network of the study: what trains it on which dataset, and what it is tested on."""

    train: object  # a name among the recipes, or a function
    load: object
    tests: object
    seeds: int = 5
    alone: bool = False


DIGITS, LINES = robustness.digit_tests, robustness.line_tests
LONG = "final-mnist-official"  # its first network is kept, as the notebook trains a shorter one
NETWORKS = {
    "final-lines": Network("train_final_lines", datasets.line_classes, LINES, alone=True),
    "quick-mnist-official": Network(quick.train, datasets.digits_official, DIGITS, 10, alone=True),
    "given-mnist": Network("train_given_digits", datasets.digits, DIGITS),
    "given-mnist-official": Network("train_given_digits", datasets.digits_official, DIGITS),
    "given-lines": Network("train_given_lines", datasets.line_classes, LINES),
    LONG: Network("train_long_digits", datasets.digits_official, DIGITS, 10),
}
LADDER = {"MNIST": (datasets.digits, DIGITS), "lines": (datasets.line_classes, LINES)}
LADDER_USES = (
    "given_network",
    "final_digit_network",
    "final_line_network",
    "redrawn_lines",
    "new_shapes",
    "new_appearance",
    "line_changes",
    "digit_recipe",
    "line_recipe",
    "train_final",
)
LEAKS = {"Part 1": "given_network", "final": "final_line_network"}
VARIED = {"MNIST": datasets.digits_for_choices, "lines": datasets.line_classes}
RATES = (0.03, 0.1, 0.3, 1, 3, 10, 30)  # times the usual one; the middle three are always tried
CHOICE_SEEDS, OTHER_SEEDS = range(2), range(2, 8)


@functools.cache
def dataset(load):
    """A dataset, made once."""
    return load()


def recipe():
    return studies.recipe(SCRIPT)


def do_network(name, seed):
    """Train a network and test it on everything."""
    network = NETWORKS[name]
    parts = dataset(network.load)
    train = recipe()[network.train] if isinstance(network.train, str) else network.train
    begin = time.perf_counter()
    trained, _ = train(parts, seed)
    seconds = time.perf_counter() - begin
    if name == LONG and seed == 0:
        folder = studies.ROOT / "run" if runtime.in_smoke() else studies.ROOT
        names = {trained.layers[-1].name: list("0123456789")}
        save_model(trained, folder / "Task-1/long-mnist.keras", names)
    return tested(trained, network.tests, parts.test) | {"seconds": round(seconds, 1)}


def tested(network, tests, part):
    """What the tests of a network say; the wrong ones of the test images by their place."""
    results = {}
    for test, images in tests(part):
        wrong = np.flatnonzero(predict(network, images.images) != images.labels)
        results[test] = {"errors": len(wrong), "n": len(images.labels)}
        if test == robustness.AS_THEY_ARE:
            first = results.pop(test) | {"wrong": wrong}
    return first | {"tests": results, "parameters": network.count_params()}


def do_ladder(data, rung, seed):
    """Train the network of one rung, and test it on everything."""
    load, tests = LADDER[data]
    parts = dataset(load)
    network, _ = ladder.train(recipe(), data, rung, parts, seed)
    return tested(network, tests, parts.test)


def do_leak(network, seed):
    """Train a network on lines at whole-pixel positions, and test it on seen and unseen ones."""
    build, train_final = recipe()[LEAKS[network]], recipe()["train_final"]
    shape = ((28, 28, 3), lines.CLASSES) if network == "Part 1" else ()
    how = recipe()["line_recipe"]([], ladder.EPOCHS["lines"])

    def fit(built, lines_of_whole_pixels):
        train_final(built, lines_of_whole_pixels, how, seed)

    return {"tests": leaks.train(lambda: build(*shape), fit, seed)}


def do_dataset():
    """Measure the dataset of lines."""
    distances = leaks.distances_to_training(dataset(datasets.line_classes))
    within = {str(levels): float(np.mean(distances <= levels)) for levels in (0, 1, 5, 10, 40)}
    return {
        "nearest training line, gray levels": {
            "median": float(np.median(distances)),
            "within": within,
        },
        "measured geometry": leaks.geometry_errors(datasets.line_pool()),
    }


def do_variation(data, change, rate, seed):
    """Train one setting of Part 2."""
    changed = variations.settings()[change]
    errors = varied.train(data, dataset(VARIED[data]), changed, rate, seed)
    return {"validation errors": errors}


VARIATION = studies.Kind(do_variation, (varied.train, *VARIED.values()))
KINDS = {
    name: studies.Kind(
        functools.partial(do_network, name), (each.train, each.load, each.tests), each.alone
    )
    for name, each in NETWORKS.items()
} | {
    "ladder": studies.Kind(do_ladder, (ladder.train, *LADDER_USES, *sum(LADDER.values(), ()))),
    "dataset": studies.Kind(
        do_dataset,
        (
            leaks.distances_to_training,
            leaks.geometry_errors,
            datasets.line_classes,
            datasets.line_pool,
        ),
    ),
    "leak": studies.Kind(do_leak, (leaks.train, *LEAKS.values(), "train_final", "line_recipe")),
    "rate": VARIATION,
    "variation": VARIATION,
}


@functools.cache
def digest(kind, script=SCRIPT):
    """The digest of all recipes that a kind of runs depends on."""
    return recipes.digest(script, [*KINDS[kind].recipes, predict])


def rate_search(data, change):
    """The search for the learning rate of a setting: the fewest errors on validation images."""
    key = f"rate/{data}/{change}/{{value}}/{{seed}}"
    return studies.Search(
        RATES, slice(2, 5), key, CHOICE_SEEDS, lambda run: run["validation errors"][-1]
    )


def runs_of(kind, stored):
    """All runs of a kind; the learning rates of Part 2 follow from the `stored` runs."""
    changes = list(product(VARIED, variations.settings())) if KINDS[kind] is VARIATION else []
    names, plan = {
        "ladder": lambda: (
            ("data", "rung", "seed"),
            ((d, rung, seed) for d in LADDER for rung in ladder.RUNGS[d] for seed in range(5)),
        ),
        "dataset": lambda: ((), [()]),
        "leak": lambda: (("network", "seed"), product(LEAKS, range(3))),
        "rate": lambda: (
            ("data", "change", "rate", "seed"),
            (
                (*each, rate, seed)
                for each in changes
                for rate in rate_search(*each).tried(stored)
                for seed in CHOICE_SEEDS
            ),
        ),
        "variation": lambda: (
            ("data", "change", "rate", "seed"),
            (
                (*each, rate_search(*each).best(stored), seed)
                for each, seed in product(changes, OTHER_SEEDS)
            ),
        ),
    }.get(kind, lambda: (("seed",), product(range(NETWORKS[kind].seeds))))()
    return studies.runs(kind, digest(kind), names, plan, {"variation": "rate"}.get(kind))


if __name__ == "__main__":
    studies.main(STUDY)
