"""The calls of a functional model as Keras 2 wrote them, put as Keras 3 writes them.

Keras 2 has [layer, call, tensor] or [layer, call, tensor, arguments] for each tensor that a call is
given, in lists or dicts, and [CONSTANT, -1, number, arguments] for a number in the place of one.
"""

from cnnlab.interpret.model import keras2_operations
from cnnlab.interpret.model.descriptions import MODELS

CONSTANT = "_CONSTANT_VALUE"
FUNCTIONS = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")  # the last one before 2.4


def translate(config: dict) -> None:
    """Put the calls in the config of a model as Keras 3 writes them, in place."""
    layers = config["layers"]
    calls = list(_references([layer["inbound_nodes"] for layer in layers]))
    outputs = list(_references(config["output_layers"]))
    for named in [*calls, *outputs, *_references(config["input_layers"])]:
        named[0] = keras3_name(named[0])
    for layer in layers:
        layer["name"] = keras3_name(layer["name"])
    _count_from_0(layers, calls, outputs)
    for key in ("input_layers", "output_layers"):
        ends = list(_references(config[key]))
        if config[key] == ends and len(ends) == 1:
            config[key] = ends[0]
    names = {layer["name"] for layer in layers}
    for layer in layers:
        layer["inbound_nodes"] = [_call(node, names) for node in layer["inbound_nodes"]]
        if layer["class_name"] in FUNCTIONS and len(layer["inbound_nodes"]) == 1:
            keras2_operations.translate(layer)


def keras3_name(name):
    """Return a layer's name without the slashes that Keras 3 does not allow."""
    return name.replace("/", "_")


def _count_from_0(layers, references, outputs):
    """Count the calls of nested models from 0, not 1."""
    # A model that knew its input counted as called once before its first real call. Keras 3 allows
    # for that where such a model makes an output, unless it is a Sequential, and nowhere else.
    for layer in layers:
        counted = references + (outputs if layer["class_name"] == "Sequential" else [])
        to_layer = [reference for reference in counted if reference[0] == layer["name"]]
        first = min((reference[1] for reference in to_layer), default=0)
        if layer["class_name"] in MODELS and first > 0:
            for reference in to_layer:
                reference[1] -= 1


def _is_reference(part):
    is_list = isinstance(part, list) and len(part) in (3, 4)
    return is_list and isinstance(part[0], str) and isinstance(part[1], int)


def _references(part):
    """Yield each reference in nested lists and dicts, also those in arguments."""
    if _is_reference(part):
        yield part
        part = part[3:]
    elif isinstance(part, dict):
        part = list(part.values())
    for item in part if isinstance(part, list) else ():
        yield from _references(item)


def _call(node, names):
    """Return the arguments of a call, tensors being dicts."""

    def convert(part):
        if _is_reference(part) and part[0] == CONSTANT:
            return part[2]
        if _is_reference(part) and part[0] in names:
            where = {"shape": [], "dtype": "float32", "keras_history": part[:3]}
            return {"class_name": "__keras_tensor__", "config": where}
        if isinstance(part, dict):
            return {key: convert(value) for key, value in part.items()}
        return list(map(convert, part)) if isinstance(part, list) else part

    arguments = next((reference[3] for reference in _references(node) if len(reference) == 4), {})
    inputs = convert(node)
    if isinstance(inputs, list) and len(inputs) == 1:
        (inputs,) = inputs
    return {"args": [inputs], "kwargs": convert(arguments)}
