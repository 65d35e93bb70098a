"""What `explain` is asked for: checked and resolved once, before anything is computed."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnnlab.image_files import Picture
from cnnlab.interpret.model import scores
from cnnlab.interpret.model.images import Prepared, picture_of, prepare
from cnnlab.interpret.model.network import inspect_model
from cnnlab.interpret.model.ranges import input_range
from cnnlab.validation import HEATMAP_METHODS, checked_range, require_method


@dataclass(frozen=True)
class Options:
    """The rarely used arguments of `explain`."""

    method: str = HEATMAP_METHODS[0]
    real_images: np.ndarray | None = None  # as the model takes them; the best is below each filter
    value_range: tuple[float, float] | None = None  # of black, white; None: `ranges.input_range`
    names: dict[str, list[str]] | None = None  # {head: names of its classes}; None numbers them
    progress: Callable[[str], None] | None = None  # told each step; None: stderr, after a second


class Request(NamedTuple):
    """What `explain` was asked for, checked and resolved."""

    image: Prepared | None  # None for the filters of a layer
    layers: list[str]  # to show
    heat_layers: dict[str, str | None]  # {head: at which its heatmap is made; None: the default}
    without_heat: dict[str, str]  # {head: why it has no heatmap}
    target: int | None  # the class to explain, or None for the predicted one
    value_range: tuple[float, float]  # what black and white are for the model


def resolve(model, image, layer, head, target, options: Options) -> Request:
    """Check the arguments of `explain` before anything is computed; all as in `explain`."""
    if image is None and layer is None:
        raise ValueError("nothing to explain: give an image, a layer, or both")
    if image is None and not (head is None and target is None):
        raise ValueError("a head or target explains an image; a layer alone shows its filters")
    require_method(options.method)
    picture = None if image is None else picture_of(image)
    is_file = isinstance(image, (str, Path, Picture))  # its size was not chosen for a model
    own = None if image is None or is_file else np.atleast_3d(picture.pixels)[..., :3]
    view = inspect_model(model, own)
    ends = options.value_range
    ends = input_range(view) if ends is None else checked_range(ends)
    _check_names(options.names, view.heads)
    with _naming("layer"):
        layers = None if layer is None else [view.layer(layer).name]
    if image is None:
        return Request(None, layers, {}, {}, None, ends)
    prepared = prepare(view, picture, ends)
    heads = list(view.heads.values())
    if not (head is None and target is None):
        with _naming("head"):
            if head is None and len(heads) > 1:
                names = ", ".join(view.heads)
                raise ValueError(f"a target belongs to one head: say which of {names}")
            heads = [scores.find_head(view.heads, head)]
        with _naming("target"):
            scores.check_targets(heads[0], target, 1)
    heat_layers, without_heat = {}, {}
    with _naming("layer"):
        for one in heads:
            try:
                view.feature_map(layer, one)
                heat_layers[one.name] = layer
            except ValueError as error:
                # When all heads are asked for, the layer need not feed each of them.
                if layer is not None and head is not None:
                    raise
                without_heat[one.name] = str(error).partition(";")[0]
    layers = layers or view.feature_maps() or list(view.layers)
    return Request(prepared, layers, heat_layers, without_heat, target, ends)


@contextlib.contextmanager
def _naming(argument):
    """Note at a ValueError which argument it is about, for callers that call it otherwise."""
    try:
        yield
    except ValueError as error:
        error.argument = argument
        raise


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
