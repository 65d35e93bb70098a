"""What an image is to a model: the range of its numbers, read off the calls after the input."""

import keras
import numpy as np

from cnnlab.interpret.model.graph import TensorRef

# They leave every value as it is when a trained network answers, though maybe at another place.
SAME_VALUES = (
    keras.layers.Identity,
    keras.layers.ActivityRegularization,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
    keras.layers.CenterCrop,
    keras.layers.Resizing,
    keras.layers.RandomBrightness,
    keras.layers.RandomContrast,
    keras.layers.RandomCrop,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
)
SAME_VALUES_OPERATIONS = ("Cast", "Identity")
NORMALIZING = (keras.layers.Normalization, keras.layers.BatchNormalization)


def input_range(network) -> tuple[float, float]:
    """Return (low, high), what black and white are for a model.

    Read from what the model does first with an image x, sizes and dropout aside:

    * scale * x + offset, by a `Rescaling` or by operations with constants: what becomes 0..1, or
      -1..1 if the offset is negative. Where -1..1 would not begin at black, as after the usual
      (x - mean) / deviation, the mean decides, as below.
    * `Normalization` or `BatchNormalization`: (0, 255) if the highest mean of a channel is above 2,
      which no mean of 0..1 can be, else (0, 1).
    * anything else: (0, 255) for an input of whole numbers, else (0, 1).

    Args:
        network: a `network.ModelView`.
    """
    value, scale, offset = 0, 1.0, 0.0
    while call := next(iter(network.consumers(value)), None):
        step = _affine(call)
        if step:
            scale, offset = scale * step[0], offset * step[0] + step[1]
        elif not same_values(call):
            break
        value = call.outputs[0]
    if np.any(scale != 1) or np.any(offset != 0):
        return _becoming_unit(np.asarray(scale, float), np.asarray(offset, float))
    if call and isinstance(call.operation, NORMALIZING):
        mean = getattr(call.operation, "moving_mean", getattr(call.operation, "mean", 0))
        return _of_mean(keras.ops.convert_to_numpy(mean))
    return (0.0, 1.0) if "float" in network.graph.dtype else (0.0, 255.0)


def sees_pixels(network, value: int) -> bool:
    """Say whether a value is the image itself, each channel at most scaled, shifted or padded."""
    return all(
        _affine(call) or same_values(call) or isinstance(call.operation, NORMALIZING)
        for call in network.graph.ancestors(value)
    )


def same_values(call) -> bool:
    """Say whether a call leaves every value as it is, apart from its place."""
    operation = call.operation
    if isinstance(operation, keras.layers.Activation):
        return operation.activation is keras.activations.linear
    if isinstance(operation, keras.layers.Layer):
        return isinstance(operation, SAME_VALUES)
    return type(operation).__name__ in SAME_VALUES_OPERATIONS


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
