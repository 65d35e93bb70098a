"""Repeat the recipes of Task-1.py with several seeds: python Task-1/study.py -> Task-1/study.json.

The networks and their training are not written here a second time: the cells of Task-1.py that
carry the tag "recipe" are executed. Every finished run is stored at once, so a study that was
stopped goes on where it was. A run whose recipe has changed since is done again.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from cnnlab import metrics, runtime
from tools import recipes

SCRIPT = HERE / "Task-1.py"


class Experiment(NamedTuple):
    """What is repeated: a kind of run with a recipe's function, on a dataset, with some seeds."""

    kind: str  # "network": train and test one; "sweep": one change at a time, on validation
    train: str
    dataset: str
    seeds: range


EXPERIMENTS = {
    "final-lines": Experiment("network", "train_final_lines", "lines", range(5)),
    "final-mnist-official": Experiment("network", "train_final_mnist", "official", range(5)),
    "part1-mnist-official": Experiment("network", "train_part1_mnist", "official", range(5)),
    "part1-lines": Experiment("network", "train_part1_lines", "lines", range(5)),
    # The notebook itself runs the sweeps with seed 0.
    "sweep-mnist": Experiment("sweep", "sweep_mnist", "digits", range(1, 3)),
    "sweep-lines": Experiment("sweep", "sweep_lines", "lines", range(1, 3)),
    "part1-mnist": Experiment("network", "train_part1_mnist", "digits", range(3)),
    "final-mnist": Experiment("network", "train_final_mnist", "digits", range(3)),
}


def run(recipe, experiment, dataset, seed):
    """Do one run; returns its results as they are stored."""
    train = recipe[experiment.train]
    if experiment.kind == "sweep":
        return {"validation_errors": train(dataset, seed)}
    begin = time.perf_counter()
    network, _ = train(dataset, seed)
    seconds = time.perf_counter() - begin
    answered = recipe["predict"](network, dataset.test.images)
    correct, n = int((answered == dataset.test.labels).sum()), len(answered)
    return {
        "accuracy": correct / n,
        "errors": n - correct,
        "n": n,
        "interval_95": metrics.wilson_interval(correct, n),
        "parameters": network.count_params(),
        "seconds": round(seconds, 1),
    }


def digests():
    """The digest of each experiment's recipe, by the experiment's name."""
    code = recipes.source(SCRIPT)
    data = ["mnist_datasets", "line_dataset", "predict"]
    modules = [HERE.parent / "cnnlab" / "augment.py"]  # a part of the training, the rest is not
    return {
        name: recipes.digest(code, [experiment.train, *data], modules)
        for name, experiment in EXPERIMENTS.items()
    }


def missing(study, current):
    """The runs that study.json lacks, or holds from an older recipe: (name, seed) in order."""
    return [
        (name, seed)
        for name, experiment in EXPERIMENTS.items()
        for seed in experiment.seeds
        if study["runs"].get(f"{name}/{seed}", {}).get("recipe") != current[name]
    ]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=EXPERIMENTS, help="left out: all of them")
    parser.add_argument("--out", type=Path, default=HERE / "study.json")
    arguments = parser.parse_args(arguments)
    runtime.start(seed=0)
    study = json.loads(arguments.out.read_text()) if arguments.out.exists() else {"runs": {}}
    recipe, current = recipes.load(SCRIPT), digests()
    digits, official = recipe["mnist_datasets"]()
    datasets = {"digits": digits, "official": official, "lines": recipe["line_dataset"]()[-1]}
    for name, seed in missing(study, current):
        if arguments.only and name not in arguments.only:
            continue
        print(f"{name}, seed {seed}", flush=True)
        experiment = EXPERIMENTS[name]
        result = run(recipe, experiment, datasets[experiment.dataset], seed)
        study["runs"][f"{name}/{seed}"] = result | {"seed": seed, "recipe": current[name]}
        study |= {"machine": runtime.machine(), "versions": runtime.versions()}
        runtime.save_json(study, arguments.out)


if __name__ == "__main__":
    main()
