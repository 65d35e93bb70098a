"""The graph of a network: the model's own boxes and edges, and a figure without overlaps."""

import os
import random
import subprocess
import sys
from itertools import combinations, pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from cnnlab import runtime
from cnnlab.plots import network_graph, network_layout
from cnnlab.plots.network_graph import Box

runtime.start(seed=0)

import keras  # noqa: E402
from keras import layers  # noqa: E402


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def convolution(x, filters, size=3, stride=1, relu=True):
    x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x) if relu else x


def four_heads():
    pixels = keras.Input((28, 28, 3), name="pixels")
    x = layers.Rescaling(1 / 255)(pixels)
    for filters, size, stride in ((24, 5, 2), (48, 3, 1), (48, 3, 2), (72, 3, 2)):
        x = convolution(x, filters, size, stride)
    x = layers.Dense(96, activation="relu")(layers.Flatten()(x))
    heads = {name: layers.Dense(1, "sigmoid", name=name)(x) for name in ("length", "width")}
    heads["color"] = layers.Dense(1, "sigmoid")(x)
    heads["angle"] = layers.Dense(12, "softmax", name="turn")(x)
    return keras.Model(pixels, heads)


def chain():
    network = keras.Sequential([layers.Rescaling(1 / 255), layers.Conv2D(8, 7), layers.ReLU()])
    network.add(layers.BatchNormalization())
    network.add(layers.MaxPooling2D(2))
    network.add(layers.Flatten())
    network.add(layers.Dropout(0.3))
    network.add(layers.Dense(1024))
    network.add(layers.Activation("relu"))
    network.add(layers.Dense(10, "softmax"))
    network.build((None, 28, 28, 1))
    return network


def residual():
    image = keras.Input((8, 8, 4), name="image")
    x = layers.Add()([image, convolution(convolution(image, 4), 4, relu=False)])
    side = convolution(x, 8, 1, 2, relu=False)
    x = layers.Add()([side, convolution(convolution(x, 8, 3, 2), 8, relu=False)])
    return keras.Model(image, layers.GlobalAveragePooling2D(name="mean")(x))


def two_inputs():
    image, numbers = keras.Input((8, 8, 1), name="image"), keras.Input((4,), name="numbers")
    x = layers.Flatten()(layers.Conv2D(4, 3, strides=(2, 1), activation="relu")(image))
    both = layers.Concatenate()([x, numbers])
    return keras.Model({"image": image, "numbers": numbers}, layers.Dense(3, name="shape")(both))


def twins():
    """Two calls of the same model, and of the same layer."""
    encoder = keras.Sequential(
        [keras.Input((9,)), layers.Dense(4), layers.Dense(2)], name="encoder"
    )
    left, right = keras.Input((9,), name="left"), keras.Input((9,), name="right")
    bend = layers.Dense(2, name="bend")
    ends = [layers.ReLU()(bend(encoder(side))) for side in (left, right)]
    return keras.Model([left, right], layers.Dense(1, name="same")(layers.Subtract()(ends)))


def list_of_outputs():
    numbers = keras.Input((32,))
    first = layers.Dense(8)(numbers)
    last = layers.ReLU()(first)
    return keras.Model(numbers, [layers.Dense(3)(last), first, last])


def one_model_inside():
    image = keras.Input((28, 28, 3), name="image")
    return keras.Model(image, four_heads()(image))


MODELS = (
    four_heads,
    chain,
    residual,
    two_inputs,
    twins,
    list_of_outputs,
    one_model_inside,
)


@pytest.fixture(scope="module", params=MODELS, ids=lambda make: make.__name__)
def model(request):
    return request.param()


def conv_box(text, shape, parameters, *more):
    return Box("convolution", "", (text, *more), shape, parameters)


