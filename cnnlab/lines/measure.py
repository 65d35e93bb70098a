"""The geometry of a drawn line, measured back from its pixels."""

from typing import NamedTuple

import numpy as np

PIXEL = 1 / 12  # the variance of the light inside of one pixel, which moments count as the line's


class Measured(NamedTuple):
    """Of n lines: float64 (n,) each; of an image without a line, 0."""

    angle: np.ndarray  # degrees in [0, 180), anticlockwise from the horizontal
    length: np.ndarray  # pixels
    width: np.ndarray  # pixels; of a length of 0: 0


def measured(images):
    """Measure lines, (n, h, w, 3) uint8, one line of a pure color on black each.

    Angle and length come from the second moments of the light, the width from its area: rectangles
    are measured exactly but for rounding to 8 bits, other shapes as rectangles with such moments.
    """
    light = np.max(images, axis=-1) / 255.0
    y, x = np.mgrid[: light.shape[1], : light.shape[2]].reshape(2, -1)
    weights = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    sums = light.reshape(len(light), -1) @ weights.astype(float)
    area = sums[:, 0]
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = (sums[:, 1:] / np.maximum(area, 1e-9)[:, None]).T
    xx, yy, xy = mean_xx - mean_x**2, mean_yy - mean_y**2, mean_xy - mean_x * mean_y
    angle = np.degrees(np.arctan2(-2 * xy, xx - yy) / 2) % 180
    along = (xx + yy) / 2 + np.hypot((xx - yy) / 2, xy)  # the larger variance
    length = np.sqrt(12 * np.maximum(along - PIXEL, 0))
    width = np.divide(area, length, out=np.zeros_like(area), where=length > 0)
    return Measured(angle, length, width)
