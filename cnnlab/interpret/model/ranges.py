"""What an image is to a model: the range of its numbers, read off the calls after the input."""

import keras
import numpy as np

from cnnlab.interpret.model.graph import TensorRef
from cnnlab.interpret.model.kinds import NORMALIZING, same_values


def input_range(view) -> tuple[float, float]:
    """Return (low, high), black and white for a model, read from what it first does to an image x.

    * scale * x + offset, by a `Rescaling` or by operations with constants: what becomes 0..1, or
      -1..1 if the offset is negative. Where -1..1 would not begin at black, as after the usual
      (x - mean) / deviation, the mean decides, as below.
    * `Normalization` or `BatchNormalization`: (0, 255) if the highest mean of a channel is above 2,
      which no mean of 0..1 can be, else (0, 1).
    * anything else: (0, 255) for an input of whole numbers, else (0, 1).
    """
    scale, offset, mean = 1.0, 0.0, None
    for call, *_ in view.graph.walk(0):
        if step := _affine(call):
            scale, offset = scale * step[0], offset * step[0] + step[1]
        elif not (same_values(call) or type(call.operation).__name__ == "GetItem"):  # BGR, say
            if isinstance(call.operation, NORMALIZING):
                mean = getattr(call.operation, "moving_mean", getattr(call.operation, "mean", 0))
            break
    if np.any(scale != 1) or np.any(offset != 0):
        return _becoming_unit(np.asarray(scale, float), np.asarray(offset, float))
    if mean is not None:
        return _of_mean(keras.ops.convert_to_numpy(mean))
    return (0.0, 1.0) if "float" in view.graph.dtype else (0.0, 255.0)


def sees_pixels(view, value: int) -> bool:
    """Say whether a value is the image itself, each channel at most scaled, shifted or padded."""
    return all(
        _affine(call) or same_values(call) or isinstance(call.operation, NORMALIZING)
        for call in view.graph.ancestors(value)
    )


def _affine(call):
    """Return (scale, offset) if a call computes scale * x + offset, else None."""
    operation = call.operation
    if isinstance(operation, keras.layers.Rescaling):
        return np.asarray(operation.scale, float), np.asarray(operation.offset, float)
    kind = type(operation).__name__.removeprefix("True")  # keras has Divide and TrueDivide
    is_layer = isinstance(operation, keras.layers.Layer)
    if is_layer or kind not in ("Multiply", "Add", "Subtract", "Divide") or len(call.inputs) != 1:
        return None
    first = isinstance(call.args[0], TensorRef)  # x - 1, not 1 - x
    constant = np.asarray(keras.ops.convert_to_numpy(call.args[first]), float)
    if kind == "Multiply":
        return constant, 0.0
    if kind == "Divide":
        return (1 / constant, 0.0) if first and np.all(constant) else None
    if kind == "Add":
        return 1.0, constant
    return (1.0, -constant) if first else (-1.0, constant)


def _becoming_unit(scale, offset):
    """Return which x of one range 0..1 or -1..1 makes of scale * x + offset."""
    if np.ptp(scale) == np.ptp(offset) == 0 and np.all(scale):
        scale, offset = scale.flat[0], offset.flat[0]
        begin = -1 if offset < 0 else 0
        low, high = sorted(((begin - offset) / scale, (1 - offset) / scale))
        if begin == 0 or abs(low) < 0.01 * high:
            return float(low), float(high)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _of_mean(-offset / scale)


def _of_mean(mean):
    return (0.0, 255.0) if np.max(mean) > 2 else (0.0, 1.0)
