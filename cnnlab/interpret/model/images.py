"""Any image as a model needs it: scaled, resized, and said how."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from cnnlab.drawings import LUMA, contrasting, has_dark_strokes
from cnnlab.image_files import picture_of
from cnnlab.interpret.model import memory
from cnnlab.interpret.model.network import ModelView, as_batch
from cnnlab.preprocessing import FITS, Preprocessing, require_fit

BAND = 2**20  # pixels that are numbers of 32 bits at once: bounds the memory
OPEN_MOST = 512  # pixels of the longest side, for a model that takes any size
BLANK = 0.02  # of the range: an image whose values differ by less shows nothing
SMALL = 64  # pixels of the longest side: larger inputs are for photos
FAR = 1e6  # widths of the model's range: of farther pixels float32 cannot tell black from white


class Prepared(NamedTuple):
    """An image for a model."""

    batch: np.ndarray  # (1, height, width, channels) in the model's input dtype and range
    steps: tuple[str, ...]  # what was done to it, as in "resized from 40 × 30 to 28 × 21"
    before: np.ndarray | None = None  # (h, w, 1 or 3) uint8, what a drawing was made from


def prepare(view: ModelView, image, preprocessing: Preprocessing, fit: str = FITS[0]) -> Prepared:
    """Convert one image, see `picture_of`, to the size, color mode and range that a model needs.

    A model that takes any size gets the image's own, up to OPEN_MOST a side. Integers are
    interpreted as 0..255 (16-bit ones as 0..65535), floats as what the model takes already. Ink on
    transparency is laid on black or white, whichever is farther from it. An image of another shape
    than the model's is stretched, as Keras's own loaders do it, cropped in the middle, or padded
    with black, as `fit` says.

    Raises:
        ValueError: another word, a model that takes neither 1 nor 3 channels, or not this size, or
            floats far outside of its range.
        MemoryError: an image that is too large.
    """
    require_fit(fit)
    picture = picture_of(image)
    pixels, steps = picture.pixels, list(picture.steps)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    channels = view.graph.input_shape[2]
    _say_range(picture, preprocessing, steps)

    def colors(part):  # of the pixels, to float32, 0..1
        if picture.white is None:
            return preprocessing.to_pictures(part)
        return part.astype(np.float32) / picture.white

    below = _below(pixels, colors, channels == 1, steps)
    _say_color_mode(min(pixels.shape[2], 3), channels, steps)
    size = _size(view.graph.input_shape[:2], pixels.shape[:2])
    memory.require_image(*size, channels)
    pixels = _cropped(pixels, *size, steps) if fit == "crop" else pixels
    values = _resized(
        pixels,
        lambda band: _in_color_mode(colors(band), channels, below),
        *size,
        fit == "pad",
        steps,
    )
    _say_what_is_seen(values, steps)
    values = preprocessing.to_model(_framed(values, *size, steps))
    if view.graph.dtype.startswith(("int", "uint")):
        values = values.round()
    try:
        batch = as_batch(view, values[None])
    except ValueError as error:  # a model of any size has a least one
        raise ValueError(
            f"{error}; the image was {'; '.join(steps)}" if steps else error
        ) from error
    return Prepared(batch, tuple(steps), picture.before)


def _say_range(picture, preprocessing, steps):
    if picture.white is None:
        _say_reach(picture.pixels, preprocessing, steps)
    elif str(preprocessing) != "0 … 255":
        sure = "" if preprocessing.guessed else ", the range that the model takes"
        steps.append(f"scaled to {preprocessing}{sure}")


def _say_reach(pixels, preprocessing, steps):
    """Say whether floats leave the model's range, in which they should be."""
    low, high = preprocessing.low, preprocessing.high
    if pixels.shape[2:] == (4,) and (preprocessing.bgr or np.ndim(low)):
        raise ValueError(f"no model takes floats with transparency as {preprocessing}")
    ends = pixels.min(axis=(0, 1)), pixels.max(axis=(0, 1))
    reached = [(np.asarray(end, float) - low) / (high - low) for end in ends]
    if np.min(reached) < -FAR or np.max(reached) > FAR:
        raise ValueError(
            f"the image has values from {pixels.min():g} to {pixels.max():g}, too far from the "
            f"range that the model takes, {preprocessing}: scale them first"
        )
    if np.min(reached) < -0.01 or np.max(reached) > 1.01:
        steps.append(f"taken as it is, with values outside of {preprocessing}")
    elif preprocessing.guessed:
        steps.append(f"taken as it is, and shown as {preprocessing}")


