"""Does the heat lie on the object? The pointing game, and the share of the heat inside a mask."""

from typing import NamedTuple

import numpy as np

from cnnlab import lines
from cnnlab.interpret.checks.statistics import heat_of, known_interval, mean_known
from cnnlab.metrics import wilson_interval

TIED = 1e-6  # heat that is less than this share below the highest counts as highest, too


class Localization(NamedTuple):
    """How much of something lies inside the masks, for n images."""

    share: float  # the mean over the images with a map, 0..1; NaN if there is none
    low: float  # its 95 % interval
    high: float
    chance: float  # what even heat would reach: the mean share of the pixels that the mask holds
    of_images: np.ndarray  # (n,) float64, 0..1, the share of each image; NaN where the map is empty
    empty: int  # the number of empty maps; they are left out


def pointing_game(heatmaps, masks) -> Localization:
    """Return how often the hottest pixel lies inside the mask, with the interval of Wilson.

    Zhang et al. (2018), "Top-down neural attention by excitation backprop". Where several pixels
    are the hottest, as at the border of a coarse map, the image counts with the share of them that
    lies inside: what drawing one of them would give on average. Takes `Heatmaps`, or numbers
    (n, height, width) >= 0, and masks (n, height, width) bool, True where the object is, at least
    one pixel each; else ValueError.
    """
    heat, nonempty, masks = _checked(heatmaps, masks)
    hottest = heat >= heat.max(axis=(1, 2), keepdims=True) * (1 - TIED)
    inside = (hottest & masks).sum(axis=(1, 2)) / hottest.sum(axis=(1, 2))
    count = int(nonempty.sum())
    hits = min(float(inside[nonempty].sum()), count)  # the sum of thirds may round above
    bounds = wilson_interval(hits, count) if count else (np.nan, np.nan)
    return _result(inside, masks, nonempty, bounds)


def heat_inside(heatmaps, masks) -> Localization:
    """Return, as in `pointing_game`, the share of all heat that lies inside; Student's interval."""
    heat, nonempty, masks = _checked(heatmaps, masks)
    total = np.where(nonempty, heat.sum(axis=(1, 2)), 1)
    inside = np.where(masks, heat, 0).sum(axis=(1, 2)) / total
    _, low, high = known_interval(inside[nonempty])
    return _result(inside, masks, nonempty, (max(low, 0.0), min(high, 1.0)))


def _checked(heatmaps, masks):
    heat, nonempty = heat_of(heatmaps)
    masks = np.asarray(masks)
    if masks.dtype != bool or masks.shape != heat.shape:
        raise ValueError(f"masks must be bool {heat.shape}, not {masks.dtype} {masks.shape}")
    marked = masks.any(axis=(1, 2))
    if not marked.all():
        raise ValueError(f"mask {np.argmin(marked)} is empty: it must mark where the object is")
    return heat, nonempty, masks


def _result(inside, masks, nonempty, bounds):
    inside = np.where(nonempty, inside, np.nan)
    chance = np.where(nonempty, masks.mean(axis=(1, 2)), np.nan)
    means = float(mean_known(inside)), *bounds, float(mean_known(chance))
    return Localization(*means, inside, int(np.sum(~nonempty)))


def line_masks(drawn: lines.Lines):
    """Return the pixels that lines cover, (n, 28, 28) bool; ValueError without their centers."""
    # A pixel counts when a line of full strength, in any color, would show in an image of 0..255.
    if drawn.centers is None:
        raise ValueError("the lines have no centers: without them nobody knows where they are")
    length, width, angle, _ = drawn.labels.T
    sizes = np.array(lines.LENGTHS)[length], np.array(lines.WIDTHS)[width]
    angles = np.array(lines.ANGLES)[angle]
    return lines.render(*sizes, angles, drawn.centers, color=(255, 255, 255)).any(axis=3)
