"""What Keras 2 wrote about its models into `.h5` files, put as Keras 3 reads it."""

import contextlib
import copy
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import h5py

# Arguments of layers that change nothing, and that Keras 3 does not take.
UNUSED = {
    "Conv2DTranspose": ("groups",),
    "DepthwiseConv2D": ("groups",),
    "SeparableConv2D": ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    "SpatialDropout2D": ("noise_shape", "trainable"),
    **{f"Random{word}": ("rng_type",) for word in ("Brightness", "Contrast", "Crop", "Flip")},
    **{f"Random{word}": ("rng_type",) for word in ("Rotation", "Translation", "Zoom")},
}


@contextlib.contextmanager
def readable(path: Path, description: dict) -> Iterator[Path]:
    """Give a file that Keras 3 can load: `path`, or a translated copy of an `.h5` file."""
    translated = translate(description)
    if path.suffix == ".keras" or translated == description:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="cnnlab-model-") as folder:
        copied = Path(folder) / "translated.h5"
        shutil.copyfile(path, copied)
        with h5py.File(copied, "r+") as file:
            file.attrs["model_config"] = json.dumps(translated)
        yield copied


def translate(description: dict) -> dict:
    """Return the description of a model, a `model_config`, as Keras 3 reads it."""
    description = copy.deepcopy(description)
    _translate(description)
    return description


def _translate(part):
    if isinstance(part, dict):
        config = part.get("config")
        if isinstance(config, dict):
            for argument in UNUSED.get(part.get("class_name"), ()):
                config.pop(argument, None)
            layers = config.get("layers")
            if isinstance(layers, list):
                _translate_layers(layers)
            if layers and "output_layers" in config:
                _translate_graph(config)
        part = list(part.values())
    for item in part if isinstance(part, list) else ():
        _translate(item)


def _translate_layers(layers):
    has_input = bool(layers) and layers[0].get("class_name") == "InputLayer"
    for number, layer in enumerate(layers):
        # With a module, Keras 3 interprets a layer as one that it has written itself.
        if str(layer.get("module")).startswith(("keras", "tf_keras")):
            del layer["module"]
        if has_input and number > 0 and isinstance(layer.get("config"), dict):
            layer["config"].pop("batch_input_shape", None)  # said again by the first layer


def _translate_graph(config):
    """Take a single input or output out of its list; count calls of nested models from 0, not 1."""
    # A model that knew its input counted as called once before its first real call. Keras 3 allows
    # for that where such a model makes an output, unless it is a Sequential, and nowhere else.
    calls = [call for layer in config["layers"] for call in layer.get("inbound_nodes", ())]
    references = list(_references([call for call in calls if isinstance(call, list)]))
    if not references:
        return  # Keras 3 writes dicts
    for key in ("input_layers", "output_layers"):
        ends = list(_references(config[key]))
        if config[key] == ends and len(ends) == 1:
            config[key] = ends[0]
    outputs = list(_references(config["output_layers"]))
    for layer in config["layers"]:
        counted = references + (outputs if layer.get("class_name") == "Sequential" else [])
        to_layer = [reference for reference in counted if reference[0] == layer.get("name")]
        is_model = layer.get("class_name") in ("Functional", "Model", "Sequential")
        if is_model and min((reference[1] for reference in to_layer), default=0) > 0:
            for reference in to_layer:
                reference[1] -= 1


def _references(part):
    """Yield each [layer, call, tensor] or [layer, call, tensor, arguments] in nested lists."""
    if isinstance(part, dict):
        part = list(part.values())
    if not isinstance(part, list):
        return
    if len(part) in (3, 4) and isinstance(part[0], str):
        yield part
        return
    for item in part:
        yield from _references(item)
