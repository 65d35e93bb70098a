"""The explorer computes what Python computes: lines, digits, networks, heatmaps."""

import base64

import keras
import numpy as np
import pytest
from javascript import in_node, needs_node
from keras import layers
from models import with_random_weights

from cnnlab import drawings, lines, mnist
from cnnlab.interpret import activations, attribute, load
from cnnlab.interpret.export import exported
from cnnlab.interpret.model.network import inspect_model
from cnnlab.lines.render import center_limits
from tools.explorer import MODELS

EXPLAINED = """
const { Network } = web("network.js"), network = new Network(given.model);
const size = network.input.reduce((a, b) => a * b), images = bytes(given.images), made = [];
for (let i = 0; i < images.length; i += size) {
  network.run(images.subarray(i, i + size));
  made.push(network.heads.map((head) => {
    const answers = network.answers(head);
    const target = given.target ?? answers.indexOf(Math.max(...answers));
    const layer = given.layer || head.layer;
    const map = layer && network.heatmap(head, target, layer, given.method);
    const score = network.score(head, target);
    return { answers, target, score, heat: map && [...map.heat], peak: map && map.peak };
  }));
}
const layers = Object.entries(network.layers)
  .map(([name, { value }]) => [name, [...network.values[value]]]);
return { made, heads: network.heads.map((head) => head.name), layers };
"""
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 12, 10, 3), dtype=np.uint8)


def text(images):
    return base64.b64encode(np.ascontiguousarray(images).tobytes()).decode()


def explained(model, images, folder, **options):
    """What the page computes: {head: {"answers", "target", "heat", ...}}, and the last's layers."""
    given = {"model": exported(model, "own"), "images": text(images), "method": "grad-cam"}
    found = in_node(EXPLAINED, given | options, folder)
    rows = {
        head: [of_image[n] for of_image in found["made"]] for n, head in enumerate(found["heads"])
    }
    return rows, dict(found["layers"])


def compare(model, images, folder, **options):
    """Compare all answers and heatmaps of the page with those of Python."""
    rows, own_layers = explained(model, images, folder, **options)
    given = images.astype(np.float32)
    told = activations(model, given[-1:], list(own_layers))
    for name, values in own_layers.items():
        largest = max(1, np.abs(told[name]).max())
        np.testing.assert_allclose(np.ravel(told[name]), values, 0, 1e-5 * largest, err_msg=name)
    for head, of_head in rows.items():
        targets = [row["target"] for row in of_head]
        layer, method = options.get("layer"), options.get("method", "grad-cam")
        heat = attribute(model, given, head, np.array(targets), method, layer)
        np.testing.assert_allclose(heat.answers, [row["answers"] for row in of_head], 1e-4, 1e-6)
        np.testing.assert_allclose(heat.scores, [row["score"] for row in of_head], 1e-4, 1e-5)
        assert heat.answers.argmax(axis=1).tolist() == targets or "target" in options
        maps = np.reshape([row["heat"] for row in of_head], heat.maps.shape)
        np.testing.assert_allclose(maps, heat.maps, 0, 1e-4)
        np.testing.assert_allclose([row["peak"] for row in of_head], heat.peak, 1e-3, 1e-6)


def activated(name):
    return lambda x: layers.Activation(name)(x)


BLOCKS = {
    **{
        name: activated(name)
        for name in [
            "elu",
            "selu",
            "gelu",
            "silu",
            "sigmoid",
            "tanh",
            "softplus",
            "softsign",
            "hard_sigmoid",
            "relu6",
        ]
    },
    "leaky": layers.LeakyReLU(0.1),
    "clipped": layers.ReLU(1.5, 0.2, 0.1),
    "inside": layers.Conv2D(5, 3, activation="tanh"),
    "dilated": layers.Conv2D(4, (3, 2), dilation_rate=2, padding="same"),
    "depthwise": layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2),
    "separable": layers.SeparableConv2D(6, 3, padding="same"),
    "max": layers.MaxPooling2D(3, 2, "same"),
    "average": layers.AveragePooling2D(2, padding="same"),
    "padded": layers.ZeroPadding2D(((1, 2), (0, 3))),
    "cropped": layers.Cropping2D(((1, 2), (0, 3))),
    "larger": layers.UpSampling2D((2, 3)),
    "normalized": layers.BatchNormalization(),
    "dense": layers.Dense(7),
    "residual": lambda x: layers.Add()([x, layers.Conv2D(4, 3, padding="same")(x)]),
    "gated": lambda x: layers.Multiply()([x, layers.Conv2D(4, 1, activation="sigmoid")(x)]),
    "highest": lambda x: layers.Maximum()([x, layers.Conv2D(4, 1)(x)]),
    "subtracted": lambda x: layers.Subtract()([x, layers.Conv2D(4, 1)(x)]),
    "averaged": lambda x: layers.Average()([x, layers.Conv2D(4, 1)(x)]),
    "joined": lambda x: layers.Concatenate()([x, layers.Conv2D(2, 1)(x)]),
    "added": lambda x: x + layers.Conv2D(4, 1)(x),
    "dropped": layers.Dropout(0.5),
}


