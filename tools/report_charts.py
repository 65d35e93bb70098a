"""The report's charts, drawn again as vectors from the committed results."""

import json
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")  # nothing is shown; and no window system is looked for

import matplotlib.pyplot as plt

from cnnlab import plots
from cnnlab.lines import CLASSES, HEADS
from cnnlab.saving import save_figure

RECOLORED = {  # share of the training lines with a random color: the name of the runs
    0: "as they are",
    0.001: "0.1 % recolored",
    0.01: "1 % recolored",
    0.1: "10 % recolored",
}
LINE_GROUPS = ("short thin", "short thick", "long thin", "long thick")


def draw_all(root: Path, folder: Path) -> None:
    """Draw every chart of the report as SVG into `folder`, which is made."""
    files = ("Task-1/results.json", "Task-2/results.json", "Task-2/study.json")
    digits_and_lines, four_heads, study = (json.loads((root / f).read_bytes()) for f in files)
    charts = task_1(digits_and_lines) | task_2(four_heads)
    charts["recolored-share"] = recolored(study["runs"])
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in charts.items():
        # Cropping it tightly, as the notebooks do, would draw everything twice.
        with matplotlib.rc_context({"svg.hashsalt": name, "savefig.bbox": "standard"}):
            save_figure(figure, folder / f"{name}.svg")
        plt.close(figure)


def task_1(results: dict) -> dict:
    """Return {name: figure} of Task 1."""
    part_1, final = (
        {name: each for name, each in results["histories"].items() if name.startswith(part)}
        for part in ("Part 1", "final")
    )
    digits, drawn = ("Part 1, MNIST", "final, MNIST"), ("Part 1, lines", "final, lines")
    reports = {  # without the final line network, always 100 %
        name: {key: np.array(values) for key, values in results["reports"][name].items()}
        for name in (*digits, drawn[0])
    }
    return {
        "part1-learning-curves": plots.learning_curves(part_1),
        "final-learning-curves": plots.learning_curves(final),
        "scores": plots.class_scores(reports, names=None),
        "digits-confusion": confusions(results, digits, range(10)),
        "lines-confusion": confusions(results, drawn, LINE_GROUPS, group=CLASSES // 4),
    }


def confusions(results: dict, networks: tuple[str, str], classes, group: int | None = None):
    """Return the figure of the confusion matrices of two networks; see `plots.confusion`."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.2))
    for axis, name in zip(axes, networks, strict=True):
        plots.confusion(confusion_matrix(results, name), classes, axis, group=group)
        axis.set_title(name, loc="center")
    return figure


def confusion_matrix(results: dict, name: str) -> np.ndarray:
    """Return (classes, classes) int64, rows true and columns predicted, of a network's test."""
    report = results["reports"][name]
    right = np.rint(np.multiply(report["support"], report["recall"])).astype(np.int64)
    matrix = np.diag(right)
    for true, predicted, images in results["confusions"][name]:
        matrix[true, predicted] = images
    return matrix


def task_2(results: dict) -> dict:
    """Return {name: figure} of Task 2."""
    weights, size, n = results["weights"], results["training size"], results["study"]["n"]
    sizes = {part: size[part] for part in ("together", "alone")}
    history = results["histories"]["final"]
    curves = [(part, key) for part in ("", "val_") for key in ("accuracy", "loss")]
    by_head = {
        head: {f"{part}{key}": history[f"{part}{head}_{key}"] for part, key in curves}
        for head in HEADS
    }
    return {
        "weights-small": plots.method_errors(weights["small"], n, "small network"),
        "weights-final": plots.method_errors(weights["final"], n, "final network's layers"),
        "speed-small": plots.learning_speed(results["learning speed"]["small"]),
        "training-size": plots.training_size(sizes, size["images"]),
        "heads-learning-curves": plots.learning_curves(by_head),
    }


def recolored(runs: dict):
    """Return the figure of the accuracy on green lines against the share of recolored ones."""

    def accuracy(run, head):
        return 1 - run["drawn otherwise"]["green"][head] / run["n"]

    groups = [[r for r in runs.values() if r.get("variant") == v] for v in RECOLORED.values()]
    accuracies = {
        head: [[accuracy(run, head) for run in group] for group in groups]
        for head in ("length", "width", "angle")
    }
    return plots.accuracy_by_recolored_fraction(list(RECOLORED), accuracies)
