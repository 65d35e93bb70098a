"""Thirty drawings of digits: ten by each of three tools, from strokes like those of a hand.

A hand is never quite the same, so each drawing has a slant, size, place and line width of its own.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy.interpolate import make_interp_spline

# {digit: strokes}, points "x y" in a box 10 wide and 14 high, y downwards. A stroke is curved if
# it has more than three points, else it has corners.
STROKES = {
    0: ["5.5 0.5  2 2  0.7 7  2 12.2  5 13.6  8.3 11.8  9.4 7  8 2  5 0.6"],
    1: ["5.7 0.3  4.8 13.7"],
    2: ["1.2 3.6  2.4 1.2  5 0.3  7.9 1.6  8.3 4.4  6.2 7.6  3.4 10.6  1 13", "1 13  9.4 12.8"],
    3: [
        "1.4 2  4.4 0.4  7.6 1.4  8 4  6.4 6  3.8 6.7",
        "3.8 6.7  7.2 7.4  8.9 10  7.4 12.8  4.2 13.7  0.9 12.2",
    ],
    4: ["2.2 0.6  1.4 7.4  8.9 7.2", "7.6 0.5  7 13.8"],
    5: ["8.6 0.6  2.6 0.8  2 6.2", "2 6.2  5 5.2  8.2 6.8  8.8 10  6.6 13  3.2 13.6  0.8 12.4"],
    6: ["7.6 0.5  4.2 2.8  1.6 7  1.4 11  3.6 13.5  6.8 13.2  8.6 10.6  7.2 8  4.4 7.8  1.8 10"],
    7: ["0.8 0.9  8.9 0.6  3.8 13.7"],
    8: [
        "8 1.8  5 0.4  2.2 1.8  2.4 4.4  5.2 6.6  8 9  8.2 12  5.2 13.7"
        "  2 12.2  1.8 9.4  5 6.6  7.6 4.4  8.2 2.2"
    ],
    9: ["8.2 2.8  5.4 0.5  2.2 1.8  1.4 4.8  3.6 7.2  6.8 6.2  8.3 3", "8.3 3  7.9 8  6.6 13.8"],
}


def paint_program(digit):
    """Black on white with a thick round brush, without smooth edges: 280 x 280, RGB."""
    random = np.random.default_rng(digit)
    image = Image.new("RGB", (280, 280), "white")
    return _drawn(image, digit, random, (0, 0, 0), height=190, width=20, slant=0)


def on_transparency(digit):
    """Black ink on nothing, as a drawing app exports it: 400 x 300, RGBA."""
    random = np.random.default_rng(10 + digit)
    large = Image.new("RGBA", (1600, 1200), (0, 0, 0, 0))
    _drawn(large, digit, random, (0, 0, 0, 255), height=800, width=48, slant=0.15)
    return large.resize((400, 300), Image.Resampling.BOX)


def photo_of_paper(digit):
    """A pen on paper, photographed: light from one side, a soft shadow, noise; 360 x 360, RGB."""
    random = np.random.default_rng(20 + digit)
    large = _drawn(Image.new("L", (720, 720)), digit, random, 255, 360, (16, 32)[digit % 2], -0.1)
    ink = np.asarray(large.resize((360, 360)).filter(ImageFilter.GaussianBlur(1)), float) / 255
    across, down = np.meshgrid(np.linspace(0, 1, 360), np.linspace(0, 1, 360))
    edge = random.uniform(0.6, 1.2)
    shadow = 1 / (1 + np.exp(25 * (across + 0.6 * down - edge)))  # 1 in the light, 0 behind
    ground = (215 - 55 * down) * (0.72 + 0.28 * shadow)
    colored = ground[..., None] * (1, 0.98, 0.93) * (1 - ink[..., None] * (0.72, 0.7, 0.6))
    noisy = colored + random.normal(0, 6, colored.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


DRAWINGS = {  # name: (digit, a function that draws it)
    f"{tool.__name__} {digit}": (digit, tool)
    for tool in (paint_program, on_transparency, photo_of_paper)
    for digit in STROKES
}


def _drawn(image, digit, random, ink, height, width, slant):
    """Draw a digit near the middle of an image with a round pen; returns the image."""
    slant, size = slant + random.normal(0, 0.06), height / 14 * random.uniform(0.85, 1.1)
    center = np.array(image.size) / 2 + random.uniform(-0.08, 0.08, 2) * image.size
    pen, half = ImageDraw.Draw(image), width * random.uniform(0.85, 1.15) / 2
    for stroke in STROKES[digit]:
        points = np.array(stroke.split(), float).reshape(-1, 2)
        points += random.normal(0, 0.15, points.shape) - (5, 7)
        x, y = _curve(points).T if len(points) > 3 else points.T
        points = center + size * np.stack([x - slant * y, y], axis=1)
        pen.line([tuple(point) for point in points], ink, round(2 * half), joint="curve")
        for x, y in points:
            pen.ellipse((x - half, y - half, x + half, y + half), ink)
    return image


def _curve(points):
    """Return 100 points of the smooth curve through some points."""
    along = np.append(0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    return make_interp_spline(along, points)(np.linspace(0, along[-1], 100))
