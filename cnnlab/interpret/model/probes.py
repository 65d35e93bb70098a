"""Where the cells of what a call makes lie, found out by changing its input cell after cell.

A layer of the user's own may do anything: pad, mirror, scale and convolve at once. What changes of
its output when one cell of its input does tells where that cell went. A guess is taken if it agrees
with all that is seen, else the straight line through what is seen, if there is one.
"""

import itertools

import numpy as np
import tensorflow as tf

from cnnlab.interpret.model.graph import call_alone
from cnnlab.interpret.model.places import Grid

PROBES = 48  # cells changed along each axis, at most
REPEATS = 8  # at most, with other random numbers: a rectifier hides some of what changes
MOST = 2**22  # numbers of a batch of changed inputs: bounds the memory
SEEN = 0.05  # of the largest change: smaller ones come from afar, as through a gate
CLOSE = 0.6  # cells: how far from what was seen a cell may lie
LEAST = 3  # places along an axis tell a line


def grids(call, number: int, shapes, guesses) -> tuple[Grid, Grid] | None:
    """Return the (vertical, horizontal) grids of a map that a call makes of the map `number`.

    Rows and columns are counted as in `windows`. `guesses` are pairs of grids, the first that
    agrees is taken; None if none does and the cells lie on no line, or the call fails.
    """
    cells, changes = _chosen(*shapes[number][1:3]), 0
    make = _compiled(call, shapes)
    for seed in range(REPEATS):
        try:
            changes = changes + _changes(make, call, number, shapes, cells, seed)
        except Exception:  # whatever a layer of the user's own says of such numbers
            return None
        if not changes.any():  # with weights of 0
            return next(iter(guesses), None)
        if found := _fitting(guesses, cells, changes):
            return found
    return None


def _fitting(guesses, cells, changes):
    """Return the first of the guesses, or the line, that agrees with what changed, or None."""
    seen = [
        (cell, at.min(axis=0), at.max(axis=0))
        for cell, change in zip(cells, changes, strict=True)
        if len(at := np.argwhere(change > SEEN * change.max()))
    ]
    seen, last = (
        [np.array(part) for part in zip(*seen, strict=True)],
        np.array(changes.shape[1:]) - 1,
    )
    either = [*guesses, _line(*seen, last)]
    return next((one for one in either if one and _agrees(one, *seen, last)), None)


def _chosen(height, width):
    """Return the (row, column) of cells to change: some along both axes, and some elsewhere."""
    rows, columns = (_spread(side) for side in (height, width))
    cross = [(row, width // 2) for row in rows] + [(height // 2, column) for column in columns]
    return cross + list(itertools.product(rows[::8], columns[::8]))


def _compiled(call, shapes):
    """Return the function of a batch of each input, of any size, that gives the first output."""
    given = {str(value): tf.TensorSpec((None, *shapes[value][1:])) for value in call.inputs}

    @tf.function(input_signature=[given])  # it is traced when it is called first
    def make(batch):
        values = {value: batch[str(value)] for value in call.inputs}
        return call_alone(call, values, call.operation)[0]

    return make


def _changes(make, call, number, shapes, cells, seed):
    """Return (cells, h, w), how much each cell of the output changes with each of the input."""
    random = np.random.default_rng(seed)
    given = {value: random.normal(size=(1, *shapes[value][1:])) for value in call.inputs}
    changes, at_once = [], max(1, MOST // given[number].size)
    for start in range(0, len(cells), at_once):
        part = cells[start : start + at_once]
        batch = {value: np.repeat(one, 1 + len(part), axis=0) for value, one in given.items()}
        for image, cell in zip(batch[number][1:], part, strict=True):  # the first stays as it is
            image[cell] += 2 * random.normal(size=image.shape[-1])
        tensors = {str(value): tf.constant(one, tf.float32) for value, one in batch.items()}
        made = np.asarray(make(tensors), float)
        if made.shape != (1 + len(part), *shapes[call.outputs[0]][1:]):
            raise ValueError(f"what it makes has the shape {made.shape}")
        changes.append(np.abs(made[1:] - made[:1]).max(axis=-1))
    return np.concatenate(changes)


def _spread(side):
    return np.unique(np.linspace(0, side - 1, PROBES).round().astype(int))


def _agrees(grids, sources, low, high, last):
    """Say whether each cell that was changed lies, by the grids, where a change was seen."""
    first, spacing = np.transpose(grids)
    at = (sources - first) / spacing
    # What reaches the border may go on behind it.
    above = (at >= low - CLOSE) | (low == 0)
    return np.all(above & ((at <= high + CLOSE) | (high == last)))


def _line(sources, low, high, last):
    """Return the grids on which the middles of what changed lie, or None."""
    # What reaches the border may have been cut off by it, if it is smaller than most.
    is_usual = high - low == np.median(high - low, axis=0)
    whole = np.all(is_usual | ((low > 0) & (high < last)), axis=1)
    found = []
    for source, middle in zip(sources[whole].T, (low + high)[whole].T / 2, strict=True):
        if min(len(np.unique(source)), len(np.unique(middle))) < LEAST:
            return None
        slope, start = np.polyfit(source, middle, 1)
        found.append(Grid(-start / slope, 1 / slope))
    return tuple(found)
