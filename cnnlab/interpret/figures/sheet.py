"""A page of small square tiles and text, in inches; one axis for all, as hundreds take minutes."""

import math
import textwrap
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from cnnlab import plots  # noqa: F401  (its import sets the style)

WIDTH = 9.0  # inches
SMALL, NORMAL = 7, 9  # points
LINE = 0.125  # inches from a small line to the next
SPACE = 0.06  # inches between tiles
CHARACTER = 0.0082  # inches a character is wide on average, for each point of its size


class Tile(NamedTuple):
    """A small picture."""

    pixels: np.ndarray  # (h, w, 3) colors 0..1, drawn with square, unsmoothed pixels
    label: str = ""  # written over it; may have several lines
    inside: str = ""  # written on it, wrapped to its width: why there is nothing to see


class Sheet:
    """Collects headings, text, tiles and color bars from the top down; `figure` draws them."""

    def __init__(self, width: float = WIDTH):
        self.width = width
        self.height = 0.0
        self._images = []  # (pixels, left, top, width, height)
        self._texts = []  # (x, y, text, options)

    def heading(self, text: str) -> None:
        """Add a line in bold, with space above."""
        self.height += 0.12 if self.height else 0
        self._text(0, self.height, text, fontsize=NORMAL, weight="bold", va="top")
        self.height += 0.22

    def text(self, text: str) -> None:
        """Add a paragraph, wrapped to the width of the sheet."""
        for line in textwrap.wrap(text, int(self.width / (CHARACTER * 8))):
            self._text(0, self.height, line, fontsize=8, va="top")
            self.height += 0.155
        self.height += 0.04

    def tiles(self, tiles, columns: int | None = None, stacked: int = 1, side=None) -> None:
        """Add a list of Tile in rows, `columns` side by side, `side` inches wide or full width.

        Each `stacked` of them stand below each other without space, under the label of the first.
        """
        groups = [tiles[start : start + stacked] for start in range(0, len(tiles), stacked)]
        if columns is None:
            columns = max(1, int((self.width + SPACE) / (side + SPACE)))
        side = side or (self.width + SPACE) / columns - SPACE
        for start in range(0, len(groups), columns):
            row = groups[start : start + columns]
            labels = [_wrapped(label, room) for label, room in _with_room(row, columns, side)]
            lines = max(label.count("\n") + bool(label) for label in labels)
            top = self.height + (lines * LINE + 0.03)
            lefts = [index * (side + SPACE) for index in range(len(row))]
            for label, left in zip(labels, lefts, strict=True):
                self._text(left, top - 0.025, label, fontsize=SMALL, va="bottom")
            heights = [self._column(*at, top, side) for at in zip(row, lefts, strict=True)]
            self.height = top + max(heights) + SPACE

    def _column(self, group, left, top, side):
        """Place stacked tiles below each other; returns their height."""
        below = top
        for tile in group:
            rows, columns = tile.pixels.shape[:2]
            height = side * rows / columns
            self._images.append((tile.pixels, left, below, side, height))
            if tile.inside:
                text = textwrap.fill(tile.inside, max(8, int(side / (CHARACTER * 6.5))))
                middle = (left + side / 2, below + height / 2)
                self._text(*middle, text, fontsize=6.5, ha="center", va="center", linespacing=1)
            below += height
        return below - top

    def color_bar(self, label: str, low: float, high: float, colormap: str) -> None:
        """Add a bar of a colormap with the values of its ends; `label` says of what."""
        colors = plt.get_cmap(colormap)(np.linspace(0, 1, 256))[None, :, :3]
        start, end = f"{low:.3g}", f"{high:.3g}   {label}"
        left = len(start) * CHARACTER * SMALL + 0.05
        middle = self.height + 0.07
        self._images.append((colors, left, self.height + 0.02, 1.6, 0.1))
        self._text(left - 0.05, middle, start, fontsize=SMALL, va="center", ha="right")
        self._text(left + 1.65, middle, end, fontsize=SMALL, va="center")
        self.height += 0.19

    def _text(self, x, y, text, **options):
        if text:
            self._texts.append((x, y, text, options))

    def figure(self):
        """Return all of it as a Matplotlib figure of exactly that size."""
        # Not by pyplot, which keeps every figure, and which Jupyter would draw a second time.
        figure = Figure(figsize=(self.width, self.height), layout="none")
        axis = figure.add_axes((0, 0, 1, 1))
        axis.set_axis_off()
        for pixels, left, top, width, height in self._images:
            extent = (left, left + width, top + height, top)
            axis.imshow(np.clip(pixels, 0, 1), extent=extent, interpolation="nearest")
        for x, y, text, options in self._texts:
            axis.text(x, y, text, parse_math=False, **options)  # names may have a $
        axis.set(xlim=(0, self.width), ylim=(self.height, 0), aspect="equal")
        return figure


def _with_room(row, columns, side):
    """Yield the labels of a row's tiles, and how wide each may be: up to the next one."""
    labels = [group[0].label for group in row] + [""] * (columns - len(row))
    for place, label in enumerate(labels[: len(row)]):
        free = next((n for n, other in enumerate(labels[place + 1 :]) if other), None)
        tiles = 1 + (columns - place - 1 if free is None else free)
        yield label, tiles * (side + SPACE) - SPACE


def _wrapped(label, room):
    """Return a label with its lines no longer than so many inches, about."""
    most = max(10, int(room / (CHARACTER * SMALL)) + 1)
    return "\n".join(part for line in label.split("\n") for part in textwrap.wrap(line, most))


def as_colors(image):
    """Return an image (h, w), (h, w, 1) or (h, w, 3), 0..1, as (h, w, 3); others by their mean."""
    image = np.asarray(image, np.float32)
    image = image[..., None] if image.ndim == 2 else image
    return image if image.shape[2] == 3 else np.repeat(image.mean(2, keepdims=True), 3, axis=2)


def through_colormap(values, low: float, high: float, colormap: str):
    """Return values (...) as colors (..., 3), the colormap's ends at `low` and `high`."""
    scale = Normalize(low, high if high > low else low + 1)
    return plt.get_cmap(colormap)(scale(np.asarray(values)))[..., :3]


def fitting_columns(count: int, side: float, width: float = WIDTH) -> int:
    """Return how many columns of about `side` inches fit, so that the rows are equally full."""
    most = max(1, int((width + SPACE) / (side + SPACE)))
    rows = math.ceil(count / most)
    return max(math.ceil(count / rows), most // 2)
