"""Filters: the picture that each filter of a layer answers to most, by gradient ascent on pixels.

Activation maximization (Erhan et al., 2009), with two ideas of feature visualization (Olah et al.,
2017) against checkerboards and noise: the image is shifted a little in each step, and neighboring
pixels share a part of their gradient. Sharing turns the direction, at most to a right angle, and
fades away; unlike a penalty of total variation it takes nothing from what is maximized, and cannot
drown it.

What is maximized is the mean over places of what enters the activation that the filter feeds, see
`responses.response`. If that activation cuts off what is below 0, as a rectifier does, such places
count `negative_slope`, 0.01: nearly as the network sees it, but a dead filter has a gradient too.
With 1, the plain mean, each place of a first layer pulls the same way, and the best picture is one
tone with a frame, whatever pattern the filter looks for.
"""

from typing import NamedTuple

import keras
import numpy as np
from scipy import ndimage

from cnnlab.interpret.ascent import LIMITS, checked_settings, climber, first_image
from cnnlab.interpret.model.network import inspect_model
from cnnlab.interpret.model.ranges import input_range, sees_pixels
from cnnlab.interpret.responses import best_images, parts, response

# A picture is one tone if its middle has a smaller standard deviation, and, averaged over 2 x 2
# pixels, still a smaller one: strides leave a grid of dots, which is not what the filter looks for.
TONE = {"pixels": 0.25, "averaged": 0.065}


class FilterImages(NamedTuple):
    """The pictures of `count` filters.

    Attributes:
        images: (count, height, width, channels) float32, 0..1, the ends of the model's range.
        start, end: (count,) float32, what is maximized, for the blank image and for `images`.
        dead: (count,) bool: no gradient, or shut off by a rectifier at each place of each image
            given; without images, at each place of its own best picture.
        note: `count` strings, "" or why the picture is empty or says little.
        layer: the name of the layer.
        filters: (count,) int32, their numbers.
        best: (count,) int64, which of the images given has the highest response; -1 without images.
        best_response: (count,) float32, that response; NaN without images.
        objective: what is maximized, in words.
        value_range: (low, high), what 0 and 1 of `images` are for the model.
    """

    images: np.ndarray
    start: np.ndarray
    end: np.ndarray
    dead: np.ndarray
    note: tuple[str, ...]
    layer: str
    filters: np.ndarray
    best: np.ndarray
    best_response: np.ndarray
    objective: str
    value_range: tuple[float, float]


def maximize_filters(
    model,
    layer,
    filters=None,
    images=None,
    steps=64,
    step_size=0.3,
    smoothness=0.25,
    jitter=1,
    value_range=None,
    seed=0,
    size=None,
    negative_slope=0.01,
) -> FilterImages:
    """Return the picture that each filter of a layer answers to most.

    The defaults come from looking at first, middle and last convolutions for 28 x 28 pixels. From
    black instead of gray, filters that look for dark pixels stay nearly blank; without jitter,
    strides show as checkerboards; with more smoothness a first layer loses its fine patterns, and
    with larger steps some of its pictures become one tone; 64 steps reach seven eighths of what 200
    do.

    Args:
        model: a Keras model; see `inspect_model`. It stays as it was.
        layer: the name of a layer with feature maps, or of one with units, each a filter.
        filters: numbers of filters, or one number; left out, all.
        images: (n, height, width[, channels]), real ones as the model takes them, for `best`.
        steps: of the ascent.
        step_size: quadratic mean of what the first step changes, the range being 1; it falls to a
            tenth of that.
        smoothness: 0..1, the part of the gradient shared with the 8 neighbors in the first step; it
            falls to nothing.
        jitter: pixels, by how much the image is shifted at most.
        value_range: (low, high) of the model's input; left out, see `ranges.input_range`.
        seed: of the shifts and the noise, the same for all filters; the same seed gives the same.
        size: (height, width) of the pictures, for a model that takes any.
        negative_slope: above 0, to 1; what a place counts where the activation cuts it off.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: an unknown layer, or one without filters (the message lists those with), a
            filter that it does not have, or another value that is not usable.
    """
    network = inspect_model(model, images)
    call = network.layer(layer)
    read = response(network, call)
    numbers = _numbers(network, call, filters)
    ends = input_range(network) if value_range is None else value_range
    # In the order of LIMITS.
    given = (steps, jitter, seed, step_size, smoothness, negative_slope)
    settings = checked_settings(ends, dict(zip(LIMITS, given, strict=True)))
    if not read.one_sided:
        settings["negative_slope"] = np.float32(1)
    first = first_image(network.graph.input_shape, size, seed)
    network.require_size(first.shape[1:3])
    climb = network.function(("climb", call.name), lambda: climber(network, read))
    climbed = [climb(first, part, settings) for part in parts(numbers, first.size)]
    found = {name: np.concatenate([part[name] for part in climbed]) for name in climbed[0]}
    best = best_images(network, call, read, images, numbers, settings["negative_slope"])
    shut, reached = read.rectified & (found.pop("top") <= 0), found.pop("reached")
    off = read.rectified & (best.highest <= 0) if best.count else shut
    rose = found["end"] > found["start"]
    of_each = zip(found["images"], found["end"], reached, rose, off, shut, strict=True)
    weighed = f", below 0 times {negative_slope:g}" if settings["negative_slope"] < 1 else ""
    return FilterImages(
        **found,
        dead=~reached | off,
        note=tuple(_note(read.words, best.count, *of_filter) for of_filter in of_each),
        layer=call.name,
        filters=numbers,
        best=best.index,
        best_response=best.response,
        objective=("mean of " if len(call.shape) == 3 else "") + read.words + weighed,
        value_range=tuple(map(float, ends)),
    )


