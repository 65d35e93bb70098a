"""Loading: the project's models by name, files of Keras 2 and 3, nothing that could run code.

Files that are damaged or could run code are in `faults/test_models.py`.
"""

import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from cnnlab.interpret.model import files, keras2_graphs
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


@pytest.mark.filterwarnings("ignore:.*HDF5 file")
def test_what_h5_files_of_keras_3_say_is_read_as_it_was_meant(tmp_path):
    """Operations, and axes that are not one number, which Keras itself reads as something else."""
    image = keras.Input((8, 8, 3))
    adapted = layers.Normalization(axis=None)
    adapted.adapt(10 * IMAGES)
    inside = layers.Normalization()
    inside.adapt(IMAGES)
    features = keras.Sequential([keras.Input((8, 8, 3)), inside])(adapted(image / 2.0))
    features = layers.Softmax(axis=(1, 2))(features + ops.relu(features)[..., ::-1])
    model = keras.Model(image, layers.LayerNormalization(axis=(1, 2))(features))
    expected = model(IMAGES, training=False)
    loaded = load(saved(model, tmp_path, ".h5"))
    np.testing.assert_allclose(loaded(IMAGES, training=False), expected, 1e-5, 1e-6)


def test_calls_of_nested_models_are_counted_from_0():
    """As Keras 2 writes: a model's call 1 is its first one, a layer's is call 0."""
    calls = [
        ("Dense", "d", ["image", 0]),
        ("Functional", "m", ["d", 0]),
        ("Sequential", "s", ["m", 1]),
    ]
    config = {
        "layers": [
            {"class_name": kind, "name": name, "inbound_nodes": [[[*call, 0, {}]]]}
            for kind, name, call in [*calls, ("Sequential", "late", ["s", 1])]
        ],
        "input_layers": [["image", 0, 0]],
        "output_layers": [["m", 1, 0], ["s", 1, 0], ["late", 0, 0]],
    }
    config["layers"].insert(0, {"class_name": "InputLayer", "name": "image", "inbound_nodes": []})
    keras2_graphs.translate(config)
    given = [layer["inbound_nodes"][0]["args"][0]["config"] for layer in config["layers"][1:]]
    first = [tensor["keras_history"][:2] for tensor in given]
    assert first == [["image", 0], ["d", 0], ["m", 0], ["s", 0]]
    # Keras 3 itself takes 1 off where a functional model makes an output, not for a Sequential.
    assert config["output_layers"] == [["m", 1, 0], ["s", 0, 0], ["late", 0, 0]]
    assert config["input_layers"] == ["image", 0, 0]


def a_loss(wanted, given):
    return ops.mean(wanted - given)


class Loss(keras.losses.Loss):
    def call(self, wanted, given):
        return ops.mean(wanted - given)


@pytest.mark.parametrize("loss", [a_loss, Loss(), lambda wanted, given: 0 * given])
def test_what_only_training_needs_is_not_looked_at(tmp_path, loss):
    inner = keras.Sequential([layers.Conv2D(3, 3, padding="same")], name="inner")
    model = with_layer(inner)
    for compiled in (model, inner):
        compiled.compile("adam", loss, metrics=[a_loss])
    loaded = load(saved(model, tmp_path))
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))
    assert not loaded.compiled and not loaded.get_layer("inner").compiled


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
    with pytest.raises(ValueError, match="if it holds weights only, load them"):
        load(tmp_path / "only.weights.h5")
    for suffix, wrong in ((".h5", "a.keras"), (".keras", "a.h5")):
        path = saved(with_layer(), tmp_path, suffix).rename(tmp_path / wrong)
        with pytest.raises(ValueError, match=f"{wrong} should be called a{suffix}"):
            load(path)
    monkeypatch.setattr(files, "LONGEST", 1000)
    with pytest.raises(ValueError, match="the description of the layers is too long"):
        load(saved(with_layer(), tmp_path))


@pytest.mark.parametrize("suffix", [".weights.h5", ".hdf5"])
def test_a_whole_model_is_read_whatever_its_name_says(tmp_path, suffix):
    model = with_layer()
    path = saved(model, tmp_path, ".h5").rename(tmp_path / f"best{suffix}")
    np.testing.assert_array_equal(load(path)(IMAGES), model(IMAGES))


def test_a_class_of_a_package_that_was_not_imported(tmp_path):
    described = {"module": "keras_hub.models", "class_name": "Hub", "config": {}}
    with zipfile.ZipFile(tmp_path / "hub.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(described))
    with pytest.raises(ValueError, match="does not have; import keras_hub before"):
        load(tmp_path / "hub.keras")


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
