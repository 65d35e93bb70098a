"""The same lines drawn otherwise: in other colors, dimmed, with their ends on whole pixels."""

import numpy as np

from cnnlab.lines import coverage
from cnnlab.lines import labels as lines
from cnnlab.lines.render import center_limits, render
from cnnlab.validation import require, require_integers


def recolored(images, colors):
    """Give each line another color; its shape stays as it is.

    Args:
        images: (n, h, w, 3) uint8, a line of one pure color on black each.
        colors: (3,) or (n, 3) integers 0..255, (red, green, blue).

    Returns:
        (n, h, w, 3) uint8: the share of each pixel that the line covers, times the color, rounded.

    Raises:
        ValueError: images of another shape or type, a color out of range, or another number of
            colors than of images.
    """
    images, colors = _check_images(images), require_integers("colors", colors)
    if colors.shape not in ((3,), (len(images), 3)):
        raise ValueError(f"colors have shape {colors.shape}; (3,) or ({len(images)}, 3) is needed")
    require((colors >= 0) & (colors <= 255), colors, "color", "in 0..255")
    colors = np.broadcast_to(colors, (len(images), 3)).astype(np.float32)
    covered = images.max(axis=-1, keepdims=True) / np.float32(255)
    return np.rint(covered * colors[:, None, None, :]).astype(np.uint8)


def random_colors(count, random):
    """Return `count` bright colors, (count, 3) int64: one channel is full, the others random."""
    colors = random.integers(0, 256, (count, 3))
    colors[np.arange(count), random.integers(0, 3, count)] = 255
    return colors


def dimmed(images, brightness):
    """Return the images with `brightness` (0..1) times their values, uint8.

    Raises:
        ValueError: brightness is outside 0..1, or images are not (n, h, w, 3) uint8.
    """
    if not 0 <= brightness <= 1:
        raise ValueError(f"brightness {brightness!r} is not allowed: it must be in 0..1")
    return np.rint(_check_images(images) * np.float32(brightness)).astype(np.uint8)


def snapped(labels, centers):
    """Draw lines whose two ends are moved to the middle of the pixel that they are in.

    Programs that know only whole coordinates do this. The line's angle, length and position change
    by what the rounding makes of them; a line that would then be cut by the border stays exact.

    Args:
        labels: (n, 4) integers, columns as in `lines.HEADS`.
        centers: (n, 2) float, x and y in pixels from the top-left corner.

    Returns:
        (n, 28, 28, 3) uint8.

    Raises:
        ValueError: labels out of range, not one center for each label, or a line that is cut
            before it is moved.
    """
    length, width, angle, color = _columns(labels)
    centers = np.asarray(centers, float)
    if centers.shape != (len(length), 2):
        raise ValueError(f"centers have shape {centers.shape}; ({len(length)}, 2) is needed")
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
    return render(
        np.where(fits, new_length, length),
        width,
        np.where(fits, new_angle, angle),
        np.where(fits[:, None], middle, centers),
        color,
    )


def _columns(labels):
    """Return length and width in pixels, angle in degrees, and color, of each label."""
    if lines.encode(labels).ndim != 1:  # it validates all but the number of axes
        raise ValueError(f"labels have shape {np.shape(labels)}, but (n, 4) is needed")
    length, width, angle, color = np.asarray(labels).T
    return (
        np.array(lines.LENGTHS, float)[length],
        np.array(lines.WIDTHS, float)[width],
        np.array(lines.ANGLES, float)[angle],
        np.array(list(lines.COLORS.values()))[color],
    )


def _check_images(images):
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(
            f"images are {images.dtype} of shape {images.shape}; uint8 (n, h, w, 3) is needed"
        )
    return images
