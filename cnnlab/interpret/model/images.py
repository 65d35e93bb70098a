"""Any image as a model needs it: scaled, resized, and said how."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from cnnlab import image_files
from cnnlab.image_files import Picture
from cnnlab.interpret.model import memory
from cnnlab.interpret.model.network import ModelView, as_batch

BAND = 2**20  # pixels that are numbers of 32 bits at once: bounds the memory
OPEN_MOST = 512  # pixels of the longest side, for a model that takes any size
FAR = 1e6  # widths of the model's range: of farther pixels float32 cannot tell black from white


class Prepared(NamedTuple):
    """An image for a model."""

    batch: np.ndarray  # (1, height, width, channels) in the model's input dtype and range
    steps: tuple[str, ...]  # what was done to it, as in "resized from 40 × 30 to 28 × 21"


def picture_of(image) -> Picture:
    """Return the pixels of a path, a `Picture` or an array (h, w) or (h, w, 4); or ValueError."""
    if isinstance(image, Picture):
        return image
    if isinstance(image, (str, Path)):
        return image_files.read(image)
    try:
        pixels = np.asarray(image)
    except ValueError:
        raise ValueError("the rows of the image differ in length") from None
    if pixels.dtype.kind not in "buif":
        raise ValueError(f"an image must be numbers or the path of a file, not {pixels.dtype}")
    if pixels.ndim in (3, 4) and len(pixels) == 1 and (pixels.ndim == 4 or pixels.shape[2] > 4):
        pixels = pixels[0]  # a batch of one
    is_image = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4))
    if not is_image or pixels.size == 0:
        raise ValueError(
            f"one image is needed, (height, width) or (height, width, 1, 3 or 4), "
            f"not the shape {pixels.shape}"
        )
    lowest, highest = pixels.min(), pixels.max()  # NaN if there is one
    if pixels.dtype.kind == "f":
        if not np.isfinite([lowest, highest]).all():
            raise ValueError("the image contains NaN or infinite values")
        return Picture(pixels, None)
    if pixels.dtype.kind == "b":
        return Picture(pixels, 1)
    if lowest < 0 or highest > 65535:
        raise ValueError(f"integer pixels must be 0..255 or 0..65535, not {lowest}..{highest}")
    return Picture(pixels, 65535 if highest > 255 else 255)


def prepare(view: ModelView, image, value_range) -> Prepared:
    """Convert one image, see `picture_of`, to the size, color mode and range that a model needs.

    A model that takes any size gets the image's own, up to OPEN_MOST a side. Integers are
    interpreted as 0..255 (16-bit ones as 0..65535), floats as in the model's own range already;
    `value_range` is (low, high), what black and white are for it. ValueError for a model that takes
    neither 1 nor 3 channels, or floats far outside of its range; MemoryError for one too large.
    """
    picture = picture_of(image)
    pixels, steps = picture.pixels, list(picture.steps)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    low, high = value_range
    if picture.white is None:
        _say_reach(pixels, low, high, steps)
    elif (low, high) != (0, 255):
        steps.append(f"scaled to {low:g} … {high:g}, the range that the model takes")
    channels = view.graph.input_shape[2]
    _say_color_mode(pixels.shape[2], channels, steps)

    def convert(band):  # rows of the image, to float32, 0..1
        values = band.astype(np.float32)
        if picture.white is None:
            values = (values - np.float32(low)) / np.float32(high - low)
        else:
            values /= picture.white
        return _in_color_mode(values, channels)

    size = _size(view.graph.input_shape[:2], pixels.shape[:2])
    memory.require_image(*size, channels)
    values = low + (high - low) * _resized(pixels, convert, *size, steps)
    if view.graph.dtype.startswith(("int", "uint")):
        values = values.round()
    return Prepared(as_batch(view, values[None]), tuple(steps))


def _say_reach(pixels, low, high, steps):
    """Say whether floats leave the model's range, in which they should be."""
    lowest, highest = ((float(end) - low) / (high - low) for end in (pixels.min(), pixels.max()))
    if lowest < -FAR or highest > FAR:
        raise ValueError(
            f"the image has values from {pixels.min():g} to {pixels.max():g}, too far from the "
            f"range that the model takes, {low:g} … {high:g}: scale them first"
        )
    if lowest < -0.01 or highest > 1.01:
        steps.append(f"taken as it is, with values outside of {low:g} … {high:g}")


def _say_color_mode(own, channels, steps):
    if own == 4:
        steps.append("transparency laid on black")
    if channels not in (1, 3) and channels != min(own, 3):
        raise ValueError(f"the model takes {channels} channels; an image has 1 or 3")
    if channels < own and channels == 1:
        steps.append("converted from color to gray")
    elif channels > own:
        steps.append("gray repeated in three color channels")


def _in_color_mode(values, channels):
    """Return (h, w, channels): alpha laid on black, color to gray or gray to color."""
    if values.shape[2] == 4:
        values = values[..., :3] * values[..., 3:]
    if values.shape[2] == channels:
        return values
    if channels == 1:
        return values @ np.array([[0.299], [0.587], [0.114]], np.float32)  # ITU-R BT.601
    return np.repeat(values, 3, axis=2)


def _size(wanted, own):
    """Return the (height, width) that an image gets: the model's, its own where any will do."""
    shrink = min(1, OPEN_MOST / max(own)) if wanted == (None, None) else 1
    shrunk = (max(1, round(side * shrink)) for side in own)
    return tuple(side or min(own, OPEN_MOST) for side, own in zip(wanted, shrunk, strict=True))


def _resized(pixels, convert, height, width, steps):
    """Return pixels (h, w, channels) resized as a whole, black at the sides; note it in `steps`."""
    # Rows are converted and resized in bands, then the columns, the order that Pillow has itself,
    # so that a large image is never held as numbers of 32 bits.
    own_height, own_width = pixels.shape[:2]
    scale = min(height / own_height, width / own_width)
    columns, rows = (max(1, round(side * scale)) for side in (own_width, own_height))
    band = max(1, BAND // own_width)
    bands = (convert(pixels[top : top + band]) for top in range(0, own_height, band))
    values = np.concatenate([_scaled(values, columns, len(values)) for values in bands])
    values = _scaled(values, columns, rows)
    if (columns, rows) != (own_width, own_height):
        steps.append(f"resized from {own_width} × {own_height} to {columns} × {rows} pixels")
    if (columns, rows) == (width, height):
        return values
    steps.append(f"black added up to {width} × {height}")
    top, left = (height - rows) // 2, (width - columns) // 2
    framed = np.zeros((height, width, values.shape[2]), np.float32)
    framed[top : top + rows, left : left + columns] = values
    return framed


def _scaled(values, columns, rows):
    """Return float32 (h, w, channels) as (rows, columns, channels), each channel by itself."""
    if values.shape[:2] == (rows, columns):
        return values
    planes = [
        np.asarray(Image.fromarray(plane).resize((columns, rows), Image.Resampling.BILINEAR))
        for plane in np.moveaxis(values, 2, 0)
    ]
    return np.stack(planes, axis=2)
