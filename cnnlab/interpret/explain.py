"""One entry point: an image, a layer's name or both, and the pictures that fit.

What is asked for is checked and resolved once, into a `Request`; then it is computed and drawn.
"""

import contextlib
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnnlab.image_files import Picture
from cnnlab.interpret.activations import activations
from cnnlab.interpret.figures import pictures
from cnnlab.interpret.figures.sheet import Sheet
from cnnlab.interpret.filters import FilterImages, first_layer_weights, maximize_filters
from cnnlab.interpret.gradcam import Heatmaps, grad_cam
from cnnlab.interpret.model import scores
from cnnlab.interpret.model.images import Prepared, picture_of, prepare
from cnnlab.interpret.model.network import inspect_model
from cnnlab.interpret.model.ranges import input_range
from cnnlab.validation import HEATMAP_METHODS, checked_range, require_method

PATIENCE = 1.0  # seconds until a step is announced
OPEN_SIZE = (64, 64)  # of filters' pictures, for a model that takes images of any size


class Explanation(NamedTuple):
    """What `explain` shows, in numbers and as a figure.

    Attributes:
        figure: a Matplotlib figure.
        steps: what was done to the image to fit the model, each a phrase.
        activations: {layer: (height, width, channels) or (units,) float32}, or {}.
        heatmaps: {head: Heatmaps of the one image}, or {}.
        filters: FilterImages, or None.
        summary: what is in the figure, in one sentence.
    """

    figure: object
    steps: tuple[str, ...]
    activations: dict[str, np.ndarray]
    heatmaps: dict[str, Heatmaps]
    filters: FilterImages | None
    summary: str


@dataclass(frozen=True)
class Options:
    """How `explain` works; see there."""

    method: str = HEATMAP_METHODS[0]
    real_images: np.ndarray | None = None
    value_range: tuple[float, float] | None = None
    names: dict[str, list[str]] | None = None
    progress: Callable[[str], None] | None = None


class Request(NamedTuple):
    """What `explain` was asked for, checked and resolved.

    Attributes:
        image: as the model needs it, or None for the filters of a layer.
        layers: the names of the layers to show.
        heat_layers: {head: name of the layer at which its heatmap is made}.
        target: the class to explain, or None for the predicted one.
        value_range: (low, high), what black and white are for the model.
    """

    image: Prepared | None
    layers: list[str]
    heat_layers: dict[str, str]
    target: int | None
    value_range: tuple[float, float]


def explain(model, image=None, layer=None, head=None, target=None, **options) -> Explanation:
    """Draw what there is to see: an image's activations and heatmaps, or a layer's filters.

    An image alone gives the activations of every layer and a heatmap for each head; a layer alone
    gives its filters; both give that image's activations and heatmaps at that layer.

    Args:
        model: a Keras model; see `model.network.inspect_model`. It stays as it was.
        image: the path of an image file, an array, or what `image_files.read` gives; converted to
            the model's size, color mode and range by `model.images.prepare`, and the figure says
            how.
        layer: the name of a layer.
        head: the name of the one head to explain; left out, all of them.
        target: the class to explain (0/1 for a single sigmoid unit); left out, the predicted one.
        **options: any of these:

            method: "grad-cam" (unless given), "grad-cam++" or "layercam".
            real_images: (n, height, width, channels), what the model takes: with a layer alone,
                the best of them is drawn below each filter's picture.
            value_range: (low, high), what black and white are for the model; left out, read from
                its first layers by `model.ranges.input_range`.
            names: {head: names of its classes}, or None to number them.
            progress: called with one line when a step begins; left out, a step goes to stderr once
                it has been running for a second.

    Raises:
        TypeError: `model` is not a Keras model, or there is no such option.
        ValueError: neither image nor layer, a target for several heads at once, or one of the
            values is not usable; the message says what would be, and the error's attribute
            `argument` is the name of the argument, where it is one.
    """
    options = Options(**options)
    with announcer(options.progress) as say:
        request = _resolve(model, image, layer, head, target, options)
        draw = _draw_filters if image is None else _draw_image
        return draw(model, request, options, say)


def _resolve(model, image, layer, head, target, options) -> Request:
    if image is None and layer is None:
        raise ValueError("nothing to explain: give an image, a layer, or both")
    if image is None and not (head is None and target is None):
        raise ValueError("a head or target explains an image; a layer alone shows its filters")
    require_method(options.method)
    picture = None if image is None else picture_of(image)
    is_file = isinstance(image, (str, Path, Picture))  # its size was not chosen for a model
    view = inspect_model(model, None if image is None or is_file else _batch(picture))
    ends = options.value_range
    ends = input_range(view) if ends is None else checked_range(ends)
    _check_names(options.names, view.heads)
    with _naming("layer"):
        layers = None if layer is None else [view.layer(layer).name]
    if image is None:
        return Request(None, layers, {}, None, ends)
    prepared = prepare(view, picture, ends)
    heads = list(view.heads.values())
    if not (head is None and target is None):
        with _naming("head"):
            heads = [_head(view.heads, head)]
        with _naming("target"):
            scores.check_targets(heads[0], target, 1)
    with _naming("layer"):
        calls = {one.name: _heat_layer(view, layer, one, head) for one in heads}
    heat_layers = {name: call.name for name, call in calls.items() if call}
    layers = layers or view.feature_maps() or list(view.layers)
    return Request(prepared, layers, heat_layers, target, ends)


