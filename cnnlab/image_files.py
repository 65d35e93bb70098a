"""Images as pixels: files read whole, turned upright, and said how; arrays; no TensorFlow."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

MOST_PIXELS = 120_000_000  # of a file: about 11,000 x 11,000, 360 MB in RGB


class Picture(NamedTuple):
    """The pixels of one image, and what its numbers mean."""

    pixels: np.ndarray  # (height, width), or with a last axis of 1, 3 or 4 channels
    white: int | None  # what white is, 1, 255 or 65535, black being 0; None for a model's own range
    steps: tuple[str, ...] = ()  # what was done to the pixels, as in "the first of 3 frames"
    before: np.ndarray | None = None  # (h, w, 1 or 3) uint8, what a drawing was made from


def read(path) -> Picture:
    """Return the pixels of an image file, upright: (h, w), (h, w, 3) or (h, w, 4) integers.

    Raises:
        OSError: the file is not there or cannot be read.
        ValueError: it is not an image, damaged, too large, or its numbers have no known range.
        MemoryError: there is too little memory for it.
    """
    path, steps = Path(path), []
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe: reading it may never end
        raise ValueError(f"{path} is not a file")
    with open(path, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of damage that it can or cannot do without
        with _opened(path, file) as image:
            try:
                _make_upright(image, steps)
            except MemoryError:
                raise
            except Exception as error:  # a damaged image raises whatever its damage leads to
                raise ValueError(f"{path} is damaged: {error or type(error).__name__}") from None
            pixels, white = _as_array(path, image, steps)
    return Picture(pixels, white, tuple(steps))


def picture_of(image) -> Picture:
    """Return the pixels of a path, a `Picture`, or an array (h, w) or (h, w, 1, 3 or 4).

    Arrays are whole numbers 0..255 or 0..65535, booleans, or floats.

    Raises:
        OSError, MemoryError: as `read`.
        ValueError: as there, or an array that is no image.
    """
    if isinstance(image, Picture):
        return image
    if isinstance(image, (str, Path)):
        return read(image)
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


def _opened(path, file):
    try:
        image = Image.open(file)
    except UnidentifiedImageError:
        raise ValueError(f"{path} is not an image file that Pillow can read") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{path} has too many pixels; {MOST_PIXELS:,} are read at most") from None
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"{path} is damaged: {error or type(error).__name__}") from None
    if image.format == "EPS":  # Pillow would give it to Ghostscript
        raise ValueError(f"{path} is PostScript, a program that draws: save it as .png first")
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(
            f"{path} has {image.width} × {image.height} pixels; {MOST_PIXELS:,} are read "
            "at most: make it smaller first"
        )
    return image


def _make_upright(image, steps):
    """Load the first frame, and turn it as the camera was held."""
    if getattr(image, "n_frames", 1) > 1:
        steps.append(f"the first of {image.n_frames} frames")
    orientation = image.getexif().get(ExifTags.Base.Orientation)  # gone once a TIFF is loaded
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    if orientation in range(2, 9):
        steps.append("turned upright, as its EXIF orientation says")


def _as_array(path, image, steps):
    """Return (pixels, what white is)."""
    if image.mode == "F":
        raise ValueError(f"{path} has floating-point values, whose range is not known")
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _of_many_bits(path, image, steps)
    target = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode in ("1", "L") and target == "RGB":
        target = "L"
    elif image.mode not in ("L", "LA", "RGB", "RGBA"):
        steps.append(f"converted from {image.mode} to {target}")
    return np.asarray(image if image.mode == target else image.convert(target)), 255


def _of_many_bits(path, image, steps):
    """Return (pixels, what white is) of a gray image with more than 8 bits."""
    pixels = np.asarray(image)
    lowest, highest = pixels.min(), pixels.max()
    if lowest < 0 or highest > 65535:
        raise ValueError(f"{path} has values {lowest}..{highest}; whole ones of 0..65535 are read")
    if image.mode == "I" and highest <= 255:  # 32 bits tell nothing of the range
        return pixels.astype(np.uint8), 255
    steps.append("read with 16 bits, 65535 being white")
    return pixels.astype(np.uint16), 65535