def test_four_heads_folded():
    rest = ("BatchNormalization", "ReLU")
    boxes, edges = network_graph.read(four_heads())
    assert boxes == [
        Box("input", "pixels", ("InputLayer",), "28 × 28 × 3", 0),
        Box("other", "", ("Rescaling 1/255",), "28 × 28 × 3", 0),
        conv_box("Conv2D 5×5, 24, stride 2, padding same", "14 × 14 × 24", 1896, *rest),
        conv_box("Conv2D 3×3, 48, padding same", "14 × 14 × 48", 10560, *rest),
        conv_box("Conv2D 3×3, 48, stride 2, padding same", "7 × 7 × 48", 20928, *rest),
        conv_box("Conv2D 3×3, 72, stride 2, padding same", "4 × 4 × 72", 31392, *rest),
        Box("pooling", "", ("Flatten",), "1152", 0),
        Box("dense", "", ("Dense 96, relu",), "96", 110688),
        Box("output", "length", ("Dense 1, sigmoid",), "1", 97),
        Box("output", "width", ("Dense 1, sigmoid",), "1", 97),
        Box("output", "color", ("Dense 1, sigmoid",), "1", 97),
        Box("output", "angle (turn)", ("Dense 12, softmax",), "12", 1164),
    ]
    assert edges == [*pairwise(range(9)), (7, 9), (7, 10), (7, 11)]


def test_four_heads_unfolded():
    boxes, edges = network_graph.read(four_heads(), fold=False)
    assert len(boxes) == 20
    assert boxes[3] == Box("normalization", "", ("BatchNormalization",), "14 × 14 × 24", 96)
    assert boxes[4] == Box("normalization", "", ("ReLU",), "14 × 14 × 24", 0)
    assert edges == [*pairwise(range(17)), (15, 17), (15, 18), (15, 19)]


def test_sequential():
    boxes, edges = network_graph.read(chain())
    assert boxes == [
        Box("input", "input", ("InputLayer",), "28 × 28 × 1", 0),
        Box("other", "", ("Rescaling 1/255",), "28 × 28 × 1", 0),
        conv_box("Conv2D 7×7, 8", "22 × 22 × 8", 432, "ReLU", "BatchNormalization"),
        Box("pooling", "", ("MaxPooling2D 2×2",), "11 × 11 × 8", 0),
        Box("pooling", "", ("Flatten",), "968", 0),
        Box("other", "", ("Dropout 0.3",), "968", 0),
        Box("dense", "", ("Dense 1024", "Activation relu"), "1024", 992256),
        Box("output", "output", ("Dense 10, softmax",), "10", 10250),
    ]
    assert edges == list(pairwise(range(8)))


def test_residual_joins():
    boxes, edges = network_graph.read(residual())
    pair, rest = ("BatchNormalization",), ("BatchNormalization", "ReLU")
    assert boxes == [
        Box("input", "image", ("InputLayer",), "8 × 8 × 4", 0),
        conv_box("Conv2D 3×3, 4, padding same", "8 × 8 × 4", 160, *rest),
        conv_box("Conv2D 3×3, 4, padding same", "8 × 8 × 4", 160, *pair),
        Box("other", "", ("Add",), "8 × 8 × 4", 0),
        conv_box("Conv2D 1×1, 8, stride 2, padding same", "4 × 4 × 8", 64, *pair),
        conv_box("Conv2D 3×3, 8, stride 2, padding same", "4 × 4 × 8", 320, *rest),
        conv_box("Conv2D 3×3, 8, padding same", "4 × 4 × 8", 608, *pair),
        Box("other", "", ("Add",), "4 × 4 × 8", 0),
        Box("output", "mean", ("GlobalAveragePooling2D",), "8", 0),
    ]
    assert edges == [
        *[(0, 1), (0, 3), (1, 2), (2, 3)],
        *[(3, 4), (3, 5), (4, 7), (5, 6), (6, 7), (7, 8)],
    ]


