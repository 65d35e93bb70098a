"""Models by name or from a file, read as plain JSON before Keras, so that no code in it is run."""

import copy
from contextlib import nullcontext

import keras
import numpy as np

from cnnlab import memory
from cnnlab.interpret.model import copies, files, keras2
from cnnlab.interpret.model.descriptions import add_modules, drop_training, rename_softmax
from cnnlab.interpret.model.keras2_graphs import FUNCTIONS
from cnnlab.pretrained import find

RUNS_CODE = ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper")
IMPORTED = ("keras_hub", "keras_cv", "keras_nlp")  # Keras would import, that is run, these
# Where Keras keeps what a description without module names can be made of.
MODULES = (keras, keras.layers, keras.initializers, keras.regularizers, keras.constraints)


def load(name_or_path) -> keras.Model:
    """Return a model, not compiled: a key of `pretrained.MODELS`, or a .keras, .h5 or .hdf5 file.

    Files of Keras 2 will do. Damaged weights are always noticed in a `.keras` file; an `.h5` file
    has no checksums.

    Raises:
        TypeError, FileNotFoundError: as `pretrained.find`.
        ValueError: as there; a file without a whole model, weights that are NaN or
            infinite, or code to run: a Lambda layer or a class that is not registered.
        MemoryError: there is less memory than the weights need.
    """
    path = find(name_or_path)
    written, version = files.description(path)
    try:
        description = _readable(path, written, version)
        for layer, part in _objects(description, "the model"):
            _check(path, layer, part)
    except RecursionError:
        raise ValueError(f"{path} describes layers inside each other too deeply") from None
    try:
        model = _load(path, description, description == written)
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged file makes Keras stumble over
        raise ValueError(f"{path} cannot be loaded: {_reason(error)}") from error
    if not isinstance(model, keras.Model):
        raise ValueError(f"{path} holds a {type(model).__name__}, not a model")
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # Keras forgets it in nested models of `.h5` files
    for weight in model.weights:
        is_float = keras.backend.is_float_dtype(weight.dtype)
        if is_float and not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise ValueError(f"{path} is not loaded: {weight.path} has NaN or infinite values")
    return model


def _load(path, description, is_as_written):
    memory.require_memory(files.weights_size(path), f"the weights in {path}")
    if path.suffix == ".keras":
        with nullcontext(path) if is_as_written else copies.described(path, description) as file:
            return keras.models.load_model(file, compile=False, safe_mode=True)
    model = keras.saving.deserialize_keras_object(description, safe_mode=True)
    # By this end of a name Keras knows files that hold weights only, in another order.
    renamed = path.name.endswith(".weights.h5")
    with copies.named(path, "model.h5") if renamed else nullcontext(path) as file:
        model.load_weights(file)
    if files.backend(path) == "theano":
        keras2.turn_kernels(model)
    return model


def _reason(error):
    """Return the one sentence in what Keras says that tells most."""
    if "OOM when allocating" in str(error):
        return "its layers need more memory than there is"
    reason = str(error).rsplit("Exception encountered:", 1)[-1].strip() or repr(error)
    return reason.splitlines()[0].partition(". ")[0][:300]


def _readable(path, written, version):
    """Return a description that Keras 3 reads as it was meant."""
    description = copy.deepcopy(written)
    drop_training(description)
    rename_softmax(description)
    try:
        if version.startswith("2."):
            keras2.translate(description)
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # a damaged one
        raise ValueError(f"{path} cannot be translated from Keras 2: {error!r}") from error
    add_modules(description)
    return description


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
    if name in FUNCTIONS:
        config = part.get("config")
        function = config.get("function") if isinstance(config, dict) else None
        called = f"tf.{function}" if function else "a function of TensorFlow"
        raise ValueError(
            f"{path} is not loaded: {layer!r} calls {called}, in a way that is not translated "
            "from Keras 2; build the same model in Keras 3, load its weights there, and save it"
        )
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
        how = "register a class of your own with keras.saving.register_keras_serializable"
        how = f"import {package} before" if package in IMPORTED else how
        raise ValueError(
            f"{path} is not loaded: {layer!r} is of the class {name}, which this Keras does not "
            f"have; {how}"
        )
