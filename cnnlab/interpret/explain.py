"""One entry point: an image, a layer's name or both, and the pictures that fit."""

import contextlib
import sys
import threading
from typing import NamedTuple

import numpy as np

from cnnlab.interpret.activations import activations
from cnnlab.interpret.ascent import Ascent
from cnnlab.interpret.figures import pictures
from cnnlab.interpret.figures.sheet import Sheet
from cnnlab.interpret.filters import FilterImages, first_layer_weights, maximize_filters
from cnnlab.interpret.gradcam import Heatmaps, grad_cam
from cnnlab.interpret.model.network import inspect_model
from cnnlab.interpret.model.places import arranged
from cnnlab.interpret.request import Options, resolve

PATIENCE = 1.0  # seconds until a step is announced
OPEN_SIZE = (64, 64)  # of filters' pictures, for a model that takes images of any size


class Explanation(NamedTuple):
    """What `explain` shows, in numbers and as a figure."""

    figure: object  # of Matplotlib
    steps: tuple[str, ...]  # what was done to the image to fit the model
    # {layer: (height, width, channels) or (units,), or what else it makes of the image, float32}
    activations: dict[str, np.ndarray]
    heatmaps: dict[str, Heatmaps]  # {head: those of the one image}
    filters: FilterImages | None
    summary: str  # what is in the figure, in one sentence


def explain(model, image=None, layer=None, head=None, target=None, **options) -> Explanation:
    """Draw what there is to see: an image's activations and heatmaps, or a layer's filters.

    An image alone gives the activations of every layer and a heatmap for each head; a layer's name
    alone gives its filters; both give that image's activations and heatmaps at that layer. The
    image is the path of a file, an array (h, w) or (h, w, channels), or what `image_files.read`
    gives; `model.images.prepare` converts it, and the figure says how. `head` is the one to
    explain, or all; `target` its class, 0/1 for a single sigmoid unit, or which of its numbers, or
    the predicted class, the highest number; the options are those of `request.Options`. Linear
    units are numbers, unless the option `outputs` says that they are "logits" of classes.

    TypeError: `model` is not a Keras model, or there is no such option. ValueError: neither image
    nor layer, a target for several heads, or a value that is not usable; the error's attribute
    `argument` names the argument, where it is one.
    """
    options = Options(**options)
    draw = _draw_filters if image is None else _draw_image
    with announcer(options.progress) as say:
        return draw(model, resolve(model, image, layer, head, target, options), options, say)


def _draw_image(model, request, options, say):
    batch, steps, before = request.image
    say("heatmaps")
    heatmaps = {
        head: grad_cam(model, batch, head, request.target, layer, options.method, options.outputs)
        for head, layer in request.heat_layers.items()
    }
    say("activations")
    made = activations(model, batch, request.layers)
    say("drawing")
    sheet = Sheet()
    if steps:
        sheet.text(f"The image was {'; '.join(steps)}.")
    shown = request.preprocessing.to_pictures(batch)
    if before is not None:
        drawing = pictures.Tile(pictures.as_colors(before / 255), "the drawing")
        seen = pictures.Tile(pictures.as_colors(shown[0]), "what the model sees")
        sheet.tiles([drawing, seen], side=1.2)
    if heatmaps:
        pictures.add_heatmaps(sheet, shown, heatmaps, names=options.names)
    else:
        sheet.tiles([pictures.Tile(pictures.as_colors(shown[0]))], side=1.2)
    missing = [f"no heatmap of {head}: {why}" for head, why in request.without_heat.items()]
    for sentence in missing:
        sheet.text(f"{sentence[0].upper()}{sentence[1:]}.")
    for layer, of_layer in made.items():
        pictures.add_activations(sheet, layer, _as_map(model, layer, of_layer))
    summary = list(steps)
    for head, heat in heatmaps.items():
        what = f"{head}: {pictures.answer(heat, 0, options.names)}"
        summary.append(", ".join([what, f"heat at {heat.layer}", *filter(None, heat.note)]))
    summary.extend(missing)
    summary.append(f"activations of {len(made)} layer{'s' if len(made) > 1 else ''}")
    maps = {layer: of_one[0] if len(of_one) == 1 else of_one for layer, of_one in made.items()}
    return Explanation(sheet.figure(), steps, maps, heatmaps, None, "; ".join(summary))


def _as_map(model, layer, made):
    """Return what a layer makes of one image as (h, w, channels) or (units,).

    Tokens and windows are put where they lie in the image, or else side by side.
    """
    if len(made) == 1 and made.ndim in (2, 4):
        return made[0]
    view = inspect_model(model)
    found = arranged(view.geometry().places[view.layer(layer).outputs[0]])
    cells = made.reshape(-1, made.shape[-1])
    return cells[found[0]] if found else cells[None]


def _draw_filters(model, request, options, say):
    (layer,), real_images = request.layers, options.real_images
    say(f"filters of {layer}")
    sides = inspect_model(model).graph.input_shape[:2]
    size = tuple(side or most for side, most in zip(sides, OPEN_SIZE, strict=True))
    how, ascent = request.preprocessing, Ascent(size=size)
    filters = maximize_filters(model, layer, None, real_images, how, ascent)
    say("drawing")
    sheet = Sheet()
    if how.guessed:
        sheet.text(f"The pictures are for images of {how}.")
    if None in sides:
        sheet.text(f"The model takes any size; the pictures have {size[0]} × {size[1]}.")
    real = None if real_images is None else how.to_pictures(real_images)
    weights = None
    with contextlib.suppress(ValueError):  # not a first layer
        weights = how.in_order(first_layer_weights(model, layer))
    shown = filters._replace(images=how.in_order(filters.images))
    pictures.add_filters(sheet, shown, real, weights)
    summary = f"{len(filters.images)} filters of {filters.layer}, {filters.dead.sum()} dead"
    summary += f", for images of {how}" if how.guessed else ""
    return Explanation(sheet.figure(), (), {}, {}, filters, summary)


@contextlib.contextmanager
def announcer(progress):
    """Give a function that announces steps: the one given, or one that prints slow steps."""

    def say(step):
        pending.close()  # the step before is done
        to_stderr = {"file": sys.stderr, "flush": True}
        timer = threading.Timer(PATIENCE, print, [f"{step} ..."], to_stderr)
        timer.daemon = True
        timer.start()
        pending.callback(timer.cancel)

    with contextlib.ExitStack() as pending:
        yield progress or say