def test_two_inputs_in_a_dict():
    boxes, edges = network_graph.read(two_inputs())
    assert boxes == [
        Box("input", "image", ("InputLayer",), "8 × 8 × 1", 0),
        Box("input", "numbers", ("InputLayer",), "4", 0),
        conv_box("Conv2D 3×3, 4, stride 2×1, relu", "3 × 6 × 4", 40),
        Box("pooling", "", ("Flatten",), "72", 0),
        Box("other", "", ("Concatenate",), "76", 0),
        Box("output", "shape", ("Dense 3",), "3", 231),
    ]
    assert edges == [(0, 2), (1, 4), (2, 3), (3, 4), (4, 5)]


def test_shared_layers_have_a_box_for_each_call():
    boxes, edges = network_graph.read(twins())
    assert boxes == [
        Box("input", "left", ("InputLayer",), "9", 0),
        Box("input", "right", ("InputLayer",), "9", 0),
        Box("model", "encoder", ("Sequential, 2 layers",), "2", 50),
        Box("dense", "bend", ("Dense 2", "ReLU"), "2", 6),
        Box("model", "encoder", ("Sequential, 2 layers",), "2", 0, shared=True),
        Box("dense", "bend", ("Dense 2", "ReLU"), "2", 0, shared=True),
        Box("other", "", ("Subtract",), "2", 0),
        Box("output", "same", ("Dense 1",), "1", 3),
    ]
    assert edges == [(0, 2), (1, 4), (2, 3), (3, 6), (4, 5), (5, 6), (6, 7)]


def test_outputs_in_a_list_are_numbered_and_never_hidden_in_a_box():
    boxes, edges = network_graph.read(list_of_outputs())
    assert boxes == [
        Box("input", "input", ("InputLayer",), "32", 0),
        Box("output", "output 2", ("Dense 8",), "8", 264),
        Box("output", "output 3", ("ReLU",), "8", 0),
        Box("output", "output 1", ("Dense 3",), "3", 27),
    ]
    assert edges == [(0, 1), (1, 2), (2, 3)]


def test_several_outputs_of_an_inner_model_are_named_in_the_order_of_their_shapes():
    boxes, edges = network_graph.read(one_model_inside())
    names, text = "angle, color, length, width", ("Functional, 19 layers",)
    assert boxes[1:] == [Box("output", names, text, "12, 1, 1, 1", 176919)]
    assert edges == [(0, 1)]


def test_only_the_calls_of_this_model_count():
    network = four_heads()
    before = network_graph.read(network)
    network(keras.Input((28, 28, 3)))  # further calls of the model
    network.layers[1](keras.Input((5,)))  # and of one of its layers
    assert network_graph.read(network) == before


def test_operations_wrappers_and_joins_of_a_tensor_with_itself():
    series = keras.Input((5, 4), name="series")
    x = layers.TimeDistributed(layers.Dense(4, "relu"))(series)
    x = keras.ops.relu(x * x) + series
    boxes, edges = network_graph.read(keras.Model(series, {"sums": {"last": x}}))
    assert [(box.kind, *box.layers) for box in boxes] == [
        ("input", "InputLayer"),
        ("dense", "TimeDistributed of Dense 4, relu"),
        ("other", "Multiply"),
        ("normalization", "Relu"),
        ("output", "Add"),
    ]
    assert boxes[-1].name == "sums/last"
    assert edges == [(0, 1), (0, 4), (1, 2), (2, 3), (3, 4)]


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (
            layers.Conv2D(8, (3, 5), dilation_rate=2, groups=2),
            "Conv2D 3×5, 8, dilation 2, groups 2",
        ),
        (layers.DepthwiseConv2D(3, strides=2), "DepthwiseConv2D 3×3, stride 2"),
        (layers.AveragePooling2D(3, strides=1), "AveragePooling2D 3×3, stride 1"),
        (layers.ReLU(max_value=6.0), "ReLU at most 6"),
        (layers.LeakyReLU(negative_slope=0.1), "LeakyReLU slope 0.1"),
        (layers.Rescaling(1 / 127.5, offset=-1), "Rescaling 2/255, offset -1"),
        (layers.Rescaling(0.1234567), "Rescaling 0.123457"),
        (layers.Dropout(0.0), "Dropout 0"),
    ],
)
def test_what_is_said_of_a_layer(layer, text):
    network = keras.Sequential([keras.Input((16, 16, 4)), layer])
    assert network_graph.read(network).boxes[1].layers == (text,)


