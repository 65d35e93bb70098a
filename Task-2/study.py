"""Repeat the recipes of Task-2.py with several seeds: python Task-2/study.py -> Task-2/study.json.

The networks and their training are not written here a second time: the cells of Task-2.py that
carry the tag "recipe" are executed. Six kinds of runs:

final    the final network, one at a time, so that its seconds mean something
choose   a learning rate for each network and way of weighting, compared on validation images
compare  the ways of weighting at their chosen learning rates, tested
longer   the same on the final network with three times the epochs, all heads together
size     together and alone, with fewer training images, tested
variant  the plain network with one change of its training lines, tested on lines drawn otherwise
"""

import functools
import sys
import time
from itertools import product
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from cnnlab import lines, runtime
from tools import recipes, studies

SCRIPT = HERE / "Task-2.py"
STUDY = studies.Study("Task-2/study.py")
SEEDS, FEW_SEEDS = range(5), range(3)
CHOICE_SEEDS = (100,)  # not one of those that are tested
LEARNING_RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
EPOCHS = {"small": 3, "final": 2}  # short, so that errors are left to compare
ALONE = {f"only {head}": (head,) for head in lines.HEADS}
TOGETHER = dict.fromkeys(("equal", "5, 2, 1, 50", "learned"), lines.HEADS)
METHODS = TOGETHER | ALONE
SIZES = (0.01, 0.1)  # shares of the training images; all of them is the comparison itself
VARIANTS = {
    "as they are": {},
    "0.1 % recolored": {"recolored": 0.001},
    "1 % recolored": {"recolored": 0.01},
    "10 % recolored": {"recolored": 0.1},
    "10 % white": {"recolored": 0.1, "colors": (255, 255, 255)},
}


def recipe():
    return studies.recipe(SCRIPT)


def weights_of(method):
    return "equal" if method in ALONE else method


def do_final(seed):
    """Train the final network, timed, and test it on unseen lines and on other programs' lines."""
    recipe()["line_parts"]()
    begin = time.perf_counter()  # the data is loaded; redrawing a part of it counts
    network, _ = recipe()["train_final"](seed)
    seconds = time.perf_counter() - begin
    return tested(network) | {
        "seconds": round(seconds, 1),
        "other programs": {
            program: {"n": len(part.images), "errors": recipe()["errors_by_head"](network, part)}
            for program, part in drawings().items()
        },
        "drawn otherwise": drawn_otherwise_errors(network),
    }


@functools.cache
def drawings():
    return recipe()["drawings_by_others"](recipe()["line_parts"]()["test"])


def drawn_otherwise_errors(network):
    """Errors on the test lines in other colors and dimmed, by head."""
    test = recipe()["line_parts"]()["test"]
    return {
        name: recipe()["errors_by_head"](network, test._replace(images=images))
        for name, images in recipe()["drawn_otherwise"](test).items()
    }


class Run(NamedTuple):
    """One training of the comparison: a network, a way of weighting, a learning rate, a seed."""

    network: str
    method: str
    learning_rate: float
    seed: int


def train_method(run, share=1, longer=1, callbacks=()):
    """Train a network by one way of weighting; about as many steps for every share."""
    part = recipe()["fraction_of"](recipe()["line_parts"]()["training"], share)
    epochs = 1 if runtime.in_smoke() else round(EPOCHS[run.network] * longer / share)
    how = recipe()["Recipe"](epochs, run.learning_rate, run.seed, weights_of(run.method))
    train = recipe()["train_comparison"]
    return train(run.network, METHODS[run.method], part, how, callbacks)


def do_choose(network, method, learning_rate, seed):
    trained, _ = train_method(Run(network, method, learning_rate, seed))
    validation = recipe()["line_parts"]()["validation"]
    probabilities = recipe()["heads"].probabilities(trained, validation.images)
    return {
        "errors": recipe()["errors_by_head"](trained, validation),
        "cross-entropy": recipe()["heads"].cross_entropy(probabilities, validation.labels),
    }


def do_compare(network, method, learning_rate, seed):
    """Train one way of weighting at its chosen learning rate, and test it."""
    watched = recipe()["watched_part"](recipe()["line_parts"]()["validation"])
    watch = recipe()["HeadWatch"](watched)
    trained, history = train_method(Run(network, method, learning_rate, seed), callbacks=[watch])
    learned = {"learned weights": history["learned weights"]} if method == "learned" else {}
    return tested(trained) | {"first passed": watch.first_passed()} | learned


def do_longer(method, learning_rate, seed):
    """Train the final network's layers three times as long, and test them."""
    return tested(train_method(Run("final", method, learning_rate, seed), longer=3)[0])


def do_size(share, method, learning_rate, seed):
    """Train the final network's layers on a share of the training images, and test it."""
    return tested(train_method(Run("final", method, learning_rate, seed), share)[0])


