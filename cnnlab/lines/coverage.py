"""Rotated rectangles: whether they lie inside an image, and the area of each pixel they cover.

Rectangles are float64 (n, 5): length, width, angle in degrees, and the center, x and y, in pixels
from the top-left corner, y downwards.
"""

import numpy as np

from cnnlab.validation import require

_SLACK = 1e-9  # pixels; float64 rounding of a center placed exactly at the limit


def check(rectangles, size):
    """Raise ValueError unless the rectangles (n, 5) lie inside an image of size x size pixels."""
    length, width, angle, x, y = rectangles.T
    for name, values in (("length", length), ("width", width)):
        require(np.isfinite(values) & (values > 0), values, name, "a positive number of pixels")
    require((angle >= 0) & (angle < 180), angle, "angle", "at least 0 and less than 180 degrees")
    half = np.stack(half_extent(length, width, *direction(angle)), -1)  # (n, 2)
    # Asked this way round, since NaN compares as false with anything.
    wrong = ~np.all(np.abs(rectangles[:, 3:] - size / 2) <= size / 2 - half + _SLACK, -1)
    if wrong.any():
        first = int(np.argmax(wrong))
        line = "length {:g}, width {:g}, angle {:g}°".format(*rectangles[first, :3])
        (left, top), (right, bottom) = half[first], size - half[first]
        if left > right or top > bottom:
            raise ValueError(f"a line of {line} does not fit into {size} x {size} pixels")
        raise ValueError(
            f"center ({x[first]:g}, {y[first]:g}) is not allowed for {line}: the line is inside "
            f"the image for x in {left:g}..{right:g} and y in {top:g}..{bottom:g}"
        )


def direction(angle):
    """Return cos and sin of angles in degrees, the same on every machine.

    Twelve decimals hide the last digits, in which mathematical libraries differ. Within 1e-6 of
    an axis the line is drawn on it: the area under an edge is divided by the edge's slope, and a
    tiny slope would magnify rounding, while the turn itself moves no edge by 0.0001 pixels.
    """
    cos, sin = (np.round(f(np.radians(angle)), 12) for f in (np.cos, np.sin))
    flat, steep = np.abs(sin) < 1e-6, np.abs(cos) < 1e-6
    cos = np.where(flat, np.sign(cos), np.where(steep, 0.0, cos))
    return cos, np.where(steep, 1.0, np.where(flat, 0.0, sin))


def half_extent(length, width, cos, sin):
    """Return half the width and half the height of the box around the rotated rectangle."""
    cos, sin = np.abs(cos), np.abs(sin)
    return (length * cos + width * sin) / 2, (length * sin + width * cos) / 2


def coverage(rectangles, size):
    """Return (area, top, left): what the rectangles (n, 5) cover of each pixel, in windows.

    The area is (n, side, side) float64; top and left (n,) are each window's first row and column.
    Windows are inside the image, of size x size pixels, and as large as the largest rectangle.
    """
    length, width, angle, x, y = rectangles.T
    cos, sin = direction(angle)
    half_x, half_y = half_extent(length, width, cos, sin)
    side = min(size, int(np.ceil(2 * max(half_x.max(), half_y.max()))) + 1)
    left, top = (
        np.clip(np.floor(middle - half).astype(int), 0, size - side)
        for middle, half in ((x, half_x), (y, half_y))
    )
    columns, rows = (first[:, None] + np.arange(side + 1) for first in (left, top))
    area = np.empty((len(rectangles), side, side))
    upright = (cos == 0) | (sin == 0)
    across, down = _overlap(x, half_x, columns), _overlap(y, half_y, rows)
    area[upright] = down[upright, :, None] * across[upright, None, :]
    slanted = (part[~upright] for part in (rectangles, cos, sin, columns, rows))
    area[~upright] = _slanted(*slanted)
    return area, top, left


def _overlap(middle, half, borders):
    """How much, (n, side), of each pixel's side lies in middle - half .. middle + half."""
    low = np.maximum((middle - half)[:, None], borders[:, :-1])
    return np.maximum(np.minimum((middle + half)[:, None], borders[:, 1:]) - low, 0)


def _slanted(rectangles, cos, sin, columns, rows):
    """Return the areas (n, side, side) of rectangles none of whose edges is upright."""
    length, width, _, x, y = rectangles.T
    along_x, along_y = length / 2 * cos, -length / 2 * sin  # y points down
    across_x, across_y = width / 2 * sin, width / 2 * cos
    above = 0.0
    for side in (1, -1):  # the area above the lower two edges, minus that above the upper two
        sign = side * np.sign(cos)
        middle = x + side * across_x, y + side * across_y
        above += _above_edge(middle, np.abs(along_x), -sin / cos, sign, columns, rows)
        middle = x + side * along_x, y + side * along_y
        above += _above_edge(middle, across_x, cos / sin, -side, columns, rows)
    return above[:, :-1] - above[:, 1:]


def _above_edge(middle, half, slope, sign, columns, rows):
    """Integrate, over each pixel column, how far an edge lies below each row boundary.

    `middle` is the edge's, (x, y), and `half` its half width. The distance u is linear along the
    edge, so the integral of max(u, 0) over x is the change of max(u, 0)² / 2, divided by the slope.
    Returns (n, side + 1, side), times `sign`, for the borders (n, side + 1) of columns and rows.
    """
    x, y = middle
    ends = np.clip(columns, (x - half)[:, None], (x + half)[:, None])
    height = y[:, None] + slope[:, None] * (ends - x[:, None])
    distance = height[:, None, :] - rows[:, :, None]  # (n, rows' borders, ends of columns)
    np.maximum(distance, 0, out=distance)
    distance *= distance
    change = distance[:, :, 1:] - distance[:, :, :-1]
    change *= (sign / (2 * slope))[:, None, None]
    return change
