"""The layer at which heatmaps are made: by default, by name, and where there is none."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from models import with_random_weights
from test_interpret_placement import WithToken, joined, patches, windows

from cnnlab import interpret
from cnnlab.interpret import checks, grad_cam
from cnnlab.interpret.model.network import inspect_model

HEIGHT, WIDTH = 24, 28  # of which `joined` knows
IMAGE = np.random.default_rng(0).random((HEIGHT, WIDTH)).astype(np.float32)


def conv(name=None, kernel=3, filters=4, **options):
    return layers.Conv2D(filters, kernel, padding="same", name=name, **options)


def pooled(x):
    return layers.GlobalAveragePooling2D()(x)


def answer(x):
    row = x if len(x.shape) == 2 else layers.Flatten()(x)
    return layers.Dense(3, "softmax", name="answer")(row)


def model_of(way):
    """A model whose weights are positive, so that no map is empty."""
    image = keras.Input((HEIGHT, WIDTH, 1))
    model = with_random_weights(keras.Model(image, answer(way(image))))
    model.set_weights([np.abs(weights) for weights in model.get_weights()])
    return model


def transformer(x, blocks=2):
    for number in range(blocks):
        normal = layers.LayerNormalization()(x)
        x = layers.Add(name=f"looked{number}")([x, layers.MultiHeadAttention(2, 4)(normal, normal)])
        hidden = layers.Dense(8)(layers.Dense(16, "gelu")(layers.LayerNormalization()(x)))
        x = layers.Add(name=f"block{number}")([x, hidden])
    return x


def embedded(x):
    """Tokens of patches, made without a convolution, after layers that only change pixels."""
    return layers.Dense(8, name="embedded")(patches(layers.RandomFlip()(layers.Rescaling(2)(x))))


def swin(x):
    features = conv("stem", activation="relu")(x)
    normal = layers.LayerNormalization(name="inside")(windows(features))
    looked = layers.MultiHeadAttention(1, 4)(normal, normal)
    return layers.Add(name="outside")([features, joined(looked)])


# --- the default: (the way from the image to the head, the layer)


def conv_then_activation(x):
    x = layers.ReLU(name="rectified")(layers.BatchNormalization()(conv()(x)))
    return layers.MaxPooling2D()(x)


def normalized_afterwards(x):
    x = layers.BatchNormalization()(layers.ReLU(name="rectified")(conv()(x)))
    return layers.Dropout(0.5)(layers.AveragePooling2D(2)(x))


def inception(x):
    x = layers.Concatenate(name="merged")([conv(activation="relu")(x), conv(kernel=1)(x)])
    return pooled(layers.Activation("relu", name="rectified")(x))


def residual(x):
    x = conv(activation="relu")(x)
    x = layers.Add()([x, conv()(conv()(x))])
    return pooled(layers.ReLU(name="rectified")(x))


def operations(x):
    return pooled(ops.relu(conv()(x) + conv()(x)))


def narrowing(x):
    x = layers.GlobalAveragePooling2D(keepdims=True)(conv("wide", activation="relu")(x))
    return conv(kernel=1)(x)


def two_poolings(x):
    x = conv("last", activation="relu")(x)
    return layers.Concatenate()([pooled(x), layers.GlobalMaxPooling2D()(x)])


def stem_of_two_branches(x):
    x = conv("stem", activation="relu")(x)
    return layers.Concatenate()([pooled(conv()(x)), pooled(conv(kernel=5)(x))])


def as_rows(x):
    return layers.GlobalAveragePooling1D()(layers.Reshape((-1, 4))(conv("last")(x)))


def attention_on_top(x):
    rows = layers.Reshape((-1, 4))(layers.MaxPooling2D(4)(conv()(x)))
    rows = layers.Add(name="looked")([rows, layers.MultiHeadAttention(1, 4)(rows, rows)])
    return layers.GlobalAveragePooling1D()(rows)


def out_of_a_row_again(x):
    """A map that is made of a row of numbers does not lie in the image."""
    row = layers.Dense(32)(pooled(conv("last", activation="relu")(x)))
    return pooled(conv()(layers.Reshape((4, 4, 2))(row)))


DEFAULTS = {
    conv_then_activation: "rectified",
    normalized_afterwards: "rectified",
    inception: "rectified",
    residual: "rectified",
    operations: "relu",
    narrowing: "wide",
    two_poolings: "last",
    stem_of_two_branches: "stem",
    as_rows: "last",
    attention_on_top: "looked",
    out_of_a_row_again: "last",
    swin: "outside",
}
VISION_TRANSFORMERS = {
    "mean of the tokens": (lambda x: layers.GlobalAveragePooling1D()(transformer(x)), "block1"),
    # Of what the last block makes, the head reads the class token alone.
    "class token": (lambda x: transformer(WithToken()(x))[:, 0], "block0"),
}


@pytest.mark.parametrize(("way", "name"), DEFAULTS.items())
def test_the_default_is_the_last_rectified_map_on_all_paths(way, name):
    heat = grad_cam(model_of(way), IMAGE)
    assert heat.layer.startswith(name) and len(heat.raw) == 1 and heat.note == ("",)


@pytest.mark.parametrize(("way", "name"), VISION_TRANSFORMERS.values(), ids=VISION_TRANSFORMERS)
def test_tokens_that_lie_on_a_grid_make_a_map(way, name):
    model = model_of(lambda x: way(embedded(x)))
    heat = grad_cam(model, IMAGE)
    assert heat.layer == name and heat.raw.shape == (1, 6, 7) and heat.raw.any()
    assert heat.note[0] == "" or heat.note[0].startswith("empty: no position speaks")
    heat = grad_cam(model, IMAGE, layer="embedded")
    curves = checks.deletion(model, IMAGE, heat, masking=checks.Masking(steps=2, repeats=1))
    assert np.isfinite(curves.displaced).all() or heat.note[0]
    shown = interpret.explain(model, IMAGE, "embedded")  # its activations are drawn as they lie
    assert shown.activations["embedded"].shape == (42, 8)
    assert "embedded: 8 channels of 6 × 7" in words(shown.figure)


def test_raw_sums_of_tokens_are_those_of_the_map_that_they_were():
    """The same network once with tokens, and once with a 1 x 1 convolution instead."""
    with_tokens = model_of(
        lambda x: layers.Dense(4, name="last")(layers.Reshape((-1, 4))(conv()(x)))
    )
    with_maps = model_of(lambda x: conv("last", kernel=1)(conv()(x)))
    for model in (with_tokens, with_maps):
        first, _, *others = (np.random.default_rng(1).normal(size=w.shape) for w in model.weights)
        model.set_weights([first, np.zeros(4), *others])
    ours, other = (grad_cam(model, IMAGE, layer="last") for model in (with_tokens, with_maps))
    assert np.abs(other.raw).max() > 0.01
    np.testing.assert_allclose(ours.raw, other.raw, 1e-4, 1e-5)
    np.testing.assert_allclose(ours.maps, other.maps, 1e-4, 1e-5)


def test_the_default_sees_what_the_last_convolution_does_not():
    image = keras.Input((HEIGHT, WIDTH, 1))
    ones, zeros = (conv(name, kernel_initializer=name, filters=1) for name in ("ones", "zeros"))
    merged = layers.Concatenate()([ones(image), zeros(image)])
    model = keras.Model(image, layers.Dense(1, kernel_initializer="ones")(pooled(merged)))
    blob = np.zeros((HEIGHT, WIDTH), np.float32)
    blob[9:11, 17:19] = 1
    assert inspect_model(model).convolutions()[-1] == "zeros"
    assert "the layer is dead" in grad_cam(model, blob, layer="zeros").note[0]
    heat = grad_cam(model, blob).maps[0]
    np.testing.assert_allclose(np.argwhere(heat == 1).mean(axis=0), (9.5, 17.5))


# --- without a map on all paths, or any


def words(figure):
    parts = [text.get_text() for axis in figure.axes for text in axis.texts]
    return " ".join(parts).replace("\n", " ")


def ensemble(x, *strides):
    members = [
        layers.ReLU(name=name)(conv(filters=3, strides=stride)(layers.Rescaling(2)(x)))
        for name, stride in zip(("first", "second"), strides or (1, 1), strict=True)
    ]
    return layers.Average()([layers.Dense(3)(pooled(member)) for member in members])


def beside_the_pixels(x):
    return layers.Concatenate()([layers.Flatten()(x), pooled(conv("first")(x))])


@pytest.mark.parametrize("method", ["grad-cam", "grad-cam++", "layercam"])
def test_members_without_a_common_map_are_explained_together(method):
    model = model_of(ensemble)
    heat = grad_cam(model, IMAGE, target=0, method=method)
    names = ("first", "second")
    assert heat.layers == names and heat.layer == "first + second" and heat.note == ("",)
    ones = [grad_cam(model, IMAGE, target=0, method=method, layer=name) for name in names]
    assert [one.note for one in ones] == [("",)] * 2  # asked for by name
    np.testing.assert_allclose(heat.raw, ones[0].raw + ones[1].raw, 1e-5)
    curves = checks.deletion(model, IMAGE, heat, masking=checks.Masking(steps=2, repeats=1))
    assert np.isfinite(curves.displaced).all()


def test_members_whose_cells_lie_otherwise_are_enlarged_before():
    model = model_of(lambda x: ensemble(x, 1, 3))
    heat = grad_cam(model, IMAGE, target=0)
    assert heat.raw.shape == (1, HEIGHT, WIDTH) and heat.note == ("",)
    ones = [grad_cam(model, IMAGE, target=0, layer=name) for name in heat.layers]
    expected = sum(one.maps * one.maps.max() * one.peak for one in ones)  # no weight is negative
    np.testing.assert_allclose(heat.maps, expected / expected.max(), 1e-3, 1e-3)
    curves = checks.deletion(model, IMAGE, heat, masking=checks.Masking(steps=2, repeats=1))
    assert np.isfinite(curves.displaced).all()


def test_a_path_without_a_map_is_not_in_the_heatmap_and_that_is_said():
    model = model_of(beside_the_pixels)
    heat = grad_cam(model, IMAGE, target=0)
    said = "of first alone, and not of the paths to the head that have no map"
    assert heat.layer == "first" and heat.note == (said,)
    assert grad_cam(model, IMAGE, target=0, layer="first").note == ("",)  # asked for by name
    shown = interpret.explain(model, IMAGE, target=0)
    assert said in shown.summary and said in words(shown.figure)


def test_two_notes_are_joined():
    heat = grad_cam(
        model_of(lambda x: beside_the_pixels(ops.roll(x, 3, axis=1)[:, :, ::-1])), IMAGE, target=0
    )
    assert "stretched over the image" in heat.note[0] and "; of first alone" in heat.note[0]


@pytest.mark.parametrize(
    "way", [lambda x: layers.Rescaling(2, name="pixels")(x), layers.MaxPooling2D(name="pixels")]
)
def test_pixels_alone_are_no_feature_map_but_can_be_asked_for(way):
    model = model_of(way)
    with pytest.raises(ValueError, match="has learned feature maps; usable by name are pixels"):
        grad_cam(model, IMAGE)
    shown = interpret.explain(model, IMAGE)
    said = "o heatmap of answer: no layer on the way to 'answer' has learned feature maps"
    assert shown.heatmaps == {} and said in shown.summary and said in words(shown.figure)
    assert grad_cam(model, IMAGE, layer="pixels").layer == "pixels"


def test_a_layer_that_sees_windows_is_not_offered():
    model = model_of(swin)
    view = inspect_model(model)
    assert view.feature_maps() == ["stem", "outside"]
    with pytest.raises(ValueError, match=r"'inside' gives 42 rows .* usable are stem, outside$"):
        grad_cam(model, IMAGE, layer="inside")
    shown = interpret.explain(model, IMAGE, "inside")
    assert shown.heatmaps == {} and "'inside' gives 42 rows" in shown.summary
    assert shown.activations["inside"].shape == (42, 16, 4)  # all windows, as they lie in the image
    assert "inside: 4 channels of 24 × 28" in words(shown.figure)


def test_rows_without_a_grid_are_drawn_but_have_no_heatmap():
    steps = model_of(
        lambda x: layers.LSTM(5, return_sequences=True, name="steps")(layers.Reshape((24, 28))(x))
    )
    shown = interpret.explain(steps, IMAGE, "steps")
    assert shown.heatmaps == {} and "steps: 5 channels of 1 × 24" in words(shown.figure)
    with pytest.raises(ValueError, match="no layer on the way to 'answer' has feature maps"):
        grad_cam(steps, IMAGE)


def test_where_all_places_are_lost_there_is_a_map_and_it_is_said():
    image = keras.Input((16, 16, 3))
    swapped = keras.ops.stack([image[..., 2], image[..., 1], image[..., 0]], axis=-1)
    x = layers.Conv2D(3, 3, activation="relu", name="first")(swapped)
    x = layers.Conv2D(4, 3, activation="relu", name="last")(x)
    model = keras.Model(image, layers.Dense(2, "softmax")(layers.GlobalAveragePooling2D()(x)))
    heat = grad_cam(with_random_weights(model), np.ones((1, 16, 16, 3), "float32"))
    assert heat.layer == "last" and heat.note[0].startswith(("stretched", "empty"))
