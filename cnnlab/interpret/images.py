"""Any image as a model needs it: read, turned upright, scaled, resized, and said how."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cnnlab.interpret.network import Network, as_batch

MOST_PIXELS = 120_000_000  # of a file: about 11,000 x 11,000, 360 MB in RGB


class Prepared(NamedTuple):
    """An image for a model.

    Attributes:
        batch: (1, height, width, channels) in the model's input dtype and range.
        steps: what was done to it, each a phrase: "resized from 40 × 30 to 28 × 21".
    """

    batch: np.ndarray
    steps: tuple[str, ...]


def prepare(network: Network, image, value_range) -> Prepared:
    """Bring one image to the size, color mode and range that a model needs.

    Args:
        network: of the model; see `network_of`.
        image: the path of an image file, or an array (h, w), (h, w, 1), (h, w, 3), (h, w, 4) or
            with a batch axis of 1. Integers are taken for 0..255 (16-bit ones for 0..65535); floats
            are taken to be in the model's own range already.
        value_range: (low, high), what black and white are for the model.

    Raises:
        FileNotFoundError, OSError: the file is not there or cannot be read.
        ValueError: no image, too large, no numbers, NaN, or a shape that is no image.
    """
    steps = []
    is_path = isinstance(image, (str, Path))
    pixels = _read(Path(image), steps) if is_path else _checked(image)
    height, width, channels = network.graph.input_shape
    is_float = pixels.dtype.kind == "f"
    low, high = value_range
    values = pixels.astype(np.float32)
    if is_float:
        values = (values - low) / (high - low)  # in 0..1 from here on, as integers are
        if values.min() < -0.01 or values.max() > 1.01:
            steps.append(f"taken as it is, with values outside of {low:g} … {high:g}")
    else:
        values /= 65535 if pixels.dtype.itemsize > 1 and pixels.max() > 255 else 255
        if pixels.dtype.kind == "b":
            values *= 255
        if (low, high) != (0, 255):
            steps.append(f"scaled to {low:g} … {high:g}, the range that the model takes")
    values = _in_color_mode(values, channels, steps)
    values = _resized(values, height or values.shape[0], width or values.shape[1], steps)
    values = low + (high - low) * values
    if network.graph.dtype.startswith(("int", "uint")):
        values = values.round()
    return Prepared(as_batch(network, values[None]), tuple(steps))


def _read(path, steps):
    """Return the pixels of a file as (h, w), (h, w, 3) or (h, w, 4) integers, upright."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path)
    except UnidentifiedImageError:
        raise ValueError(f"{path} is not an image file that Pillow can read") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{path} has too many pixels; {MOST_PIXELS:,} are read at most") from None
    with image:
        if image.format == "EPS":  # Pillow would give it to Ghostscript
            raise ValueError(f"{path} is PostScript, a program that draws: save it as .png first")
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(
                f"{path} has {image.width} × {image.height} pixels; {MOST_PIXELS:,} are read "
                "at most: make it smaller first"
            )
        if getattr(image, "n_frames", 1) > 1:
            steps.append(f"the first of {image.n_frames} frames")
        try:
            upright = ImageOps.exif_transpose(image)
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(f"{path} is damaged: {error}") from None
        if upright.size != image.size or image.getexif().get(0x0112, 1) != 1:
            steps.append("turned upright, as its EXIF orientation says")
        return _as_array(upright, steps)


def _as_array(image, steps):
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        pixels = np.asarray(image)
        if image.mode != "F":
            steps.append("16-bit values brought to 8 bits")
            return pixels.clip(0, 65535).astype(np.uint16)
        raise ValueError("an image file of floating-point values has no known range")
    if image.mode in ("1", "L", "RGB", "RGBA"):
        return np.asarray(image.convert("L") if image.mode == "1" else image)
    target = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode != "LA":
        steps.append(f"converted from {image.mode} to {target}")
    return np.asarray(image.convert(target))


def _checked(image):
    """Return an array (h, w) or (h, w, channels) of finite numbers."""
    pixels = np.asarray(image)
    if pixels.dtype.kind not in "buif":
        raise ValueError(f"an image must be numbers or the path of a file, not {pixels.dtype}")
    if pixels.ndim in (3, 4) and len(pixels) == 1 and (pixels.ndim == 4 or pixels.shape[2] > 4):
        pixels = pixels[0]  # a batch of one
    if (
        pixels.ndim not in (2, 3)
        or pixels.size == 0
        or pixels.shape[2:]
        not in (
            (),
            (1,),
            (3,),
            (4,),
        )
    ):
        raise ValueError(
            f"one image is needed, (height, width) or (height, width, 1, 3 or 4), "
            f"not the shape {pixels.shape}"
        )
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ValueError("the image contains NaN or infinite values")
    if pixels.dtype.kind in "iu" and (pixels.min() < 0 or pixels.max() > 65535):
        raise ValueError(
            f"integer pixels must be 0..255 or 0..65535, not {pixels.min()}..{pixels.max()}"
        )
    return pixels


def _in_color_mode(values, channels, steps):
    """Return (h, w, channels): alpha laid on black, color to grey or grey to color."""
    if values.ndim == 2:
        values = values[..., None]
    if values.shape[2] == 4:
        values = values[..., :3] * values[..., 3:]
        steps.append("transparency laid on black")
    if values.shape[2] == channels:
        return values
    if channels == 1:
        steps.append("converted from color to grey")
        return values @ np.array([[0.299], [0.587], [0.114]], np.float32)  # ITU-R BT.601
    if channels == 3:
        steps.append("grey repeated in three color channels")
        return np.repeat(values, 3, axis=2)
    raise ValueError(f"the model takes {channels} channels; an image has 1 or 3")


def _resized(values, height, width, steps):
    """Return the image in the wanted size: shrunk or enlarged as a whole, black at the sides."""
    have_height, have_width = values.shape[:2]
    if (have_height, have_width) == (height, width):
        return values
    scale = min(height / have_height, width / have_width)
    size = max(1, round(have_width * scale)), max(1, round(have_height * scale))
    planes = [
        np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR))
        for plane in np.moveaxis(values, 2, 0)
    ]
    if size != (have_width, have_height):
        steps.append(f"resized from {have_width} × {have_height} to {size[0]} × {size[1]} pixels")
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    if size != (width, height):
        steps.append(f"black added up to {width} × {height}")
    framed = np.zeros((height, width, values.shape[2]), np.float32)
    framed[top : top + size[1], left : left + size[0]] = np.stack(planes, axis=2)
    return framed
