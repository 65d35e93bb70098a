"""Does the heat lie on the object? The pointing game, and the share of the heat inside a mask.

A mask says where the object truly is. For the lines it is known exactly: `line_masks` draws them
again from their labels and centers.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cnnlab import lines
from cnnlab.interpret.checks.statistics import heat_of, known_interval, mean_known
from cnnlab.metrics import wilson_interval

TIED = 1e-6  # heat that is less than this share below the highest counts as highest, too


class Localization(NamedTuple):
    """How much of something lies inside the masks, for n images.

    Attributes:
        share: the mean over the images with a map, 0..1; NaN if there is none.
        low, high: its 95 % interval.
        chance: what heat spread evenly over the image would reach: the mean share of the pixels
            that belong to the mask.
        of_images: (n,) float64, 0..1, the share of each image; NaN where the map is empty.
        chance_of_images: (n,) float64, 0..1, the share of its pixels.
        gain: (mean, low, high) of the difference of the two, paired by image.
        empty: the number of empty maps; they are left out.
    """

    share: float
    low: float
    high: float
    chance: float
    of_images: np.ndarray
    chance_of_images: np.ndarray
    gain: tuple[float, float, float]
    empty: int


def pointing_game(heatmaps, masks, tolerance=0) -> Localization:
    """Return how often the hottest pixel lies inside the mask.

    Zhang et al., 2018, "Top-down neural attention by excitation backprop".

    Where several pixels are the hottest, as at the border of a coarse map, the image counts with
    the share of them that lies inside: what drawing one of them would give on average.

    Args:
        heatmaps: `Heatmaps`, or numbers (n, height, width) >= 0.
        masks: (n, height, width) bool, True where the object is; at least one pixel each.
        tolerance: pixels by which the mask is widened all around, measured from middle to middle.

    Returns:
        `Localization`, its interval that of Wilson.

    Raises:
        ValueError: heat that is negative or of another shape than the masks, masks that are not
            bool or empty, or a tolerance that is no number >= 0.
    """
    heat, there, masks = _checked(heatmaps, masks, tolerance)
    hottest = hottest_pixels(heat)
    inside = (hottest & masks).sum(axis=(1, 2)) / hottest.sum(axis=(1, 2))
    count = int(there.sum())
    hits = min(float(inside[there].sum()), count)  # the sum of thirds may round above
    return _result(inside, masks, there, wilson_interval(hits, count) if count else (np.nan,) * 2)


def hottest_pixels(heat):
    """Return (..., height, width) bool, the pixels of a map that are as hot as its hottest one."""
    return heat >= heat.max(axis=(-2, -1), keepdims=True) * (1 - TIED)


def heat_inside(heatmaps, masks, tolerance=0) -> Localization:
    """Return the share of all the heat that lies inside the mask, the mean over the images.

    Args, Raises: as `pointing_game`.

    Returns:
        `Localization`, its interval that of Student's t over the images, cut to 0..1.
    """
    heat, there, masks = _checked(heatmaps, masks, tolerance)
    total = np.where(there, heat.sum(axis=(1, 2)), 1)
    inside = np.where(masks, heat, 0).sum(axis=(1, 2)) / total
    _, low, high = known_interval(inside[there])
    return _result(inside, masks, there, (max(low, 0.0), min(high, 1.0)))


def _checked(heatmaps, masks, tolerance):
    heat, there = heat_of(heatmaps)
    masks = np.asarray(masks)
    if masks.dtype != bool or masks.shape != heat.shape:
        raise ValueError(f"masks must be bool {heat.shape}, not {masks.dtype} {masks.shape}")
    if not masks.any(axis=(1, 2)).all():
        first = int(np.argmin(masks.any(axis=(1, 2))))
        raise ValueError(f"mask {first} is empty: it must mark where the object is")
    number = isinstance(tolerance, int | float | np.number) and not isinstance(tolerance, bool)
    if not number or not 0 <= tolerance < np.inf:
        raise ValueError(f"tolerance {tolerance!r} is not allowed: it must be a number >= 0")
    if tolerance > 0:
        distances = [ndimage.distance_transform_edt(~mask) for mask in masks]
        masks = np.array(distances) <= tolerance
    return heat, there, masks


def _result(inside, masks, there, bounds):
    inside = np.where(there, inside, np.nan)
    area = masks.mean(axis=(1, 2))
    return Localization(
        share=float(mean_known(inside)),
        low=bounds[0],
        high=bounds[1],
        chance=float(mean_known(np.where(there, area, np.nan))),
        of_images=inside,
        chance_of_images=area,
        gain=known_interval(inside - area),
        empty=int(np.sum(~there)),
    )


def line_masks(labels, centers=None):
    """Return the pixels that a line covers, drawn again from what is known of it.

    Args:
        labels: `lines.Lines` with its centers, or (n, 4) integers, columns as in `lines.HEADS`.
        centers: (n, 2) numbers, x and y in pixels; they belong to labels of their own.

    Returns:
        (n, 28, 28) bool: every pixel of which a line of full strength covers so much that an image
        of 0..255 shows it (one part in 510), whatever its color.

    Raises:
        ValueError: labels out of range, no centers, another number of them, or a line that does not
            fit into the image.
    """
    if isinstance(labels, lines.Lines):
        labels, centers = labels.labels, labels.centers if centers is None else centers
    labels, centers = np.asarray(labels), np.asarray(centers)
    if labels.ndim != 2:
        raise ValueError(f"labels have the shape {labels.shape}; (n, 4) is needed")
    if centers.shape != (len(labels), 2):
        raise ValueError(
            f"centers have the shape {centers.shape}; ({len(labels)}, 2) is needed: without them "
            "nobody knows where the lines are"
        )
    lines.encode(labels)  # says what is wrong with them
    length, width, angle, _ = labels.T
    sizes = np.array(lines.LENGTHS)[length], np.array(lines.WIDTHS)[width]
    drawn = lines.render(*sizes, np.array(lines.ANGLES)[angle], centers, color=(255, 255, 255))
    return drawn.any(axis=3)
