"""The line dataset: 1,000 images of each of the 96 classes, made from a seed and kept on disk."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from cnnlab import runtime
from cnnlab.lines import files as line_files
from cnnlab.lines.labels import CLASSES, PER_CLASS, SIZE, Lines, decode, geometry
from cnnlab.lines.render import center_limits, render
from cnnlab.validation import require_whole

_VERSION = 1  # to be raised whenever one byte of generate() changes


def generate(per_class=PER_CLASS, seed=0):
    """Make Lines: `per_class` >= 1 different images of each of the 96 classes, class after class.

    The same seed, an integer >= 0, gives the same bytes on every machine, and the first k images of
    a class are the same whatever `per_class` is. Raises ValueError for other integers.
    """
    require_whole("per_class", per_class, 1)
    require_whole("seed", seed, 0)
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
    """Return Lines: the 96,000 images of seed 0, or those of an .npz or a folder at `path`.

    The former come from data/lines.npz, made on first use, and again when broken or out of date;
    where it cannot be stored, they are made in memory. A folder, see `files.read_folder`, holds no
    centers. ValueError or FileNotFoundError name the file and what is wrong with it.
    """
    if path is not None:
        read = line_files.read_folder if os.path.isdir(path) else line_files.read_npz
        return read(Path(path))
    standard = recipe(PER_CLASS, seed=0)
    with contextlib.suppress(ValueError, OSError):
        stored = line_files.read_npz(_cache_file(), standard)
        if np.array_equal(stored.labels, _labels(PER_CLASS)):
            return stored
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
    """Return images and centers of one class; a repeated image is dropped and one more drawn."""
    *shape, color = geometry(decode(class_index))
    centers_by_image = {}  # a dict keeps the first of equals, in the order drawn
    while len(centers_by_image) < per_class:
        centers = _draw_centers(stream, per_class - len(centers_by_image), *shape)
        for image, center in zip(render(*shape, centers, color), centers, strict=True):
            centers_by_image.setdefault(image.tobytes(), center)
    images = np.frombuffer(b"".join(centers_by_image), np.uint8).reshape(-1, SIZE, SIZE, 3)
    return images, np.stack(list(centers_by_image.values()))


def _draw_centers(stream, count, length, width, angle):
    """Draw centers (count, 2) float32, uniform over all positions that keep the line inside.

    NumPy promises that the raw output of a bit generator never changes, but not that the methods
    of Generator stay as they are; so the 53-bit fractions are made here.
    """
    fractions = (stream.random_raw(2 * count) >> np.uint64(11)).reshape(count, 2) * 2.0**-53
    least, most = center_limits(length, width, angle)
    low, high = least.astype(np.float32), most.astype(np.float32)
    # Rounding to float32 must not push a center outward, not even by one unit in the last place.
    low = np.where(low < least, np.nextafter(low, np.float32(np.inf)), low)
    high = np.where(high > most, np.nextafter(high, np.float32(0)), high)
    return np.clip((least + fractions * (most - least)).astype(np.float32), low, high)