def _below(pixels, colors, gray, steps):
    """Return what is seen through transparency, 0..1, black or white; note it in `steps`."""
    if pixels.shape[2] != 4:
        return 0.0
    stride = max(1, round((pixels.shape[0] * pixels.shape[1] / BAND) ** 0.5))
    sample = colors(pixels[::stride, ::stride])
    below = contrasting(sample, gray)
    if sample[..., 3].min() < 1:
        steps.append(f"laid on {'white' if below else 'black'} where it is transparent")
    return below


def _say_color_mode(own, channels, steps):
    if channels not in (1, 3) and channels != own:
        raise ValueError(f"the model takes {channels} channels; an image has 1 or 3")
    if channels < own and channels == 1:
        steps.append("converted from color to gray")
    elif channels > own:
        steps.append("gray repeated in three color channels")


def _in_color_mode(values, channels, below):
    """Return (h, w, channels): alpha laid on 0 or 1, color to gray or gray to color."""
    if values.shape[2] == 4:
        alpha = values[..., 3:]
        values = values[..., :3] * alpha + np.float32(below) * (1 - alpha)
    if values.shape[2] == channels:
        return values
    if channels == 1:
        return values @ LUMA[:, None]
    return np.repeat(values, 3, axis=2)


def _say_what_is_seen(values, steps):
    """Say of values 0..1 what a model may not have been trained on: nothing, or dark strokes."""
    if np.ptp(values, axis=(0, 1)).max() < BLANK:
        steps.append(f"found blank: its values differ by less than {BLANK:.0%} of the range")
    elif max(values.shape[:2]) <= SMALL and has_dark_strokes(values):
        steps.append(
            "left as dark strokes on a bright ground: if the model was trained on bright ones, as "
            "those of MNIST are, invert it"
        )


def _size(wanted, own):
    """Return the (height, width) that an image gets: the model's, its own where any will do."""
    shrink = min(1, OPEN_MOST / max(own)) if wanted == (None, None) else 1
    shrunk = (max(1, round(side * shrink)) for side in own)
    return tuple(side or min(own, OPEN_MOST) for side, own in zip(wanted, shrunk, strict=True))


def _cropped(pixels, height, width, steps):
    """Return the middle of pixels (h, w, channels) in the shape of (height, width)."""
    own_height, own_width = pixels.shape[:2]
    scale = min(own_height / height, own_width / width)
    rows, columns = (max(1, round(side * scale)) for side in (height, width))
    if own_height - rows <= scale and own_width - columns <= scale:  # a pixel of the model's
        return pixels
    steps.append(f"cropped from {own_width} × {own_height} to {columns} × {rows} pixels")
    top, left = (own_height - rows) // 2, (own_width - columns) // 2
    return pixels[top : top + rows, left : left + columns]


def _resized(pixels, convert, height, width, keep_shape, steps):
    """Return pixels (h, w, channels) resized to fit; note it in `steps`."""
    # Rows are converted and resized in bands, then the columns, the order that Pillow has itself,
    # so that a large image is never held as numbers of 32 bits.
    own_height, own_width = pixels.shape[:2]
    columns, rows = width, height
    if keep_shape:
        scale = min(height / own_height, width / own_width)
        columns, rows = (max(1, round(side * scale)) for side in (own_width, own_height))
    band = max(1, BAND // own_width)
    bands = (convert(pixels[top : top + band]) for top in range(0, own_height, band))
    values = np.concatenate([_scaled(values, columns, len(values)) for values in bands])
    values = _scaled(values, columns, rows)
    if (columns, rows) != (own_width, own_height):
        is_stretched = abs(own_width * rows - own_height * columns) > max(own_width, own_height)
        word = "stretched" if is_stretched else "resized"
        steps.append(f"{word} from {own_width} × {own_height} to {columns} × {rows} pixels")
    return values


def _framed(values, height, width, steps):
    """Return values (h, w, channels) with black at the sides; note it in `steps`."""
    rows, columns = values.shape[:2]
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
