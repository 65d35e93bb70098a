"""What `explain` is asked for: checked and resolved once, before anything is computed."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnnlab.image_files import Picture, picture_of
from cnnlab.interpret import imagenet
from cnnlab.interpret.gradcam import GradCam
from cnnlab.interpret.methods import WITHOUT_LAYER
from cnnlab.interpret.model.heads import check_targets, find_head
from cnnlab.interpret.model.images import Prepared, prepare
from cnnlab.interpret.model.network import as_list, inspect_model
from cnnlab.interpret.model.ranges import preprocessing_of
from cnnlab.interpret.model.telling import telling_layers
from cnnlab.preprocessing import Preprocessing, require_any_method, require_fit
from cnnlab.validation import HEATMAP_METHODS

CHANNELS, CHANNELS_OF_ONE, FILTERS = 16, 64, 64  # that are shown, if nothing else is asked for


@dataclass(frozen=True)
class Options:
    """The rarely used arguments of `explain`."""

    method: str = HEATMAP_METHODS[0]
    real_images: np.ndarray | None = None  # as the model takes them; the best is below each filter
    preprocess: str | tuple | None = None  # as in `preprocessing.named`; None: read or guessed
    bgr: bool = False  # whether the model takes blue first
    names: dict[str, list[str]] | None = None  # {head: of its classes, numbers}; else counted
    outputs: str | None = None  # what the heads give, as in `grad_cam`; None: read from the model
    layers: str | list[str] | None = None  # to show; "all"; None: the one named, or a few telling
    channels: int | None = None  # most active ones of each layer; 0: all; None: 16, 64 of a single
    filters: int | None = None  # the first ones of the layer; 0: all; None: 64
    region: np.ndarray | None = None  # of a head that is a map, as in `attribute`
    fit: str = "stretch"  # how an image of another shape fits, see `model.images.prepare`
    progress: Callable[[str], None] | None = None  # told each step; None: stderr, after a second


class Request(NamedTuple):
    """What `explain` was asked for, checked and resolved."""

    image: Prepared | None  # None for the filters of a layer
    layers: list[str]  # to show
    channels: int | None  # of each; None for all
    filters: np.ndarray | None  # numbers of filters to show; None for all
    heat_layers: dict[str, str | None]  # {head: at which its heatmap is made; None: the default}
    without_heat: dict[str, str]  # {head: why it has no heatmap}
    target: int | None  # the class or number to explain, or None for the predicted, the highest
    preprocessing: Preprocessing  # how a picture becomes what the model takes
    names: dict[str, list[str]]  # {head: of its classes or numbers}, where they are known

    def how(self, layer, options: Options) -> GradCam:
        """Return how heatmaps at a layer are made."""
        return GradCam(layer, options.method, options.outputs, self.preprocessing, options.region)


def resolve(model, image, layer, head, target, options: Options) -> Request:
    """Check the arguments of `explain` before anything is computed; all as in `explain`."""
    if image is None and layer is None:
        raise ValueError("nothing to explain: give an image, a layer, or both")
    if image is None and not (head is None and target is None):
        raise ValueError("a head or target explains an image; a layer alone shows its filters")
    require_any_method(options.method)
    require_fit(options.fit)
    picture = None if image is None else picture_of(image)
    is_file = isinstance(image, (str, Path, Picture))  # its size was not chosen for a model
    own = None if image is None or is_file else np.atleast_3d(picture.pixels)[..., :3]
    view = inspect_model(model, own)
    with _naming("bgr" if options.bgr else "preprocess"):
        preprocessing = preprocessing_of(view, options.preprocess, options.bgr)
    heads = _heads(view, head, target, options.outputs)
    with _naming("names"):
        _check_names(options.names, view, heads)
    for name in ("channels", "filters"):
        with _naming(name):
            _check_number(name, getattr(options, name))
    names = imagenet.names_for(model, heads) | (options.names or {})
    with _naming("layer"):
        layers = None if layer is None else [view.layer(layer).name]
    if image is None:
        filters = _first_filters(view.layer(layer), options.filters)
        return Request(None, layers, None, filters, {}, {}, None, preprocessing, names)
    with _naming("layers"):
        layers = _asked_layers(view, options.layers) or layers
    with _naming("image"):
        prepared = prepare(view, picture, preprocessing, options.fit)
    is_for_all = head is None and target is None
    heat_layers, without_heat = {}, view.other_outputs.copy() if is_for_all else {}
    with _naming("layer"):
        for one in heads.values():
            try:
                if options.method in WITHOUT_LAYER:
                    heat_layers[one.name] = None
                else:
                    view.heat_layers(layer, one)
                    heat_layers[one.name] = layer
            except ValueError as error:
                # When all heads are asked for, the layer need not feed each of them.
                if layer is not None and head is not None:
                    raise
                without_heat[one.name] = str(error).partition(";")[0]
    layers = layers or telling_layers(view, prepared.batch.shape[1:3])
    channels = _asked(options.channels, CHANNELS if len(layers) > 1 else CHANNELS_OF_ONE)
    return Request(
        prepared, layers, channels, None, heat_layers, without_heat, target, preprocessing, names
    )


def _asked(number, default):
    """Return a number that is asked for, None for 0, which means all."""
    return (default if number is None else number) or None


def _check_number(name, value):
    if value is not None and not (isinstance(value, int | np.integer) and value >= 0):
        raise ValueError(f"{name} must be how many, 0 for all, not {value!r}")


def _first_filters(call, count):
    """Return the numbers of the first filters of a layer; None for all."""
    count = _asked(count, FILTERS)
    units = call.shape[-1] if call.shape else None
    return None if count is None or not units or units <= count else np.arange(count)


def _asked_layers(view, asked):
    """Return the names of the layers to show; None if none are asked for."""
    if asked is None:
        return None
    if isinstance(asked, str) and asked == "all":
        maps = set(view.feature_maps())
        rows = {name for name, call in view.layers.items() if len(call.shape) == 1}
        return [name for name in view.layers if name in maps | rows] or list(view.layers)
    return [view.layer(name).name for name in as_list(asked)]


def _heads(view, head, target, outputs):
    """Return {name: Head}, those to explain, each read as `outputs` says."""
    heads = view.heads
    if not (head is None and target is None):
        with _naming("head"):
            if head is None and len(heads) > 1:
                names = ", ".join(heads)
                raise ValueError(f"a target belongs to one head: say which of {names}")
            one = find_head(view, head)
            heads = {one.name: one}
    with _naming("outputs"):
        heads = {name: one.read_as(outputs) for name, one in heads.items()}
    if target is not None:
        with _naming("target"):
            check_targets(*heads.values(), target, 1)
    return heads


@contextlib.contextmanager
def _naming(argument):
    """Note at a ValueError which argument it is about, for callers that call it otherwise."""
    try:
        yield
    except ValueError as error:
        error.argument = argument
        raise


def _check_names(names, view, heads):
    """Raise ValueError unless there is a name for each class, or number, of each head named."""
    if names is None:
        return
    if not isinstance(names, dict):
        raise ValueError(f"names must be a dict {{head: names of its classes}}, not {names!r}")
    for name, of_classes in names.items():
        head = heads.get(name) or find_head(view, name)
        count = len(of_classes) if hasattr(of_classes, "__len__") else repr(of_classes)
        if count != head.classes:
            what = "numbers" if head.outputs == "numbers" else "classes"
            raise ValueError(
                f"head {name!r} has {head.classes} {what}, but {count} names are given"
            )
