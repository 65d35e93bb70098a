"""The diagram of a network: what its boxes say, where they are, and which networks are refused."""

import keras
import pytest
from drawn import overlapping, refused, words
from keras import layers
from matplotlib.colors import to_hex

from cnnlab import plots
from cnnlab.plots.palette import LAYER_COLORS


def four_heads():
    pixels = keras.Input((28, 28, 3), name="pixels")
    x = layers.Rescaling(1 / 255)(pixels)
    x = layers.Conv2D(8, (5, 3), strides=2, padding="same", use_bias=False)(x)
    x = layers.Flatten()(layers.ReLU()(layers.BatchNormalization()(x)))
    heads = {n: layers.Dense(1, "sigmoid", name=n)(x) for n in ("length", "width", "color")}
    heads["angle"] = layers.Dense(12, "softmax", name="angle")(layers.Dropout(0.5)(x))
    return keras.Model(pixels, heads)


def test_boxes_say_what_layers_do_their_shapes_and_weights():
    model = four_heads()
    model(keras.Input((28, 28, 3)))  # another call; it does not count
    config = model.get_config()
    figure = plots.network_diagram(model, "Four heads")
    head = ["Dense 1, sigmoid", "1,569 parameters"]
    assert [text for text in words(figure.axes[0].texts) if text] == [
        "Four heads: 23,927 parameters",
        *("Input, pixels", "28 × 28 × 3", "Rescaling 1/255", "28 × 28 × 3"),
        "Conv2D 5×3, 8 filters, stride 2, padding same + BatchNormalization + ReLU",
        *("14 × 14 × 8", "392 parameters", "Flatten", "1568"),
        *("length", *head, "width", *head, "color", *head),
        *("angle", "Dropout 0.5", "Dense 12, softmax", "18,828 parameters"),
    ]
    assert model.get_config() == config


def test_boxes_hold_their_texts_next_to_each_other():
    figure = plots.network_diagram(four_heads(), "Four heads")
    assert not overlapping(figure)
    axis = figure.axes[0]
    boxes = [patch.get_window_extent() for patch in axis.patches]
    *trunk, first, second, third, last = boxes
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])
    assert first.y0 == second.y0 == last.y0 and first.x1 < second.x0 < third.x0 < last.x0
    assert (first.x0, last.x1) == pytest.approx((trunk[0].x0, trunk[0].x1))
    for text in axis.texts[1:]:
        extent = text.get_window_extent()
        assert not text.get_text() or any(b.contains(*c) for b in boxes for c in extent.corners())


def test_a_chain_ends_in_one_head():
    inner = [layers.MaxPooling2D(3, strides=1), layers.GlobalAveragePooling2D()]
    model = keras.Sequential([keras.Input((8, 8, 2), name="x"), *inner, layers.Dense(3, name="y")])
    axis = plots.network_diagram(model).axes[0]
    trunk = ["Input, x", "8 × 8 × 2", "MaxPooling2D 3×3, stride 1", "6 × 6 × 2"]
    head = ["y", "Dense 3", "9 parameters"]
    drawn = [text for text in words(axis.texts) if text]
    assert drawn == [*trunk, "GlobalAveragePooling2D", "2", *head]
    assert to_hex(axis.patches[-1].get_edgecolor()).upper() == LAYER_COLORS["head"]


def test_networks_of_another_form_are_refused():
    x, y = keras.Input((4,), name="x"), keras.Input((4,), name="y")
    a, b = layers.Dense(4, name="a"), layers.Dense(4, name="b")
    features = a(x)
    for message, outputs in {
        "layer 'sum' joins 2 tensors": layers.Add(name="sum")([features, x]),
        "layer 'a' is an output before the end": [features, b(features)],
        "layer 'b' is used 2 times": b(b(x)),
        "layer 'a' is used 2 times": [b(features), layers.ReLU()(features), layers.ReLU()(x)],
    }.items():
        with refused(message):
            plots.network_diagram(keras.Model(x, outputs))
    with refused("no layer of 'two' leads to all of its outputs"):
        plots.network_diagram(keras.Model([x, y], [a(x), b(y)], name="two"))
    for wrong in (keras.Sequential([layers.Dense(3)]), "net"):
        with refused("is not a functional or built Sequential Keras model"):
            plots.network_diagram(wrong)
