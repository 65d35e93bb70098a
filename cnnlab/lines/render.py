"""Draw lines on black: every pixel is the exact area that the line covers, times its color."""

import numpy as np

from cnnlab.lines import coverage
from cnnlab.lines.labels import SIZE
from cnnlab.validation import require_integers, require_whole

_CHUNK = 100_000  # pixels rendered at a time, so that the work stays in the processor's cache


def center_limits(length, width, angle, size=SIZE):
    """Return the least and the largest center, (2,) float64 x and y, of a line that is not cut."""
    half = np.stack(coverage.half_extent(length, width, *coverage.direction(angle)))
    return half, size - half


def render(length, width, angle, center, color=(255, 0, 0), size=SIZE):
    """Draw lines on black; every pixel is the exact area the line covers, times its color.

    length, width: pixels, any positive numbers that fit. angle: degrees in [0, 180), with the
    positive x axis, anticlockwise as seen. center: (x, y) in pixels from the top-left corner of
    the image, y downwards. color: integers 0..255, (red, green, blue). Each may be one value or n
    values (center (n, 2), color (n, 3)), which broadcast. Returns uint8 (n, size, size, 3).

    A line is a rectangle, and the area of a polygon inside a pixel is a sum over its edges, in
    closed form (anti-aliasing by exact area: Catmull 1978).

    Raises:
        ValueError: a value out of range, or a line that is cut; the message says what is allowed.
    """
    require_whole("size", size, 1)
    shape, color = _broadcast(length, width, angle, center, color)
    coverage.check(shape, size)
    images = np.zeros((len(color), size, size, 3), np.uint8)
    step = max(1, _CHUNK // size**2)
    for start in range(0, len(color), step):
        part = slice(start, start + step)
        area, top, left = coverage.coverage(shape[part], size)
        drawn = np.empty((*area.shape, 3), np.uint8)
        for channel in range(3):  # NumPy is slow where the last axis is as short as three
            drawn[..., channel] = np.rint(area * color[part, channel, None, None])
        side = area.shape[1]
        for image, window, row, column in zip(images[part], drawn, top, left, strict=True):
            image[row : row + side, column : column + side] = window
    return images


def _broadcast(length, width, angle, center, color):
    """Convert the arguments of `render` to rectangles (n, 5) float64 and colors (n, 3)."""
    center, color = np.asarray(center, np.float64), require_integers("color", color, 255)
    for name, array, last in (("center", center, 2), ("color", color, 3)):
        if array.shape[-1:] != (last,):
            needed = f"({last},) or (n, {last})"
            raise ValueError(f"{name} has shape {array.shape}, but {needed} is needed")
    shape = [np.asarray(v, np.float64) for v in (length, width, angle)]
    columns = [*shape, *np.moveaxis(center, -1, 0)]
    try:
        (n,) = np.broadcast_shapes((1,), *(v.shape for v in (*columns, color[..., 0])))
    except ValueError:
        raise ValueError("length, width, angle, center and color differ in number") from None
    columns = [np.broadcast_to(v, n) for v in columns]
    return np.stack(columns, -1), np.broadcast_to(color, (n, 3))
