"""The line dataset: 96,000 RGB images of one straight line, drawn by the exact area of each pixel.

Two lengths, two widths, twelve angles and two colors make 96 classes of 1,000 images each. Only
the centre of the line varies inside a class, and the whole line is always inside the image.
"""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnnlab import rectangles, runtime
from cnnlab.rectangles import require

SIZE = 28
LENGTHS = (7, 15)  # pixel sides, Euclidean
WIDTHS = (1, 3)
ANGLES = tuple(range(0, 180, 15))  # degrees, anticlockwise as a person sees it
COLORS = {"red": (255, 0, 0), "blue": (0, 0, 255)}
HEADS = ("length", "width", "angle", "color")  # the order of the label's four columns
CHOICES = (len(LENGTHS), len(WIDTHS), len(ANGLES), len(COLORS))
CLASSES = 96
PER_CLASS = 1000

_VERSION = 1  # to be raised whenever one byte of generate() changes
_CHUNK = 100_000  # pixels rendered at a time, so that the work stays in the processor's cache


class Lines(NamedTuple):
    """Images with their labels and the centres they were drawn at."""

    images: np.ndarray  # (n, 28, 28, 3) uint8, RGB, 0..255
    labels: np.ndarray  # (n, 4) uint8, columns in the order of HEADS
    centers: np.ndarray | None  # (n, 2) float32, x and y in pixels; None when read from a folder


def encode(labels):
    """Turn labels (..., 4), columns as in HEADS, into classes (...) int64 of 0..95.

    The class is ((length * 2 + width) * 12 + angle) * 2 + color, so classes sort like labels.
    Raises ValueError for anything but integers in range.
    """
    labels = _integers("labels", labels)
    if labels.shape[-1:] != (4,):
        raise ValueError(f"labels have shape {labels.shape}, but (n, 4) is needed: {HEADS}")
    classes = np.zeros(labels.shape[:-1], np.int64)
    for column, (head, count) in enumerate(zip(HEADS, CHOICES, strict=True)):
        values = labels[..., column]
        require((values >= 0) & (values < count), values, f"{head} label", f"in 0..{count - 1}")
        classes = classes * count + values.astype(np.int64)
    return classes


def decode(classes):
    """Turn classes (...) of 0..95 into labels (..., 4) uint8: the inverse of `encode`.

    Raises ValueError for anything but integers in range.
    """
    classes = _integers("classes", classes)
    require((classes >= 0) & (classes < CLASSES), classes, "class", f"in 0..{CLASSES - 1}")
    return np.stack(np.unravel_index(classes.astype(np.int64), CHOICES), -1).astype(np.uint8)


def geometry(label):
    """Turn one label (4,) into what it means: (length, width) in pixels, angle in degrees, RGB."""
    length, width, angle, color = decode(encode(label))
    return LENGTHS[length], WIDTHS[width], ANGLES[angle], list(COLORS.values())[color]


def center_limits(length, width, angle, size=SIZE):
    """Return the smallest and the largest centre, each (2,) float64 x and y in pixels, of a line.

    The whole line is inside an image of size x size pixels exactly for the centres between them.
    """
    half = np.stack(rectangles.half_extent(length, width, *rectangles.direction(angle)))
    return half, size - half


def class_name(class_index):
    """Return a class as a person says it: 'long thick 135° red'."""
    length, width, angle, color = decode(class_index)
    sizes = f"{('short', 'long')[length]} {('thin', 'thick')[width]}"
    return f"{sizes} {ANGLES[angle]}° {list(COLORS)[color]}"