def tested(network):
    """What one test of a network says; a single head's errors by their place in the test part."""
    test = recipe()["line_parts"]()["test"]
    result = {
        "n": len(test.images),
        "parameters": network.count_params(),
        "errors": recipe()["errors_by_head"](network, test),
    }
    if len(network.output) == 1:  # so that four networks can be judged together
        heads = recipe()["heads"]
        ((head, predicted),) = heads.to_labels(heads.probabilities(network, test.images)).items()
        wrong = predicted != test.labels[:, lines.HEADS.index(head)]
        result["wrong"] = wrong.nonzero()[0]
    return result


def do_variant(variant, seed):
    """The plain recipe on training lines of which a share is redrawn."""
    network = recipe()["train_redrawn"](seed, **VARIANTS[variant])
    return {
        "n": len(recipe()["line_parts"]()["test"].images),
        "drawn otherwise": drawn_otherwise_errors(network),
    }


# What every kind depends on.
ALWAYS = ("line_parts", "errors_by_head", "heads.probabilities", "heads.to_labels")
KINDS = {  # kind: what does it, the recipes that it depends on, whether it runs alone
    "final": (do_final, ["train_final", "drawings_by_others", "drawn_otherwise"], True),
    "choose": (do_choose, ["train_comparison", "fraction_of", "heads.cross_entropy"], False),
    "compare": (
        do_compare,
        ["train_comparison", "fraction_of", "HeadWatch", "watched_part"],
        False,
    ),
    "longer": (do_longer, ["train_comparison", "fraction_of"], False),
    "size": (do_size, ["train_comparison", "fraction_of"], False),
    "variant": (do_variant, ["train_redrawn", "drawn_otherwise"], False),
}


def do(kind, **arguments):
    """Do one run of a kind; returns its results as they are stored."""
    return KINDS[kind][0](**arguments)


@functools.cache
def digest(kind, script=SCRIPT):
    """The digest of all recipes that a kind of run depends on."""
    return recipes.digest(script, [*KINDS[kind][1], *ALWAYS])


def runs_of(kind, stored):
    """All runs of a kind; `stored` holds the choices that some of them need."""
    rates = {} if kind in ("final", "choose", "variant") else chosen_rates(stored)
    plan = {
        "final": [{"seed": seed} for seed in SEEDS],
        "choose": [
            {"network": network, "method": method, "learning_rate": rate, "seed": seed}
            for network, method in product(EPOCHS, METHODS)
            for rate, seed in product(LEARNING_RATES, CHOICE_SEEDS)
        ],
        "compare": [
            {"network": network, "method": method, "learning_rate": rate, "seed": seed}
            for (network, method), rate in rates.items()
            for seed in SEEDS
        ],
        "longer": [
            {"method": method, "learning_rate": rates.get(("final", method)), "seed": seed}
            for method, seed in product(TOGETHER, FEW_SEEDS)
        ],
        "size": [
            {"share": share, "method": method, "learning_rate": rate, "seed": seed}
            for share in SIZES
            for (network, method), rate in rates.items()
            for seed in FEW_SEEDS
            if network == "final" and method in ("equal", *ALONE)
        ],
        "variant": [{"variant": v, "seed": seed} for v, seed in product(VARIANTS, FEW_SEEDS)],
    }[kind]
    return [studies.Run(key_of(kind, each), digest(kind), each, (kind,)) for each in plan]


def key_of(kind, arguments):
    """The name of a run; a chosen learning rate follows from the rest and is left out."""
    chosen = kind in ("compare", "longer", "size")
    shown = [str(v) for name, v in arguments.items() if not (chosen and name == "learning_rate")]
    return "/".join([kind, *shown])


def chosen_rates(stored):
    """The learning rate of each (network, method): fewest validation errors, then smallest loss."""
    rates = {}
    for network, method in product(EPOCHS, METHODS):
        scores = {}
        for rate in LEARNING_RATES:
            found = [stored[f"choose/{network}/{method}/{rate}/{seed}"] for seed in CHOICE_SEEDS]
            what = "joint" if len(METHODS[method]) > 1 else METHODS[method][0]
            scores[rate] = (
                sum(run["errors"][what] for run in found),
                sum(sum(run["cross-entropy"].values()) for run in found),
            )
        rates[network, method] = min(scores, key=scores.get)
    return rates


def main(arguments=None):
    options = studies.parse(STUDY, __doc__, KINDS, arguments)
    for kind in options.only or KINDS:
        runs = runs_of(kind, studies.load(options.out))
        jobs = 1 if KINDS[kind][2] else options.jobs
        studies.execute(options.out, runs, STUDY.do, jobs, options.address)


if __name__ == "__main__":
    studies.run(main)
