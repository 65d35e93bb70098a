"""Heatmaps against other ways to the same numbers: by hand, by finite differences, by tf-keras-vis.

And against the ways in which others have gone wrong, one test each.
"""

import warnings

import keras
import numpy as np
import pytest
from keras import layers
from models import with_random_weights

from cnnlab.interpret import grad_cam
from cnnlab.interpret.gradcam import METHODS

with warnings.catch_warnings():  # they use names of SciPy's that are going
    warnings.simplefilter("ignore", DeprecationWarning)
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

SIZE = 8


def some_images(count=4, seed=0):
    shape = (count, SIZE, SIZE, 3)
    return np.random.default_rng(seed).uniform(0, 1, shape).astype("float32")


def small(ending="softmax", units=3, hidden=()):
    """A convolution, a pooling, dense layers."""
    parts = [
        layers.Conv2D(4, 3, activation="relu", name="conv"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        *hidden,
        layers.Dense(units, ending, name="answer"),
    ]
    return with_random_weights(keras.Sequential([keras.Input((SIZE, SIZE, 3)), *parts]))


def of_numbers(pixels, parts, *weights):
    """A model of one gray image size with given weights."""
    model = keras.Sequential([keras.Input((*np.shape(pixels), 1)), *parts])
    model.set_weights([np.asarray(value, "float32") for value in weights])
    return model


# --- by hand


RAMP = np.arange(16, dtype="float32").reshape(4, 4)


def ramp_model(*dense):
    """Two feature maps, the ramp and 15 - ramp, averaged, and two logits of them."""
    parts = [layers.Conv2D(2, 1, name="conv"), layers.GlobalAveragePooling2D()]
    kernel, bias = [[[[1, -1]]]], [0, 15]
    return of_numbers(RAMP, [*parts, layers.Dense(2, "softmax")], kernel, bias, dense, [0, 0])


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        # The gradients are 2/16 and 1/16 everywhere, or 1/16 and -1/16; each map adds up to 120.
        ("grad-cam", 0, (2 * RAMP + (15 - RAMP)) / 16),
        ("grad-cam", 1, (RAMP - (15 - RAMP)) / 16),
        ("layercam", 0, (2 * RAMP + (15 - RAMP)) / 16),
        ("layercam", 1, RAMP / 16),
        # alpha = 1 / (2 + 120 g), the weight is 16 alpha g where g is positive
        ("grad-cam++", 0, 2 / (2 + 120 / 8) * RAMP + 1 / (2 + 120 / 16) * (15 - RAMP)),
        ("grad-cam++", 1, 1 / (2 + 120 / 16) * RAMP),
    ],
)
def test_a_ramp_by_hand(method, target, expected):
    found = grad_cam(ramp_model([2, 1], [1, -1]), RAMP, target=target, method=method)
    np.testing.assert_allclose(found.raw, [expected], 1e-6, 1e-6)
    # A cell of a 1 x 1 convolution is a pixel, so nothing is enlarged.
    np.testing.assert_allclose(found.maps[0], expected.clip(0) / expected.max(), 1e-6, 1e-7)
    assert found.peak == pytest.approx(expected.max(), rel=1e-6)
    assert found.scores == pytest.approx([22.5 if target == 0 else 0.0])  # both maps average 7.5
    assert (found.note, found.method, *found.targets) == (("",), method, target)


# --- by finite differences


def combined(method, maps, gradients):
    """The three formulas in plain loops over one image, (h, w, channels) in float64."""
    total = np.zeros(maps.shape[:2])
    for channel in range(maps.shape[2]):
        a, g = maps[..., channel], gradients[..., channel]
        if method == "grad-cam":
            weight = g.mean()
        elif method == "layercam":
            weight = np.maximum(g, 0)
        else:
            below = 2 * g**2 + a.sum() * g**3
            alpha = np.divide(g**2, below, out=np.zeros_like(g), where=below != 0)
            weight = (alpha * np.maximum(g, 0)).sum()
        total += weight * a
    return total