def render(length, width, angle, center, color=(255, 0, 0), size=SIZE):
    """Draw lines on black; every pixel is the exact area the line covers, times its color.

    length, width: pixels, any positive numbers that fit. angle: degrees in [0, 180), with the
    positive x axis, anticlockwise as seen. center: (x, y) in pixels from the top-left corner of
    the image, y downwards. color: integers 0..255, (red, green, blue). Each may be one value or n
    values (center (n, 2), color (n, 3)), which broadcast.

    Returns uint8 (n, size, size, 3). A line is a rectangle, and the area of a polygon inside a
    pixel is a sum over its edges, in closed form (anti-aliasing by exact area: Catmull 1978).
    Raises ValueError, saying what is allowed, for a value out of range or a line that is cut.
    """
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise ValueError(f"size {size!r} is not allowed: it must be a positive integer")
    shape, color = _broadcast(length, width, angle, center, color)
    rectangles.check(shape, size)
    images = np.zeros((len(color), size, size, 3), np.uint8)
    step = max(1, _CHUNK // size**2)
    for start in range(0, len(color), step):
        part = slice(start, start + step)
        area, top, left = rectangles.coverage(shape[part], size)
        drawn = np.empty((*area.shape, 3), np.uint8)
        for channel in range(3):  # NumPy is slow where the last axis is as short as three
            drawn[..., channel] = np.rint(area * color[part, channel, None, None])
        side = area.shape[1]
        for image, window, row, column in zip(images[part], drawn, top, left, strict=True):
            image[row : row + side, column : column + side] = window
    return images


def generate(per_class=PER_CLASS, seed=0):
    """Make the dataset: `per_class` different images of each class, class after class.

    Returns Lines with 96 * per_class images. The same seed gives the same bytes on every machine,
    and the first k images of a class are the same whatever `per_class` is.
    Raises ValueError unless per_class is a positive and seed a non-negative integer.
    """
    for name, value, least in (("per_class", per_class, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name} {value!r} is not allowed: it must be an integer >= {least}")
    images = np.empty((CLASSES, per_class, SIZE, SIZE, 3), np.uint8)
    centers = np.empty((CLASSES, per_class, 2), np.float32)
    streams = np.random.SeedSequence(seed).spawn(CLASSES)

    def fill(class_index):
        stream = np.random.PCG64(streams[class_index])
        images[class_index], centers[class_index] = _draw_class(class_index, per_class, stream)

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        list(pool.map(fill, range(CLASSES)))
    return Lines(images.reshape(-1, SIZE, SIZE, 3), _labels(per_class), centers.reshape(-1, 2))


def load(path=None):
    """Return the line dataset as Lines.

    Without a path: the 96,000 images of seed 0 from data/lines.npz, which is made on first use, and
    made again when broken or out of date. Where it cannot be stored they are made in memory.
    With a path: an .npz written by us, or a folder of length_width_angle_color_number.png or .jpg
    images, sorted by class and number; a folder holds no centres, so `centers` is None.
    Raises ValueError or FileNotFoundError that names the file and what is wrong with it.
    """
    from cnnlab import line_files  # here, because that module is built upon this one

    if path is not None:
        return line_files.read(Path(path))
    standard = recipe(PER_CLASS, seed=0)
    try:
        stored = line_files.read_npz(_cache_file(), standard)
        if np.array_equal(stored.labels, _labels(PER_CLASS)):
            return stored
    except (ValueError, OSError):
        pass
    lines = generate(PER_CLASS, seed=0)
    # A read-only copy or a full disk costs seconds, not the work.
    with contextlib.suppress(OSError):
        line_files.write_npz(_cache_file(), lines, standard)
    return lines


def recipe(per_class, seed):
    """Return one line that names a dataset; a stored one with another line is out of date."""
    return f"cnnlab lines, drawing {_VERSION}, {per_class} images per class, seed {seed}"


def _cache_file():
    return runtime.data_folder() / "lines.npz"


def _labels(per_class):
    return decode(np.repeat(np.arange(CLASSES), per_class))


def _draw_class(class_index, per_class, stream):
    """Return images and centres of one class; a repeated image is dropped and one more drawn."""
    *shape, color = geometry(decode(class_index))
    found = {}  # image bytes -> centre; a dict keeps the first of equals, in the order drawn
    while len(found) < per_class:
        centers = _draw_centers(stream, per_class - len(found), *shape)
        for image, center in zip(render(*shape, centers, color), centers, strict=True):
            found.setdefault(image.tobytes(), center)
    images = np.frombuffer(b"".join(found), np.uint8).reshape(-1, SIZE, SIZE, 3)
    return images, np.stack(list(found.values()))


def _draw_centers(stream, count, length, width, angle):
    """Draw centres (count, 2) float32, uniform over all positions that keep the line inside.

    NumPy promises that the raw output of a bit generator never changes, but not that the methods
    of Generator stay as they are; so the 53-bit fractions are made here.
    """
    fractions = (stream.random_raw(2 * count) >> np.uint64(11)).reshape(count, 2) * 2.0**-53
    least, most = center_limits(length, width, angle)
    low, high = least.astype(np.float32), most.astype(np.float32)
    # Rounding to float32 must not push a centre outward, not even by one unit in the last place.
    low = np.where(low < least, np.nextafter(low, np.float32(np.inf)), low)
    high = np.where(high > most, np.nextafter(high, np.float32(0)), high)
    return np.clip((least + fractions * (most - least)).astype(np.float32), low, high)


def _broadcast(length, width, angle, center, color):
    """Bring the arguments of `render` to rectangles (n, 5) float64 and colors (n, 3)."""
    numbers = [np.asarray(v, np.float64) for v in (length, width, angle, center)]
    color = _integers("color", color)
    require((color >= 0) & (color <= 255), color, "color", "in 0..255")
    for name, array, last in (("center", numbers[3], (2,)), ("color", color, (3,))):
        if array.shape[-1:] != last:
            raise ValueError(
                f"{name} has shape {array.shape}, but {last} or (n, {last[0]}) is needed"
            )
    x, y = np.moveaxis(numbers.pop(), -1, 0)
    try:
        n = np.broadcast_shapes((1,), *(v.shape for v in (*numbers, x, color[..., 0])))
        columns = [np.broadcast_to(v, n) for v in (*numbers, x, y)]
        (_,) = n
    except ValueError:
        raise ValueError("length, width, angle, center and color differ in number") from None
    return np.stack(columns, -1), np.broadcast_to(color, (*n, 3))


def _integers(name, values):
    values = np.asarray(values)
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"{name} must be integers, not {values.dtype}: {values.ravel()[:4]}")
    return values
