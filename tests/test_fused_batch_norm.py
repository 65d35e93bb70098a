"""Batch normalization by one kernel: the same results as Keras's own."""

import inspect
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnnlab import runtime
from cnnlab.training import fused_batch_norm

ORIGINAL = inspect.unwrap(keras.layers.BatchNormalization.call)


@pytest.fixture(autouse=True)
def fused(monkeypatch):
    monkeypatch.setattr(keras.layers.BatchNormalization, "call", ORIGINAL)
    fused_batch_norm.switch_on(quiet=True)


def kernels(layer, images, **options):
    """The names of the operations of a training call."""
    graph = tf.function(lambda given: layer(given, training=True, **options))
    operations = graph.get_concrete_function(tf.TensorSpec(images.shape, images.dtype)).graph
    return {operation.type for operation in operations.get_operations()}


def trained(call, images, **options):
    """Outputs, gradients and weights of a layer after three training calls."""
    layer = keras.layers.BatchNormalization(momentum=0.9, **options)
    layer.build(images.shape)
    layer.gamma.assign(np.linspace(0.5, 2, images.shape[-1]))
    layer.beta.assign(np.linspace(-1, 1, images.shape[-1]))
    images = tf.constant(images)
    for _ in range(3):
        with tf.GradientTape() as tape:
            tape.watch(images)
            normalized = call(layer, images, training=True)
            loss = tf.reduce_sum(normalized**3)
        gradients = tape.gradient(loss, [images, *layer.trainable_variables])
    return [normalized, *gradients, *layer.weights]


@pytest.mark.parametrize("shape", [(7, 5, 4, 3), (1, 6, 6, 1), (128, 3, 3, 32)])
@pytest.mark.parametrize("epsilon", [1e-3, 1e-5])
def test_equals_keras(shape, epsilon):
    images = np.random.default_rng(0).normal(3, 2, shape).astype("float32")
    ours = trained(keras.layers.BatchNormalization.call, images, epsilon=epsilon)
    theirs = trained(ORIGINAL, images, epsilon=epsilon)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-4, atol=2e-4 * np.abs(other).max())


def test_the_kernel_is_used():
    layer = keras.layers.BatchNormalization()
    assert "FusedBatchNormV3" in kernels(layer, np.zeros((2, 4, 4, 3), "float32"))


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"axis": 1}, (2, 4, 4, 3)),
        ({"scale": False}, (2, 4, 4, 3)),
        ({"center": False}, (2, 4, 4, 3)),
        ({"renorm": True}, (2, 4, 4, 3)),
        ({"trainable": False}, (2, 4, 4, 3)),
        ({"dtype": "mixed_bfloat16"}, (2, 4, 4, 3)),
        ({}, (6, 5)),
    ],
)
def test_what_the_kernel_cannot_do_is_left_to_keras(options, shape):
    images = np.random.default_rng(0).normal(3, 2, shape).astype("float32")
    layer = keras.layers.BatchNormalization(**options)
    assert "FusedBatchNormV3" not in kernels(layer, images)
    again = keras.layers.BatchNormalization(**options)
    again.build(shape)
    expected = ORIGINAL(again, tf.cast(images, again.compute_dtype), training=True)
    found = keras.layers.BatchNormalization(**options)(images, training=True)
    np.testing.assert_array_equal(np.asarray(expected, "float32"), np.asarray(found, "float32"))


def test_outside_training_nothing_changes():
    images = np.random.default_rng(0).normal(3, 2, (3, 4, 4, 2)).astype("float32")
    layer = keras.layers.BatchNormalization()
    layer(images, training=True)
    np.testing.assert_array_equal(layer(images), ORIGINAL(layer, tf.constant(images)))


def test_second_call_changes_nothing():
    before = keras.layers.BatchNormalization.call
    fused_batch_norm.switch_on(quiet=True)
    assert keras.layers.BatchNormalization.call is before


def test_only_who_switches_it_on_has_it_and_says_so(monkeypatch, capsys):
    monkeypatch.setattr(keras.layers.BatchNormalization, "call", ORIGINAL)
    runtime.start(seed=0)
    assert keras.layers.BatchNormalization.call is ORIGINAL
    fused_batch_norm.switch_on()
    assert keras.layers.BatchNormalization.call is not ORIGINAL
    assert "Batch normalization" in capsys.readouterr().out


def test_saved_models_need_nothing_of_ours(tmp_path):
    pixels = keras.Input((6, 6, 1))
    model = keras.Model(pixels, keras.layers.BatchNormalization()(pixels))
    model.compile("sgd", "mse")
    images = np.random.default_rng(0).normal(3, 2, (8, 6, 6, 1)).astype("float32")
    model.fit(images, images, verbose=0)
    path = runtime.save_model(model, tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    code = (
        "import keras, numpy as np, sys\n"
        f"model = keras.models.load_model({str(path)!r})\n"
        f"images = np.load({str(tmp_path / 'images.npy')!r})\n"
        f"np.save({str(tmp_path / 'output.npy')!r}, model(images))\n"
        "assert 'cnnlab' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "output.npy"), model(images), rtol=1e-5)
