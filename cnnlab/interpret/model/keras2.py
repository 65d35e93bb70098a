"""What Keras 2 wrote about its models, put as Keras 3 writes it."""

import keras
import numpy as np
from keras import layers

from cnnlab.interpret.model import keras2_graphs
from cnnlab.interpret.model.descriptions import MODELS, has_layer, parts

# Arguments of layers that change nothing, and that Keras 3 does not take.
UNUSED = {
    "Conv2DTranspose": ("groups",),
    "DepthwiseConv2D": ("groups",),
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape"),
    "SeparableConv2D": ("groups",),
    "SpatialDropout2D": ("noise_shape", "trainable"),
    **{f"Random{word}": ("rng_type",) for word in ("Brightness", "Contrast", "Crop", "Flip")},
    **{f"Random{word}": ("rng_type",) for word in ("Rotation", "Translation", "Zoom")},
}
# They matter while a network is trained, and may name what Keras 3 or nobody here has.
OF_TRAINING = ("_initializer", "_regularizer", "_constraint")
# What stands in Keras 3 for layers that it does not have, or that do something else there.
INSTEAD = {
    "BatchNormalizationV1": lambda config: ("BatchNormalization", config),
    "LeakyReLU": lambda config: ("LeakyReLU", _only(config) | {"negative_slope": config["alpha"]}),
    "Model": lambda config: ("Functional", config),
    "RandomCrop": lambda config: ("Resizing", _only(config, "height", "width") | CROPPED),
    "RandomHeight": lambda config: ("Identity", _only(config)),
    "RandomWidth": lambda config: ("Identity", _only(config)),
    "ThresholdedReLU": lambda config: ("ReLU", _only(config) | {"threshold": config["theta"]}),
}
TURNED = (layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.Conv2DTranspose)
CROPPED = {"crop_to_aspect_ratio": True}


def _only(config, *keys):
    return {key: config[key] for key in ("name", "dtype", *keys) if key in config}


@keras.saving.register_keras_serializable("cnnlab")
def keras2_hard_sigmoid(x):
    """Return what Keras 2 calls hard_sigmoid: 0.2 x + 0.5, cut off at 0 and 1."""
    # Keras 3 gives that name to the same with 1/6 in place of 0.2.
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def turn_kernels(model) -> None:
    """Turn the kernels of a model saved with Theano, which moves them over the image rotated."""
    for layer in model._flatten_layers():
        if isinstance(layer, TURNED):
            kernel = keras.ops.convert_to_numpy(layer.kernel)
            layer.kernel.assign(np.flip(kernel, range(kernel.ndim - 2)))


def translate(description: dict) -> None:
    """Put the description of a model as Keras 3 writes it, in place."""
    for part in parts(description):
        if part.get("class_name") == "Sequential":
            _begin_with_input(part)
        if isinstance(part.get("config"), dict) and isinstance(part.get("class_name"), str):
            _translate_values(part["config"])
            _translate_layer(part)
    for part in parts(description):
        config = part.get("config")
        if isinstance(config, dict) and config.get("layers") and "output_layers" in config:
            keras2_graphs.translate(config)


def _begin_with_input(model):
    """Give a Sequential its input layer; before 2.3 Keras left it out, and once even its name."""
    if isinstance(model["config"], list):
        model["config"] = {"name": model.get("name"), "layers": model["config"]}
    layers = model["config"]["layers"]
    shape = _batch_shape(layers[0])
    has_input = layers[0]["class_name"] == "InputLayer"
    if has_input and not any(shape):
        del layers[0]  # it says nothing; the first call tells
    elif shape and not has_input:
        layers.insert(0, {"class_name": "InputLayer", "config": {"batch_input_shape": shape}})


def _batch_shape(layer):
    """Return what the first layer of a model says about its input, or None."""
    config = layer["config"]
    inner = config if isinstance(config, list) else config.get("layers")
    return _batch_shape(inner[0]) if inner else config.get("batch_input_shape")


def _translate_values(config):
    for key, value in config.items():
        if key.endswith("activation") and value == "hard_sigmoid":
            config[key] = keras.saving.serialize_keras_object(keras2_hard_sigmoid)
        elif key == "axis" and isinstance(value, list) and len(value) == 1:
            (config[key],) = value
        elif key == "trainable":
            config[key] = bool(value)  # 0 or 1
        elif key == "name" and isinstance(value, str):
            config[key] = keras2_graphs.keras3_name(value)
        elif isinstance(value, dict) and value.get("class_name") in ("TensorShape", "__tuple__"):
            config[key] = value["items"]
        elif isinstance(value, dict) and value.get("class_name") in ("Policy", "PolicyV1"):
            config[key] = value["config"]["name"]
        elif isinstance(value, dict) and value.get("type") == "ndarray":  # a number, once
            config[key] = value["value"]


def _translate_layer(part):
    """Translate a layer or model, unless its class is not one of Keras's own."""
    name, config = part["class_name"], part["config"]
    if not str(part.get("module", "keras")).startswith(("keras", "tf_keras")):
        return
    if name in INSTEAD:
        name, config = INSTEAD[name](config)
    if name in MODELS:
        module = MODELS[name]
    elif has_layer(name):
        module = "keras.layers"
    else:
        return
    shape = config.pop("batch_input_shape", None)
    if name == "InputLayer":
        config["batch_shape"] = shape
    if name == "GRU":
        config.setdefault("reset_after", False)
    if not config.get("time_major"):
        config.pop("time_major", None)
    for key in [key for key in config if key in UNUSED.get(name, ()) or key.endswith(OF_TRAINING)]:
        del config[key]
    part.update(class_name=name, config=config, module=module, registered_name=None)
    part.pop("build_config", None)
