"""Drawings: which pixels are ink, and a digit made as MNIST's digits were.

LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition" (1998),
of MNIST: digits in black and white were "size normalized to fit in a 20x20 pixel box while
preserving their aspect ratio", gray "as a result of the anti-aliasing", and put into 28 x 28 so
that the center of mass of their pixels is in the middle.
"""

import cv2
import numpy as np
from PIL import Image

from cnnlab.image_files import Picture, picture_of

SIDE, BOX = 28, 20  # pixels of MNIST's images, and of the digits in them
MIDDLE, OFF = 14, 1.5  # the row and column of their centers of mass, and how far one may be off
MOST = 512  # pixels of the longest side of what ink is looked for in
SMOOTH = 254  # of what its ground is: OpenCV counts the 255 x 255 around a pixel in 16 bits
FAINT = 0.1  # ink is at least so far from its ground, black to white being 1,
NOISE = 6  # and so many times farther than half of the pixels
FEW = 1 / 5000  # of the pixels may be farther than any ink
SPECK = 0.02  # of the largest part of the ink: smaller parts are dirt
FRAME = 0.02  # of the shorter side: so broad may a frame be that a scanner leaves
AROUND, THIN = 0.95, 0.1  # of both sides and of the area: a part so large and so thin is a frame
SOLID, WIDE = 0.85, 0.25  # of its hull and of the shorter side: a part that fills so much is paper
BROAD = 0.11  # of the shorter side: so far from the ground no point of a stroke is
SHOWN, FLAT = 0.7, 0.07  # of the pixels of a drawing are ground, and so near to what is around it
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue: ITU-R BT.601


def inverted(image) -> Picture:
    """Return an image, see `picture_of`, black and white exchanged; ValueError for floats."""
    picture = _of_whole_numbers(image)
    pixels = picture.pixels.copy()
    colors = pixels[..., :3] if pixels.ndim == 3 else pixels
    colors[...] = picture.white - colors
    return picture._replace(pixels=pixels, steps=(*picture.steps, "inverted"))


def as_mnist(image) -> Picture:
    """Return a drawing, see `picture_of`, as MNIST was made: (28, 28) uint8, and what was done.

    The ground may have any color, light and shadow, and be brighter or darker than the ink; it may
    be paper on something else. What is 28 x 28, gray and mostly dark, with a digit in the middle,
    as MNIST's, stays as it is; so does what is without ink, and `steps` say it. ValueError for
    floats, whose white is not known.
    """
    picture = _of_whole_numbers(image)
    colors = _colors(picture)
    ink = find_ink(_distance(colors))
    if ink is None:
        return picture._replace(steps=(*picture.steps, "left as it is: no drawing was found in it"))
    if _is_mnist(picture.pixels, colors, ink):
        return picture
    if (paper := _paper(colors, ink)) is not None:
        on_paper = find_ink(_distance(paper))
        ink = ink if on_paper is None else on_paper
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = [max(1, round(BOX * side / max(ink.shape))) for side in reversed(ink.shape)]
    digit = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BILINEAR))
    framed = np.zeros((SIDE, SIDE), np.uint8)
    framed[_centered(digit)] = (255 * digit).round()
    step = (
        f"made bright ink on black, scaled to fit {BOX} × {BOX} and centered by mass in "
        f"{SIDE} × {SIDE}, as MNIST was"
    )
    return Picture(framed, 255, (*picture.steps, step), before=colors)


def find_ink(distance):
    """Return the ink, (h, w) float32 0..1, at a distance (h, w) from the ground; None without any.

    It is what is at least half as far from the ground as what is farthest from it.
    """
    farthest = np.sort(distance, axis=None)[-1 - int(FEW * distance.size)]
    if farthest < max(FAINT, NOISE * np.median(distance)):
        return None
    ink = np.clip(2 * distance / farthest - 0.5, 0, 1)  # the edge stays smooth
    ink[ink < FAINT] = 0
    _, parts, boxes, _ = cv2.connectedComponentsWithStats((ink > 0).astype(np.uint8))
    amounts = np.bincount(parts.ravel(), ink.ravel(), len(boxes))
    is_around = np.all(boxes[:, [3, 2]] >= AROUND * np.array(ink.shape), axis=1)
    is_frame = is_around & (amounts < THIN * ink.size)
    if amounts[~is_frame].max(initial=0) > int(FEW * ink.size):
        amounts[is_frame] = 0
    return (ink * (amounts >= SPECK * amounts.max())[parts]).astype(np.float32)


def has_dark_strokes(values) -> bool:
    """Say whether values (h, w, channels) 0..1 are dark strokes on a bright ground, not a photo."""
    distance = _distance((255 * np.clip(values, 0, 1)).round().astype(np.uint8))
    if np.quantile(distance, SHOWN) > FLAT or (ink := find_ink(distance)) is None:
        return False
    strokes, brightness = ink > 0.5, values.mean(axis=2)
    inside = cv2.distanceTransform(strokes.astype(np.uint8), cv2.DIST_L2, 3).max()
    ground = np.median(brightness[~strokes])
    bright = ground > max(0.5, brightness[strokes].mean())
    return bool(bright and inside <= BROAD * min(strokes.shape))


