"""What the studies have stored: `study.json` beside a notebook, many runs of its recipes."""

import functools
import json
import math

import numpy as np

from cnnlab import corruptions, metrics, runtime
from cnnlab.notebook import percent


@functools.cache
def study(task) -> dict[str, dict]:
    """Return all runs of a task, such as "Task-1", by key: "kind/.../seed" or "kind"."""
    path = runtime.repository_root() / task / "study.json"
    return json.loads(path.read_bytes())["runs"]


def runs(task, name) -> list[dict]:
    """Return the results of all seeds of an experiment, "kind/...", in the order of the seeds.

    Raises:
        KeyError: the study has no such run.
    """
    found = {
        int(key.rpartition("/")[2]): run
        for key, run in study(task).items()
        if key.rpartition("/")[0] == name
    }
    if not found:
        raise KeyError(f"{task}/study.json has no run of {name!r}")
    return [found[seed] for seed in sorted(found)]


def summary(task, name, title) -> dict:
    """Return what all seeds of a network say together; of four heads, jointly.

    The interval is for the recipe: a bootstrap draws seeds and test images again.
    """
    of_seeds = runs(task, name)
    errors, n = [_joint(run["errors"]) for run in of_seeds], of_seeds[0]["n"]
    return {
        "title": title,
        "seeds": len(of_seeds),
        "n": n,
        "errors": errors,
        "median errors": float(np.median(errors)),
        "mean accuracy": 1 - float(np.mean(errors)) / n,
        "interval of the errors": metrics.recipe_interval([run["wrong"] for run in of_seeds], n)[
            1:
        ],
        "parameters": of_seeds[0]["parameters"],
        "seconds": [run["seconds"] for run in of_seeds],
    }


def headline(summary) -> dict[str, str]:
    """Return a summary in words: "what", its "value" and the "conditions"."""
    errors = ", ".join(map(str, summary["errors"]))
    return {
        "what": summary["title"],
        "value": percent(summary["mean accuracy"], 3),
        "conditions": f"mean of {summary['seeds']} seeds; errors {errors} in {summary['n']:,} "
        f"unseen images; at most {math.ceil(max(summary['seconds'])):,} s of training; "
        f"{summary['parameters']:,} parameters",
    }


def accuracies(task, names, kinds) -> list[dict]:
    """Return rows {"test", name: accuracy, ...}: of each test and network, the seeds' median.

    The tests come in the order of `corruptions.names(kinds)`, then all others.
    """
    of_networks = {name: runs(task, name) for name in names}
    tests = next(iter(of_networks.values()))[0]["tests"]
    tests = {name: tests[name] for name in [*corruptions.names(kinds), *tests]}
    return [
        {"test": test}
        | {
            name: 1
            - float(np.median([_joint(run["tests"][test]["errors"]) for run in of])) / each["n"]
            for name, of in of_networks.items()
        }
        for test, each in tests.items()
    ]


def joint_accuracies(task, name, test=None) -> list[float]:
    """Return how often all heads are right together, 0..1, one number a seed; of a further test."""
    of_seeds = [run["tests"][test] if test else run for run in runs(task, name)]
    return [1 - _joint(each["errors"]) / each["n"] for each in of_seeds]


def _joint(errors):
    return errors["joint"] if isinstance(errors, dict) else errors