def logits_after_the_maps(model, maps):
    """The dense part of `smooth`, in float64 and without Keras."""
    first, first_bias, second, second_bias = map(np.float64, model.get_weights()[2:])
    return np.tanh(maps.reshape(len(maps), -1) @ first + first_bias) @ second + second_bias


def smooth():
    image = keras.Input((5, 5, 2))
    maps = layers.Conv2D(3, 2, activation="relu", name="conv")(image)
    hidden = layers.Dense(6, "tanh")(layers.Flatten()(maps))
    return with_random_weights(keras.Model(image, layers.Dense(3, "softmax")(hidden)), seed=3)


def numeric_gradients(model, maps, target, step=1e-5):
    """The gradient of a logit at the feature maps of one image, by central differences."""
    moves = np.eye(maps.size).reshape(-1, *maps.shape) * step
    up, down = (logits_after_the_maps(model, maps + move)[:, target] for move in (moves, -moves))
    return ((up - down) / (2 * step)).reshape(maps.shape)


@pytest.mark.parametrize("method", METHODS)
def test_raw_sums_by_finite_differences(method):
    model = smooth()
    images = np.random.default_rng(1).normal(size=(3, 5, 5, 2)).astype("float32")
    maps = np.float64(keras.Model(model.input, model.get_layer("conv").output)(images))
    logits = logits_after_the_maps(model, maps)
    np.testing.assert_allclose(keras.ops.softmax(logits), model(images), 1e-5)
    for targets in ([0, 1, 2], [1, 2, 0], [2, 0, 1]):
        found = grad_cam(model, images, target=targets, method=method)
        np.testing.assert_allclose(found.scores, logits[range(3), targets], 1e-5, 1e-6)
        for number, of_image in enumerate(maps):
            gradients = numeric_gradients(model, of_image, targets[number])
            expected = combined(method, of_image, gradients)
            assert np.abs(expected).max() > 1e-3
            np.testing.assert_allclose(found.raw[number], expected, 1e-5, 1e-5)


# --- tf-keras-vis 0.8.7, on a copy that ends linearly, as it needs


def test_grad_cam_as_by_tf_keras_vis():
    model, images, targets = small(), some_images(), [0, 1, 2, 1]
    copied = keras.models.clone_model(model)
    copied.set_weights(model.get_weights())
    copied.layers[-1].activation = keras.activations.linear
    expected = Gradcam(copied)(
        CategoricalScore(targets), images, "conv", expand_cam=False, normalize_cam=False
    )
    found = grad_cam(model, images, target=targets, layer="conv")
    assert np.max(expected) > 0.01
    np.testing.assert_allclose(found.raw.clip(0), expected, 1e-5, 1e-6)


# --- failures of others, one test each


def test_a_head_that_is_quite_sure_still_has_a_map():
    model, images = small(), some_images()
    before = grad_cam(model, images, target=0)
    model.layers[-1].set_weights([1e4 * weights for weights in model.layers[-1].get_weights()])
    answers = np.asarray(model(images))
    assert set(answers.ravel()) <= {0, 1}  # saturated: the probability has no gradient at all
    after = grad_cam(model, images, target=0)
    np.testing.assert_allclose(after.raw, 1e4 * before.raw, 1e-4)
    np.testing.assert_allclose(after.maps, before.maps, 1e-4, 1e-5)
    assert after.maps.max() == 1


def test_maps_are_as_large_as_images_that_are_not_square():
    stack = [keras.Input((12, 7, 1)), layers.Conv2D(3, 3, strides=2), layers.Flatten()]
    model = with_random_weights(keras.Sequential([*stack, layers.Dense(2)]))
    heat = grad_cam(model, np.random.default_rng(0).uniform(size=(2, 12, 7)), target=0)
    assert heat.maps.shape == (2, 12, 7) and heat.raw.shape == (2, 5, 3)
    assert heat.maps.dtype == heat.raw.dtype == heat.scores.dtype == "float32"


