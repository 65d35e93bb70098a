"""Repeat the recipes of Task-1.py with several seeds: python Task-1/study.py -> Task-1/study.json.

The networks and their training are not written here a second time: the cells of Task-1.py that
carry the tag "recipe" are executed. Every finished run is stored at once, so a study that was
stopped goes on where it was. A run whose recipe has changed since is done again.
"""

import functools
import sys
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from cnnlab import metrics
from tools import recipes, studies

SCRIPT = HERE / "Task-1.py"
STUDY = studies.Study("Task-1/study.py")


class Experiment(NamedTuple):
    """What is repeated: a kind of run with a recipe's function, on a dataset, with some seeds."""

    kind: str  # "network": train and test one; "sweep": one change at a time, on validation
    train: str  # names in the recipes
    data: str
    seeds: range


EXPERIMENTS = {
    "final-mnist-official": Experiment("network", "train_final_mnist", "mnist_official", range(5)),
    "final-lines": Experiment("network", "train_final_lines", "line_dataset", range(5)),
    "quick-mnist-official": Experiment("network", "train_quick_mnist", "mnist_official", range(10)),
    "part1-mnist-official": Experiment("network", "train_part1_mnist", "mnist_official", range(3)),
    "part1-lines": Experiment("network", "train_part1_lines", "line_dataset", range(3)),
    # The notebook itself runs the sweeps with seed 0.
    "sweep-mnist": Experiment("sweep", "sweep_mnist", "mnist_for_choices", range(1, 3)),
    "sweep-lines": Experiment("sweep", "sweep_lines", "line_dataset", range(1, 3)),
}
TIMED = "quick-mnist-official"


@functools.cache
def dataset(name):
    """A dataset of the recipes, made once."""
    return studies.recipe(SCRIPT)[name]()


def do(name, seed):
    """Do one run of an experiment; returns its results as they are stored."""
    experiment = EXPERIMENTS[name]
    recipe, parts = studies.recipe(SCRIPT), dataset(experiment.data)
    train = recipe[experiment.train]
    if experiment.kind == "sweep":
        return {"validation_errors": train(parts, seed)}
    begin = time.perf_counter()
    network, _ = train(parts, seed)
    seconds = time.perf_counter() - begin
    predicted = recipe["predict"](network, parts.test.images)
    correct, n = int((predicted == parts.test.labels).sum()), len(predicted)
    return {
        "accuracy": correct / n,
        "errors": n - correct,
        "n": n,
        "interval_95": metrics.wilson_interval(correct, n),
        "parameters": network.count_params(),
        "seconds": round(seconds, 1),
    }


@functools.cache
def digest(name, script=SCRIPT):
    """The digest of an experiment's recipe."""
    experiment = EXPERIMENTS[name]
    return recipes.digest(script, [experiment.train, experiment.data, "predict"])


def runs_of(name):
    """All runs of an experiment."""
    return [
        studies.Run(f"{name}/{seed}", digest(name), {"seed": seed}, (name,))
        for seed in EXPERIMENTS[name].seeds
    ]


def main(arguments=None):
    options = studies.parse(STUDY, __doc__, EXPERIMENTS, arguments)
    names = set(options.only or EXPERIMENTS)
    # Its seconds are a result: alone. The others are trained as in the notebook, on one core each.
    for some, jobs in ((names - {TIMED}, max(2, options.jobs)), (names & {TIMED}, 1)):
        runs = [run for name in EXPERIMENTS if name in some for run in runs_of(name)]
        if runs:
            studies.execute(options.out, runs, STUDY.do, jobs, options.address)


if __name__ == "__main__":
    studies.run(main)
