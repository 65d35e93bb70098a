"""The classes of lines: their geometry, their names, and labels as class numbers and back."""

from typing import NamedTuple

import numpy as np

from cnnlab.validation import require_integers

SIZE = 28
LENGTHS = (7, 15)  # pixel sides, Euclidean
WIDTHS = (1, 3)
ANGLES = tuple(range(0, 180, 15))  # degrees, anticlockwise as seen
COLORS = {"red": (255, 0, 0), "blue": (0, 0, 255)}
HEADS = ("length", "width", "angle", "color")  # the order of the label's four columns
CLASS_NAMES = {
    "length": ("short", "long"),
    "width": ("thin", "thick"),
    "angle": tuple(f"{angle}°" for angle in ANGLES),
    "color": tuple(COLORS),
}
NUM_CLASSES = {head: len(names) for head, names in CLASS_NAMES.items()}  # in the order of HEADS
CLASSES = 96
PER_CLASS = 1000


class Lines(NamedTuple):
    """Images with their labels and the centers they were drawn at."""

    images: np.ndarray  # (n, 28, 28, 3) uint8, RGB, 0..255
    labels: np.ndarray  # (n, 4) uint8, columns in the order of HEADS
    centers: np.ndarray | None  # (n, 2) float32, x and y in pixels; None when read from a folder


def encode(labels):
    """Turn labels (..., 4) into classes (...) int64, 0..95, in the same order; or ValueError."""
    labels = require_integers("labels", labels)
    if labels.shape[-1:] != (4,):
        raise ValueError(f"labels have shape {labels.shape}, but (n, 4) is needed: {HEADS}")
    classes = np.zeros(labels.shape[:-1], np.int64)
    for column, (head, count) in enumerate(NUM_CLASSES.items()):
        values = require_integers(f"{head} label", labels[..., column], count - 1)
        classes = classes * count + values.astype(np.int64)
    return classes


def decode(classes):
    """Turn classes (...) of 0..95 into labels (..., 4) uint8; ValueError if out of range."""
    classes = require_integers("class", classes, CLASSES - 1)
    columns = np.unravel_index(classes.astype(np.int64), tuple(NUM_CLASSES.values()))
    return np.stack(columns, -1).astype(np.uint8)


def geometry(labels):
    """Turn a label (4,), or several (n, 4), into what they mean, the latter into arrays.

    Returns length and width in pixels, angle in degrees, color (red, green, blue).
    """
    columns = decode(encode(labels)).T
    tables = LENGTHS, WIDTHS, ANGLES, list(COLORS.values())
    if columns.ndim == 1:
        return tuple(table[label] for table, label in zip(tables, columns, strict=True))
    return tuple(np.array(table)[column] for table, column in zip(tables, columns, strict=True))


def class_name(class_index):
    """Return a class in words: 'long thick 135° red'."""
    parts = zip(CLASS_NAMES.values(), decode(class_index), strict=True)
    return " ".join(names[label] for names, label in parts)
