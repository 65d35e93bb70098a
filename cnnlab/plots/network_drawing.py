"""The figure of a network's graph: boxes that hold their text, arrows, a legend.

All lengths are in points (1/72 inch), x to the right and y downwards.
"""

from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from matplotlib.textpath import text_to_path

from cnnlab.plots import network_layout

# Okabe and Ito's colors, as in style.mplstyle, and how much of the color is in the fill of a box
COLORS = {
    "input": ("#000000", 0),
    "convolution": ("#0072B2", 0.2),
    "dense": ("#E69F00", 0.2),
    "normalization": ("#009E73", 0.2),
    "pooling": ("#CC79A7", 0.2),
    "model": ("#56B4E9", 0.4),
    "other": ("#999999", 0.2),
    "output": ("#D55E00", 0.2),
}
LEGEND = {
    "normalization": "normalization, activation",
    "pooling": "pooling, reshaping",
    "model": "inner model",
}

SIZE = 8  # of the font
LINE = 10.5  # from one line of text to the next
PADDING = (7, 4.5)  # between the sides of a box and its text, and above and below it
COLUMN = 18  # between the left and the right part of a wide box
CORNER = 3.5  # radius of the corners of boxes and arrows
MARGIN = 6  # around everything
ROOM = 450  # boxes side by side break their text to become no wider than this together, if they can


class Label(NamedTuple):
    """The text of a box.

    Attributes:
        left: (text, weight) of the lines at the left; in the middle when there is no right part.
        right: lines at the right.
        size: (width, height) of the box that holds them.
    """

    left: list[tuple[str, str]]
    right: list[str]
    size: tuple[float, float]


def draw(graph, title=""):
    """Draw a `network_graph.Graph`; returns the figure.

    The ids (`get_gid`) of what is drawn are "box 0" and "text 0" for the first box, and
    "edge 0 1" for the arrow from there to the second.
    """
    labels = _labels(graph)
    layout = network_layout.place([label.size for label in labels], graph.edges)
    kinds = [kind for kind in COLORS if kind in {box.kind for box in graph.boxes}]
    width = max(layout.width, text_width(title, "bold"), *map(_key_width, kinds))
    head, foot = (2 * LINE if title else 0), _legend(kinds, width)
    figure, axis = _canvas(width, head + layout.height + foot[-1][1] + 2 * LINE)
    if title:
        _write(axis, (0, LINE), title, "bold", "left", "title")
    shift = np.array([(width - layout.width) / 2, head])
    for (start, end), route in layout.routes.items():
        _draw_arrow(axis, np.array(route) + shift, f"edge {start} {end}")
    for index, (box, label) in enumerate(zip(graph.boxes, labels, strict=True)):
        left, top, *size = layout.boxes[index]
        _draw_box(axis, (left + shift[0], top + shift[1], *size), box.kind, f"box {index}")
        _draw_label(axis, (left + shift[0], top + shift[1], *size), label, f"text {index}")
    for kind, (x, y) in zip(kinds, foot, strict=True):
        y += head + layout.height + LINE
        _draw_box(axis, (x, y, LINE, 0.8 * LINE), kind, "legend")
        _write(axis, (x + 1.5 * LINE, y + 0.7 * LINE), LEGEND.get(kind, kind), "normal", "left")
    return figure


def counted(parameters):
    """Write a number of parameters: "1,234 parameters"."""
    return f"{parameters:,} parameter{'' if parameters == 1 else 's'}"


def text_width(text, weight="normal"):
    """Return how wide a line of text is drawn."""
    font = FontProperties(size=SIZE, weight=weight)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]


def _labels(graph):
    """Return the `Label` of each box: wide for a box with no branch beside it, all equally."""
    count = len(graph.boxes)
    alone = network_layout.alone(count, graph.edges)
    level = network_layout.levels(count, graph.edges)
    rooms = [ROOM / level.count(row) for row in level]
    labels = [
        _wide(box) if index in alone else _narrow(box, rooms[index])
        for index, box in enumerate(graph.boxes)
    ]
    widest = max((labels[index].size[0] for index in alone), default=0)
    for index in alone:
        labels[index] = labels[index]._replace(size=(widest, labels[index].size[1]))
    return labels


def _wide(box):
    """Write layers at the left, shape and parameters at the right."""
    left = [(box.name, "bold")] if box.name else []
    left.append((" + ".join(box.layers), "normal"))
    right = [box.shape, *_weights(box)]
    width = max(text_width(*line) for line in left) + COLUMN + max(map(text_width, right))
    return Label(left, right, _around(width, max(len(left), len(right))))


