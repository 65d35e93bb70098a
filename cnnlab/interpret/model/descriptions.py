"""What a file says about its model: plain JSON, nested dicts with a `class_name` and a `config`."""

from collections.abc import Iterator

import keras

OPERATIONS = ("numpy", "nn", "core", "math", "image", "linalg")  # modules of `keras.src.ops`
MODELS = {"Functional": "keras.src.models.functional", "Sequential": "keras"}


def parts(description) -> Iterator[dict]:
    """Yield each dict in a description."""
    if isinstance(description, dict):
        yield description
        description = list(description.values())
    for item in description if isinstance(description, list) else ():
        yield from parts(item)


def drop_training(description) -> None:
    """Take out the losses, metrics and optimizers: a user's own are not known here."""
    # Without compiling, Keras itself leaves out the model's, but not those of models inside of it.
    for part in parts(description):
        part.pop("compile_config", None)


def rename_softmax(description) -> None:
    """Name TensorFlow's softmax, which Keras writes but does not know, as Keras's own."""
    for part in parts(description):
        part.update({key: "softmax" for key, value in part.items() if value == "softmax_v2"})


def add_modules(description) -> None:
    """Say the module of what Keras reads wrongly without one, which `.h5` files leave out."""
    for part in parts(description):
        name, config = part.get("class_name"), part.get("config")
        if "module" in part or not isinstance(config, dict) or not isinstance(name, str):
            continue
        if part is description and name in MODELS:
            part["module"] = MODELS[name]
        # It would not find an operation such as TrueDivide, and take Add for the layer.
        elif "inbound_nodes" in part and "trainable" not in config:
            part.update(_operation_module(name))
        # It drops an axis that is not one number, so that the default is taken.
        elif not isinstance(config.get("axis", 0), int) and has_layer(name):
            part["module"] = "keras.layers"


def _operation_module(name):
    for module in OPERATIONS:
        if isinstance(getattr(getattr(keras.src.ops, module), name, None), type):
            return {"module": f"keras.src.ops.{module}"}
    return {}


def has_layer(name) -> bool:
    """Say whether Keras has a layer of that name."""
    return isinstance(getattr(keras.layers, name, None), type)
