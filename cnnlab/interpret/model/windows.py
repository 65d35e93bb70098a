"""The geometry of layers that slide a window over their input, frame it, or spread it.

Rows and columns are counted in cells of the value before: that of cell i is i, and first + spacing
* j that of the middle of what cell j of the value after looks at.
"""

import math

import keras
import numpy as np

from cnnlab.interpret.model import kinds
from cnnlab.interpret.model.places import Grid


def grids(call, before, after) -> tuple[Grid, Grid] | None:
    """Return the (vertical, horizontal) grids of what a call makes, or None for other kinds.

    Before and after are the (height, width) of its input and its output.
    """
    layer = call.operation
    if isinstance(layer, keras.layers.SpectralNormalization):
        layer = layer.layer
    if kinds.is_of(layer, kinds.STRIDED):
        return tuple(map(strided, before, *_windows(call, layer)))
    if isinstance(layer, keras.layers.ZeroPadding2D):
        return tuple(Grid(-edge, 1) for edge, _ in layer.padding)
    if isinstance(layer, keras.layers.Cropping2D):
        return tuple(Grid(edge, 1) for edge, _ in layer.cropping)
    if kinds.is_of(layer, kinds.TRANSPOSED):
        return tuple(map(_transposed, after, *_windows(call, layer)))
    if kinds.is_of(layer, kinds.SPREADING) and np.ndim(getattr(layer, "repeats", 1)) == 0:
        return tuple(map(_spread, *_shown(layer, before, after), after))
    return None


def _windows(call, layer):
    """Return window sizes with dilation, strides and paddings, each (vertical, horizontal)."""
    names = "kernel_size", "pool_size", "size"
    window = next((size for name in names if (size := getattr(layer, name, None))), None)
    window = _pair(window or call.args[1].shape[:2])  # an operation is given its kernel
    dilation = _pair(getattr(layer, "dilation_rate", 1))
    spans = [(size - 1) * step + 1 for size, step in zip(window, dilation, strict=True)]
    return spans, _pair(layer.strides or window), [layer.padding] * 2


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def strided(size, window, stride, padding) -> Grid:
    """Return the grid after a sliding window: TensorFlow pads the larger half at the end."""
    padded = 0
    if padding == "same":
        padded = max((math.ceil(size / stride) - 1) * stride + window - size, 0) // 2
    return Grid((window - 1) / 2 - padded, stride)


def _transposed(size, window, stride, padding):
    """Return the grid after a transposed convolution: from its output, `strided` leads back."""
    back = strided(size, window, stride, padding)
    return Grid(-back.first / back.spacing, 1 / back.spacing)


def _spread(start, length, cells):
    """Return the grid of cells that share out evenly the `length` cells from `start` on."""
    return Grid(start + 0.5 * length / cells - 0.5, length / cells)


def _shown(layer, before, after):
    """Return where the part of the input starts that is spread, and its length, for both axes."""
    is_crop = isinstance(layer, keras.layers.CenterCrop)
    if is_crop and np.all(np.subtract(before, after) >= 0):
        return [(old - new) // 2 for old, new in zip(before, after, strict=True)], after
    # What has the other axis's factor, rounded down as Keras does it.
    fitting = [int(before[1 - k] * after[k] / after[1 - k]) for k in (0, 1)]
    if is_crop or getattr(layer, "crop_to_aspect_ratio", False):
        lengths = [max(min(sides), 1) for sides in zip(before, fitting, strict=True)]
        return [(old - new) // 2 for old, new in zip(before, lengths, strict=True)], lengths
    if getattr(layer, "pad_to_aspect_ratio", False):
        added = [max(new - old, 0) // 2 for old, new in zip(before, fitting, strict=True)]
        return [-edge for edge in added], [a + 2 * b for a, b in zip(before, added, strict=True)]
    return (0, 0), before
