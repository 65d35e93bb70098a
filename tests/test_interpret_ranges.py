"""What black and white are for a model is read through whatever it first does, or not at all."""

from inspect import signature

import keras
import numpy as np
import pytest
from keras import layers, ops

from cnnlab.interpret.model.kinds import AUGMENTING
from cnnlab.interpret.model.network import inspect_model
from cnnlab.interpret.model.ranges import input_range, preprocessing_of
from cnnlab.preprocessing import Preprocessing

BYTES, UNIT, SIGNED = (0, 255), (0, 1), (-1, 1)
MEAN, DEVIATION = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
CAFFE = np.float32([103.9, 116.8, 123.7])


def constant(value):
    return keras.initializers.Constant(value)


def learned(mean, variance=1.0):
    """A batch normalization after a training on images of this mean and variance."""
    initial = constant(mean), constant(variance)
    names = "moving_mean_initializer", "moving_variance_initializer"
    return layers.BatchNormalization(**dict(zip(names, initial, strict=True)))


def adapted(images):
    layer = layers.Normalization()
    layer.adapt(images)
    return layer


def scaled(x):
    return layers.Rescaling(1 / 255)(x)


def inside(shape=(4, 4, 3)):
    image = keras.Input(shape)
    return keras.Model(image, scaled(layers.Concatenate()([image, image])))


PHOTOS = np.random.default_rng(0).uniform(0, 255, (9, 4, 4, 3))
DARK = np.random.default_rng(0).binomial(1, 0.005, (999, 4, 4, 3)) * 200.0  # of mean 1

FIRST = {
    # scaled
    "flipped, scaled": (lambda x: scaled(layers.RandomFlip()(x)), BYTES),
    "around 0": (layers.Rescaling(1 / 127.5, offset=-1), BYTES),
    "around 127.5, by 128": (lambda x: (x - 127.5) * 0.0078125, BYTES),
    "by 256": (layers.Rescaling(1 / 256), BYTES),
    "around 128, by 127": (lambda x: (x - 128) / 127, BYTES),
    "cropped, around 0": (
        lambda x: layers.Rescaling(1 / 127.5, -1)(
            layers.CenterCrop(2, 2)(layers.Resizing(3, 3)(x))
        ),
        BYTES,
    ),
    "padded, scaled": (lambda x: scaled(layers.ZeroPadding2D(3)(x)), BYTES),
    "from -1..1": (lambda x: (x + 1) / 2, SIGNED),
    "inverted": (lambda x: 1 - x, UNIT),
    "negative, shifted": (lambda x: -x / 255 + 1, BYTES),
    "multiplied": (lambda x: ops.multiply(ops.cast(x, "float32"), 1 / 255), BYTES),
    "nested": (lambda x: inside()(x), BYTES),
    "nested twice": (lambda x: keras.Sequential([inside()])(layers.RandomZoom(0.1)(x)), BYTES),
    # by mean and deviation
    "mean of MNIST": (layers.Rescaling(1 / 78.6, offset=-33.3 / 78.6), BYTES),
    "mean of a channel": (lambda x: (x - np.float32([123.7, 116.8, 103.9])) / 58, BYTES),
    "torch": (lambda x: (x / 255 - MEAN) / DEVIATION, BYTES),
    "torch of 0..1": (lambda x: (x - MEAN) / DEVIATION, UNIT),
    "caffe": (lambda x: x[..., ::-1] - CAFFE, BYTES),
    "caffe of 0..1": (lambda x: 255 * x - CAFFE, UNIT),
    "caffe of -1..1": (lambda x: (x + 1) * 127.5 - CAFFE, SIGNED),
    "less the mean image": (
        lambda x: x - np.linspace(0, 90, 48, dtype="f").reshape(4, 4, 3),
        BYTES,
    ),
    "dark images": (lambda x: (x / 255 - 0.004) / 0.05, BYTES),
    "normalized": (layers.Normalization(mean=[100.0, 1.0, 1.0], variance=[1.0] * 3), BYTES),
    "adapted": (adapted(PHOTOS), BYTES),
    "adapted to 0..1": (adapted(PHOTOS / 255), UNIT),
    "adapted to -1..1": (adapted(2 * (PHOTOS / 255) ** 2 - 1), SIGNED),
    "adapted to dark images": (adapted(DARK), BYTES),
    "learned": (learned(40), BYTES),
    "multiplied, learned": (lambda x: learned(100)(255 * x), UNIT),
    "scaled, not learned": (lambda x: layers.BatchNormalization()(scaled(x)), BYTES),
    # in other channels
    "three times": (lambda x: scaled(layers.Concatenate()([x[..., :1]] * 3)), BYTES),
    "repeated": (lambda x: ops.repeat(x[..., 1:2], 3, axis=-1) / 255, BYTES),
    "stacked": (lambda x: ops.stack([x[..., 0] - 103.9, x[..., 2] - 123.7], axis=-1), BYTES),
    "split": (lambda x: ops.concatenate(ops.split(x, 3, axis=-1)[::-1], -1) - CAFFE, BYTES),
    "taken": (lambda x: ops.take(x, [2, 1, 0], axis=-1) - CAFFE, BYTES),
    "transposed": (lambda x: ops.transpose(x, (0, 2, 1, 3)) / 255, BYTES),
    "permuted": (lambda x: scaled(layers.Permute((2, 1, 3))(x)), BYTES),
    "gray": (lambda x: ops.image.rgb_to_grayscale(x) / 255, BYTES),
    "enlarged": (lambda x: scaled(layers.UpSampling2D(2)(x)), BYTES),
    "with a coordinate": (
        lambda x: scaled(ops.concatenate([x, 0 * x[..., :1] + 7], axis=-1)),
        BYTES,
    ),
    "two ways": (
        lambda x: ops.concatenate([layers.Conv2D(1, 3, padding="same")(x), scaled(x)], axis=-1),
        BYTES,
    ),
    # nothing is known
    "nothing": (lambda x: x, None),
    "not learned": (layers.BatchNormalization(), None),
    "rectified": (lambda x: scaled(layers.ReLU()(x)), None),
    "divided": (lambda x: 255 / x, None),
    "squared": (lambda x: ops.square(x) / 255, None),
    "around a mean of 0": (learned(-0.02, 1.1), None),
    "standardized before": (learned(0.015, 1.0), None),
    "-1..1, brighter than the middle": (adapted(2 * (PHOTOS / 255) ** 0.7 - 1), None),
}