def first_layer_weights(model, layer) -> np.ndarray:
    """Return the weights of a convolution that reads the image: (filters, h, w, channels) float32.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: an unknown layer, one that is no convolution with a weight for each pixel and
            channel, or one that reads something else than the image, at most scaled or padded.
    """
    network = inspect_model(model)
    call = network.layer(layer)
    channels = network.graph.input_shape[-1]
    usable = f"usable are {', '.join(_first_layers(network)) or 'none'}"
    if not _is_convolution(call, channels):
        raise ValueError(
            f"layer {call.name!r} is no convolution of {channels} channels of an image; {usable}"
        )
    if not sees_pixels(network, call.inputs[0]):
        raise ValueError(
            f"layer {call.name!r} reads what other layers have made, not the image; {usable}"
        )
    kernel = call.operation.kernel
    return keras.ops.convert_to_numpy(kernel).transpose(3, 0, 1, 2).astype(np.float32)


def _first_layers(network):
    """Return the names of the layers that `first_layer_weights` takes."""
    channels = network.graph.input_shape[-1]
    return [
        name
        for name, call in network.layers.items()
        if _is_convolution(call, channels) and sees_pixels(network, call.inputs[0])
    ]


def _is_convolution(call, channels):
    operation = call.operation
    return isinstance(operation, keras.layers.Conv2D) and operation.kernel.shape[2] == channels


def _numbers(network, call, filters):
    """Return the numbers of the wanted filters as (count,) int32, or say what is wrong."""
    if not _has_filters(call):
        usable = ", ".join(name for name, found in network.layers.items() if _has_filters(found))
        raise ValueError(
            f"layer {call.name!r} gives {call.shape} for an image, neither feature maps nor units; "
            f"usable are {usable}"
        )
    count = call.shape[-1]
    try:
        numbers = np.atleast_1d(np.arange(count) if filters is None else np.asarray(filters))
    except ValueError:  # a list of lists that differ in length
        numbers = np.empty(0)
    whole = numbers.dtype.kind in "iu" and numbers.ndim == 1 and numbers.size
    if not whole or numbers.min() < 0 or numbers.max() >= count:
        raise ValueError(f"filters of {call.name!r} are 0..{count - 1}, not {filters!r}")
    return numbers.astype(np.int32)


def _has_filters(call):
    return len(call.shape) in (1, 3) and call.shape[-1] is not None


def _note(words, seen, picture, end, reached, rose, off, shut):
    """Say why a picture is empty or says little; "" for a good one."""
    if not np.isfinite(end):
        return "blank: the network computes NaN or infinity for this filter"
    if not reached:
        return "blank: no gradient, its weights are all 0 or all units before it are off"
    if not rose:
        return "blank: no step of the ascent raised it"
    if off and seen:
        return f"dead: {words} is above 0 at no place of the {seen} images given"
    if shut:
        return f"shut: {words} is above 0 nowhere, even for this picture"
    if _one_tone(picture):
        return "one tone in the middle: it answers to brightness or color more than to a pattern"
    return ""


def _one_tone(picture):
    """Whether the middle of a picture shows no pattern; the padding of a network makes frames."""
    rows, columns = (slice(side // 4, side - side // 4) for side in picture.shape[:2])
    middle = picture[rows, columns]
    seen = {"pixels": middle, "averaged": ndimage.uniform_filter(middle, (2, 2, 1))}
    return all(seen[name].std(axis=(0, 1)).max() < most for name, most in TONE.items())
