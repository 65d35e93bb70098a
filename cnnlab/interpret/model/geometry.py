"""Where in the image the cells of every value of a model lie, followed from call to call.

* Convolutions, poolings and resizings have formulas, see `windows`.
* What only moves values about, as a flip or a reshape does, is asked itself, see `moves`. So is a
  layer of the user's own, in case that it does no more than that; of another one it is found out,
  see `probes`.
* Of everything else, a cell lies where the same cells of the inputs lie, if they agree.

Where the last axis are no channels, as after x[..., 0], each number has a place of its own.

Dumoulin & Visin, 2016, have the arithmetic of convolutions, Araujo et al., 2019, that of networks.
"""

import functools
from typing import NamedTuple

import keras
import numpy as np

from cnnlab.interpret.model import kinds, moves, places, probes, windows
from cnnlab.interpret.model.graph import Graph, made

IMAGES = 2  # in the batch whose shapes are computed


class Geometry(NamedTuple):
    """Shapes and places of all values of a graph, by number, for images of one size."""

    shapes: dict[int, tuple]  # of a batch of IMAGES, with None where a size is open
    places: dict[int, np.ndarray | None]  # see `model.places`; None where they are not known

    def rows(self, value: int) -> float:
        """Return how many rows a value has for an image: several if it is made of windows."""
        return ((self.shapes[value][:1] or (None,))[0] or IMAGES) / IMAGES


def follow(graph: Graph, size) -> Geometry:
    """Return the geometry of a graph for images of this (height, width); None where it is open."""
    shapes = _shapes(graph, size)
    known = {0: None if None in size else places.of_pixels(*size)}
    for call in graph.calls:
        given = [known[number] for number in call.inputs]
        after = [None] * len(call.outputs)
        if kinds.is_given(call):
            after = [_nowhere(shapes[number]) for number in call.outputs]
        elif not any(part is None for part in given):
            after = _after(call, given, shapes)
        for number, part in zip(call.outputs, after, strict=True):
            is_single = set(shapes[number][1:-1]) <= {1}
            known[number] = _nowhere(shapes[number]) if is_single else part
    return Geometry(shapes, {number: _of_cells(known[number], shapes[number]) for number in known})


def _is_of_numbers(part, shape):
    """Say whether places are those of each number of a value, and not of its cells."""
    return part is not None and part.ndim > len(shape)


def _of_cells(part, shape):
    """Return the places of cells, also if those of their numbers are given."""
    return places.in_the_middle(part) if _is_of_numbers(part, shape) else part


def _shapes(graph, size):
    """Return {number: shape} of all values, as Keras computes them for a batch of IMAGES."""
    specs = {0: keras.KerasTensor((IMAGES, *size, graph.input_shape[2]), graph.dtype)}
    for call in graph.calls:
        try:
            outputs = made(call, specs, _shaping(call.operation))
        except Exception:  # a layer of the user's own that takes no such batch
            shapes = ((IMAGES, *graph.shapes[number]) for number in call.outputs)
            outputs = [keras.KerasTensor(shape) for shape in shapes]
        if isinstance(call.operation, keras.layers.RandomCrop):  # it crops in training only
            outputs = [specs[call.inputs[0]]]
        specs.update(zip(call.outputs, outputs, strict=True))
    return {number: tuple(spec.shape) for number, spec in specs.items()}


def _shaping(operation):
    """Return what computes the shapes that a call makes."""
    if kinds.is_own(operation):  # it may make others than the class that it is derived from
        return functools.partial(keras.Operation.compute_output_spec, operation)
    return operation.compute_output_spec


def _after(call, given, shapes):
    """Return the places of each value that a call makes, or None, from those of its inputs."""
    shape, nothing = shapes[call.outputs[0]], [None] * len(call.outputs)
    if kinds.is_of(call.operation, kinds.MOVING) and not _stacks_channels(call, shape):
        return moves.moved(call, given, shapes) or nothing
    is_own = kinds.is_own(call.operation)
    if is_own and (moved := moves.moved(call, given, shapes)):
        return moved
    if kinds.acts_on_numbers(call) and {part.shape[1:-1] for part in given} == {shape[1:]}:
        return [places.between(np.fmin.reduce(given), np.fmax.reduce(given))]
    given = [_of_cells(*pair) for pair in zip(given, map(shapes.get, call.inputs), strict=True)]
    if kinds.gathers_channels(call, shape):
        return given
    is_map = len(given[0]) == 1 and given[0].ndim == len(shape) == 4 and None not in shape
    sides = shape[1:3]
    is_same_size = is_map and len(given) == 1 and given[0].shape[1:3] == sides
    gathers = kinds.is_of(call.operation, kinds.GATHERING)
    if is_map and is_own or is_same_size and gathers:
        return [_probed(call, given, shapes)]
    if is_map and len(given) == 1 and (grids := _grids(call, given[0], shape)):
        return [_at(given[0], grids, shape)]
    return [_in_place(call, given, shapes[number]) for number in call.outputs]


def _grids(call, given, shape):
    return windows.grids(call, given.shape[1:3], shape[1:3])


def _at(given, grids, shape):
    return places.at(given, *map(places.Grid.middles, grids, shape[1:3]))


def _probed(call, given, shapes):
    """Return the places of a map that a call makes of maps in a way of its own, or None."""
    shape, found = shapes[call.outputs[0]], []
    for number, part in zip(call.inputs, given, strict=True):
        if len(part) != 1 or part.ndim != 4 or part.shape[1:3] == (1, 1):
            continue  # factors
        guesses = [_grids(call, part, shape)] if len(given) == 1 else []
        if part.shape[1:3] == shape[1:3]:
            guesses.append((places.Grid(0, 1), places.Grid(0, 1)))
        grids = probes.grids(call, number, shapes, list(filter(None, guesses)))
        if grids is None:
            return None
        found.append(_at(part, grids, shape))
    if not found or any(part is None for part in found):
        return None
    return places.between(np.fmin.reduce(found), np.fmax.reduce(found))


def _stacks_channels(call, shape):
    axis = getattr(call.operation, "axis", None)
    return type(call.operation).__name__ == "Concatenate" and axis in (-1, len(shape) - 1)


def _in_place(call, given, shape):
    """Return the places of cells that are made of the same cells of each input, or None."""
    if None in shape[1:-1]:
        return None
    nowhere = _nowhere(shape)
    if isinstance(call.operation, kinds.ATTENTION):
        given = given[:1]
    try:
        parts = [
            np.broadcast_to(
                # A row of factors has fewer axes.
                part.reshape(len(part), *[1] * (nowhere.ndim - part.ndim), *part.shape[1:]),
                nowhere.shape,
            )
            for part in given
        ]
    except ValueError:  # there are other cells than before
        return nowhere if kinds.is_of(call.operation, kinds.GATHERING) else None
    return places.between(np.fmin.reduce(parts), np.fmax.reduce(parts))


def _nowhere(shape):
    """Return the places of a value of this shape that has none."""
    rows = ((shape[:1] or (None,))[0] or IMAGES) // IMAGES
    return np.full((max(1, rows), *shape[1:-1], 2), np.nan)
