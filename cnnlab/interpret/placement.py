"""Where in the image the positions of a feature map lie.

A feature map is usually stretched over the image, as if its cells shared it out evenly. They do
not: a 7 × 7 convolution without padding has 22 cells for 28 pixels, and the first looks at pixels
0 to 7, whose middle is 3.5, where stretching puts it at 0.6. Here the middles are computed from the
layers on the way (Dumoulin & Visin, 2016; Araujo et al., 2019).
"""

import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from cnnlab.interpret.model.kinds import STRIDED
from cnnlab.interpret.model.network import ModelView


class Grid(NamedTuple):
    """Middles of a feature map's cells along an axis, in pixels; that of pixel i is i + 0.5."""

    first: float
    spacing: float


def stretched(cells: int, pixels: int) -> Grid:
    """Return the grid of cells that share the pixels out evenly."""
    return Grid(0.5 * pixels / cells, pixels / cells)


def grids(view: ModelView, call) -> tuple[Grid, Grid] | None:
    """Return the (vertical, horizontal) grids of a layer's feature map, or None if not known."""
    # A size is open, a layer on the way has an unknown geometry, or two ways differ in it.
    height, width, _ = view.graph.input_shape
    if height is None or width is None:
        return None
    known = {0: ((height, width), (Grid(0.5, 1), Grid(0.5, 1)))}
    for before in view.graph.ancestors(call.outputs[0]):
        made = _after(before, [known.get(value) for value in before.inputs])
        known.update((value, made) for value in before.outputs)
    geometry = known[call.outputs[0]]
    return geometry and geometry[1]


def _after(call, given):
    """Return ((height, width), grids) of what a call makes, or None where it cannot be told."""
    spatial = [part for part in given if part is not None]
    if not spatial or len(spatial) < len(given) or len(call.shape) != 3:
        return None
    sizes, before = spatial[0]
    after = call.shape[:2]
    if len(set(spatial)) > 1 or None in after:
        return None
    layer = call.operation
    if isinstance(layer, STRIDED):
        return after, tuple(map(_strided, before, sizes, *_windows(layer), [layer.padding] * 2))
    if isinstance(layer, keras.layers.ZeroPadding2D):
        return after, tuple(map(_shifted, before, [-edge[0] for edge in layer.padding]))
    if isinstance(layer, keras.layers.Cropping2D):
        return after, tuple(map(_shifted, before, [edge[0] for edge in layer.cropping]))
    if isinstance(layer, keras.layers.UpSampling2D):
        return after, tuple(map(_refined, before, layer.size))
    return (after, before) if after == sizes else None


def _windows(layer):
    """Return (window sizes with dilation, strides) of a layer, each (vertical, horizontal)."""
    window = getattr(layer, "kernel_size", None) or layer.pool_size
    dilation = getattr(layer, "dilation_rate", 1)
    dilation = (dilation, dilation) if isinstance(dilation, int) else dilation
    spans = [(size - 1) * step + 1 for size, step in zip(window, dilation, strict=True)]
    return spans, layer.strides


def _strided(grid, size, window, stride, padding):
    """Return the grid after a sliding window: TensorFlow pads the larger half at the end."""
    padded = 0
    if padding == "same":
        padded = max((math.ceil(size / stride) - 1) * stride + window - size, 0) // 2
    return Grid(grid.first + grid.spacing * ((window - 1) / 2 - padded), grid.spacing * stride)


def _shifted(grid, cells):
    return Grid(grid.first + cells * grid.spacing, grid.spacing)


def _refined(grid, factor):
    return Grid(grid.first + grid.spacing * (0.5 / factor - 0.5), grid.spacing / factor)


def interpolation(grid: Grid, cells: int, pixels: int) -> np.ndarray:
    """Return the (pixels, cells) float32 matrix of linear interpolation between cells' middles."""
    # Beyond the first and the last middle their values go on. Each row adds up to 1.
    position = (np.arange(pixels) + 0.5 - grid.first) / grid.spacing
    position = np.clip(position, 0, cells - 1)
    distance = np.abs(position[:, None] - np.arange(cells))
    return np.clip(1 - distance, 0, None).astype(np.float32)


def enlarger(view: ModelView, call):
    """Return the function that enlarges maps (n, h, w) of a layer: (maps, (height, width))."""
    axes = grids(view, call)
    if axes is None:  # then the maps are stretched over the image
        return lambda maps, size: tf.image.resize(maps[..., None], size, "bilinear")[..., 0]
    sizes = zip(axes, call.shape[:2], view.graph.input_shape[:2], strict=True)
    down, across = (interpolation(*of_axis) for of_axis in sizes)
    return lambda maps, size: down @ maps @ across.T