def _narrow(box, room):
    """Write everything below each other; no line wider than the room, if it can be broken."""
    lines = [(box.name, "bold")] if box.name else []
    for index, layer in enumerate(box.layers):
        text = f"+ {layer}" if index else layer
        lines += [(line, "normal") for line in _broken(text, room - 2 * PADDING[0])]
    if f" {box.shape}," not in f"{box.layers[-1]},":  # "Dense 12" has said it
        lines.append((box.shape, "normal"))
    lines += [(line, "normal") for line in _weights(box)]
    return Label(lines, [], _around(max(text_width(*line) for line in lines), len(lines)))


def _broken(text, room):
    """Break a text after its commas into lines that fit."""
    lines = [""]
    for part in text.split(", "):
        longer = f"{lines[-1]}, {part}" if lines[-1] else part
        if lines[-1] and text_width(longer) > room:
            lines[-1] += ","
            lines.append(part)
        else:
            lines[-1] = longer
    return lines


def _weights(box):
    lines = [counted(box.parameters)] if box.parameters else []
    return lines + ["shared weights"] * box.shared


def _around(width, lines):
    return width + 2 * PADDING[0], lines * LINE + 2 * PADDING[1]


def _legend(kinds, width):
    """Return (x, y) of each entry of the legend, in as many lines as the width needs."""
    places, x, y = [], 0, 0
    for kind in kinds:
        if x and x + _key_width(kind) > width:
            x, y = 0, y + 1.3 * LINE
        places.append((x, y))
        x += _key_width(kind) + 1.3 * LINE
    return places


def _key_width(kind):
    return 1.5 * LINE + text_width(LEGEND.get(kind, kind))


def _canvas(width, height):
    """Return a figure and its only axis, on which a unit is a point."""
    size = np.array([width, height]) + 2 * MARGIN
    # An engine that does nothing. Without one, saving a figure brings in that of the style file.
    still = PlaceHolderLayoutEngine(adjust_compatible=True, colorbar_gridspec=True)
    figure = plt.figure(figsize=size / 72, layout=still)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(-MARGIN, width + MARGIN), ylim=(height + MARGIN, -MARGIN))
    axis.set_axis_off()
    return figure, axis


def _draw_box(axis, box, kind, gid):
    left, top, width, height = box
    color, share = COLORS[kind]
    fill = [1 - share * (1 - part) for part in to_rgb(color)]
    shape = f"round,pad=0,rounding_size={CORNER if height > LINE else 1}"
    line = 1.8 if kind == "output" else 0.9
    patch = FancyBboxPatch((left, top), width, height, shape, fc=fill, ec=color, lw=line)
    patch.set_gid(gid)
    axis.add_patch(patch)


def _draw_label(axis, box, label, gid):
    left, top, width, height = box
    x, side = (left + PADDING[0], "left") if label.right else (left + width / 2, "center")
    for y, (text, weight) in zip(_baselines(top, height, label.left), label.left, strict=True):
        _write(axis, (x, y), text, weight, side, gid)
    for y, text in zip(_baselines(top, height, label.right), label.right, strict=True):
        _write(axis, (left + width - PADDING[0], y), text, "normal", "right", gid)


def _baselines(top, height, lines):
    first = top + (height - LINE * len(lines)) / 2 + 0.76 * LINE
    return [first + LINE * index for index in range(len(lines))]


def _write(axis, place, text, weight, side, gid=None):
    """Write a line of text; nothing in it is taken for mathematics."""
    axis.text(
        *place,
        text,
        fontsize=SIZE,
        weight=weight,
        ha=side,
        color="black",
        gid=gid,
        parse_math=False,
    )


def _draw_arrow(axis, corners, gid):
    """Draw a line with rounded corners, and a head that ends at its end."""
    points, codes = [corners[0]], [Path.MOVETO]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        back, forth = before - corner, after - corner
        lengths = np.abs(back).sum(), np.abs(forth).sum()  # lines are level or upright
        radius = min(CORNER, *(length / 2 for length in lengths))
        points += [
            corner + back * radius / lengths[0],
            corner,
            corner + forth * radius / lengths[1],
        ]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    points.append(corners[-1])
    codes.append(Path.LINETO)
    style = "-|>,head_length=4.5,head_width=2"
    arrow = FancyArrowPatch(path=Path(points, codes), arrowstyle=style, mutation_scale=1)
    arrow.set(color="0.25", linewidth=0.9, gid=gid, capstyle="butt", joinstyle="miter")
    axis.add_patch(arrow)
