"""Where in the image the cells of every value of a model lie, followed from call to call.

* Convolutions, poolings and resizings have formulas, see `windows`.
* What only moves values about, as a flip or a reshape does, is asked itself, see `moves`. So is a
  layer of the user's own, in case that it does no more than that.
* Of everything else, a cell lies where the same cells of the inputs lie, if they agree.

Dumoulin & Visin, 2016, have the arithmetic of convolutions, Araujo et al., 2019, that of networks.
"""

from typing import NamedTuple

import keras
import numpy as np

from cnnlab.interpret.model import kinds, moves, places, windows
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
        if not any(part is None for part in given):
            after = _after(call, given, shapes)
        for number, part in zip(call.outputs, after, strict=True):
            is_single = set(shapes[number][1:-1]) <= {1}
            known[number] = _nowhere(shapes[number]) if is_single else part
    return Geometry(shapes, known)


def _shapes(graph, size):
    """Return {number: shape} of all values, as Keras computes them for a batch of IMAGES."""
    specs = {0: keras.KerasTensor((IMAGES, *size, graph.input_shape[2]), graph.dtype)}
    for call in graph.calls:
        try:
            outputs = made(call, specs, call.operation.compute_output_spec)
        except Exception:  # a layer of the user's own that takes no such batch
            shapes = ((IMAGES, *graph.shapes[number]) for number in call.outputs)
            outputs = [keras.KerasTensor(shape) for shape in shapes]
        if isinstance(call.operation, keras.layers.RandomCrop):  # it crops in training only
            outputs = [specs[call.inputs[0]]]
        specs.update(zip(call.outputs, outputs, strict=True))
    return {number: tuple(spec.shape) for number, spec in specs.items()}


def _after(call, given, shapes):
    """Return the places of each value that a call makes, or None, from those of its inputs."""
    shape = shapes[call.outputs[0]]
    is_map = len(given) == 1 and given[0].ndim == 4 and len(given[0]) == 1
    if is_map and len(shape) == 4 and None not in shape:
        grids = windows.grids(call, given[0].shape[1:3], shape[1:3])
        if grids:
            return [places.at(given[0], *map(places.Grid.middles, grids, shape[1:3]))]
    if _stacks_channels(call, shape) or not kinds.is_of(call.operation, kinds.MOVING):
        in_place = [_in_place(call, given, shapes[number]) for number in call.outputs]
        return moves.is_own(call.operation) and moves.moved(call, given, shapes) or in_place
    return moves.moved(call, given, shapes) or [None] * len(call.outputs)


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
