"""Models of several inputs: one is the image, the others are given."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from models import with_random_weights

from cnnlab import interpret
from cnnlab.interpret import attribute, checks, grad_cam, with_given

SIDE = 12
IMAGES = np.random.default_rng(0).random((3, SIDE, SIDE, 3)).astype(np.float32)
AGE, OTHER = np.float32([0.3]), np.random.default_rng(1).random((8, 8, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    photo, scan = keras.Input((SIDE, SIDE, 3), name="photo"), keras.Input((8, 8, 1), name="scan")
    age = keras.Input((1,), name="age")
    first = layers.Conv2D(5, 3, activation="relu", name="conv")(photo / 255)
    second = layers.Conv2D(4, 3, activation="relu", name="other")(scan)
    row = [layers.Flatten()(first), layers.Flatten()(second), layers.Dense(3)(age)]
    answer = layers.Dense(4, "softmax", name="kind")(layers.Concatenate()(row))
    return with_random_weights(keras.Model([scan, photo, age], answer))


def test_the_heatmap_is_that_of_the_image(model):
    given = with_given(model, "photo", age=AGE, scan=OTHER)
    others = [np.repeat(part[None], 3, axis=0) for part in (OTHER, AGE)]
    expected = model.predict([others[0], IMAGES, others[1]], verbose=0)
    heat = grad_cam(given, IMAGES, target=1)
    assert heat.layer.endswith("/conv") and heat.note == ("",) * 3
    np.testing.assert_allclose(heat.answers, expected, 1e-5, 1e-7)
    inner = keras.Model(model.inputs, model.get_layer("conv").output)
    features = inner([others[0], IMAGES, others[1]])
    kernel, _ = model.get_layer("kind").get_weights()
    weights = kernel[: 10 * 10 * 5, 1].reshape(10, 10, 5).mean(axis=(0, 1))  # of the logit
    np.testing.assert_allclose(heat.raw, tf.einsum("nhwk,k->nhw", features, weights), 1e-3, 1e-6)


def test_all_else_works_with_it(model):
    given = with_given(model, "photo", age=AGE, scan=OTHER)
    shown = interpret.explain(given, np.zeros((20, 30, 3), np.uint8))
    assert shown.heatmaps and "guessed" not in shown.summary  # it is divided by 255
    assert attribute(given, IMAGES, method="gradients").raw.any()
    assert np.isfinite(checks.randomization(given, IMAGES).signed).any()
    assert interpret.maximize_filters(given, "conv", filters=[0]).images.shape == (1, SIDE, SIDE, 3)


def test_more_images_than_one_are_given_the_same(model):
    given = with_given(model, "photo", age=AGE, scan=OTHER)
    one = [grad_cam(given, image).raw[0] for image in IMAGES]
    np.testing.assert_allclose(grad_cam(given, IMAGES).raw, one, 1e-4, 1e-6)


@pytest.mark.parametrize(
    ("image", "others", "words"),
    [
        ("foto", {"age": AGE, "scan": OTHER}, "no input 'foto'; the model takes scan, photo, age"),
        ("photo", {"age": AGE}, "input 'scan' is not given"),
        ("photo", {"age": AGE, "scan": OTHER, "photo": IMAGES[0]}, "'photo' is the image itself"),
        ("photo", {"age": [1, 2], "scan": OTHER}, r"input 'age' takes \(1,\), not \(2,\)"),
    ],
)
def test_what_is_wrong(model, image, others, words):
    with pytest.raises(ValueError, match=words):
        with_given(model, image, **others)


def test_without_it_a_sentence_says_so(model):
    with pytest.raises(ValueError, match="give the other inputs with interpret.with_given"):
        grad_cam(model, IMAGES)
