"""Filters: the picture that each filter of a layer responds to most, by gradient ascent on pixels.

Activation maximization (Erhan et al., 2009), with two ideas of feature visualization (Olah et al.,
2017) against checkerboards and noise: the image is shifted a little in each step, and neighboring
pixels share a part of their gradient. Unlike a penalty of total variation, sharing takes nothing
from what is maximized: the mean over positions of what enters the filter's activation, see
`responses.response`. Positions that a rectifier would cut off count `negative_slope`, so that a
dead filter has a gradient, too; with 1, the plain mean, first layers give one tone with a frame.
"""

from typing import NamedTuple

import keras
import numpy as np
from scipy import ndimage

from cnnlab.interpret.ascent import Ascent, compile_ascent
from cnnlab.interpret.model.batches import announced, in_batches
from cnnlab.interpret.model.memory import images_that_fit
from cnnlab.interpret.model.network import inspect_model
from cnnlab.interpret.model.ranges import preprocessing_of, sees_pixels
from cnnlab.interpret.responses import at_once, best_images, response

# A picture is one tone if its middle has a smaller standard deviation, and, averaged over 2 x 2
# pixels, still a smaller one: strides leave a grid of dots, which is not what the filter looks for.
TONE = {"pixels": 0.25, "averaged": 0.065}


class FilterImages(NamedTuple):
    """The pictures of `count` filters."""

    images: np.ndarray  # (count, height, width, channels) float32, 0..1 over `value_range`
    start: np.ndarray  # (count,) float32, what is maximized, for the blank image
    end: np.ndarray  # (count,) float32, the same for `images`
    dead: np.ndarray  # (count,) bool: no gradient, or rectified to 0 in all images, or its picture
    note: tuple[str, ...]  # `count` strings, "" or why the picture is empty or says little
    layer: str
    filters: np.ndarray  # (count,) int32, their numbers
    best: np.ndarray  # (count,) int64, the image given with the highest response; -1 without images
    best_response: np.ndarray  # (count,) float32, that response; NaN without images
    objective: str  # what is maximized, in words
    value_range: tuple  # what 0 and 1 of `images` are for the model: numbers, or (channels,) arrays


DEFAULT_ASCENT = Ascent()


def maximize_filters(
    model,
    layer,
    filters=None,
    images=None,
    value_range=None,
    ascent=DEFAULT_ASCENT,
    progress=None,
) -> FilterImages:
    """Return the picture that each filter of a layer responds to most.

    The layer has feature maps, or units, each a filter; `filters` are numbers, one or several, or
    all. `images` are real ones, (n, height, width[, channels]) as the model takes them, for `best`;
    `value_range` is (low, high) of its input, or as in `preprocessing.named`; left out, it is read
    off the model, or (0, 1). `progress` is told how long it takes, if it takes long. ValueError for
    a layer without filters, or a filter that it has not.
    """
    view = inspect_model(model, images)
    call = view.layer(layer)
    read = response(view, call)
    numbers = _numbers(view, call, filters)
    ends = preprocessing_of(view, value_range)[:2]
    settings = ascent.settings(*ends)
    if not read.one_sided:
        settings["negative_slope"] = np.float32(1)
    first = ascent.first_image(view.graph.input_shape)
    size, results = first.shape[1:3], 2 * len(numbers) * first.size
    what = f"pictures of {len(numbers):,} filters"
    most = at_once(first.size)
    count = images_that_fit(view, size, most, [read.value], [0], results, what)
    everywhere = ascent.everywhere
    key = ("ascent", call.name, everywhere, np.shape(ends[0]))
    ascend = view.function(key, lambda: compile_ascent(view, read, *key[2:]))
    ascending = announced(lambda part: ascend(first, part, settings), len(numbers), progress)
    made = in_batches(view.graph, ascending, count, numbers)
    slope = settings["negative_slope"] if everywhere else None
    best = best_images(view, call, read, images, numbers, slope)
    reached, top = made.pop("reached"), made.pop("top")
    off_here = read.rectified & (top <= 0)
    off = read.rectified & (best.highest <= 0) if best.count else off_here
    # In the order in which they are asked; the first that holds is the note.
    reasons = {
        "blank: the network computes NaN or infinity for this filter": ~np.isfinite(made["end"]),
        "blank: no gradient, its weights are all 0 or all units before it are off": ~reached,
        "blank: no step of the ascent raised it": ~(made["end"] > made["start"]),
        f"dead: {read.words} is above 0 at no position in the {best.count} images given": (
            off & (best.count > 0)
        ),
        f"off: {read.words} is above 0 nowhere, even for this picture": off_here,
        "one tone in the middle: it responds to brightness or color more than to a pattern": (
            [_one_tone(picture) for picture in made["images"]]
        ),
    }
    where = "mean of " if everywhere else "in the middle, "
    objective = (where if len(call.shape) == 3 else "") + read.words
    if settings["negative_slope"] < 1:
        objective += f", below 0 times {ascent.negative_slope:g}"
    return FilterImages(
        **made,
        dead=~reached | off,
        note=tuple(np.select(list(reasons.values()), list(reasons), "").tolist()),
        layer=call.name,
        filters=numbers,
        best=best.index,
        best_response=best.response,
        objective=objective,
        value_range=ends,
    )


def first_layer_weights(model, layer) -> np.ndarray:
    """Return the weights (count, h, w, channels) float32 of a first convolution, or ValueError."""
    view = inspect_model(model)
    call = view.layer(layer)
    usable = [name for name, other in view.layers.items() if _sees_image(view, other)]
    if call.name not in usable:
        raise ValueError(
            f"layer {call.name!r} is not a convolution of the image's own channels; "
            f"usable are {', '.join(usable) or 'none'}"
        )
    kernel = call.operation.kernel
    return keras.ops.convert_to_numpy(kernel).transpose(3, 0, 1, 2).astype(np.float32)


def _sees_image(view, call):
    """Say whether a call is a convolution of the image itself, at most scaled or padded."""
    layer, channels = call.operation, view.graph.input_shape[-1]
    own = isinstance(layer, keras.layers.Conv2D) and layer.kernel.shape[2] == channels
    return own and sees_pixels(view, call.inputs[0])


def _numbers(view, call, filters):
    """Return the numbers of the wanted filters as (count,) int32, or say what is wrong."""
    if not _has_filters(call):
        usable = ", ".join(name for name, other in view.layers.items() if _has_filters(other))
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


def _one_tone(picture):
    """Whether the middle of a picture shows no pattern; the padding of a network makes frames."""
    rows, columns = (slice(side // 4, side - side // 4) for side in picture.shape[:2])
    middle = picture[rows, columns]
    seen = {"pixels": middle, "averaged": ndimage.uniform_filter(middle, (2, 2, 1))}
    return all(seen[name].std(axis=(0, 1)).max() < most for name, most in TONE.items())