@contextlib.contextmanager
def _naming(argument):
    """Note at a ValueError which argument it is about, for callers that call it otherwise."""
    try:
        yield
    except ValueError as error:
        error.argument = argument
        raise


def _batch(picture):
    """Return an array image with a batch axis: what an unbuilt Sequential is built for."""
    pixels = picture.pixels
    return pixels[None, ..., None] if pixels.ndim == 2 else pixels[None, ..., :3]


def _check_names(names, heads):
    """Raise ValueError unless there is a name for each class of each head that is named."""
    if names is None:
        return
    if not isinstance(names, dict):
        raise ValueError(f"names must be a dict {{head: names of its classes}}, not {names!r}")
    for name, of_classes in names.items():
        head = scores.find_head(heads, name)
        count = len(of_classes) if hasattr(of_classes, "__len__") else repr(of_classes)
        if count != head.classes:
            raise ValueError(
                f"head {name!r} has {head.classes} classes, but {count} names are given"
            )


def _head(heads, name):
    if name is None and len(heads) > 1:
        raise ValueError(f"a target belongs to one head: say which of {', '.join(heads)}")
    return scores.find_head(heads, name)


def _heat_layer(view, layer, head, asked):
    """Return the call at which a head's heatmap is made.

    None where there is no heatmap: the layer has no feature maps, or, when all heads are asked for,
    does not feed this one.
    """
    usable = view.feature_maps(head)
    if not usable if layer is None else asked is None and view.layer(layer).name not in usable:
        return None
    return view.feature_map(layer, head)


def _draw_image(model, request, options, say):
    batch, steps = request.image
    say("heatmaps")
    of_heads = {"target": request.target, "method": options.method}
    heatmaps = {
        head: grad_cam(model, batch, head=head, layer=layer, **of_heads)
        for head, layer in request.heat_layers.items()
    }
    say("activations")
    maps = activations(model, batch, request.layers)
    maps = {layer: of_layer[0] for layer, of_layer in maps.items()}
    say("drawing")
    sheet = Sheet()
    if steps:
        sheet.text(f"The image was {'; '.join(steps)}.")
    shown = _shown(batch, request.value_range)
    if heatmaps:
        pictures.add_heatmaps(sheet, shown, heatmaps, names=options.names)
    else:
        sheet.text("No heatmap: this layer has no feature maps on the way to a head.")
        sheet.tiles([pictures.Tile(pictures.as_colors(shown[0]))], side=1.2)
    for layer, of_layer in maps.items():
        pictures.add_activations(sheet, layer, of_layer)
    heads = [_sentence(heat, options.names or {}) for heat in heatmaps.values()]
    count = f"activations of {len(maps)} layer{'s' if len(maps) > 1 else ''}"
    return Explanation(
        sheet.figure(), steps, maps, heatmaps, None, "; ".join([*steps, *heads, count])
    )


def _sentence(heat, names):
    number = heat.targets[0]
    name = names[heat.head][number] if heat.head in names else f"class {number}"
    note = f", {heat.note[0]}" if heat.note[0] else ""
    return f"{heat.head}: {name} ({100 * heat.probabilities[0]:.1f} %), heat at {heat.layer}{note}"


def _draw_filters(model, request, options, say):
    (layer,), real_images = request.layers, options.real_images
    say(f"filters of {layer}")
    sides = inspect_model(model).graph.input_shape[:2]
    size = tuple(side or most for side, most in zip(sides, OPEN_SIZE, strict=True))
    given = {"images": real_images, "value_range": request.value_range, "size": size}
    filters = maximize_filters(model, layer, **given)
    say("drawing")
    sheet = Sheet()
    if None in sides:
        sheet.text(f"The model takes any size; the pictures have {size[0]} × {size[1]}.")
    real = None if real_images is None else _shown(real_images, request.value_range)
    real = real[..., None] if real is not None and real.ndim == 3 else real
    try:
        weights = first_layer_weights(model, layer)
    except ValueError:  # not a first layer
        weights = None
    pictures.add_filters(sheet, filters, real, weights)
    summary = f"{len(filters.images)} filters of {filters.layer}, {filters.dead.sum()} dead"
    return Explanation(sheet.figure(), (), {}, {}, filters, summary)


def _shown(images, value_range):
    """Return images in the model's range as 0..1."""
    low, high = value_range
    return (np.asarray(images, np.float32) - low) / (high - low)


@contextlib.contextmanager
def announcer(progress):
    """Give a function that announces steps: the one given, or else to stderr if a step is slow."""
    timers = []

    def tell(step):
        print(f"{step} ...", file=sys.stderr, flush=True)

    def say(step):
        for timer in timers:
            timer.cancel()
        timers.append(threading.Timer(PATIENCE, tell, [step]))
        timers[-1].daemon = True
        timers[-1].start()

    try:
        yield progress or say
    finally:
        for timer in timers:
            timer.cancel()
