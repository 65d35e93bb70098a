"""What a model first does to the channels of an image, wherever it puts them."""

from typing import NamedTuple

import keras
import numpy as np

from cnnlab.interpret.model.graph import Call, TensorRef
from cnnlab.interpret.model.kinds import NORMALIZING, is_given, rearranges, same_values

OPEN_SIDE = 512  # pixels, where a model takes any size


class Channels(NamedTuple):
    """What the channels of a value are of those of the image x: scale * x + offset."""

    scale: np.ndarray  # (channels,) float64; 0 for a channel without the image, as a coordinate
    offset: np.ndarray  # (channels,) float64

    def changed(self) -> bool:
        """Say whether any channel is not the image's own."""
        return bool(np.any(self.scale != 1) or np.any(self.offset != 0))


def first_use(view) -> tuple[Call | None, Channels]:
    """Return the first call that computes something else of the image, and the channels it reads.

    Where the image goes several ways, one on which it is scaled or normalized goes first; None
    where nothing else is computed.
    """
    count = view.graph.input_shape[-1] or 1
    known = {0: Channels(np.ones(count), np.zeros(count))}  # {value: its channels}
    uses = []
    for call in view.graph.calls:
        given = [known[value] for value in call.inputs if value in known]
        whole = given and len(given) == len(call.inputs)
        if whole and (made := _followed(view, call, given)):
            known.update(zip(call.outputs, made, strict=True))
        elif given and not is_given(call):
            uses.append((call, given[0]))
    uses.append((None, known[max(known)]))
    return next((use for use in uses if normalizes(use[0]) or use[1].changed()), uses[0])


def normalizes(call) -> bool:
    """Say whether a call is a normalization by the mean and deviation of all images."""
    return call is not None and isinstance(call.operation, NORMALIZING)


def of_channels(constant) -> np.ndarray:
    """Return an array as one number for each channel, its mean over positions; or one for all."""
    constant = np.asarray(constant, float)
    return constant.reshape(-1, constant.shape[-1]).mean(axis=0) if constant.ndim else constant


def affine(call):
    """Return (scale, offset) if a call computes scale * x + offset, else None."""
    operation = call.operation
    if isinstance(operation, keras.layers.Rescaling):
        return np.asarray(operation.scale, float), np.asarray(operation.offset, float)
    kind = type(operation).__name__.removeprefix("True")  # keras has Divide and TrueDivide
    is_layer = isinstance(operation, keras.layers.Layer)
    if kind == "Negative":
        return -1.0, 0.0
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


def _followed(view, call, given):
    """Return the channels that a call makes of those `given`, or None if it computes more."""
    if step := affine(call):
        scale, offset = map(of_channels, step)
        made = given[0].scale * scale, given[0].offset * scale + offset
        return [Channels(*np.broadcast_arrays(*made))]
    if same_values(call):
        return given
    return _rearranged(view, call, given) if rearranges(call) else None


def _rearranged(view, call, given):
    """Return the channels that a call makes of others, by letting it rearrange their numbers."""
    scale, offset = map(np.concatenate, zip(*given, strict=True))
    numbers = np.split(np.arange(len(scale)), np.cumsum([len(one.scale) for one in given])[:-1])
    shapes = [view.graph.shapes[value][:-1] for value in call.inputs]
    images = [
        np.broadcast_to(of_one, (1, *(side or OPEN_SIDE for side in shape), len(of_one)))
        for of_one, shape in zip(numbers, shapes, strict=True)
    ]
    remaining = (keras.ops.convert_to_tensor(image, "float32") for image in images)
    args, kwargs = keras.tree.map_structure(
        lambda part: next(remaining) if isinstance(part, TensorRef) else part,
        (call.args, call.kwargs),
    )
    made = []
    for tensor in keras.tree.flatten(call.operation(*args, **kwargs)):
        middle = (0, *(size // 2 for size in tensor.shape[1:-1]))  # at the edges may be padding
        source = keras.ops.convert_to_numpy(tensor)[middle].round().astype(int)
        made.append(Channels(scale[source], offset[source]))
    return made
