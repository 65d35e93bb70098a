"""What a network says of images in which some pixels are exchanged."""

from itertools import product

import numpy as np
import tensorflow as tf

from cnnlab.interpret import placement
from cnnlab.interpret.gradcam import Heatmaps
from cnnlab.interpret.model import scores

ROWS = 1024  # changed images in one call of the compiled function: bounds the memory


def explained(network, images, heatmaps, head, target):
    """Return the head and the (n,) targets: of `Heatmaps` their own, else what is asked for.

    Raises:
        ValueError: `Heatmaps` with another head or with targets; an unknown head or wrong targets.
    """
    if isinstance(heatmaps, Heatmaps):
        if head not in (None, heatmaps.head) or target is not None:
            raise ValueError(
                f"the heatmaps are those of head {heatmaps.head!r} and know their targets; "
                "leave out head and target"
            )
        head, target = heatmaps.head, heatmaps.targets
    head = scores.find_head(network.heads, head)
    targets = scores.check_targets(head, target, len(images))
    if targets is not None:
        return head, targets
    answer = network.function(("answers", head.name), lambda: _compile_answers(network, head))
    parts = [answer(images[start : start + ROWS]) for start in range(0, len(images), ROWS)]
    return head, np.concatenate(parts)


def _compile_answers(network, head):
    @tf.function(input_signature=[network.signature()])
    def answer(images):
        return scores.predicted(head, scores.logits(network.graph, head, images))

    return answer


def measure(network, head, pair, ranks, counts, targets):
    """Return (n, counts) probabilities of the targets, with the first pixels exchanged.

    Args:
        pair: images before and after the exchange of all pixels, (n, h, w, channels) each.
        ranks: (n, h, w), when each pixel's turn is.
        counts: (steps + 1,) how many pixels are exchanged.
    """
    compute = network.function(("exchange", head.name), lambda: _compile(network, head))
    step = max(1, ROWS // len(counts))
    return np.concatenate(
        [
            compute(*(part[start : start + step] for part in (*pair, ranks, targets)), counts)
            for start in range(0, len(targets), step)
        ]
    )


def _compile(network, head):
    place = tf.TensorSpec((None, *network.graph.input_shape[:2]), tf.int32)
    row = tf.TensorSpec((None,), tf.int32)

    @tf.function(input_signature=[network.signature(), network.signature(), place, row, row])
    def compute(before, after, ranks, targets, counts):
        exchanged = ranks[:, None] < counts[:, None, None]  # (n, steps + 1, h, w)
        images = tf.where(exchanged[..., None], after[:, None], before[:, None])
        images = tf.reshape(images, tf.concat([[-1], tf.shape(before)[1:]], axis=0))
        logits = scores.logits(network.graph, head, images)
        found = scores.probabilities(head, logits, tf.repeat(targets, tf.size(counts)))
        return tf.reshape(found, (-1, tf.size(counts)))

    return compute


def as_blank(blank, images):
    """Return what stands for missing pixels as an array like the images, (n, h, w, channels).

    Raises:
        ValueError: no finite numbers, or another shape than that of a number, a color or an image.
    """
    try:
        blanks = np.broadcast_to(np.asarray(blank, images.dtype), images.shape)
    except (TypeError, ValueError):
        shape = f"one number, a color or an image {images.shape[1:]}"
        raise ValueError(f"blank {blank!r} is not allowed: it must be {shape}") from None
    if not np.isfinite(blanks.astype(np.float64)).all():
        raise ValueError(f"blank {blank!r} is not allowed: it must be finite")
    return blanks


def pixel_ranks(heat, order):
    """Return (n, h, w) int32, the rank 0.. of each pixel, the hottest first.

    Args:
        heat: (n, h, w).
        order: (h * w,) permutation in which pixels of the same heat follow each other.
    """
    flat = heat.reshape(len(heat), order.size)[:, order]
    hottest = order[np.argsort(-flat, axis=1, kind="stable")]
    ranks = np.empty(hottest.shape, np.int32)
    np.put_along_axis(ranks, hottest, np.arange(order.size, dtype=np.int32)[None], axis=1)
    return ranks.reshape(heat.shape)


def moved_maps(network, heatmaps, heat, there, repeats, generator):
    """Yield up to `repeats` arrays (m, height, width): the maps in a wrong place, all moved alike.

    The cells of the layer are mirrored and shifted around in circles, then enlarged as the map was;
    an array's pixels are moved themselves. A map of a single cell cannot be moved and stays.

    Args:
        network: of the model.
        heatmaps: `Heatmaps` or an array.
        heat: (n, height, width) of it.
        there: (n,) bool, the m maps wanted.
        repeats: how many moves to draw, all different.
        generator: a numpy random generator.
    """
    is_array = not isinstance(heatmaps, Heatmaps)
    cells = heat[there] if is_array else np.maximum(heatmaps.raw[there], 0)
    height, width = cells.shape[1:]
    # Of one or two cells the mirror image is also a shift, or nothing at all.
    mirrors = [(1, -1) if size > 2 else (1,) for size in (height, width)]
    stay, *moves = product(range(height), range(width), *mirrors)
    moves = moves or [stay]
    enlarge = None if is_array else placement.enlarger(network, network.layer(heatmaps.layer))
    for index in generator.choice(len(moves), size=min(repeats, len(moves)), replace=False):
        down, across, vertical, horizontal = moves[index]
        moved = np.roll(cells[:, ::vertical, ::horizontal], (down, across), axis=(1, 2))
        yield moved if is_array else np.asarray(enlarge(tf.constant(moved), heat.shape[1:]))
