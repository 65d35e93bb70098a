"""The lines of our classes as other programs draw them, to see what a network really learned.

None of these drawings is ever trained on. Our centers count from the corner of the image, these
programs from the middle of the first pixel, hence the half pixel between them.
"""

import functools
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

from cnnlab.lines import labels as lines

_SHIFT = 8  # OpenCV reads coordinates as integers with this many binary places


class Stroke(NamedTuple):
    """One line to draw: where it starts and ends (pixel coordinates), how wide, what color."""

    start: np.ndarray  # (2,) float, x and y from the middle of the top-left pixel
    end: np.ndarray
    width: int
    color: tuple


def _canvas():
    return np.zeros((lines.SIZE, lines.SIZE, 3), np.uint8)


def _fixed_point(points):
    return np.rint(points * 2**_SHIFT).astype(np.int32)


def opencv_line(stroke, line_type=cv2.LINE_8):
    """`cv2.line` without anti-aliasing, or with it (cv2.LINE_AA)."""
    start, end = _fixed_point(np.array([stroke.start, stroke.end])).tolist()
    return cv2.line(_canvas(), start, end, stroke.color, stroke.width, line_type, _SHIFT)


def pillow_line(stroke):
    """Pillow's `ImageDraw.line`."""
    canvas = Image.new("RGB", (lines.SIZE, lines.SIZE))
    points = [tuple(stroke.start), tuple(stroke.end)]
    ImageDraw.Draw(canvas).line(points, fill=stroke.color, width=stroke.width)
    return np.asarray(canvas)


def pillow_rotation(stroke):
    """A horizontal bar of whole pixels, turned by Pillow with nearest-neighbor sampling."""
    margin = lines.SIZE  # a wide canvas, so that no corner is lost on the way
    middle = (stroke.start + stroke.end) / 2 + 0.5
    step = stroke.end - stroke.start
    length = round(float(np.hypot(*step)))
    left, top = (round(float(value)) for value in middle - np.array([length, stroke.width]) / 2)
    canvas = Image.new("RGB", (3 * margin, 3 * margin))
    corner = left + margin, top + margin
    opposite = corner[0] + length - 1, corner[1] + stroke.width - 1
    ImageDraw.Draw(canvas).rectangle([*corner, *opposite], fill=stroke.color)
    pivot = corner[0] + length / 2, corner[1] + stroke.width / 2
    angle = float(np.degrees(np.arctan2(-step[1], step[0])))
    turned = canvas.rotate(angle, Image.Resampling.NEAREST, center=pivot)
    return np.asarray(turned)[margin:-margin, margin:-margin]


def opencv_polygon(stroke):
    """The four corners filled by `cv2.fillConvexPoly`, without anti-aliasing."""
    along = (stroke.end - stroke.start) / np.hypot(*(stroke.end - stroke.start))
    # The polygon's edge pixels are filled too, so it grows by half a pixel on every side.
    across = np.array([-along[1], along[0]]) * (stroke.width - 1) / 2
    start, end = stroke.start + along / 2, stroke.end - along / 2
    corners = _fixed_point(np.array([start + across, end + across, end - across, start - across]))
    return cv2.fillConvexPoly(_canvas(), corners, stroke.color, cv2.LINE_8, _SHIFT)


def round_brush(stroke):
    """A soft round brush: brightness falls off with the distance from the line's axis."""
    y, x = np.mgrid[: lines.SIZE, : lines.SIZE]
    step = stroke.end - stroke.start
    x, y = x - stroke.start[0], y - stroke.start[1]
    along = np.clip((x * step[0] + y * step[1]) / (step @ step), 0, 1)
    distance = np.hypot(x - along * step[0], y - along * step[1])
    cover = np.clip(stroke.width / 2 + 0.5 - distance, 0, 1)
    return np.rint(cover[..., None] * np.array(stroke.color)).astype(np.uint8)


class Program(NamedTuple):
    """How one program draws, and how to call it so that the drawing measures what it should."""

    draw: object  # Stroke -> (28, 28, 3) uint8
    overshoot: tuple  # pixels that a thin, a thick drawing is longer than from start to end
    width: tuple  # the number to ask for, to get 1 and 3 pixels


# OpenCV's thickness 3 covers five pixels and thickness 2 about three; its ends are round.
# Pillow's line covers the pixels of both ends.
TEST = {
    "OpenCV line": Program(opencv_line, (1, 2), (1, 2)),
    "OpenCV line, anti-aliased": Program(
        functools.partial(opencv_line, line_type=cv2.LINE_AA), (1, 2), (1, 2)
    ),
    "Pillow line": Program(pillow_line, (1, 1), (1, 3)),
    "Pillow rotation, nearest": Program(pillow_rotation, (0, 0), (1, 3)),
}
# For choices during development only, so that the four above stay unseen.
DEVELOPMENT = {
    "OpenCV polygon": Program(opencv_polygon, (0, 0), (1, 3)),
    "round brush": Program(round_brush, (1, 3), (1, 3)),
}


def draw(program, labels, centers, matched=True):
    """Draw lines of our classes with a program of TEST or DEVELOPMENT: (n, 28, 28, 3) uint8, RGB.

    Labels are (n, 4), centers (n, 2) in pixels; what is outside the image is cut. `matched` calls
    the program so that what it draws measures the class's length and width; otherwise it gets the
    class's numbers as they are, whatever it makes of them.

    Raises:
        ValueError: no such program (the message lists them), or labels out of range.
    """
    programs = TEST | DEVELOPMENT
    if program not in programs:
        raise ValueError(f"no program {program!r}; there are {', '.join(programs)}")
    chosen = programs[program]
    classes = lines.encode(labels)  # validates the labels
    strokes = {each: _centered_stroke(chosen, each, matched) for each in np.unique(classes)}
    drawn = np.empty((len(classes), lines.SIZE, lines.SIZE, 3), np.uint8)
    middles = np.asarray(centers, float) - 0.5
    for image, each, middle in zip(drawn, classes, middles, strict=True):
        start, end, width, color = strokes[each]
        image[:] = chosen.draw(Stroke(middle + start, middle + end, width, color))
    return drawn


def _centered_stroke(program, class_index, matched):
    label = lines.decode(class_index)
    length, width, angle, color = lines.geometry(label)
    if matched:
        length, width = length - program.overshoot[label[1]], program.width[label[1]]
    angle = np.radians(angle)
    half = np.array([np.cos(angle), -np.sin(angle)]) * length / 2
    return Stroke(-half, half, width, color)