def contrasting(values, gray: bool) -> float:
    """Return 0 or 1, black or white, whichever is farther from values (..., 4), RGBA of 0..1.

    What counts is the mean of gray, or else of the brightest color; what is not seen at all gets 0.
    """
    colors, alpha = values[..., :3], values[..., 3]
    brightness = colors @ LUMA if gray else colors.max(axis=-1)
    return float((alpha * brightness).sum() < alpha.sum() / 2)


def _of_whole_numbers(image):
    picture = picture_of(image)
    if picture.white is None:
        raise ValueError("a drawing must be whole numbers or the path of a file, not floats")
    return picture


def _colors(picture):
    """Return the pixels as uint8 (h, w, 1 or 3), at most MOST a side."""
    pixels = picture.pixels
    if picture.white == 1:
        pixels = pixels * np.uint8(255)
    elif pixels.dtype != np.uint8:
        pixels = (pixels // (picture.white // 255)).astype(np.uint8)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)
    image.thumbnail((MOST, MOST))
    colors = np.asarray(image)
    if colors.shape[2:] == (4,):
        below = 255 * contrasting(colors / np.float32(255), gray=True)
        alpha = colors[..., 3:] / 255
        colors = (alpha * colors[..., :3] + (1 - alpha) * below).round().astype(np.uint8)
    return colors if colors.ndim == 3 else colors[..., None]


def _is_mnist(pixels, colors, ink):
    is_gray = pixels.shape[2:] != (4,) and np.ptp(colors, axis=2).max() == 0
    is_alike = pixels.shape[:2] == (SIDE, SIDE) and is_gray and np.median(colors) < 128
    return is_alike and all(abs(_center(ink, axis) - MIDDLE) < OFF for axis in (0, 1))


def _paper(colors, ink):
    """Return the colors with those around a sheet of paper replaced by the sheet's; None without.

    What was taken for ink is paper if its largest part is broad and fills its hull.
    """
    _, parts, boxes, _ = cv2.connectedComponentsWithStats((ink > 0.5).astype(np.uint8))
    if len(boxes) == 1:
        return None
    largest = parts == 1 + boxes[1:, cv2.CC_STAT_AREA].argmax()
    outline = cv2.convexHull(np.argwhere(largest)[:, ::-1].astype(np.int32))
    sheet = cv2.fillConvexPoly(np.zeros(ink.shape, np.uint8), outline, 1)
    breadth = min(cv2.minAreaRect(outline)[1])
    if largest.sum() < SOLID * sheet.sum() or breadth < WIDE * min(ink.shape):
        return None
    edge = max(3, int(0.03 * breadth))
    inside = cv2.erode(sheet, np.ones((edge, edge), np.uint8), borderValue=0) > 0
    if not inside.any():
        return None
    return np.where(inside[..., None], colors, np.median(colors[inside], axis=0)).astype(np.uint8)


def _distance(colors):
    """Return how far uint8 colors (h, w, channels) are from the ground around: (h, w), 0..1."""
    ground, colors = _ground(colors) / 255, colors / 255
    # Light and shadow scale the ground, and what is on it.
    return (np.abs(colors - ground) / np.maximum(ground, 1 - ground)).max(axis=2)


def _ground(colors):
    """Return the colors (h, w, channels) of the ground: at each pixel the median around it."""
    height, width = colors.shape[:2]
    scale = min(1, SMOOTH / max(height, width))
    size = [max(1, int(side * scale)) for side in (width, height)]
    window = min(size) // 2 * 2 + 1  # so wide that strokes never fill half of it
    small = cv2.resize(colors, size, interpolation=cv2.INTER_AREA)
    # OpenCV repeats what is at the border, which must not be a scanner's frame.
    edge = int(FRAME * min(size))
    median = cv2.medianBlur(small[edge : size[1] - edge, edge : size[0] - edge], window)
    median = cv2.copyMakeBorder(median, *[edge] * 4, cv2.BORDER_REPLICATE)
    return cv2.resize(median, (width, height)).reshape(colors.shape)


def _centered(digit):
    """Return where in SIDE x SIDE pixels a digit (h, w) has its center of mass in the middle."""
    slices = []
    for axis, side in enumerate(digit.shape):
        start = int(np.clip(round(MIDDLE - _center(digit, axis)), 0, SIDE - side))
        slices.append(slice(start, start + side))
    return tuple(slices)


def _center(ink, axis):
    """Return the row, or the column, of the center of mass."""
    return np.average(np.arange(ink.shape[axis]), weights=ink.sum(axis=1 - axis))
