"""Where in the image the cells of a value lie, as arrays, and what can be told from them.

Places are (rows, *cells, 2) float64: for each position of a (height, width, channels), or each
token of a (tokens, width), the (y, x) in pixels of the middle of what it looks at; that of pixel i
is i + 0.5. They are NaN for what has no place of its own, such as a class token, the factors of a
gate, or what a global pooling makes. A row is an image, or a window cut out of one.
"""

from typing import NamedTuple

import numpy as np

CLOSE = 1e-3  # pixels: places that are not farther apart are the same


class Grid(NamedTuple):
    """The middles of cells along an axis, in pixels or in cells of another value."""

    first: float
    spacing: float

    def middles(self, cells: int) -> np.ndarray:
        """Return the first (cells,) of them."""
        return self.first + self.spacing * np.arange(cells)


def of_pixels(height: int, width: int) -> np.ndarray:
    """Return the places of an image."""
    return np.moveaxis(np.indices((height, width)) + 0.5, 0, -1)[None]


def at(places, rows, columns) -> np.ndarray | None:
    """Return the places at these rows and columns, maybe fractional or outside, of a map.

    None where the cells do not lie regularly, each row and each column one step further.
    """
    _, height, width, _ = places.shape
    first = places[0, 0, 0]
    down = places[0, 1, 0] - first if height > 1 else 0 * first
    across = places[0, 0, 1] - first if width > 1 else 0 * first

    def regular(rows, columns):
        return first + rows[:, None, None] * down + columns[:, None] * across

    expected = regular(np.arange(height), np.arange(width))
    if not np.allclose(expected, places[0], rtol=0, atol=CLOSE, equal_nan=True):
        return None
    return regular(rows, columns)[None]


def between(low, high) -> np.ndarray | None:
    """Return the places in the middle of two that differ by less than a cell, or else None."""
    # As those of a 1 x 1 and a 3 x 3 convolution do that both have a stride of 2.
    middle = (low + high) / 2
    apart = np.fmax.reduce(high - low, axis=None, initial=0)
    steps = [np.abs(np.diff(middle, axis=axis)).max(axis=-1) for axis in range(1, middle.ndim - 1)]
    steps = [np.median(step[np.isfinite(step)]) for step in steps if np.isfinite(step).any()]
    return middle if apart < max(CLOSE, min(steps, default=0) - CLOSE) else None


def in_the_middle(places) -> np.ndarray:
    """Return the places of cells from those of their numbers, (..., channels, 2)."""
    # The channels of a cell may come from several cells, as after a cut into patches.
    low, high = (reduce(places, axis=-2) for reduce in (np.fmin.reduce, np.fmax.reduce))
    middle = between(low, high)
    return np.full_like(low, np.nan) if middle is None else extended(middle)


def extended(places) -> np.ndarray:
    """Return places of a map in which padding, which has none, lies on with the others."""
    has_place = np.isfinite(places[..., 0])
    if places.ndim != 4 or len(places) > 1 or has_place.all() or not has_place.any():
        return places
    _, height, width, _ = places.shape
    rows, columns = (np.flatnonzero(has_place[0].any(axis=axis)) for axis in (1, 0))
    inner = places[:, rows[:, None], columns]
    whole = at(inner, np.arange(height) - rows[0], np.arange(width) - columns[0])
    agrees = whole is not None and np.allclose(whole[has_place], places[has_place])
    return whole if agrees else places


def arranged(places) -> tuple[np.ndarray, tuple[Grid, Grid]] | None:
    """Return the cells in the order of the image, and the grids that they lie on.

    (rows, columns) int32, their numbers in the order of the value, without those that have no
    place, and the (vertical, horizontal) grids in pixels; None if they are on no grid.
    """
    if places is None:
        return None
    flat = places.reshape(-1, 2)
    numbers = np.flatnonzero(np.isfinite(flat[:, 0]))
    steps = np.rint(flat[numbers].T / CLOSE)
    sides = [len(np.unique(axis)) for axis in steps]
    if not len(numbers) or len(numbers) != np.prod(sides):
        return None
    cells = numbers[np.lexsort(steps[::-1])].reshape(sides)
    lying = flat[cells]  # (rows, columns, 2)
    if at(lying[None], np.arange(0), np.arange(0)) is None:
        return None
    middles = lying[:, 0, 0], lying[0, :, 1]
    axes = (Grid(axis[0], axis[1] - axis[0] if len(axis) > 1 else 1.0) for axis in middles)
    return cells.astype(np.int32), tuple(axes)