def test_parameters_add_up(model):
    for fold in (True, False):
        graph = network_graph.read(model, fold)
        assert sum(box.parameters for box in graph.boxes) == model.count_params()


def test_the_model_stays_as_it_was(model):
    config, weights = model.get_config(), model.get_weights()
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    network_graph.draw(model, "title")
    assert model.get_config() == config
    assert all(map(np.array_equal, model.get_weights(), weights))
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes


def drawn(figure, name):
    """Return {numbers in the id: artists} of what is called `name`."""
    found = {}
    for artist in figure.axes[0].get_children():
        word, *numbers = (artist.get_gid() or "none").split()
        if word == name:
            found.setdefault(tuple(map(int, numbers)), []).append(artist)
    return found


def extent(box):
    return box.get_x(), box.get_y(), box.get_x() + box.get_width(), box.get_y() + box.get_height()


def overlap(one, other, slack=0.1):
    """Say whether rectangles (left, top, right, bottom) have more than their sides in common."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    along = min(one[3], other[3]) - max(one[1], other[1])
    return across > slack and along > slack


@pytest.mark.parametrize("fold", [True, False])
def test_text_stays_in_its_box_and_in_the_figure(model, fold):
    figure = network_graph.draw(model, "A title", fold)
    for dots in (72, 150):
        figure.set_dpi(dots)
        figure.canvas.draw()
        boxes = {key: box.get_window_extent() for key, (box,) in drawn(figure, "box").items()}
        texts = drawn(figure, "text")
        assert boxes.keys() == texts.keys()
        for key, lines in texts.items():
            extents = [line.get_window_extent() for line in lines]
            for inside in extents:
                assert boxes[key].x0 < inside.x0 < inside.x1 < boxes[key].x1
                assert boxes[key].y0 < inside.y0 < inside.y1 < boxes[key].y1
            for one, other in combinations(extents, 2):
                assert not overlap(one.extents, other.extents, slack=dots / 72)
        width, height = figure.get_size_inches() * dots
        for text in figure.axes[0].texts:
            inside = text.get_window_extent()
            assert 0 <= inside.x0 < inside.x1 <= width
            assert 0 <= inside.y0 < inside.y1 <= height


@pytest.mark.parametrize("fold", [True, False])
def test_boxes_and_arrows_keep_apart(model, fold):
    figure = network_graph.draw(model, fold=fold)
    figure.canvas.draw()
    boxes = {key: extent(box) for (key,), (box,) in drawn(figure, "box").items()}
    assert not any(overlap(one, other) for one, other in combinations(boxes.values(), 2))
    arrows = drawn(figure, "edge")
    assert sorted(arrows) == network_graph.read(model, fold).edges
    for (start, end), (arrow,) in arrows.items():
        path = arrow.get_path()  # of the line, and then of its head
        corners = path.vertices[path.codes != path.CLOSEPOLY]
        assert corners[0, 1] == pytest.approx(boxes[start][3])
        # The outline of the head, whose own thickness covers the rest, ends at the box.
        assert 0 <= boxes[end][1] - corners[:, 1].max() <= 1.2
        for one, other in pairwise(corners):
            line = (*np.minimum(one, other) - 0.2, *np.maximum(one, other) + 0.2)
            assert not any(
                overlap(line, box, slack=0.5) for key, box in boxes.items() if key != end
            )


def test_drawing_has_the_texts_of_the_model():
    figure = network_graph.draw(four_heads(), "Four heads")
    texts = {
        key: [text.get_text() for text in lines] for key, lines in drawn(figure, "text").items()
    }
    assert texts[4,] == [
        "Conv2D 3×3, 48, stride 2, padding same + BatchNormalization + ReLU",
        "7 × 7 × 48",
        "20,928 parameters",
    ]
    assert texts[11,] == ["angle (turn)", "Dense 12, softmax", "1,164 parameters"]
    weights = [line.get_fontweight() for line in drawn(figure, "text")[11,]]
    assert weights == ["bold", "normal", "normal"]
    others = [text.get_text() for text in figure.axes[0].texts if not text.get_gid()]
    assert others == ["input", "convolution", "dense", "pooling, reshaping", "other", "output"]
    (title,) = drawn(figure, "title")[()]
    assert title.get_text() == "Four heads: 176,919 parameters"


@pytest.mark.filterwarnings("error")
def test_figure_stays_the_same_when_saved(tmp_path):
    with plt.style.context(Path(network_graph.__file__).with_name("style.mplstyle")):
        figure = network_graph.draw(two_inputs())
        for name in ("first.png", "second.png"):
            figure.savefig(tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_text_is_large_enough_at_16_cm():
    for make in MODELS:
        width = network_graph.draw(make()).get_size_inches()[0] * 2.54
        assert 8 * min(1, 16 / width) >= 6.5


@pytest.mark.parametrize("seed", range(20))
def test_layout_of_any_graph(seed):
    """No boxes overlap, and no line passes through a box or runs along a line of another box."""
    numbers = random.Random(seed)
    count = numbers.randint(1, 20)
    edges = set()
    for end in range(1, count):
        starts = range(max(0, end - 6), end)
        edges |= {(start, end) for start in starts if numbers.random() < 1.3 / len(starts)}
    sizes = [(numbers.uniform(40, 200), numbers.uniform(20, 70)) for _ in range(count)]
    layout = network_layout.place(sizes, sorted(edges))
    boxes = [(x, y, x + width, y + height) for x, y, width, height in layout.boxes]
    assert not any(overlap(one, other) for one, other in combinations(boxes, 2))
    assert layout.routes.keys() == edges
    pieces = [(key[0], *piece) for key, route in layout.routes.items() for piece in pairwise(route)]
    lines = [(start, (*np.minimum(a, b) - 1, *np.maximum(a, b) + 1)) for start, a, b in pieces]
    assert not any(overlap(line, box, slack=1.1) for _, line in lines for box in boxes)
    for (start, line), (other_start, other) in combinations(lines, 2):
        across = min(line[2], other[2]) - max(line[0], other[0])
        along = min(line[3], other[3]) - max(line[1], other[1])
        # Crossing lines, each 2 points thick, have a square of 2 points in common.
        assert start == other_start or min(across, along) <= 0 or max(across, along) <= 3


def test_errors():
    with pytest.raises(TypeError, match=r"not a Keras model: 'net' \(str\)"):
        network_graph.draw("net")
    with pytest.raises(TypeError, match="Dense"):
        network_graph.draw(layers.Dense(3))
    with pytest.raises(ValueError, match="'raw' has no shapes yet: build it, or call it on data"):
        network_graph.draw(keras.Sequential([layers.Dense(3)], name="raw"))

    class Subclassed(keras.Model):
        pass

    with pytest.raises(ValueError, match="'own' has no graph of layers"):
        network_graph.draw(Subclassed(name="own"))


def test_built_by_a_call_and_smallest_models():
    network = keras.Sequential([layers.Dense(3)])
    network(np.zeros((1, 2)))
    assert len(network_graph.read(network).boxes) == 2
    same = keras.Input((2,), name="numbers")
    network = keras.Model(same, same)
    assert network_graph.read(network).edges == []
    assert len(drawn(network_graph.draw(network), "box")) == 1


def test_import_needs_no_keras():
    code = "import sys, cnnlab.plots.network_graph;"
    code += "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ).returncode == 0
