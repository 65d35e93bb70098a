"""Batch normalization by one kernel: the same results as Keras's own."""

import inspect
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnnlab import runtime, saving
from cnnlab.training import fused_batch_norm

ORIGINAL = inspect.unwrap(keras.layers.BatchNormalization.call)


@pytest.fixture(autouse=True)
def fused(monkeypatch):
    monkeypatch.setattr(keras.layers.BatchNormalization, "call", ORIGINAL)
    fused_batch_norm.switch_on(quiet=True)


def kernels(layer, images):
    """The names of the operations of a training call."""
    graph = tf.function(lambda given: layer(given, training=True))
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


@pytest.mark.parametrize(("shape", "epsilon"), [((7, 5, 4, 3), 1e-3), ((1, 6, 6, 1), 1e-5)])
def test_equals_keras(shape, epsilon):
    images = np.random.default_rng(0).normal(3, 2, shape).astype("float32")
    ours = trained(keras.layers.BatchNormalization.call, images, epsilon=epsilon)
    theirs = trained(ORIGINAL, images, epsilon=epsilon)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-4, atol=2e-4 * np.abs(other).max())
    layer = keras.layers.BatchNormalization()
    assert "FusedBatchNormV3" in kernels(layer, images)
    # Outside training nothing changes.
    np.testing.assert_array_equal(layer(images), ORIGINAL(layer, tf.constant(images)))


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
    layer, again = (keras.layers.BatchNormalization(**options) for _ in range(2))
    assert "FusedBatchNormV3" not in kernels(layer, images)
    again.build(shape)
    expected = ORIGINAL(again, tf.cast(images, again.compute_dtype), training=True)
    normalized = keras.layers.BatchNormalization(**options)(images, training=True)
    np.testing.assert_array_equal(tf.cast(expected, "float32"), tf.cast(normalized, "float32"))


def test_only_who_switches_it_on_has_it_and_says_so(monkeypatch, capsys):
    monkeypatch.setattr(keras.layers.BatchNormalization, "call", ORIGINAL)
    runtime.start(seed=0)
    assert keras.layers.BatchNormalization.call is ORIGINAL
    fused_batch_norm.switch_on()
    switched = keras.layers.BatchNormalization.call
    assert switched is not ORIGINAL
    assert "Batch normalization" in capsys.readouterr().out
    fused_batch_norm.switch_on(quiet=True)  # again: nothing changes
    assert keras.layers.BatchNormalization.call is switched


def test_saved_models_need_nothing_of_ours(tmp_path):
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.BatchNormalization()])
    images = np.random.default_rng(0).normal(3, 2, (8, 6, 6, 1)).astype("float32")
    model(images, training=True)
    saving.save_model(model, tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    code = (
        "import keras, numpy as np, sys\n"
        "model = keras.models.load_model('model.keras')\n"
        "np.save('output.npy', model(np.load('images.npy')))\n"
        "assert 'cnnlab' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "output.npy"), model(images), rtol=1e-5)