def view_of(first, shape=(4, 4, 3), dtype="float32"):
    image = keras.Input(shape, dtype=dtype)
    return inspect_model(keras.Model(image, layers.Conv2D(1, 1)(first(image))))


@pytest.mark.parametrize("name", FIRST)
def test_the_range_is_read_from_what_comes_first(name):
    first, expected = FIRST[name]
    found = input_range(view_of(first))
    assert found is None if expected is None else found == pytest.approx(expected, abs=1e-6)
    assert preprocessing_of(view_of(first)).guessed == (expected is None)


def test_whole_numbers_are_bytes_and_any_size_will_do():
    assert input_range(view_of(lambda x: ops.cast(x, "float32"), dtype="uint8")) == BYTES
    assert input_range(view_of(FIRST["three times"][0], (None, None, 3))) == BYTES


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "densenet", "inception_v3", "mobilenet"])
def test_preprocess_input_of_keras_inside_of_a_model(name):
    """All of them take 0..255 and make something else of it."""
    preprocess = getattr(keras.applications, name).preprocess_input
    assert input_range(view_of(preprocess)) == BYTES


@pytest.mark.parametrize("layer", AUGMENTING, ids=lambda layer: layer.__name__)
def test_what_augments_changes_nothing_when_predicting(layer):
    needed = [p for p in signature(layer).parameters.values() if p.default is p.empty]
    needed = [p for p in needed if p.kind is p.POSITIONAL_OR_KEYWORD]
    value = 4 if layer in (layers.RandomCrop, layers.RandomPosterization) else 0.2
    images = PHOTOS.astype("float32")
    made = layer(*[value] * len(needed))(images, training=False)
    np.testing.assert_array_equal(made, images)


def test_what_is_asked_for_goes_first():
    view = view_of(scaled)
    assert preprocessing_of(view) == Preprocessing(0.0, 255.0)
    assert preprocessing_of(view, "-0.5..5e-1") == Preprocessing(-0.5, 0.5)
    assert preprocessing_of(view, "xception", bgr=True) == Preprocessing(-1.0, 1.0, bgr=True)
    for asked, bgr, words in (
        ("caffe", False, "caffe is for three color channels, and the model takes 1"),
        ("0..1", True, "bgr is for three"),
        ("resnet5", False, r"no preprocessing 'resnet5' \(did you mean 'resnet50'\?\); .*torch"),
        ("1..0", False, "two numbers, low < high"),
        ("0..1..2", False, "no preprocessing '0..1..2'"),
    ):
        with pytest.raises(ValueError, match=words):
            preprocessing_of(view_of(scaled, (4, 4, 1)), asked, bgr)
