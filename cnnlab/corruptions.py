"""Images as a scanner, a camera or a file format may leave them: what can a network bear?

All take and return images (n, h, w, channels) uint8, with 1 or 3 channels (red, green, blue); what
comes in from outside an image is black. Random ones repeat themselves.
"""

import cv2
import numpy as np

from cnnlab.validation import require, require_integers

# What is tried on each dataset: kind and strengths.
DIGITS = {
    "noise": (8, 16, 32, 64, 96),
    "background": (16, 32, 64),
    "jpeg": (75, 50, 25),
    "blur": (0.5, 1.0, 1.5),
    "shift": (1, 2, 4),
    "rotation": (10, 20, 30),
    "scale": (0.7, 0.85, 1.2, 1.4),
    "thickness": (-2, 2),
    "contrast": (0.5, 0.25),
    "occlusion": (4, 7, 10),
    "inversion": (1,),
}
LINES = {"noise": (0.5, 2, 10), "background": (1, 5, 16), "jpeg": (95, 75)}


def corrupted(images, kinds):
    """Yield each kind of DIGITS or LINES with its strengths: ("noise 8", the images), ...

    Images are (n, h, w, channels) uint8.
    """
    functions = {
        "noise": noise,
        "background": background,
        "jpeg": jpeg,
        "blur": blur,
        "shift": lambda images, pixels: moved(images, shift=pixels),
        "rotation": lambda images, degrees: moved(images, rotation=degrees),
        "scale": lambda images, factor: moved(images, scale=factor),
        "thickness": thickness,
        "contrast": contrast,
        "occlusion": occlusion,
        "inversion": lambda images, _: 255 - images,
    }
    for name, (kind, strength) in names(kinds).items():
        yield name, functions[kind](images, strength)


def names(kinds):
    """Return {name, such as "noise 8": (kind, strength)} of DIGITS or LINES, in order."""
    return {f"{kind} {each:g}": (kind, each) for kind, of in kinds.items() for each in of}


def noise(images, deviation):
    """Add Gaussian noise of this standard deviation, in gray levels; images as for `corrupted`."""
    added = np.random.default_rng(0).standard_normal(images.shape, np.float32)
    return _rounded(images + np.float32(deviation) * added)


def background(images, level):
    """Lay the images on a gray of 0..255; what is white stays white; images as for `corrupted`."""
    return _rounded(level + images * np.float32(1 - level / 255))


def contrast(images, factor):
    """Multiply all values by a factor of 0..1; images as for `corrupted`."""
    return _rounded(images * np.float32(factor))


def jpeg(images, quality):
    """Store as JPEG and read again; `quality` is one for all or one for each, 1..100.

    Images are as for `corrupted`. Colors have half the resolution (4:2:0), as in most files.
    """
    quality = require_integers("quality", np.broadcast_to(quality, len(images)), 100)
    require(quality >= 1, quality, "quality", "in 1..100")

    def stored(image, quality):
        options = [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
        done, file = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), options)
        return cv2.imdecode(file, cv2.IMREAD_UNCHANGED).reshape(image.shape)[..., ::-1]

    return _each(stored, images, quality)


def blur(images, deviation):
    """Blur by a Gaussian of this standard deviation, in pixels; images as for `corrupted`."""
    dark = cv2.BORDER_CONSTANT
    return _each(lambda image: cv2.GaussianBlur(image, (0, 0), deviation, borderType=dark), images)


def thickness(images, pixels):
    """Make strokes thicker (above 0) or thinner: every pixel the brightest or darkest around.

    Images are as for `corrupted`.
    """
    kernel = np.ones((abs(pixels) + 1, abs(pixels) + 1), np.uint8)
    change = cv2.dilate if pixels > 0 else cv2.erode
    dark = {"borderType": cv2.BORDER_CONSTANT, "borderValue": 0}
    return _each(lambda image: change(image, kernel, **dark), images)


def moved(images, rotation=0.0, scale=1.0, shift=0.0):
    """Turn (degrees, anticlockwise), enlarge and shift (pixels, right and up), bilinearly.

    Images are as for `corrupted`.
    """
    height, width = images.shape[1:3]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), rotation, scale)
    matrix[:, 2] += shift, -shift
    return _each(lambda image: cv2.warpAffine(image, matrix, (width, height)), images)


def occlusion(images, size):
    """Blacken a square of `size` pixels a side, wholly inside the middle two thirds of each.

    Images are as for `corrupted`.
    """
    changed, height = images.copy(), images.shape[1]
    random = np.random.default_rng(0)
    low, room = height // 6, height - 2 * (height // 6) - size + 1
    for image, (top, left) in zip(changed, random.integers(0, room, (len(images), 2)), strict=True):
        image[low + top :, low + left :][:size, :size] = 0
    return changed


def _rounded(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _each(change, images, *more):
    columns = zip(images, *more, strict=True)
    changed = [change(*each).reshape(images.shape[1:]) for each in columns]
    return np.stack(changed) if changed else images.copy()
