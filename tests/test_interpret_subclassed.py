"""Models with a `call` of their own, where that takes a symbol; else a sentence."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from cnnlab import interpret
from cnnlab.interpret import grad_cam

IMAGES = np.random.default_rng(0).random((3, 12, 12, 3)).astype(np.float32)


class Residual(keras.Model):
    """As in many tutorials."""

    def __init__(self):
        super().__init__(name="residual")
        self.first = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")
        self.second = layers.Conv2D(4, 3, padding="same", name="second")
        self.drop = layers.Dropout(0.5)
        self.head = layers.Dense(3, "softmax", name="kind")

    def call(self, images, training=None):
        x = self.first(images)
        x = ops.relu(x + self.second(x))
        x = self.drop(x, training=training)
        return self.head(ops.mean(x, axis=(1, 2)))


class WithTensorFlow(Residual):
    def call(self, images, training=None):
        x = self.first(images)
        if tf.reduce_max(x) > 0:
            x = x / 2
        return self.head(ops.mean(x, axis=(1, 2)))


def test_a_model_that_was_called_is_traced():
    keras.utils.set_random_seed(0)
    model = Residual()
    expected = np.asarray(model(IMAGES))
    heat = grad_cam(model, IMAGES)
    np.testing.assert_array_equal(heat.targets, expected.argmax(axis=1))
    np.testing.assert_allclose(heat.answers, expected, 1e-5)
    features = ops.relu((x := model.first(IMAGES)) + model.second(x))
    kernel = model.head.get_weights()[0][:, heat.targets]  # (4, n), of the mean over 144 cells
    raw = np.einsum("nhwk,kn->nhw", features, kernel) / 144
    np.testing.assert_allclose(heat.raw, raw, 1e-3, 1e-6)
    np.testing.assert_array_equal(np.asarray(model(IMAGES)), expected)


def test_weights_that_change_are_seen():
    model = Residual()
    model(IMAGES)
    before = grad_cam(model, IMAGES, target=0).scores
    model.head.set_weights([2 * weights for weights in model.head.get_weights()])
    np.testing.assert_allclose(grad_cam(model, IMAGES, target=0).scores, 2 * before, 1e-4)


def test_one_that_was_not_called_takes_the_shape_of_the_images():
    assert grad_cam(Residual(), IMAGES).maps.shape == (3, 12, 12)
    with pytest.raises(ValueError, match="was called with no image yet"):
        interpret.explain(Residual(), layer="first")


class Doubling(keras.Model):
    """A functional model with a `call` of its own."""

    def __init__(self):
        image = keras.Input((12, 12, 3))
        row = layers.Dense(3, name="kind")(layers.Flatten()(layers.Conv2D(2, 3)(image)))
        super().__init__(image, row)

    def call(self, images, training=None):
        return 2 * super().call(images, training=training)


def test_a_functional_model_with_a_call_of_its_own_computes_that():
    model = Doubling()
    heat = grad_cam(model, IMAGES, target=1)
    np.testing.assert_allclose(heat.scores, np.asarray(model(IMAGES))[:, 1], 1e-5)


def test_a_call_that_takes_no_symbol_is_said():
    model = WithTensorFlow()
    model(IMAGES)
    with pytest.raises(
        ValueError, match="'residual' has a call.. of its own, which takes no symbol"
    ):
        grad_cam(model, IMAGES)
