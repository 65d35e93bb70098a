"""The diagram of a network whose layers form a trunk that divides into heads.

It is read from the Keras model itself; importing this module does not import Keras.
All lengths are in points (1/72 inch), x to the right and y downwards.
"""

import math
import re
from collections import Counter

import matplotlib.pyplot as plt
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.patches import FancyBboxPatch
from matplotlib.textpath import text_to_path

from cnnlab.plots.palette import LAYER_COLORS

# The kind of a layer, by the name of its class; the first match counts.
KINDS = {
    "input": r"^InputLayer$",
    "convolution": r"Conv",
    "dense": r"Dense",
    "normalization": r"Normalization$|Activation$|LU$|Softmax$",
    "pooling": r"Pool|Flatten|Reshape|Padding|Cropping|UpSampling|Resizing",
}
ONLY = "only a trunk that divides once into heads can be drawn"
FONT = 8  # size of the text
LINE = 10.5  # from one line of text to the next
PADDING = (8, 4.5)  # between the sides of a box and its text, and above and below it
BOX = LINE + 2 * PADDING[1]  # the height of a box with one line
COLUMN = 20  # between two columns of text
ARROW = 15  # from one box to the next
BETWEEN = 12  # between two heads
MARGIN = 6  # around everything
WAY = {"color": "0.25", "linewidth": 0.9}  # the look of arrows


def network_diagram(model, title=""):
    """Draw a network as boxes with words, shapes and numbers of weights, input at the top.

    A box of the trunk is a convolution or dense layer with the normalization and activation after
    it, or any other layer. Each head is one box, named after its last layer. A title is followed by
    the number of all parameters. Raises ValueError as `read` does.
    """
    trunk, heads = read(model)
    rows = [(" + ".join(map(_describe, box)), _shape(box), _counted(box)) for box in trunk]
    columns = [max(map(_text_width, column)) for column in zip(*rows, strict=True)]
    labels = [_head_lines(head) for head in heads]
    title = title and f"{title}: {_counted(sum(heads, sum(trunk, [])))}"
    label_width = max(_text_width(*line) for label in labels for line in label) + 2 * PADDING[0]
    width = max(
        sum(columns) + 2 * COLUMN + 2 * PADDING[0],
        len(labels) * (label_width + BETWEEN) - BETWEEN,
        _text_width(title, "bold"),
    )
    top = 2 * LINE if title else 0
    fork = top + len(rows) * (BOX + ARROW) - ARROW
    height = BOX + LINE * (max(map(len, labels)) - 1)  # of the heads
    figure, axis = _canvas(width, fork + 2 * ARROW + height)
    _write(axis, 0, -PADDING[1], title, weight="bold")
    left, right = PADDING[0], width - PADDING[0]
    for index, (box, (words, shape, count)) in enumerate(zip(trunk, rows, strict=True)):
        y = top + index * (BOX + ARROW)
        if index:
            _draw_arrow(axis, width / 2, y - ARROW, y)
        _draw_box(axis, (0, y, width, BOX), _kind(box[0]))
        _write(axis, left, y, words)
        _write(axis, right - columns[2] - COLUMN, y, shape, "right")
        _write(axis, right, y, count, "right")
    _draw_heads(axis, labels, (fork, width, height))
    return figure


def read(model):
    """Return the trunk, a list of calls of layers for each box, and such a list for each head.

    A call is a `Node` of Keras. Heads are in the outputs' order; of a single one, the last layer.

    Raises:
        ValueError: a model that is subclassed or not built, or other than a trunk with heads.
    """
    if not getattr(model, "outputs", None):
        raise ValueError(f"{model!r} is not a functional or built Sequential Keras model")
    output = getattr(model, "output", None)  # its own order; Keras sorts a dict by its keys
    order = [id(tensor) for tensor in output.values()] if isinstance(output, dict) else []
    tensors = sorted(model.outputs, key=lambda t: order.index(id(t)) if id(t) in order else -1)
    paths = [_path(tensor) for tensor in tensors]
    shared = sum(step.count(step[0]) == len(paths) for step in zip(*paths, strict=False))
    trunk = paths[0][: shared if len(paths) > 1 else -1]
    heads = [path[len(trunk) :] for path in paths]
    if not trunk:
        raise ValueError(f"no layer of {model.name!r} leads to all of its outputs: {ONLY}")
    if [] in heads:
        raise ValueError(f"layer {trunk[-1].operation.name!r} is an output before the end: {ONLY}")
    layer, times = Counter(call.operation for call in sum(heads, trunk)).most_common(1)[0]
    if times > 1:
        raise ValueError(f"layer {layer.name!r} is used {times} times: {ONLY}")
    return _fold(trunk), heads


def _path(tensor):
    """Return the calls of layers from the input to an output."""
    layer, number, _ = tensor._keras_history
    call = layer._inbound_nodes[number]
    inputs = call.input_tensors
    if len(inputs) > 1:
        raise ValueError(f"layer {layer.name!r} joins {len(inputs)} tensors: {ONLY}")
    return [*(_path(inputs[0]) if inputs else ()), call]


