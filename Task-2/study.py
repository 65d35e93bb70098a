"""Repeat the recipes of Task-2.py with several seeds: python Task-2/study.py -> Task-2/study.json.

The networks and their training are not written here a second time: the cells of Task-2.py that
carry the tag "recipe" are executed. Kinds of runs:

final    the final network, one at a time, so that its seconds mean something
choose   a learning rate for each setting and way of weighting, compared on validation images
compare  the ways of weighting at their chosen learning rates, tested
variant  the plain network with one change of its training lines, tested on lines drawn otherwise
ceiling  the final network's layers, trained on what it never sees: each program's own drawings
"""

import functools
import sys
import time
from itertools import product
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from cnnlab import datasets, lines
from cnnlab.experiments import recoloring, robustness, weighting
from cnnlab.training import heads
from cnnlab.training.head_watch import HeadWatch
from tools import recipes, studies

SCRIPT = HERE / "Task-2.py"
STUDY = studies.Study("Task-2/study.py")
CHOICE_SEEDS = range(100, 103)  # not one of those that are tested
LEARNING_RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
ALONE = {f"only {head}": (head,) for head in lines.HEADS}
TOGETHER = dict.fromkeys(weighting.WAYS, lines.HEADS)
METHODS = TOGETHER | ALONE


def recipe():
    return studies.recipe(SCRIPT)


def settings():
    """All pairs of a setting and a way of weighting; with few images, all weights are equal."""
    return [
        (setting, method)
        for setting, method in product(weighting.SETTINGS, METHODS)
        if weighting.SETTINGS[setting].share == 1 or method in ("equal", *ALONE)
    ]


def do_final(seed):
    """Train the final network, timed, and test it on unseen lines and on lines drawn otherwise."""
    test = datasets.line_heads().test
    begin = time.perf_counter()  # the data is loaded; redrawing a part of it counts
    network, _ = recipe()["train_final"](seed)
    seconds = time.perf_counter() - begin
    tests = {
        name: {"n": len(part.images), "errors": heads.errors(network, part)}
        for name, part in robustness.head_tests(test)
    }
    return tested(network) | {"seconds": round(seconds, 1), "tests": tests}


def train_method(setting, method, learning_rate, seed, callbacks=()):
    """Train a network by one way of weighting, or with one head alone."""
    options = learning_rate, seed, "equal" if method in ALONE else method
    return weighting.train(recipe(), setting, METHODS[method], options, callbacks)


def do_choose(setting, method, learning_rate, seed):
    """Train one way of weighting at one learning rate, for a choice on validation lines."""
    trained, _ = train_method(setting, method, learning_rate, seed)
    validation = datasets.line_heads().validation
    probabilities = heads.probabilities(trained, validation.images)
    return {
        "n": len(validation.images),
        "errors": heads.errors(trained, validation),
        "cross-entropy": heads.cross_entropy(probabilities, validation.labels),
    }


def do_compare(setting, method, learning_rate, seed):
    """Train one way of weighting at its chosen learning rate, and test it."""
    watched = weighting.watched(datasets.line_heads().validation)
    watch = HeadWatch(watched, recipe()["STEPS_BETWEEN_CHECKS"])
    trained, history = train_method(setting, method, learning_rate, seed, callbacks=[watch])
    learned = {"learned weights": history["learned weights"]} if method == "learned" else {}
    return tested(trained) | {"first passed": watch.first_passed()} | learned


def tested(network):
    """What one test of a network says; the lines that it misreads by their place in the test."""
    test = datasets.line_heads().test
    predicted = heads.to_labels(heads.probabilities(network, test.images))
    wrong = [labels != test.labels[:, lines.HEADS.index(h)] for h, labels in predicted.items()]
    return {
        "n": len(test.images),
        "parameters": network.count_params(),
        "errors": heads.errors(network, test),
        "wrong": functools.reduce(lambda a, b: a | b, wrong).nonzero()[0],
    }


def do_variant(variant, seed):
    """The plain recipe on training lines of which a share is redrawn."""
    network = recoloring.train(recipe(), variant, seed)
    test = datasets.line_heads().test
    return {
        "n": len(test.images),
        "drawn otherwise": {
            name: heads.errors(network, test._replace(images=images))
            for name, images in recoloring.drawn_otherwise(test).items()
        },
    }


def do_ceiling(drawing, seed):
    """Train on a program's own drawings, and test on others of them."""
    network, part = robustness.train_ceiling(recipe(), drawing, seed)
    return {"n": len(part.images), "errors": heads.errors(network, part)}


TRAINING = ("build_network", "NETWORKS", "Recipe", "train", datasets.line_heads)
COMPARISON = (*TRAINING, weighting.train, heads.cross_entropy, HeadWatch, weighting.watched)
KINDS = {
    "final": studies.Kind(do_final, ("train_final", robustness.head_tests), alone=True),
    "choose": studies.Kind(do_choose, COMPARISON),
    "compare": studies.Kind(do_compare, COMPARISON),
    "variant": studies.Kind(
        do_variant,
        (*TRAINING, recoloring.train, "varied", "PLAIN_EPOCHS", "LEARNING_RATE"),
    ),
    "ceiling": studies.Kind(
        do_ceiling, (*TRAINING, robustness.train_ceiling, "FINAL_EPOCHS", "LEARNING_RATE")
    ),
}


@functools.cache
def digest(kind, script=SCRIPT):
    """The digest of all recipes that a kind of run depends on."""
    return recipes.digest(script, [*KINDS[kind].recipes, heads.errors])


def search(setting, method):
    """The search for a learning rate: the fewest validation errors, then the smallest loss."""
    what = "joint" if method in TOGETHER else METHODS[method][0]

    def score(run):  # a loss decides only among equal errors
        return run["errors"][what] + 1e-6 * sum(run["cross-entropy"].values())

    key = f"choose/{setting}/{method}/{{value}}/{{seed}}"
    return studies.Search(LEARNING_RATES, slice(2, 5), key, CHOICE_SEEDS, score)


def runs_of(kind, stored):
    """All runs of a kind; `stored` holds the runs whose choices some of them need."""
    names, plan = {
        "final": lambda: (("seed",), product(range(5))),
        "choose": lambda: (
            ("setting", "method", "learning_rate", "seed"),
            (
                (*each, rate, seed)
                for each in settings()
                for rate in search(*each).tried(stored)
                for seed in CHOICE_SEEDS
            ),
        ),
        "compare": lambda: (
            ("setting", "method", "learning_rate", "seed"),
            (
                (*each, search(*each).best(stored), seed)
                for each, seed in product(settings(), range(5))
            ),
        ),
        "variant": lambda: (("variant", "seed"), product(recoloring.VARIANTS, range(3))),
        "ceiling": lambda: (("drawing", "seed"), product(robustness.CEILINGS, range(3))),
    }[kind]()
    return studies.runs(kind, digest(kind), names, plan, {"compare": "learning_rate"}.get(kind))


if __name__ == "__main__":
    studies.main(STUDY)
