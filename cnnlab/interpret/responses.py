"""The response of a layer's filters: where it is read, and which images have the highest."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from cnnlab.interpret.model import kinds
from cnnlab.interpret.model.batches import filled
from cnnlab.interpret.model.memory import images_that_fit
from cnnlab.interpret.model.network import as_batch

CHUNK, NUMBERS = 64, 2**20  # images, and their numbers, at once: bounds the memory


class Response(NamedTuple):
    """Where the response of a layer's filters is read, before the activation that they feed."""

    value: int  # the number of the value in the graph, the filters along its last axis
    without_activation: tuple[str, ...]  # names of calls whose activation is left out for it
    words: str  # "what enters re_lu" for example
    one_sided: bool = False  # whether the activation makes less, or nothing, of what is below 0
    rectified: bool = False  # whether it gives 0 for all that is below 0


def response(view, call) -> Response:
    """Return where the response of a layer's filters is read.

    Before the layer's own activation, or before the next one, if only calls that keep the channels
    lie between and nothing else reads them. Without any, it is the last normalization between,
    which can flip a filter's sign, or else the layer itself.
    """
    own = kinds.activation_name(call.operation)
    if own and kinds.has_inner_activation(call.operation):
        return _before(own, call.outputs[0], f"the {own} in {call.name}", (call.name,))
    if own:
        return _before(own, call.inputs[0], call.name)
    value, last = call.outputs[0], call
    for reader, *others in view.graph.walk(value):
        if others:
            break
        activation = kinds.activation_name(reader.operation)
        if activation and not kinds.has_inner_activation(reader.operation):
            return _before(activation, value, reader.name)
        if not (kinds.same_values(reader) or isinstance(reader.operation, kinds.CHANNELWISE)):
            break
        value = reader.outputs[0]
        last = reader if isinstance(reader.operation, kinds.NORMALIZING) else last
    return Response(last.outputs[0], (), f"what {last.name} gives")


def _before(activation, value, name, without_activation=()):
    rectified = activation in kinds.RECTIFIERS
    one_sided = rectified or activation in kinds.SMALL_BELOW_0
    return Response(value, without_activation, f"what enters {name}", one_sided, rectified)


class Best(NamedTuple):
    """Which of `count` images the filters respond to most."""

    index: np.ndarray  # (filters,) int, the image with the highest response; -1 without images
    response: np.ndarray  # (filters,) float32, that response; NaN without images
    highest: np.ndarray  # (filters,) float32, the highest of any position; NaN without images
    count: int  # how many images there are


def best_images(view, call, read: Response, images, numbers, negative_slope=None) -> Best:
    """Return which images (n, h, w, channels), or None, the filters respond to most.

    What counts is the mean over positions, see `objective`, or, without a slope, the highest one.
    """
    if images is None:
        unknown = np.full(len(numbers), np.nan, np.float32)
        return Best(np.full(len(numbers), -1), unknown, unknown, 0)
    if not (isinstance(images, np.ndarray) and images.ndim == 4 and len(images)):
        images = as_batch(view, images)
    key = ("responses", call.name, negative_slope is None)
    respond = view.function(key, lambda: _responder(view, read, negative_slope is None))
    most = at_once(images[0].size)
    length = images_that_fit(view, images.shape[1:3], most, [read.value])
    results = [
        respond(
            filled(view.graph, as_batch(view, images[start : start + length])),
            numbers,
            negative_slope or 0.0,
        )
        for start in range(0, len(images), length)
    ]
    values, within, tops = map(np.array, zip(*results, strict=True))  # (batches, filters) each
    batch, response = values.argmax(axis=0), values.max(axis=0)
    index = batch * length + within[batch, np.arange(len(numbers))]
    response = np.where(response > -np.inf, response, np.nan)
    return Best(index, response, tops.max(axis=0), len(images))


def at_once(numbers_each):
    """Return how many images of so many numbers to compute at once."""
    return min(CHUNK, max(1, NUMBERS // max(1, numbers_each)))


def _responder(view, read, highest):
    """Return the function (images, filters, weight below 0) -> three (count,) tensors."""
    # The highest response, the image that has it, the highest of any position of any image.
    number = tf.TensorSpec((), "float32")

    @view.traced(view.signature(), tf.TensorSpec((None,), "int32"), number)
    def respond(images, filters, negative_slope):
        maps = tf.gather(response_maps(view, read, images), filters, axis=-1)
        values = tf.reduce_max(maps, axis=1) if highest else objective(maps, negative_slope)
        values = tf.where(tf.math.is_nan(values), float("-inf"), values)
        index = tf.argmax(values, axis=0)
        return tf.reduce_max(values, axis=0), index, tf.reduce_max(maps, axis=(0, 1))

    return respond


def objective(responses, negative_slope):
    """Return the means over positions, axis 1, of responses whose part below 0 counts less."""
    return tf.reduce_mean(tf.maximum(responses, negative_slope * responses), axis=1)


def response_maps(view, read: Response, images):
    """Return the responses (n, positions, filters), float32, to images in the model's own range."""
    maps = _maps(view, read, images)
    return tf.reshape(maps, (tf.shape(maps)[0], -1, maps.shape[-1]))


def middle_response(view, read: Response, images):
    """Return the responses (n, 1, filters) of the position in the middle; see `response_maps`."""
    maps = _maps(view, read, images)
    middle = tf.shape(maps)[1:-1] // 2
    own = maps[:, middle[0], middle[1]] if len(maps.shape) == 4 else maps
    return own[:, None]


def _maps(view, read, images):
    images = tf.cast(images, "float32")
    # A gradient does not pass whole numbers, into which the graph would turn the image.
    given = None if "float" in view.graph.dtype else lambda number, _: None if number else images
    (maps,) = view.graph.run(images, [read.value], read.without_activation, given)
    return tf.cast(maps, "float32")