@needs_node
@pytest.mark.parametrize("block", BLOCKS)
def test_every_kind_of_layer(block, tmp_path):
    image = keras.Input(IMAGES.shape[1:])
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(4, 3, padding="same", name="before")(x)
    x = layers.Conv2D(4, 2, activation="relu")(BLOCKS[block](x))
    row = layers.Dense(3, "softmax")(layers.Flatten()(x))
    model = with_random_weights(keras.Model(image, row))
    compare(model, IMAGES, tmp_path)
    compare(model, IMAGES, tmp_path, layer="before", method="layercam")


@needs_node
@pytest.mark.parametrize("whole", [layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D])
def test_heads_of_all_kinds(whole, tmp_path):
    image = keras.Input(IMAGES.shape[1:])
    x = layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(1 / 127.5, -1)(image))
    row = layers.Dense(6, "relu")(whole()(x))
    heads = {
        "kind": layers.Dense(3, "softmax", name="kind")(row),
        "tags": layers.Dense(4, "sigmoid", name="tags")(row),
        "is": layers.Activation("sigmoid", name="is")(layers.Dense(1)(row)),
        "size": layers.Dense(2, name="size")(row),
    }
    model = with_random_weights(keras.Model(image, heads))
    compare(model, IMAGES, tmp_path)
    compare(model, IMAGES, tmp_path, target=0)


@needs_node
@pytest.mark.slow
@pytest.mark.parametrize("name", [each["name"] for each in MODELS])
def test_a_thousand_images_of_each_model_of_the_page(name, tmp_path):
    if name == "task1-mnist":
        images = mnist.pool()[0][-1000:, ..., None]
    else:
        images = lines.generate(per_class=11, seed=9).images[:1000]
    compare(load(name), images, tmp_path)


@needs_node
@pytest.mark.parametrize("name", ["task1-lines", "task1-part1-mnist"])
def test_other_models_here(name, tmp_path):
    shape = inspect_model(load(name)).graph.input_shape
    images = np.random.default_rng(0).integers(0, 256, (20, *shape), dtype=np.uint8)
    compare(load(name), images, tmp_path)


@needs_node
def test_lines_are_drawn_byte_for_byte(tmp_path):
    random, n = np.random.default_rng(0), 3000
    length, width = random.uniform(1, 20, n), random.uniform(0.3, 6, n)
    angle = np.where(np.arange(n) % 2, random.uniform(0, 180, n), random.integers(0, 180, n))
    low, high = center_limits(length, width, angle)
    center = np.clip(np.round(random.uniform(low.T, high.T) * 4) / 4, low.T, high.T)
    color = random.integers(0, 256, (n, 3))
    expected = lines.render(length, width, angle, center, color)
    given = [*map(list, zip(length, width, angle, *center.T, color.tolist(), strict=True))]
    code = """
const { render } = web("lines.js");
return Buffer.concat(given.map(([length, width, angle, x, y, color]) =>
  render({ length, width, angle, x, y }, color))).toString("base64");
"""
    made = np.frombuffer(base64.b64decode(in_node(code, given, tmp_path)), np.uint8)
    np.testing.assert_array_equal(made.reshape(expected.shape), expected)


@needs_node
def test_digits_are_prepared_as_in_python(tmp_path):
    random = np.random.default_rng(0)
    steps = random.normal(0, 0.07, (60, 12, 2))
    strokes = [[np.clip(0.5 + np.cumsum(walk, axis=0), 0.1, 0.9).tolist()] for walk in steps]
    code = """
const { image, drawn } = web("digits.js");
return given.map((strokes) => [[...image(strokes)], [...drawn(strokes)]]);
"""
    for made, pad in in_node(code, strokes, tmp_path):
        pad = np.reshape(pad, (140, 140)).astype(np.uint8)
        if (pad > 127).mean() < 0.12:  # what is broad and solid may be taken for paper
            expected = drawings.as_mnist(pad).pixels
            np.testing.assert_array_equal(np.reshape(made, (28, 28)), expected)
    assert in_node('return web("digits.js").image([]);', 0, tmp_path) is None


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda x: layers.Conv2DTranspose(2, 3)(x), "the layer 'conv2d_transpose.*Transpose"),
        (lambda x: layers.Conv2D(3, 3, groups=3)(x), "cannot compute the layer 'conv2d"),
        (lambda x: layers.PReLU()(x), "a PReLU"),
        (lambda x: keras.ops.roll(x, 1, axis=1), "the layer 'roll"),
    ],
)
def test_layers_that_the_page_does_not_know_are_named(make, words):
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, layers.Dense(2, "softmax")(layers.Flatten()(make(image))))
    with pytest.raises(ValueError, match=words):
        exported(model, "own")


def test_models_that_the_page_cannot_show():
    image = keras.Input((8, 8, 3))
    mask = keras.Model(image, layers.Conv2D(2, 1, activation="softmax", name="mask")(image))
    with pytest.raises(ValueError, match="cannot compute the head 'mask'"):
        exported(mask, "own")
    for shape in ((None, None, 3), (224, 224, 3)):
        image = keras.Input(shape)
        row = layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(image)))
        with pytest.raises(ValueError, match=r"a fixed size up to 128 × 128"):
            exported(keras.Model(image, row), "own")
