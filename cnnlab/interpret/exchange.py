"""What a network says of images in which some pixels are exchanged."""

import numpy as np
import tensorflow as tf

from cnnlab.interpret import scores
from cnnlab.interpret.gradcam import Heatmaps

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
        return scores.answers(head, scores.logits(network.graph, head, images))

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