def _fold(calls):
    """Divide calls into boxes: normalization and activation join the one before."""
    boxes = []
    for call in calls:
        follows = boxes and _kind(boxes[-1][0]) in ("convolution", "dense")
        if not follows or _kind(call) != "normalization":
            boxes.append([])
        boxes[-1].append(call)
    return boxes


def _kind(call):
    name = type(call.operation).__name__
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, name)), "other")


def _describe(call):
    """Write what a layer is: "Conv2D 3×3, 48 filters, stride 2", "Dense 12, softmax", "Flatten"."""
    layer = call.operation
    if _kind(call) == "input":
        return f"Input, {layer.name}"
    return f"{type(layer).__name__} {', '.join(_details(layer))}".strip()


def _details(layer):
    """Yield what distinguishes a layer; settings that Keras takes by default are left out."""
    pool = getattr(layer, "pool_size", None)
    if window := getattr(layer, "kernel_size", pool):
        yield "×".join(map(str, window))
    if filters := getattr(layer, "filters", None):
        yield f"{filters} filter{'' if filters == 1 else 's'}"
    for size in ("units", "rate"):
        if hasattr(layer, size):
            yield str(getattr(layer, size))
    strides = getattr(layer, "strides", None)
    if isinstance(strides, tuple) and strides != (pool or (1,) * len(strides)):
        yield "stride " + "×".join(map(str, strides[:1] if len(set(strides)) == 1 else strides))
    if getattr(layer, "padding", None) in ("same", "causal"):
        yield f"padding {layer.padding}"
    if isinstance(scale := getattr(layer, "scale", None), float):  # not a boolean: of Rescaling
        yield f"1/{1 / scale:g}"
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", type(activation).__name__)
    if name not in ("linear", "NoneType"):
        yield name


def _shape(calls):
    """Write the shape of the output without the batch dimension: "7 × 7 × 48"."""
    sizes = calls[-1].outputs[0].shape[1:]
    return " × ".join("?" if size is None else str(size) for size in sizes) or "scalar"


def _counted(calls):
    """Write how many weights there are, trainable or not: "1,234 parameters"; nothing for 0."""
    weights = [w for call in calls for w in getattr(call.operation, "weights", ())]
    count = sum(math.prod(weight.shape) for weight in weights)
    return f"{count:,} parameter{'' if count == 1 else 's'}" if count else ""


def _head_lines(calls):
    """Return (text, weight) of each line of a head; its shape where "Dense 12" has not said it."""
    texts = [*map(_describe, calls), _shape(calls), _counted(calls)]
    if texts[-3].startswith(f"Dense {texts[-2]}"):
        del texts[-2]
    name = calls[-1].operation.name
    return [(name, "bold"), *((text, "normal") for text in texts if text)]


def _text_width(text, weight="normal"):
    font = FontProperties(size=FONT, weight=weight)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]


def _canvas(width, height):
    """Return a figure and its only axis, on which a unit is a point."""
    size = (width + 2 * MARGIN) / 72, (height + 2 * MARGIN) / 72
    # An engine that does nothing. Without one, saving a figure brings in that of the style file.
    still = PlaceHolderLayoutEngine(adjust_compatible=True, colorbar_gridspec=True)
    figure = plt.figure(figsize=size, layout=still)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(-MARGIN, width + MARGIN), ylim=(height + MARGIN, -MARGIN))
    axis.set_axis_off()
    return figure, axis


def _draw_heads(axis, labels, extent):
    """Draw the heads next to each other, and the way to them from the end of the trunk."""
    fork, width, height = extent
    step = (width + BETWEEN) / len(labels)
    top, bend = fork + 2 * ARROW, fork + ARROW
    middles = [index * step + (step - BETWEEN) / 2 for index in range(len(labels))]
    axis.plot((width / 2,) * 2, (fork, bend), **WAY)
    axis.plot((middles[0], middles[-1]), (bend, bend), **WAY)
    for middle, label in zip(middles, labels, strict=True):
        _draw_arrow(axis, middle, bend, top)
        _draw_box(axis, (middle - (step - BETWEEN) / 2, top, step - BETWEEN, height), "head")
        for row, (text, weight) in enumerate(label):
            _write(axis, middle, top + row * LINE, text, "center", weight)


def _draw_box(axis, box, kind):
    """Draw a box, (left, top, width, height), in the color of its kind."""
    color = LAYER_COLORS[kind]
    fill = "white" if kind == "input" else (color, 0.2)
    look = {"facecolor": fill, "edgecolor": color, "linewidth": 1.6 if kind == "head" else 0.9}
    axis.add_patch(FancyBboxPatch(box[:2], *box[2:], "round,pad=0,rounding_size=3.5", **look))


def _draw_arrow(axis, x, start, end):
    style = {"arrowstyle": "-|>,head_length=0.45,head_width=0.2", "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", (x, end), (x, start), arrowprops=style | WAY)


def _write(axis, x, top, text, side="left", weight="normal"):
    """Write the first line of a box that begins at `top`; nothing is read as mathematics."""
    look = {"fontsize": FONT, "weight": weight, "color": "black", "parse_math": False}
    axis.text(x, top + PADDING[1] + 0.76 * LINE, text, ha=side, **look)
