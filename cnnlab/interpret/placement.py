"""Where in the image the positions of a feature map lie, and maps enlarged by that.

A feature map is usually stretched over the image, as if its cells shared it out evenly. They do
not: a 7 × 7 convolution without padding has 22 cells for 28 pixels, and the first looks at pixels
0 to 7, whose middle is 3.5, where stretching puts it at 0.6. Nor need they lie in order: a flip on
the way turns them around. `model.geometry` follows them from the image on.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from cnnlab.interpret.model.places import Grid, arranged


class Placement(NamedTuple):
    """How maps of a layer are enlarged to the size of the images."""

    cells: np.ndarray  # (rows, columns) int32, the numbers of a map's cells, as the image has them
    down: np.ndarray  # (height, rows) float32, what each row of them adds to a row of pixels
    across: np.ndarray  # (width, columns) float32, the same for columns
    tokens: np.ndarray | None  # (rows, columns) int32, which tokens make a map; None for maps
    remark: str  # why the enlarged maps say less than they seem to, or ""

    @property
    def tables(self):
        """The arguments of `enlarged`."""
        return self.cells, self.down, self.across

    def as_maps(self, tensor):
        """Return what the layer makes of n images as (n, rows, columns, channels)."""
        return tensor if self.tokens is None else tf.gather(tensor, self.tokens, axis=1)


def are_alike(placements) -> bool:
    """Say whether maps of several layers may be added up cell by cell."""
    first, *others = (placement.tables for placement in placements)
    return all(np.array_equal(*pair) for other in others for pair in zip(first, other, strict=True))


def place(view, call, size) -> Placement:
    """Return how maps of a layer are enlarged to images of this (height, width)."""
    geometry, value = view.geometry(size), call.outputs[0]
    shape = geometry.shapes[value]
    if None in shape:  # a layer of the user's own decides only when it is called
        shape = view.graph.run(np.zeros((1, *size, view.graph.input_shape[2])), [value])[0].shape
    cells = _numbered(shape[1:-1])
    axes, remark = map(stretched, cells.shape, size), ""
    if found := arranged(geometry.places[value]):
        cells, axes = found
    elif cells.size > 1:
        remark = "stretched over the image, since it is not known where the layer's cells lie"
    if cells.size == 1:
        remark = "the layer has a single position, so the heat is the same everywhere"
    tokens = cells if len(call.shape) == 2 else None
    order = cells if tokens is None else _numbered(cells.shape)
    tables = map(interpolation, axes, cells.shape, size)
    return Placement(order, *tables, tokens, remark)


def _numbered(shape):
    return np.arange(np.prod(shape), dtype=np.int32).reshape(shape)


def stretched(cells: int, pixels: int) -> Grid:
    """Return the grid of cells that share the pixels out evenly."""
    return Grid(0.5 * pixels / cells, pixels / cells)


def interpolation(grid: Grid, cells: int, pixels: int) -> np.ndarray:
    """Return the (pixels, cells) float32 matrix of linear interpolation between cells' middles."""
    # Beyond the first and the last middle their values go on. Each row adds up to 1.
    position = (np.arange(pixels) + 0.5 - grid.first) / grid.spacing
    position = np.clip(position, 0, cells - 1)
    distance = np.abs(position[:, None] - np.arange(cells))
    return np.clip(1 - distance, 0, None).astype(np.float32)


def enlarged(maps, cells, down, across):
    """Return maps (n, h, w) of a layer as (n, height, width), by the tables of its `Placement`."""
    maps = tf.gather(tf.reshape(maps, (tf.shape(maps)[0], -1)), cells, axis=1)
    return down @ maps @ tf.transpose(across)
