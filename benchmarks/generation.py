"""How fast lines are drawn: all at once, beside loops over single images. From the root:

.venv/bin/python -m benchmarks.generation
"""

import numpy as np

from benchmarks.timing import interleaved
from cnnlab import lines
from cnnlab.lines import other_programs

LINES = 4_800  # of each round, 50 of each class
PROGRAMS = ("OpenCV line, anti-aliased", "Pillow line", "Pillow rotation, nearest")


def measure(rounds: int = 5) -> dict:
    """Time the drawing of the same lines.

    Returns:
        {"ours": seconds, program: seconds, ...}, medians of the rounds.
    """
    labels, centers = known_lines(LINES // lines.CLASSES)
    length, width, angle, color = labels.T
    sizes = np.array(lines.LENGTHS)[length], np.array(lines.WIDTHS)[width]
    angles, colors = np.array(lines.ANGLES)[angle], np.array(list(lines.COLORS.values()))[color]
    tasks = {"ours": lambda: lines.render(*sizes, angles, centers, color=colors)}
    for name in PROGRAMS:
        tasks[name] = lambda name=name: other_programs.draw(name, labels, centers)
    found = interleaved(rounds, **tasks)
    return {name: times["median"] for name, times in found.items()}


def known_lines(per_class: int):
    """Return (n, 4) labels and (n, 2) centers of a dataset, for drawing it again."""
    dataset = lines.generate(per_class=per_class, seed=1)
    return dataset.labels, dataset.centers


def rows(found: dict) -> list[dict]:
    """Return the rows of the common table."""
    return [
        {"work": f"{LINES:,} lines drawn", "ours": found["ours"], "other": found[name], "who": name}
        for name in PROGRAMS
    ]


if __name__ == "__main__":
    from benchmarks.__main__ import table

    print(table(rows(measure())))
