"""Loading: the project's models by name, files of Keras 2 and 3, nothing that could run code.

Files that are damaged or could run code are in `faults/test_models.py`.
"""

import json
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from cnnlab.interpret.model import keras2, loading
from cnnlab.interpret.model.loading import load

DATA = Path(__file__).parent / "data"
SUFFIXES = (".keras", ".h5")
IMAGES = np.random.default_rng(0).uniform(0, 1, (2, 8, 8, 3)).astype("float32")
# Keras asks for its own format and warns of lambdas; for both there are tests here.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*HDF5 file", "ignore:.*serialized includes a .lambda", "ignore:Do not pass an .input"
)


def with_layer(*between, activation="softmax"):
    image = keras.Input((8, 8, 3))
    features = layers.Conv2D(2, 3, name="conv")(image)
    for layer in between:
        features = layer(features)
    row = layers.Flatten()(features)
    return keras.Model(image, layers.Dense(3, activation, name="answer")(row))


def nested(layer):
    return keras.Sequential([keras.Input((6, 6, 2)), layer], name="inner")


def saved(model, folder, suffix=".keras"):
    folder.mkdir(exist_ok=True)
    path = folder / f"model{suffix}"
    model.save(path)
    return path


# --- what is loaded


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_of_keras_3(tmp_path, suffix):
    inner = nested(layers.Conv2D(2, 3, padding="same"))
    operation = [lambda x: 2 * ops.abs(x)] if suffix == ".keras" else []  # .h5 holds layers only
    model = with_layer(layers.BatchNormalization(), inner, inner, *operation)
    model.compile("adam", "categorical_crossentropy")
    loaded = load(str(saved(model, tmp_path, suffix)))  # a string is a path too
    np.testing.assert_array_equal(loaded(IMAGES, training=False), model(IMAGES, training=False))
    assert not loaded.compiled and loaded.name == model.name


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_softmax_of_tensorflow(tmp_path, suffix):
    model = with_layer(activation=tf.nn.softmax)
    path = saved(model, tmp_path, suffix)
    np.testing.assert_allclose(load(path)(IMAGES), model(IMAGES), 1e-6)
    with pytest.raises((TypeError, ValueError)):
        keras.models.load_model(path)  # else our help is no longer needed


@pytest.mark.parametrize("name", ["keras2_functional", "keras2_nested"])
def test_files_of_keras_2_are_read_and_stay_as_they_were(name, tmp_path):
    """What these models predict is tested with the models."""
    path = tmp_path / "read only.h5"
    before = (DATA / f"{name}.h5").read_bytes()
    path.write_bytes(before)
    path.chmod(0o444)
    assert load(path).built
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises((TypeError, ValueError)):
        keras.models.load_model(path, compile=False)  # else the translation is no longer needed


def test_what_keras_3_wrote_is_not_translated(tmp_path):
    inner = nested(layers.DepthwiseConv2D(3))
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
    registered = type("Registered", (OfTheirOwn,), {})
    keras.saving.register_keras_serializable("tests")(registered)
    try:
        model = with_layer(registered())
        np.testing.assert_array_equal(load(saved(model, tmp_path))(IMAGES), model(IMAGES))
    finally:
        keras.saving.get_custom_objects().clear()


def test_a_description_that_is_too_long_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "LONGEST", 1000)
    with pytest.raises(ValueError, match="the description of the layers is too long"):
        load(saved(with_layer(), tmp_path))


def test_weights_without_their_model(tmp_path):
    with_layer().save_weights(tmp_path / "only.weights.h5")
    with pytest.raises(ValueError, match="it may hold weights only"):
        load(tmp_path / "only.weights.h5")


def test_the_wrong_suffix_is_named(tmp_path):
    for suffix, wrong in ((".h5", "a.keras"), (".keras", "a.h5")):
        path = saved(with_layer(), tmp_path, suffix).rename(tmp_path / wrong)
        with pytest.raises(ValueError, match=f"{wrong} should be called a{suffix}"):
            load(path)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ("task1-mnsit", ValueError, r"did you mean 'task1-mnist'\?.*task2-plain"),
        ("", ValueError, "is a folder"),
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
