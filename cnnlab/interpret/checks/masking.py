"""What a network says of images in which some pixels are exchanged."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import tensorflow as tf

from cnnlab.interpret.gradcam import Heatmaps
from cnnlab.interpret.model import scores
from cnnlab.interpret.model.batches import in_batches
from cnnlab.interpret.model.heads import check_targets, find_head
from cnnlab.interpret.model.memory import images_that_fit
from cnnlab.interpret.model.network import as_list
from cnnlab.interpret.placement import enlarged, place
from cnnlab.validation import require_whole

ROWS = 1024  # changed images in one call of the compiled function: bounds the memory
CONTROLS = ("random", "displaced")


@dataclass(frozen=True)
class Masking:
    """How pixels are exchanged, in deletion and insertion; ValueError for another value."""

    steps: int = 20  # >= 1, parts into which the pixels are divided
    blank: float = 0  # finite, a missing pixel; 0 is the ground of MNIST and of the lines
    repeats: int = 3  # >= 1, random orders and displaced maps; the same for all images
    seed: int = 0  # >= 0, of these draws
    controls: str | tuple[str, ...] = CONTROLS  # which to compute, one or several

    def __post_init__(self):
        for name, least in (("steps", 1), ("repeats", 1), ("seed", 0)):
            require_whole(name, getattr(self, name), least)
        if not isinstance(self.blank, int | float | np.number) or not np.isfinite(self.blank):
            raise ValueError(f"blank {self.blank!r} is not allowed: it must be a finite number")
        if unknown := [name for name in as_list(self.controls) if name not in CONTROLS]:
            raise ValueError(f"no control {unknown[0]!r}; there are {', '.join(CONTROLS)}")


DEFAULT_MASKING = Masking()


def explained(view, images, heatmaps, head, target, outputs):
    """Return the head and its (n,) targets: those of `Heatmaps`, else what is asked for."""
    if isinstance(heatmaps, Heatmaps):
        if head not in (None, heatmaps.head) or not target is outputs is None:
            raise ValueError(
                f"the heatmaps are those of head {heatmaps.head!r} and know their targets; "
                "leave out head, target and outputs"
            )
        head, target, outputs = heatmaps.head, heatmaps.targets, heatmaps.outputs
    head = find_head(view, head, outputs)
    if head.outputs == "numbers":
        raise ValueError(
            f"the probability of a class is watched, but head {head.name!r} gives numbers; "
            "if they are logits, say so with outputs='logits'"
        )
    if target is None:
        raise ValueError(f"which class of head {head.name!r} is explained? give the target")
    return head, check_targets(head, target, len(images))


def measure(view, head, pair, ranks, counts, targets):
    """Return (n, counts) probabilities of the targets, with the first `counts` pixels exchanged."""
    # The pair is the images before and after the exchange of all; ranks (n, h, w) are the turns.
    if view.graph.batch:
        raise ValueError(
            f"the model must be given {view.graph.batch} images at once; pixels can be exchanged "
            "only for a model that takes any number"
        )
    compute = view.function(("exchange", *head.key), lambda: _compile(view, head))
    at_once = images_that_fit(view, pair[0].shape[1:3], ROWS, [head.value])
    rows = max(1, at_once // len(counts))
    return in_batches(view.graph, lambda *part: compute(*part, counts), rows, *pair, ranks, targets)


def _compile(view, head):
    pixels = tf.TensorSpec((None, *view.graph.input_shape[:2]), tf.int32)
    row = tf.TensorSpec((None,), tf.int32)

    @view.traced(view.signature(), view.signature(), pixels, row, row)
    def compute(before, after, ranks, targets, counts):
        exchanged = ranks[:, None] < counts[:, None, None]  # (n, steps + 1, h, w)
        images = tf.where(exchanged[..., None], after[:, None], before[:, None])
        images = tf.reshape(images, tf.concat([[-1], tf.shape(before)[1:]], axis=0))
        outputs, _ = scores.answers(view.graph, head, images)
        targets = tf.repeat(targets, tf.size(counts))
        probabilities = scores.probabilities(head, outputs, targets)
        return tf.reshape(probabilities, (-1, tf.size(counts)))

    return compute


def pixel_ranks(heat, order):
    """Return (n, h, w) int32, the rank 0.. of each pixel of (n, h, w) heat, the hottest first."""
    # Pixels of the same heat follow each other as in `order`, a permutation (h * w,).
    flat = heat.reshape(len(heat), order.size)[:, order]
    hottest = order[np.argsort(-flat, axis=1, kind="stable")]
    ranks = np.empty(hottest.shape, np.int32)
    np.put_along_axis(ranks, hottest, np.arange(order.size, dtype=np.int32)[None], axis=1)
    return ranks.reshape(heat.shape)


def displaced_maps(view, heatmaps, heat, nonempty, repeats, generator):
    """Yield up to `repeats` arrays (m, height, width): the nonempty maps, displaced alike.

    The cells of the layer are mirrored and shifted around in circles, each time otherwise, then
    enlarged as the map was; an array's pixels are displaced themselves. A map of a single cell
    stays as it is. Heat and nonempty are as `statistics.heat_of` returns them.
    """
    is_array = not isinstance(heatmaps, Heatmaps)
    cells = heat[nonempty] if is_array else np.maximum(heatmaps.raw[nonempty], 0)
    height, width = cells.shape[1:]
    # Of one or two cells the mirror image is also a shift, or nothing at all.
    mirrors = [(1, -1) if size > 2 else (1,) for size in (height, width)]
    stay, *displacements = product(range(height), range(width), *mirrors)
    displacements = displacements or [stay]
    is_of_pixels = is_array or heatmaps.raw.shape == heat.shape
    tables = None if is_of_pixels else _tables(view, heatmaps.layers, heat.shape[1:])
    count = min(repeats, len(displacements))
    for index in generator.choice(len(displacements), size=count, replace=False):
        down, across, vertical, horizontal = displacements[index]
        displaced = np.roll(cells[:, ::vertical, ::horizontal], (down, across), axis=(1, 2))
        yield np.asarray(enlarged(tf.constant(displaced), *tables)) if tables else displaced


def _tables(view, layers, size):
    """Return by what the raw maps of layers, whose cells lie alike, are enlarged."""
    return place(view, view.layer(layers[0]), size).tables