# --- why a map is empty


def empty(found, words, peak):
    np.testing.assert_array_equal(found.maps, 0)
    assert all(note.startswith("empty: ") and words in note for note in found.note), found.note
    np.testing.assert_allclose(found.peak, peak, 1e-5)


def test_empty_because_every_place_speaks_against_the_class():
    found = grad_cam(ramp_model([-2, 1], [-1, 1]), RAMP, target=0)
    empty(found, "no position speaks for the class, the highest raw value is -0.938", -15 / 16)
    np.testing.assert_allclose(found.raw[0], -(15 + RAMP) / 16, 1e-6)


def test_empty_because_something_is_off_or_nonsense():
    model = small(hidden=[layers.Dense(6, "relu")])
    first, hidden = model.layers[0], model.layers[-2]
    hidden.bias.assign_sub([1000] * 6)
    empty(grad_cam(model, some_images()), "no gradient arrives", 0)
    first.bias.assign_sub([1000] * 4)
    empty(grad_cam(model, some_images()), "the layer is dead, it gives 0 everywhere", 0)
    first.bias.assign([np.inf, 0, 0, 0])
    first.activation = keras.activations.linear  # a relu can make 0 of NaN
    found = grad_cam(model, some_images())
    np.testing.assert_array_equal(found.maps, 0)
    assert set(found.note) == {"empty: the network computes NaN or infinity for this image"}


def test_empty_because_only_the_padding_speaks_for_the_class():
    parts = [layers.ZeroPadding2D(2), layers.Conv2D(1, 1), layers.GlobalAveragePooling2D()]
    model = of_numbers(RAMP, [*parts, layers.Dense(1)], [[[[-1]]]], [1], [[1]], [0])
    found = grad_cam(model, np.ones((4, 4), "float32"))
    assert found.raw.max() > 0
    empty(found, "what speaks for a higher number lies outside the pixels, in padding", 1 / 64)


def test_a_layer_with_a_single_place_is_noted():
    parts = [layers.Conv2D(1, 4), layers.Flatten(), layers.Dense(1)]
    model = of_numbers(RAMP, parts, np.ones((4, 4, 1, 1)), [0], [[1]], [0])
    found = grad_cam(model, RAMP)
    np.testing.assert_array_equal(found.maps, 1)
    assert found.note == ("the layer has a single position, so the heat is the same everywhere",)


# --- what holds for all images and weights


SMALL = small()


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_explained_as_its_images_one_by_one(method):
    images = some_images(5)
    images[0], images[1], images[2] = 0, 1, 0  # black, white, a single bright pixel
    images[2, 3, 4] = 1
    for seed in range(10):
        model = with_random_weights(SMALL, seed)
        together = grad_cam(model, images, method=method)
        assert together.maps.min() >= 0
        for number, image in enumerate(images):
            alone = grad_cam(model, image, method=method)
            assert alone.targets[0] == together.targets[number]
            np.testing.assert_allclose(alone.raw[0], together.raw[number], 1e-4, 1e-5)
            np.testing.assert_allclose(alone.scores[0], together.scores[number], 1e-4, 1e-5)
            is_empty = alone.note[0].startswith("empty")
            assert alone.maps.max() == (0 if is_empty else 1)
            assert is_empty == (alone.peak <= 0)


def test_more_images_than_fit_in_a_batch(monkeypatch):
    images = some_images(10)
    at_once = grad_cam(SMALL, images)
    monkeypatch.setattr("cnnlab.interpret.gradcam.BATCH", 4)
    in_parts = grad_cam(SMALL, images)
    np.testing.assert_allclose(in_parts.maps, at_once.maps, 1e-4, 1e-5)
    np.testing.assert_allclose(in_parts.scores, at_once.scores, 1e-4, 1e-5)
