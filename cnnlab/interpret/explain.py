"""One door: an image, a layer's name or both, and the pictures that fit."""

import contextlib
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnnlab.image_files import Picture
from cnnlab.interpret.activations import activations
from cnnlab.interpret.ascent import Ascent
from cnnlab.interpret.figures import pictures
from cnnlab.interpret.figures.sheet import Sheet
from cnnlab.interpret.filters import FilterImages, first_layer_weights, maximize_filters
from cnnlab.interpret.gradcam import Heatmaps, check_method, grad_cam
from cnnlab.interpret.model import scores
from cnnlab.interpret.model.images import picture_of, prepare
from cnnlab.interpret.model.network import inspect_model
from cnnlab.interpret.model.ranges import input_range
from cnnlab.validation import checked_range

PATIENCE = 1.0  # seconds without a word
OPEN_SIZE = (64, 64)  # of filters' pictures, for a model that takes images of any size


class Explanation(NamedTuple):
    """What `explain` found, and how it looks.

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


def explain(
    model,
    image=None,
    layer=None,
    head=None,
    target=None,
    *,
    method="grad-cam",
    real_images=None,
    value_range=None,
    names=None,
    progress=None,
) -> Explanation:
    """Draw what there is to see: an image's activations and heatmaps, or a layer's filters.

    An image alone gives the activations of every layer and a heatmap for each head; a layer alone
    gives its filters; both give that image's activations and heatmaps at that layer.

    Args:
        model: a Keras model; see `interpret.network.inspect_model`. It stays as it was.
        image: the path of an image file, an array, or what `image_files.read` gives; brought to the
            model's size, color mode and range by `interpret.images.prepare`, and the figure says
            how.
        layer: the name of a layer.
        head: the name of the one head to explain; left out, all of them.
        target: the class to explain (0/1 for a single sigmoid unit); left out, the model's answer.
        method: "grad-cam", "grad-cam++" or "layercam".
        real_images: (n, height, width, channels), what the model takes: with a layer alone, the
            best of them is drawn below each filter's picture.
        value_range: (low, high), what black and white are for the model; left out, read from its
            first layers by `interpret.ranges.input_range`.
        names: {head: names of its classes}, or None to number them.
        progress: called with one line when a step begins; left out, the step that is running goes
            to stderr once a second has passed, and each step that begins after it.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: neither image nor layer, a target for several heads at once, or one of the
            values is not usable; the message says what would be.
    """
    if image is None and layer is None:
        raise ValueError("nothing to explain: give an image, a layer, or both")
    check_method(method)
    with announcer(progress) as say:
        return _explain(
            model, image, layer, head, target, method, real_images, value_range, names, say
        )


def _explain(model, image, layer, head, target, method, real_images, value_range, names, say):
    network = inspect_model(model, _batch_axis(image))
    value_range = input_range(network) if value_range is None else checked_range(value_range)
    _check_names(names, network)
    sheet = Sheet()
    if image is None:
        if head is not None or target is not None:
            raise ValueError("a head or target explains an image; a layer alone shows its filters")
        found = _add_filters(sheet, model, network.layer(layer).name, real_images, value_range, say)
        summary = f"{len(found.images)} filters of {found.layer}, {found.dead.sum()} dead"
        return Explanation(sheet.figure(), (), {}, {}, found, summary)
    prepared = prepare(network, image, value_range)
    heads = _heads(network, head, target)
    calls = {name: _heat_layer(network, layer, heads[name], head) for name in heads}
    say("heatmaps")
    heatmaps = {
        name: grad_cam(model, prepared.batch, name, target, call.name, method)
        for name, call in calls.items()
        if call is not None
    }
    say("activations")
    layers = network.feature_maps() or list(network.layers) if layer is None else layer
    seen = activations(model, prepared.batch, layers)
    say("drawing")
    _add_image(sheet, prepared, value_range, heatmaps, names)
    for name, maps in seen.items():
        pictures.add_activations(sheet, name, maps[0])
    of_image = {name: maps[0] for name, maps in seen.items()}
    answers = [_sentence(found, names) for found in heatmaps.values()]
    summary = "; ".join([*prepared.steps, *answers, _count(of_image)])
    return Explanation(sheet.figure(), prepared.steps, of_image, heatmaps, None, summary)


def _sentence(found, names):
    number = found.targets[0]
    answer = f"{found.head}: {_class_name(found.head, number, names)}"
    note = f", {found.note[0]}" if found.note[0] else ""
    return f"{answer} ({100 * found.probabilities[0]:.1f} %), heat at {found.layer}{note}"


def _class_name(head, number, names):
    return names[head][number] if names and head in names else f"class {number}"


def _count(seen):
    return f"activations of {len(seen)} layer{'s' if len(seen) > 1 else ''}"


def _check_names(names, network):
    """Raise ValueError unless there is a name for each class of each head that is named."""
    if names is None:
        return
    if not isinstance(names, dict):
        raise ValueError(f"names must be a dict {{head: names of its classes}}, not {names!r}")
    for name, given in names.items():
        head = scores.find_head(network.heads, name)
        count = len(given) if hasattr(given, "__len__") else repr(given)
        if count != head.classes:
            raise ValueError(
                f"head {name!r} has {head.classes} classes, but {count} names are given"
            )


def _batch_axis(image):
    """Return an array image with a batch axis: what an unbuilt Sequential is built for."""
    if image is None or isinstance(image, (str, Path, Picture)):
        return None  # the size of a file was not chosen for a model
    pixels = picture_of(image).pixels
    return pixels[None, ..., None] if pixels.ndim == 2 else pixels[None, ..., :3]


def _heads(network, head, target):
    """Return the heads to explain, {name: Head}."""
    if head is None and target is None:
        return network.heads
    if head is None and len(network.heads) > 1:
        raise ValueError(
            f"a target belongs to one head: say which of {', '.join(network.heads)} with head=..."
        )
    found = scores.find_head(network.heads, head)
    return {found.name: found}


def _heat_layer(network, layer, head, asked):
    """Return the call at which a head's heatmap is made.

    None where there is no heatmap: the layer has no feature maps, or, when all heads are asked for,
    does not feed this one.
    """
    if layer is None:
        return network.feature_map(None, head) if network.feature_maps(head) else None
    call = network.layer(layer)
    if asked is None and (len(call.shape) != 3 or call.name not in network.feature_maps(head)):
        return None
    return network.feature_map(layer, head)


def _add_filters(sheet, model, layer, real_images, value_range, say):
    say(f"filters of {layer}")
    sides = inspect_model(model).graph.input_shape[:2]
    size = tuple(side or most for side, most in zip(sides, OPEN_SIZE, strict=True))
    is_open = None in sides
    found = maximize_filters(
        model,
        layer,
        images=real_images,
        value_range=value_range,
        ascent=Ascent(size=size),
    )
    if is_open:
        sheet.text(f"The model takes any size; the pictures have {size[0]} × {size[1]}.")
    say("drawing")
    low, high = value_range
    real = None
    if real_images is not None:
        real = (np.asarray(real_images, np.float32) - low) / (high - low)
        real = real[..., None] if real.ndim == 3 else real
    try:
        weights = first_layer_weights(model, layer)
    except ValueError:  # not a first layer
        weights = None
    pictures.add_filters(sheet, found, real, weights)
    return found


def _add_image(sheet, prepared, value_range, heatmaps, names):
    low, high = value_range
    shown = (prepared.batch.astype(np.float32) - low) / (high - low)
    if prepared.steps:
        sheet.text(f"The image was {'; '.join(prepared.steps)}.")
    if heatmaps:
        pictures.add_heatmaps(sheet, shown, heatmaps, names=names)
    else:
        sheet.text("No heatmap: this layer has no feature maps on the way to a head.")
        sheet.tiles([pictures.Tile(pictures.as_colors(shown[0]))], side=1.2)


@contextlib.contextmanager
def announcer(given):
    """Give a function that announces steps: the one given, or else stderr after a second."""
    if given is not None:
        yield given
        return
    begin, running = time.perf_counter(), []

    def tell():
        print(f"{running[-1]} ...", file=sys.stderr, flush=True)

    def say(step):
        running.append(step)
        if time.perf_counter() - begin > PATIENCE:
            tell()

    timer = threading.Timer(PATIENCE, lambda: running and tell())
    timer.daemon = True
    timer.start()
    try:
        yield say
    finally:
        timer.cancel()
