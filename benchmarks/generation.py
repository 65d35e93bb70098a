"""How fast lines are drawn: all at once, next to loops over single images."""

import numpy as np

from benchmarks.timing import medians
from cnnlab import lines
from cnnlab.lines import other_programs

LINES = 4_800  # of each round, 50 of each class
PROGRAMS = ("OpenCV line, anti-aliased", "Pillow line", "Pillow rotation, nearest")


def measure() -> dict[str, float]:
    """Return the seconds in which ours and each of PROGRAMS draw the same lines, medians."""
    _, labels, centers = lines.generate(per_class=LINES // lines.CLASSES, seed=1)
    length, width, angle, color = labels.T
    sizes = np.array(lines.LENGTHS)[length], np.array(lines.WIDTHS)[width]
    angles, colors = np.array(lines.ANGLES)[angle], np.array(list(lines.COLORS.values()))[color]
    tasks = {"ours": lambda: lines.render(*sizes, angles, centers, color=colors)}
    for name in PROGRAMS:
        tasks[name] = lambda name=name: other_programs.draw(name, labels, centers)
    return medians(**tasks)


def rows(seconds: dict) -> list[dict]:
    """Return the rows of the common table."""
    ours = {"work": f"{LINES:,} lines drawn", "ours": seconds["ours"]}
    return [ours | {"other": seconds[name], "who": name} for name in PROGRAMS]
