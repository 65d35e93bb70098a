"""The report's charts, drawn again as vectors from the committed results."""

import json
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")  # nothing is shown; and no window system is looked for

import matplotlib.pyplot as plt

from cnnlab import plots
from cnnlab.lines import CLASSES, HEADS

RECOLORED = {  # share of the training lines with a random color: the name of the runs
    0: "as they are",
    0.001: "0.1 % recolored",
    0.01: "1 % recolored",
    0.1: "10 % recolored",
}
LINE_GROUPS = ("short thin", "short thick", "long thin", "long thick")


def draw_all(root: Path, folder: Path) -> list[Path]:
    """Draw every chart of the report as SVG into `folder`; returns the files.

    Args:
        root: the repository, whose `Task-*/results.json` and `Task-2/study.json` are read.
        folder: where the charts go; it is made.
    """
    digits_and_lines, four_heads = (
        json.loads((root / task / "results.json").read_text(encoding="utf-8"))
        for task in ("Task-1", "Task-2")
    )
    study = json.loads((root / "Task-2" / "study.json").read_text(encoding="utf-8"))["runs"]
    charts = task_1(digits_and_lines) | task_2(four_heads) | {"recolored-share": recolored(study)}
    folder.mkdir(parents=True, exist_ok=True)
    return [save(figure, folder / f"{name}.svg") for name, figure in charts.items()]


def save(figure, path: Path) -> Path:
    """Write a figure without a date inside, and close it; returns the path.

    Cropping it tightly, as the notebooks do, would draw everything twice.
    """
    with matplotlib.rc_context({"svg.hashsalt": path.stem, "savefig.bbox": "standard"}):
        figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path


def task_1(results: dict) -> dict:
    """Return {name: figure} of Task 1."""
    histories = results["histories"]

    def some(part):
        return {name: row for name, row in histories.items() if name.startswith(part)}

    digits, drawn = (("Part 1, MNIST", "final, MNIST"), ("Part 1, lines", "final, lines"))
    return {
        "part1-learning-curves": plots.learning_curves(some("Part 1")),
        "final-learning-curves": plots.learning_curves(some("final")),
        "scores": scores(results),
        "digits-confusion": confusions(results, digits, range(10)),
        "lines-confusion": confusions(results, drawn, LINE_GROUPS, group=CLASSES // 4),
    }


def scores(results: dict):
    """Return the figure of each class's scores; without the final line network, always 100 %."""
    shown = ("Part 1, MNIST", "final, MNIST", "Part 1, lines")
    reports = {
        name: {key: np.array(values) for key, values in results["reports"][name].items()}
        for name in shown
    }
    return plots.class_scores(reports, names=None)


def confusions(results: dict, networks: tuple[str, str], classes, group: int | None = None):
    """Return the figure of two networks' confusion matrices, side by side.

    Args:
        results: of Task 1.
        networks: their names in the results.
        classes: names of the classes, or of groups of `group` classes.
        group: see `plots.confusion`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.2))
    for axis, name in zip(axes, networks, strict=True):
        plots.confusion(confusion_matrix(results, name), classes, axis, group=group)
        axis.set_title(name, loc="center")
    return figure


def confusion_matrix(results: dict, name: str) -> np.ndarray:
    """Return (classes, classes) int64, rows true and columns predicted, of a network's test.

    The results hold the confusions, (true, predicted, images) each, and how many of a class are
    right.
    """
    report = results["reports"][name]
    right = np.rint(np.multiply(report["support"], report["recall"])).astype(np.int64)
    matrix = np.diag(right)
    for true, predicted, images in results["confusions"][name]:
        matrix[true, predicted] = images
    return matrix


def task_2(results: dict) -> dict:
    """Return {name: figure} of Task 2."""
    weights, speed, size = (results[key] for key in ("weights", "learning speed", "training size"))
    n = results["study"]["n"]
    charts = {
        f"weights-{name}": plots.method_errors(weights[name], n, title)
        for name, title in {"small": "small network", "final": "final network's layers"}.items()
    }
    return charts | {
        "speed-small": plots.learning_speed(speed["small"]),
        "training-size": plots.training_size(
            {part: size[part] for part in ("together", "alone")}, size["images"]
        ),
        "heads-learning-curves": plots.learning_curves(by_head(results["histories"]["final"])),
    }


def recolored(runs: dict):
    """Return the figure of the accuracy on green lines against the share of recolored ones."""
    accuracies = {
        head: [
            [
                1 - run["drawn otherwise"]["green"][head] / run["n"]
                for run in runs.values()
                if run.get("variant") == variant
            ]
            for variant in RECOLORED.values()
        ]
        for head in HEADS
        if head != "color"
    }
    return plots.dose(list(RECOLORED), accuracies)


def by_head(history: dict) -> dict:
    """Return {head: its own history} of the history of a network with four heads."""
    return {
        head: {
            f"{part}{key}": history[f"{part}{head}_{key}"]
            for part in ("", "val_")
            for key in ("accuracy", "loss")
        }
        for head in HEADS
    }
