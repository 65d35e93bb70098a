"""In which order pixels are taken away, what they become, and heatmaps in the wrong place."""

from itertools import product

import numpy as np
import tensorflow as tf

from cnnlab.interpret import placement
from cnnlab.interpret.gradcam import Heatmaps


def as_blank(blank, images):
    """Return what stands for missing pixels as an array like the images, (n, h, w, channels).

    Raises:
        ValueError: no finite numbers, or another shape than that of a number, a color or an image.
    """
    try:
        blanks = np.broadcast_to(np.asarray(blank, images.dtype), images.shape)
    except (TypeError, ValueError):
        shape = f"one number, a color or an image {images.shape[1:]}"
        raise ValueError(f"blank {blank!r} is not allowed: it must be {shape}") from None
    if not np.isfinite(blanks.astype(np.float64)).all():
        raise ValueError(f"blank {blank!r} is not allowed: it must be finite")
    return blanks


def pixel_ranks(heat, order):
    """Return (n, h, w) int32, the rank 0.. of each pixel, the hottest first.

    Args:
        heat: (n, h, w).
        order: (h * w,) permutation in which pixels of the same heat follow each other.
    """
    flat = heat.reshape(len(heat), order.size)[:, order]
    hottest = order[np.argsort(-flat, axis=1, kind="stable")]
    ranks = np.empty(hottest.shape, np.int32)
    np.put_along_axis(ranks, hottest, np.arange(order.size, dtype=np.int32)[None], axis=1)
    return ranks.reshape(heat.shape)


def moved_maps(network, heatmaps, heat, there, repeats, generator):
    """Yield up to `repeats` arrays (m, height, width): the maps in a wrong place, all moved alike.

    The cells of the layer are mirrored and shifted around in circles, then enlarged as the map was;
    an array's pixels are moved themselves. A map of a single cell cannot be moved and stays.

    Args:
        network: of the model.
        heatmaps: `Heatmaps` or an array.
        heat: (n, height, width) of it.
        there: (n,) bool, the m maps wanted.
        repeats: how many moves to draw, all different.
        generator: a numpy random generator.
    """
    is_array = not isinstance(heatmaps, Heatmaps)
    cells = heat[there] if is_array else np.maximum(heatmaps.raw[there], 0)
    height, width = cells.shape[1:]
    # Of one or two cells the mirror image is also a shift, or nothing at all.
    mirrors = [(1, -1) if size > 2 else (1,) for size in (height, width)]
    stay, *moves = product(range(height), range(width), *mirrors)
    moves = moves or [stay]
    enlarge = None if is_array else placement.enlarger(network, network.layer(heatmaps.layer))
    for index in generator.choice(len(moves), size=min(repeats, len(moves)), replace=False):
        down, across, vertical, horizontal = moves[index]
        moved = np.roll(cells[:, ::vertical, ::horizontal], (down, across), axis=(1, 2))
        yield moved if is_array else np.asarray(enlarge(tf.constant(moved), heat.shape[1:]))
