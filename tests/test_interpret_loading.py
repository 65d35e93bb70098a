"""Loading: the project's models by name, files of Keras 2 and 3, nothing that could run code.

Files that are damaged or could run code are in `faults/test_models.py`.
"""

import json

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from cnnlab.interpret.model import keras2, loading
from cnnlab.interpret.model.loading import load

SUFFIXES = (".keras", ".h5")
IMAGES = np.random.default_rng(0).uniform(0, 1, (2, 8, 8, 3)).astype("float32")
# Keras asks for its own format and warns of lambdas; for both there are tests here.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*HDF5 file", "ignore:.*serialized includes a .lambda", "ignore:Do not pass an .input"
)


def with_layer(*between, ending="softmax"):
    image = keras.Input((8, 8, 3))
    features = layers.Conv2D(2, 3, name="conv")(image)
    for layer in between:
        features = layer(features)
    row = layers.Flatten()(features)
    return keras.Model(image, layers.Dense(3, ending, name="answer")(row))


def saved(model, folder, suffix=".keras"):
    path = folder / f"model{suffix}"
    model.save(path)
    return path


# --- what is loaded


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_of_keras_3(tmp_path, suffix):
    inner = keras.Sequential([layers.Conv2D(2, 3, padding="same")], name="inner")
    operation = [lambda x: 2 * ops.abs(x)] if suffix == ".keras" else []  # .h5 holds layers only
    # Keras writes TensorFlow's softmax, and does not know it when it reads.
    model = with_layer(layers.BatchNormalization(), inner, inner, *operation, ending=tf.nn.softmax)
    model.compile("adam", "categorical_crossentropy")
    path = saved(model, tmp_path, suffix)
    loaded = load(str(path))  # a string is a path too
    expected = model(IMAGES, training=False)
    np.testing.assert_allclose(loaded(IMAGES, training=False), expected, 1e-6)
    assert not loaded.compiled and loaded.name == model.name
    with pytest.raises((TypeError, ValueError)):
        keras.models.load_model(path)  # else our help is no longer needed


def test_what_keras_3_wrote_is_not_translated(tmp_path):
    inner = keras.Sequential([layers.DepthwiseConv2D(3)], name="inner")
    model = with_layer(layers.SpatialDropout2D(0.1), inner, layers.Conv2DTranspose(2, 3))
    with h5py.File(saved(model, tmp_path, ".h5")) as file:
        description = json.loads(file.attrs["model_config"])
    assert keras2.translate(description) == description


def test_calls_of_nested_models_are_counted_from_0():
    """As Keras 2 writes: a model's call 1 is its first one, a layer's is call 0."""
    calls = [("Dense", "d", ["image", 0]), ("Model", "m", ["d", 0]), ("Sequential", "s", ["m", 1])]
    description = {
        "config": {
            "layers": [
                {"class_name": kind, "name": name, "inbound_nodes": [[[*call, 0, {}]]]}
                for kind, name, call in [*calls, ("Sequential", "late", ["s", 1])]
            ],
            "input_layers": [["image", 0, 0]],
            "output_layers": [["m", 1, 0], ["s", 1, 0], ["late", 0, 0]],
        },
    }
    config = keras2.translate(description)["config"]
    first = [layer["inbound_nodes"][0][0][:2] for layer in config["layers"]]
    assert first == [["image", 0], ["d", 0], ["m", 0], ["s", 0]]
    # Keras 3 itself takes 1 off where a functional model makes an output, not for a Sequential.
    assert config["output_layers"] == [["m", 1, 0], ["s", 0, 0], ["late", 0, 0]]
    assert config["input_layers"] == ["image", 0, 0]
    assert description["config"]["input_layers"] == [["image", 0, 0]]  # a copy was changed


# --- what is not


@keras.saving.register_keras_serializable("tests")
class OfTheirOwn(layers.Layer):
    def call(self, inputs):
        return inputs


def test_code_is_refused_though_keras_was_told_to_run_it(tmp_path):
    path = saved(with_layer(layers.Lambda(lambda x: 2 * x, name="doubling")), tmp_path)
    keras.config.enable_unsafe_deserialization()
    try:
        with pytest.raises(ValueError, match="'doubling' would run Python code"):
            load(path)
    finally:
        keras.src.backend.common.global_state.set_global_attribute("safe_mode_saving", None)


def test_a_registered_class_is_loaded(tmp_path):
    model = with_layer(OfTheirOwn())
    np.testing.assert_array_equal(load(saved(model, tmp_path))(IMAGES), model(IMAGES))


def test_files_that_hold_no_model(tmp_path, monkeypatch):
    with_layer().save_weights(tmp_path / "only.weights.h5")
    with pytest.raises(ValueError, match="it may hold weights only"):
        load(tmp_path / "only.weights.h5")
    for suffix, wrong in ((".h5", "a.keras"), (".keras", "a.h5")):
        path = saved(with_layer(), tmp_path, suffix).rename(tmp_path / wrong)
        with pytest.raises(ValueError, match=f"{wrong} should be called a{suffix}"):
            load(path)
    monkeypatch.setattr(loading, "LONGEST", 1000)
    with pytest.raises(ValueError, match="the description of the layers is too long"):
        load(saved(with_layer(), tmp_path))


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ("task1-mnsit", ValueError, r"did you mean 'task1-mnist'\?.*task2-plain"),
        ("none.keras", FileNotFoundError, "there is no file none.keras"),
        (__file__, ValueError, "must end in .keras, .h5 or .hdf5"),
        (3, TypeError, "by its name or path, not from 3"),
    ],
)
def test_names_and_paths_that_lead_nowhere(wrong, error, message):
    with pytest.raises(error, match=message):
        load(wrong)


def test_a_model_whose_notebook_was_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr("cnnlab.pretrained.repository_root", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match="Task-2.ipynb makes it"):
        load("task2")
