"""Models by name or from a file, read as plain JSON before Keras, so that no code in it is run."""

import json
import stat
import zipfile

import h5py
import keras
import numpy as np

from cnnlab.interpret.model.keras2 import readable
from cnnlab.pretrained import HDF5, find

RUNS_CODE = ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper")
IMPORTED = ("keras_hub", "keras_cv", "keras_nlp")  # Keras would import, that is run, these
# Where Keras keeps what a description without module names can be made of.
MODULES = (keras, keras.layers, keras.initializers, keras.regularizers, keras.constraints)
LONGEST = 100_000_000  # bytes of a description; a thousand layers need about one million


def load(name_or_path) -> keras.Model:
    """Return a model, not compiled: a key of `pretrained.MODELS`, or a .keras, .h5 or .hdf5 file.

    Files of Keras 2 will do. Damaged weights are always noticed in a `.keras` file; an `.h5` file
    has no checksums.

    Raises:
        TypeError, FileNotFoundError: as `pretrained.find`.
        ValueError: as there; a file without a whole model, weights that are NaN or
            infinite, or code to run: a Lambda layer or a class that is not registered.
    """
    path = find(name_or_path)
    description = _description(path)
    try:
        for layer, part in _objects(description, "the model"):
            _check(path, layer, part)
    except RecursionError:
        raise ValueError(f"{path} describes layers inside each other too deeply") from None
    names = {"softmax_v2": keras.activations.softmax}  # `tf.nn.softmax` is saved like that
    try:
        with readable(path, description) as file:
            model = keras.models.load_model(file, names, compile=False, safe_mode=True)
    except Exception as error:  # whatever a damaged file makes Keras stumble over
        reason = str(error).rsplit("Exception encountered:", 1)[-1].strip() or repr(error)
        reason = reason.splitlines()[0].partition(". ")[0][:300]
        raise ValueError(f"{path} cannot be loaded: {reason}") from error
    if not isinstance(model, keras.Model):
        raise ValueError(f"{path} holds a {type(model).__name__}, not a model")
    for weight in model.weights:
        is_float = keras.backend.is_float_dtype(weight.dtype)
        if is_float and not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise ValueError(f"{path} is not loaded: {weight.path} has NaN or infinite values")
    return model


def _description(path):
    """Return what a file says about its model as plain JSON data."""
    is_hdf5 = path.suffix in HDF5
    if (zipfile.is_zipfile if is_hdf5 else h5py.is_hdf5)(path):
        raise ValueError(f"{path} should be called {path.stem}{'.keras' if is_hdf5 else '.h5'}")
    try:
        text = _in_hdf5(path) if is_hdf5 else _in_zip(path)
        description = json.loads(text) if text else None
    except Exception as error:  # a damaged file raises whatever its damaged part leads to
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} is damaged, or not a model of Keras: {reason}") from None
    if not isinstance(description, dict):
        raise ValueError(f"{path} does not say what its model is made of; it may hold weights only")
    return description


def _in_hdf5(path):
    with h5py.File(path, "r") as file:
        return file.attrs.get("model_config")


def _in_zip(path):
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            parts = entry.filename.replace("\\", "/").split("/")
            if parts[0] == "" or ".." in parts or stat.S_ISLNK(entry.external_attr >> 16):
                raise ValueError(f"{entry.filename!r} in it leads out of the archive")
        if "config.json" not in archive.namelist():
            return None
        if archive.getinfo("config.json").file_size > LONGEST:
            raise ValueError("the description of the layers is too long")
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} in it is not as it was written")
        return archive.read("config.json")


def _objects(part, layer):
    """Yield (name of the layer it belongs to, dict) for every dict in a description."""
    if isinstance(part, dict):
        inner = part.get("config")
        layer = inner.get("name", layer) if isinstance(inner, dict) else layer
        yield layer, part
        part = list(part.values())
    for item in part if isinstance(part, list) else ():
        yield from _objects(item, layer)


def _check(path, layer, part):
    """Refuse an object that needs code from elsewhere."""
    name, module = part.get("class_name"), part.get("module", "")
    is_lambda = list(part) == ["value"] and isinstance(part["value"], list)  # as an activation
    if name in RUNS_CODE or is_lambda:
        raise ValueError(f"{path} is not loaded: {layer!r} would run Python code out of the file")
    package = str(module).partition(".")[0]
    if package not in IMPORTED:
        if "config" not in part or not isinstance(name, str) or name.startswith("_"):
            return  # a tensor, a slice
        if name == "function" or (package == "keras" and module != "keras.layers"):
            return  # Keras finds it among its own, or says that it cannot
        known = name == "Functional" or any(hasattr(module, name) for module in MODULES)
        if known and module is not None:
            return
    if keras.saving.get_registered_object(str(part.get("registered_name") or name)) is None:
        raise ValueError(
            f"{path} is not loaded: {layer!r} is of the class {name}, which this Keras does not "
            "have; register a class of your own with keras.saving.register_keras_serializable"
        )
