"""Part 2 of Task 1: one base network, one change at a time, everything else equal.

The base is small and its learning rate falls along a cosine. It has 1,550 steps, after which its
error hardly falls any more. On digits it learns from all training images; on lines these would
leave it no error to compare, so there it learns from 8,000. `varied` trains them.
"""

import numpy as np

from cnnlab import lines, metrics, runtime
from cnnlab.experiments import stored

BASE = {
    "filter size": 3,
    "filters": (16, 32),  # one block of convolution and downsampling for each number
    "downsampling": "max pooling",
    "learning rate": "cosine",
    "dropout": 0.0,
    "L2": 0.0,
    "optimizer": "Adam",
    "loss": "cross-entropy",
}
FACTORS = {
    "filter size": ("filter size", [3, 5, 7]),
    "number of filters": ("filters", [(8, 16), (16, 32), (32, 64)]),
    "depth": ("filters", [(32,), (16, 32), (16, 32, 64)]),
    "downsampling": ("downsampling", ["max pooling", "average pooling", "strided convolution"]),
    "learning-rate decay": ("learning rate", ["cosine", "exponential", "constant"]),
    "dropout": ("dropout", [0.0, 0.25, 0.5]),
    "L2": ("L2", [0.0, 1e-4, 1e-3]),
    "optimizer": ("optimizer", ["Adam", "SGD", "SGD with momentum", "RMSprop", "AdamW"]),
    "loss": ("loss", ["cross-entropy", "label smoothing", "focal", "squared error"]),
}
DATA = {"MNIST": (10, 6, None), "lines": (lines.CLASSES, 24, 8000)}  # classes, epochs, images
CHECKS = 6  # times that the validation error is noted
STEPS = np.linspace(0, 1550, CHECKS + 1)[1:]  # of the checks

if runtime.in_smoke():
    FACTORS = {"downsampling": FACTORS["downsampling"]}
    DATA, CHECKS = {"MNIST": (10, 1, 300), "lines": (lines.CLASSES, 1, 300)}, 1


def settings():
    """Return {name: what it changes in the BASE}; the base, which changes nothing, first."""
    return {"base": {}} | {
        f"{factor}: {value}": {key: value}
        for factor, (key, values) in FACTORS.items()
        for value in values
        if value != BASE[key]
    }


def stored_errors(data, name):
    """Return the validation errors of a setting that the study holds, (seeds, checks), 0..1."""
    found = stored.runs("Task-1", f"variation/{data}/{name}")
    return np.array([run["validation errors"] for run in found])


def variants(factor):
    """Return {variant: name of its setting} of a factor, the base's own first."""
    key, values = FACTORS[factor]
    others = [value for value in values if value != BASE[key]]
    names = {BASE[key]: "base"} | {value: f"{factor}: {value}" for value in others}
    return {" + ".join(map(str, v)) if isinstance(v, tuple) else str(v): names[v] for v in names}


def effects() -> list[dict]:
    """Return a row for each variant of each factor, with the change of the error that it makes.

    "effects" is {data: (mean, low, high, p)} in percentage points, paired by seeds and corrected
    for their number, None for the base; "errors" is {data: mean in percent}.
    """
    changes = [(data, name) for data in DATA for name in list(settings())[1:]]
    final = {data: 100 * stored_errors(data, "base")[:, -1] for data in DATA}
    errors = {each: 100 * stored_errors(*each)[:, -1] for each in changes}
    tested = metrics.paired_differences([errors[each] - final[each[0]] for each in changes])
    tested = dict(zip(changes, tested.tolist(), strict=True))
    errors |= {(data, "base"): of_base for data, of_base in final.items()}
    return [
        {
            "factor": factor,
            "variant": variant,
            "effects": None if name == "base" else {d: tested[d, name] for d in DATA},
            "errors": {d: float(np.mean(errors[d, name])) for d in DATA},
        }
        for factor in FACTORS
        for variant, name in variants(factor).items()
    ]


def curves(data):
    """Return {factor: {variant: validation errors, (seeds, checks)}}, as the study holds them."""
    return {
        factor: {v: stored_errors(data, name) for v, name in variants(factor).items()}
        for factor in FACTORS
    }
