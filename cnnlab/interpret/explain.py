"""One entry point: an image, a layer's name or both, and the pictures that fit."""

import contextlib
import functools
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnnlab.interpret.activations import activations
from cnnlab.interpret.answers import answers
from cnnlab.interpret.ascent import Ascent
from cnnlab.interpret.attribution import heatmaps as heatmaps_of
from cnnlab.interpret.figures import page, pictures
from cnnlab.interpret.figures.page import Section, parts, stacked
from cnnlab.interpret.filters import FilterImages, first_layer_weights, maximize_filters
from cnnlab.interpret.gradcam import Heatmaps
from cnnlab.interpret.model.network import inspect_model
from cnnlab.interpret.model.places import arranged
from cnnlab.interpret.request import Options, resolve
from cnnlab.saving import save_figure

PATIENCE = 1.0  # seconds until a step is announced
OPEN_SIZE = (64, 64)  # of filters' pictures, for a model that takes images of any size
TOP = 5  # classes that are named
AT_ONCE = 256  # channels in a section


class Explanation(NamedTuple):
    """What `explain` shows, in numbers and as pictures; Jupyter shows the figure by itself."""

    sections: tuple[Section, ...]  # what is drawn, in order
    steps: tuple[str, ...]  # what was done to the image to fit the model
    # {layer: (height, width, channels) or (units,), or what else it makes of the image, float32}
    activations: dict[str, np.ndarray]
    heatmaps: dict[str, Heatmaps]  # {head: those of the one image}
    answers: dict[str, list]  # {head: [(class or output, probability or None, value in words)]}
    filters: FilterImages | None
    summary: str  # what is there, in one sentence

    @property
    def figure(self):
        """All sections as one figure of Matplotlib."""
        return stacked(self.sections).figure()

    def _repr_png_(self):
        return page.as_png(self.figure)

    def save(self, path, title="cnnlab", say=print) -> None:
        """Write a .png, .svg, .pdf of several pages or .html, or a folder of pictures.

        Raises:
            ValueError: another suffix, or a folder that is not empty.
        """
        path = Path(path)
        if page.is_folder(path):
            page.save_folder(self.sections, path, say)
        elif path.suffix.lower() == ".html":
            page.save_html(title, self.answers, self.sections, path, say)
        elif path.suffix.lower() == ".pdf":
            page.save_pages(self.sections, path, say)
        elif path.suffix.lower() in page.SUFFIXES:
            save_figure(self.figure, path)
        else:
            raise ValueError(f"{path} must end in {', '.join(page.SUFFIXES)}, or name a folder")


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
        head: heatmaps_of(model, batch, head, request.target, request.how(layer, options))
        for head, layer in request.heat_layers.items()
    }
    say("activations")
    made = activations(model, batch, request.layers)
    say("drawing")
    shown = request.preprocessing.to_pictures(batch)
    answered = {head: maps.told() for head, maps in heatmaps.items()}
    answered |= {
        head: answers(model, batch, head, options.outputs)
        for head in request.without_heat
        if head in inspect_model(model).heads
    }
    told = {
        head: _told(one, request.names, heatmaps[head].targets[0] if head in heatmaps else None)
        for head, one in answered.items()
    }
    missing = [f"no heatmap of {head}: {why}" for head, why in request.without_heat.items()]
    texts = [f"The image was {'; '.join(steps)}."] if steps else []
    texts += [f"{sentence[0].upper()}{sentence[1:]}." for sentence in missing]
    in_words = [
        f"{head}: {', '.join(f'{name} {value}'.strip() for name, _, value in of_head)}."
        for head, of_head in told.items()
    ]

    def draw_heat(sheet):
        if before is not None:
            drawing = pictures.Tile(pictures.as_colors(before / 255), "the drawing")
            seen = pictures.Tile(pictures.as_colors(shown[0]), "what the model sees")
            sheet.tiles([drawing, seen], side=1.2)
        if heatmaps:
            pictures.add_heatmaps(sheet, shown, heatmaps, names=request.names)
        else:
            sheet.tiles([pictures.Tile(pictures.as_colors(shown[0]))], side=1.2)

    sections = [Section("The image and the answers", draw_heat, tuple(texts), tuple(in_words))]
    for layer, of_layer in made.items():
        sections += _of_layer(layer, _as_map(model, layer, of_layer), request.channels)
    summary = list(steps)
    for head, heat in heatmaps.items():
        what = f"{head}: {pictures.answer(heat, 0, request.names)}"
        summary.append(", ".join([what, f"heat at {heat.layer}", *filter(None, heat.note)]))
    summary.extend(missing)
    summary.append(f"activations of {len(made)} layer{'s' if len(made) > 1 else ''}")
    maps = {layer: of_one[0] if len(of_one) == 1 else of_one for layer, of_one in made.items()}
    return Explanation(tuple(sections), steps, maps, heatmaps, told, None, "; ".join(summary))


def _told(answers, names, explained):
    """Return [(name, probability or None, in words)] of the top classes, or the numbers."""
    rows = answers.top(0, names.get(answers.head), TOP, explained)
    left_out = answers.values.shape[1] - len(rows)
    others = [(f"{left_out:,} more", None, "")] if left_out else []
    if answers.outputs == "numbers":
        return [(name, None, f"= {value:.4g}") for name, value in rows] + others
    unit = "% of the area" if answers.of_area else "%"
    return [(name, value, f"{100 * value:.1f} {unit}") for name, value in rows] + others


def _of_layer(layer, maps, channels):
    """Yield the sections of a layer's maps: the most active channels, or all, in parts."""
    if maps.ndim < 3 or channels is not None:
        shown = None if maps.ndim < 3 else pictures.most_active(maps, channels)
        draw = functools.partial(_add_part, layer, maps, shown)
        yield Section(layer, draw, pictures=1 if shown is None else len(shown))
        return
    for numbers in parts(range(maps.shape[2]), AT_ONCE):
        title = layer if maps.shape[2] <= AT_ONCE else f"{layer} {numbers[0]}–{numbers[-1]}"
        draw = functools.partial(_add_part, layer, maps, numbers)
        yield Section(title, draw, pictures=len(numbers))


def _add_part(layer, maps, numbers, sheet):
    pictures.add_activations(sheet, layer, maps, numbers)


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
    filters = maximize_filters(
        model, layer, request.filters, real_images, how, ascent, progress=say
    )
    say("drawing")
    texts = []
    if how.guessed:
        texts.append(f"The pictures are for images of {how}.")
    if None in sides:
        texts.append(f"The model takes any size; the pictures have {size[0]} × {size[1]}.")
    real = None if real_images is None else how.to_pictures(real_images)
    weights = None
    with contextlib.suppress(ValueError):  # not a first layer
        weights = how.in_order(first_layer_weights(model, layer))
    shown = filters._replace(images=how.in_order(filters.images))
    section = Section(
        f"filters of {layer}",
        lambda sheet: pictures.add_filters(sheet, shown, real, weights),
        tuple(texts),
    )
    summary = f"{len(filters.images)} filters of {filters.layer}, {filters.dead.sum()} dead"
    summary += f", for images of {how}" if how.guessed else ""
    return Explanation((section,), (), {}, {}, {}, filters, summary)


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
