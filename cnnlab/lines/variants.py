"""The same lines drawn otherwise: in other colors, dimmed, with their ends on whole pixels."""

import numpy as np

from cnnlab.lines import coverage
from cnnlab.lines import labels as lines
from cnnlab.lines.render import center_limits, render
from cnnlab.validation import require, require_integers, require_shape

GREEN_CONE = 64  # red and blue of a full green below which a color is close to green


def recolored(images, colors):
    """Give each line, of one pure color on black in (n, h, w, 3) uint8, another color.

    Returns uint8: the share of each pixel that the line covers, times the color (3,) or (n, 3),
    integers 0..255 (red, green, blue), rounded. ValueError for other types, shapes or colors.
    """
    _check_images(images)
    colors = require_integers("color", colors, 255)
    if colors.shape != (3,):
        require_shape("array of colors", colors, (len(images), 3))
    colors = np.broadcast_to(colors, (len(images), 3)).astype(np.float32)
    covered = images.max(axis=-1, keepdims=True) / np.float32(255)
    return np.rint(covered * colors[:, None, None, :]).astype(np.uint8)


def random_colors(count, random):
    """Return `count` bright colors, (count, 3) int64: one channel is full, the others random.

    None is close to green: where green is full, red or blue is at least a quarter.
    """
    colors = random.integers(0, 256, (count, 3))
    full = random.integers(0, 3, count)
    colors[np.arange(count), full] = 255
    close = (full == 1) & (colors[:, ::2] < GREEN_CONE).all(axis=1)
    while close.any():
        colors[close, ::2] = random.integers(0, 256, (close.sum(), 2))
        close = (full == 1) & (colors[:, ::2] < GREEN_CONE).all(axis=1)
    return colors


def dimmed(images, brightness):
    """Return images (n, h, w, 3) uint8 with `brightness` (0..1) times their values, uint8."""
    _check_images(images)
    require(0 <= brightness <= 1, brightness, "brightness", "in 0..1")
    return np.rint(images * np.float32(brightness)).astype(np.uint8)


def _check_images(images):
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        given = f"{images.dtype} of shape {images.shape}"
        raise ValueError(f"images are {given}; uint8 (n, h, w, 3) is needed")


def snapped(labels, centers):
    """Draw lines whose two ends are moved to the middle of the pixel that they are in.

    Programs that know only whole coordinates do this. The line's angle, length and position change
    by what the rounding makes of them; a line that would then be cut by the border stays exact.
    Takes labels (n, 4) and centers (n, 2), in pixels, of lines that are not cut, else ValueError.
    Returns (n, 28, 28, 3) uint8.
    """
    length, width, angle, color = lines.geometry(np.atleast_2d(labels))
    centers = np.asarray(centers, float)
    require_shape("array of centers", centers, (len(length), 2))
    coverage.check(np.column_stack([length, width, angle, centers]), lines.SIZE)
    direction = np.stack([np.cos(np.radians(angle)), -np.sin(np.radians(angle))], axis=-1)
    half = (length[:, None] - 1) / 2 * direction  # both end pixels belong to the line
    start, end = (np.floor(centers + sign * half) + 0.5 for sign in (-1, 1))
    step = end - start
    new_length = np.hypot(*step.T) + 1
    new_angle = np.degrees(np.arctan2(-step[:, 1], step[:, 0])) % 180
    middle = (start + end) / 2
    low, high = center_limits(new_length, width, new_angle)
    fits = np.all((middle >= low.T) & (middle <= high.T), axis=1)
    length, angle = np.where(fits, new_length, length), np.where(fits, new_angle, angle)
    return render(length, width, angle, np.where(fits[:, None], middle, centers), color)
