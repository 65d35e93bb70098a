"""Functions of TensorFlow called on the tensors of a model, as Keras 2 wrote them, for Keras 3.

Keras 2 made a layer of each, a TFOpLambda or SlicingOpLambda, that names the function. None is
looked up by its name: only those in the table are known.
"""

from typing import NamedTuple

import numpy as np


class Operation(NamedTuple):
    """An operation of `keras.ops` in the place of a function of TensorFlow."""

    name: str  # of its class
    inputs: tuple = ()  # arguments of the function that go into the call, after the first one
    settings: dict = {}  # {argument of the function: what Keras calls it when it is made}
    defaults: dict = {}  # of the function, where Keras has others


AXIS = {"axis": "axis"}
OVER_AXES = {"axis": "axis", "keepdims": "keepdims"}
OPERATIONS = {
    "__operators__.add": Operation("Add", ("y",)),
    "__operators__.getitem": Operation("GetItem", ("slice_spec",)),
    "cast": Operation("Cast", (), {"dtype": "dtype"}),
    "clip_by_value": Operation("Clip", (), {"clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "compat.v1.pad": Operation("Pad", (), {"paddings": "pad_width"}),
    "compat.v1.squeeze": Operation("Squeeze", (), AXIS),
    "compat.v1.transpose": Operation("Transpose", (), {"perm": "axes"}),
    "concat": Operation("Concatenate", (), AXIS),
    "expand_dims": Operation("ExpandDims", (), AXIS),
    "image.resize": Operation("Resize", (), {"size": "size", "method": "interpolation"}),
    "linalg.matmul": Operation("Matmul", ("b",)),
    "math.abs": Operation("Absolute"),
    "math.add": Operation("Add", ("y",)),
    "math.divide": Operation("TrueDivide", ("y",)),
    "math.exp": Operation("Exp"),
    "math.log": Operation("Log"),
    "math.maximum": Operation("Maximum", ("y",)),
    "math.minimum": Operation("Minimum", ("y",)),
    "math.multiply": Operation("Multiply", ("y",)),
    "math.negative": Operation("Negative"),
    "math.pow": Operation("Power", ("y",)),
    "math.reduce_max": Operation("Max", (), OVER_AXES),
    "math.reduce_mean": Operation("Mean", (), OVER_AXES),
    "math.reduce_min": Operation("Min", (), OVER_AXES),
    "math.reduce_sum": Operation("Sum", (), OVER_AXES),
    "math.rsqrt": Operation("Rsqrt"),
    "math.sigmoid": Operation("Sigmoid"),
    "math.softplus": Operation("Softplus"),
    "math.sqrt": Operation("Sqrt"),
    "math.square": Operation("Square"),
    "math.subtract": Operation("Subtract", ("y",)),
    "math.tanh": Operation("Tanh"),
    "math.truediv": Operation("TrueDivide", ("y",)),
    "nn.bias_add": Operation("Add", ("bias",)),
    "nn.elu": Operation("Elu"),
    "nn.gelu": Operation("Gelu", (), {"approximate": "approximate"}, {"approximate": False}),
    "nn.leaky_relu": Operation("LeakyRelu", (), {"alpha": "negative_slope"}),
    "nn.log_softmax": Operation("LogSoftmax", (), AXIS),
    "nn.relu": Operation("Relu"),
    "nn.relu6": Operation("Relu6"),
    "nn.selu": Operation("Selu"),
    "nn.silu": Operation("Silu"),
    "nn.softmax": Operation("Softmax", (), AXIS),
    "nn.softsign": Operation("Softsign"),
    "reshape": Operation("Reshape", (), {"shape": "newshape"}),
    "stack": Operation("Stack", (), AXIS),
}
# Values of other arguments that change nothing, as None does not.
NOTHING = {
    "antialias": False,
    "beta": 1.0,
    "conjugate": False,
    "constant_values": 0,
    "data_format": "NHWC",
    "mode": "CONSTANT",
    "preserve_aspect_ratio": False,
    "transpose_a": False,
    "transpose_b": False,
}


def translate(layer: dict) -> None:
    """Put a layer that calls a function of the table as Keras 3 writes operations, in place.

    One that calls another function, or with arguments that are not known, stays as it is.
    """
    (call,) = layer["inbound_nodes"]
    slices = layer["class_name"] == "SlicingOpLambda"
    function = "__operators__.getitem" if slices else layer["config"].get("function")
    operation, given = OPERATIONS.get(function), dict(call["kwargs"])
    if operation is None:
        return
    inputs = [_input(given.pop(key)) for key in operation.inputs if key in given]
    settings = operation.defaults | {
        name: given.pop(key) for key, name in operation.settings.items() if key in given
    }
    if all(key == "name" or value in (None, NOTHING.get(key)) for key, value in given.items()):
        name, calls = layer["name"], [{"args": [*map(_input, call["args"]), *inputs], "kwargs": {}}]
        layer.clear()
        layer.update(class_name=operation.name, config={"name": name, **settings})
        layer.update(name=name, inbound_nodes=calls)


def _input(value):
    """Return a tensor, a number, an array or the parts of a slice as Keras 3 writes them."""
    if isinstance(value, dict) and "start" in value:
        return {"class_name": "__slice__", "config": value}
    if isinstance(value, dict) and value.get("class_name") == "__ellipsis__":
        return value | {"config": {}}
    if not isinstance(value, list):
        return value
    if any(isinstance(item, dict) for item in value):  # tensors, or the parts of a slice
        return list(map(_input, value))
    array = np.asarray(value)
    dtype = "float32" if array.dtype.kind == "f" else "int32"
    return {"class_name": "__numpy__", "config": {"value": value, "dtype": dtype}}
