"""Linear probes, dead channels, and the images and names that belong to our models."""

import keras
import numpy as np
import pytest
from keras import layers

from cnnlab import lines, mnist, pretrained, splits
from cnnlab.interpret.activations import dead_channels
from cnnlab.interpret.checks import probes
from cnnlab.interpret.model import loading
from cnnlab.interpret.model.network import inspect_model


@pytest.fixture(scope="module")
def model():
    """Channel 0 copies the image, channel 1 is dead, channel 2 is its negative, rectified."""
    conv = layers.Conv2D(3, 1, use_bias=False, name="linear")
    stack = [conv, layers.ReLU(name="rectifier"), layers.Flatten(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((4, 4, 1)), *stack])
    conv.set_weights([np.array([1, 0, -1], np.float32).reshape(1, 1, 1, 3)])
    return model


def images(count=80, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 4, 4)).astype(np.float32)


def test_pooling_takes_mean_and_maximum_over_places():
    maps = np.array([[[[1.0, 5.0], [3.0, 1.0]]]])  # one image, 1 x 2 places, 2 channels
    np.testing.assert_array_equal(probes.pooled(maps), [[2, 3, 3, 5]])


def test_a_probe_reads_what_is_there_and_nothing_else(model):
    pixels = images()
    labels = {
        "brightness": (pixels.mean(axis=(1, 2)) > 0).astype(int),
        "noise": np.random.default_rng(9).integers(0, 2, len(pixels)),
    }
    found = probes.linear_probes(model, pixels, labels, ["linear", "rectifier"])
    assert list(found) == [probes.IMAGE, "linear", "rectifier"]
    for row in found.values():
        assert row["brightness"] >= 0.85
        assert row["noise"] <= 0.75
    with pytest.raises(ValueError, match="79 labels of 'noise' for 80 images"):
        probes.linear_probes(model, pixels, {"noise": labels["noise"][:79]})


def test_a_probe_cannot_use_position(model):
    pixels = np.zeros((80, 4, 4), np.float32)
    left = np.arange(80) % 2
    pixels[np.arange(80), 1, np.where(left, 0, 3)] = 1
    found = probes.linear_probes(model, pixels, {"left": left}, "rectifier")
    assert found["rectifier"]["left"] <= 0.7


def test_dead_channels_are_dead_for_all_images_not_for_one(model):
    found = dead_channels(model, images(600), ["rectifier"])
    np.testing.assert_array_equal(found["rectifier"], [False, True, False])
    # One image among many, in a later batch, brings a channel to life.
    bright = np.abs(images(1))
    many = np.concatenate([np.repeat(bright, 300, axis=0), -bright])
    for given, dead in ((bright, [False, True, True]), (many, [False, True, False])):
        found = dead_channels(model, given, "rectifier")
        np.testing.assert_array_equal(found["rectifier"], dead)


@pytest.mark.parametrize("name", pretrained.MODELS)
def test_every_model_of_ours_has_images_and_names(name):
    view = inspect_model(loading.load(name))
    names = pretrained.class_names(name, list(view.heads))
    assert {head: len(of_head) for head, of_head in names.items()} == {
        head.name: head.classes for head in view.heads.values()
    }
    shown = pretrained.images_for(name)
    assert shown.shape[:3] == (pretrained.COUNT, *view.graph.input_shape[:2])
    assert view.graph.input_shape[2] == (1 if shown.ndim == 3 else 3)


def test_images_were_never_trained_on():
    (x_train, y_train), (x_test, y_test) = mnist.load()
    pool, classes = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    split = splits.stratified(classes, test=0.4, seed=0)
    trained = {image.tobytes() for image in pool[np.concatenate([split.train, split.validation])]}
    shown = pretrained.images_for("task1-mnist")
    assert not any(image.tobytes() in trained for image in shown)
    official = {image.tobytes() for image in x_train}
    assert not any(i.tobytes() in official for i in pretrained.images_for("task1-mnist-long"))
    drawn = {image.tobytes() for image in lines.load().images}
    assert not any(image.tobytes() in drawn for image in pretrained.images_for("task2"))
