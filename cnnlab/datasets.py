"""The two datasets, divided; in a smoke run a small piece of each."""

import functools

import numpy as np

from cnnlab import lines, mnist, runtime, splits

SMOKE_DIGITS, SMOKE_LINES = 1500, 30  # at most so many of each part, so many lines of each class


def digits():
    """Return MNIST split 60 : 40 by class, as the assignment asks: a `splits.Dataset`.

    Images (n, 28, 28, 1) uint8, 0 paper to 255 ink, and classes 0..9.
    """
    return _digits(splits.held_out(mnist.pool()[1]))


def digits_official():
    """Return MNIST split 60,000 : 10,000, as others do; nothing is held out for validation."""
    parts = np.arange(mnist.TRAINING), np.arange(0), np.arange(mnist.TRAINING, len(mnist.pool()[1]))
    return _digits(splits.Split(*parts))


def digits_for_choices():
    """Return the training and validation digits that are in neither of the two test sets."""
    train, validation, _ = splits.held_out(mnist.pool()[1])
    return _digits(
        splits.Split(
            train[train < mnist.TRAINING], validation[validation < mnist.TRAINING], np.arange(0)
        )
    )


def _digits(split):
    images, classes = mnist.pool()
    parts = splits.partition(images[..., None], classes, split)
    if not runtime.in_smoke():
        return parts
    return splits.Dataset(
        *(splits.Part(part.images[:SMOKE_DIGITS], part.labels[:SMOKE_DIGITS]) for part in parts)
    )


def line_pool():
    """Return all lines, a `lines.Lines` of images, labels and centers."""
    return lines.generate(per_class=SMOKE_LINES) if runtime.in_smoke() else lines.load()


def line_classes():
    """Return the lines split 60 : 40 by class: a `splits.Dataset` with classes 0..95."""
    drawn = line_pool()
    classes = lines.encode(drawn.labels)
    return splits.partition(drawn.images, classes, splits.held_out(classes))


@functools.cache
def line_heads():
    """Return the lines split 60 : 40 by class: a `splits.Dataset` of `lines.Lines`, four labels."""
    drawn = line_pool()
    classes = lines.encode(drawn.labels)
    split = splits.held_out(classes)
    splits.partition(drawn.images, classes, split)  # raises if a test image leaks
    return splits.Dataset(*(lines.Lines(*(c[part] for c in drawn)) for part in split))


def part_of_lines(name):
    """Return the lines of a part, "train", "validation" or "test", with labels and centers."""
    drawn = line_pool()
    chosen = getattr(splits.held_out(lines.encode(drawn.labels)), name)
    return lines.Lines(*(column[chosen] for column in drawn))
