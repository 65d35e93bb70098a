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

import jupytext

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from cnnlab import metrics, runtime


def recipe_source():
    """The code of all cells of Task-1.py that are tagged "recipe"."""
    cells = jupytext.read(HERE / "Task-1.py").cells
    return "\n\n".join(c.source for c in cells if "recipe" in c.metadata.get("tags", []))


def load_recipe():
    names = {"json": json}
    exec(compile(recipe_source(), "Task-1.py (recipe)", "exec"), names)
    return names


def trained(recipe, train, dataset, classes=None):
    """Train one network and test it once."""
    begin = time.perf_counter()
    network, _ = train()
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


def experiments(recipe):
    """{name: (function of a seed that returns a result, number of seeds)}."""
    digits, official = recipe["mnist_datasets"]()
    _, _, strokes = recipe["line_dataset"]()
    classes = recipe["lines"].CLASSES

    def part1(dataset, count):
        validate = len(dataset.validation.labels) > 0
        return lambda seed: trained(
            recipe, lambda: recipe["train_part1"](dataset, count, seed, validate), dataset
        )

    def final(train, dataset):
        return lambda seed: trained(recipe, lambda: recipe[train](dataset, seed), dataset)

    def sweep(dataset, count):
        return lambda seed: {"validation_errors": recipe["sweep"](dataset, count, seed)}

    return {
        "final-lines": (final("train_final_lines", strokes), 5),
        "final-mnist-official": (final("train_final_mnist", official), 5),
        "part1-mnist-official": (part1(official, 10), 5),
        "part1-lines": (part1(strokes, classes), 5),
        "sweep-mnist": (sweep(digits, 10), 3),
        "sweep-lines": (sweep(strokes, classes), 3),
        "part1-mnist": (part1(digits, 10), 5),
        "final-mnist": (final("train_final_mnist", digits), 5),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", help="names of experiments; left out, all of them")
    parser.add_argument("--out", type=Path, default=HERE / "study.json")
    arguments = parser.parse_args()
    runtime.start(seed=0)
    study = json.loads(arguments.out.read_text()) if arguments.out.exists() else {"runs": {}}
    recipe = load_recipe()
    for name, (run, seeds) in experiments(recipe).items():
        if arguments.only and name not in arguments.only:
            continue
        for seed in range(seeds):
            key = f"{name}/{seed}"
            if key in study["runs"]:
                continue
            print(f"{key} ...", flush=True)
            study["runs"][key] = run(seed) | {"seed": seed}
            study |= {"machine": runtime.machine(), "versions": runtime.versions()}
            runtime.save_json(study, arguments.out)


if __name__ == "__main__":
    main()
