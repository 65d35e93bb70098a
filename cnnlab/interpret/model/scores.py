"""What is explained: the score of one class, or number, of a head.

A softmax or sigmoid that is nearly certain has almost no gradient, so the score of a class is its
logit, the number that enters the ending. Where none enters, as after a mean of several members, it
is the logit of the probability p itself, log(p / (1 - p)). A head with one unit has two classes;
the score of class 0 is the negated logit, because the unit speaks for class 1. The score of a
number is the number.
"""

import numpy as np
import tensorflow as tf

from cnnlab.interpret.model.graph import Graph, made, stand_in, watched
from cnnlab.interpret.model.heads import Head

# How what an ending gives becomes a probability 0..1; it is one after all others.
TO_PROBABILITY = {"logsoftmax": tf.exp, "logsigmoid": tf.exp}
NOWHERE = "empty: the class is the likeliest nowhere: give a region"
TINY = np.finfo(np.float32).tiny  # numbers below it are 0 to TensorFlow


def answers(graph: Graph, head: Head, images, watch=None, weights=()):
    """Return what a head gives, and the scores of its classes or numbers: (n, units) float32 each.

    Images (n, height, width, channels), `watch` and `weights` are as in `Graph.run`.
    """
    values, logits, entering = {}, [], head.entering

    def watching(number, tensor):
        if entering is None or number != entering.value:
            tensor = watched(watch, number, tensor)
        else:
            # Computed a second time: TensorFlow rounds like `predict` only where nobody else reads
            # what enters an activation.
            maker = entering.maker
            operation = stand_in(maker.operation) if entering.is_inside else maker.operation
            again = made(maker, values, operation)[maker.outputs.index(number)]
            logits.append(watched(watch, number, again))
        values[number] = tensor
        return tensor

    (given,) = graph.run(images, [head.value], (), watching, weights)
    outputs = _rows(head, given)
    scored = outputs
    if head.outputs == "probabilities":
        # The gradient 1 / p must fit into the model's own dtype, maybe float16.
        least = max(TINY, 4 / given.dtype.max)
        scored = _rows(head, logits[0]) if logits else _log_odds(head, outputs, least)
    return _over_area(head, outputs, scored) if head.is_map else (outputs, scored)


def _rows(head, tensor):
    """Return (n, ...) as (n, units) float32, or of a map (n, h, w, units)."""
    tensor = tf.cast(tensor, "float32")
    return tensor if head.is_map else tf.reshape(tensor, (tf.shape(tensor)[0], -1))


def _over_area(head, outputs, scored):
    """Return (n, units) each: shares of the area, or mean numbers, and mean scores in a region."""
    if head.outputs == "numbers":
        inside, area = tf.ones_like(outputs), tf.reduce_mean(outputs, axis=(1, 2))
    else:  # where each class is the likeliest
        of_units = _of_units(head, outputs)
        if head.units == 1:
            inside = tf.cast(of_units > 0.5, "float32")
        else:
            inside = tf.one_hot(tf.argmax(of_units, axis=-1), head.units)
        area = tf.reduce_mean(inside, axis=(1, 2))
    if head.region is not None:
        inside = tf.constant(head.region[None, :, :, None], "float32") * tf.ones_like(scored)
    size = tf.reduce_sum(inside, axis=(1, 2))
    return area, tf.math.divide_no_nan(tf.reduce_sum(scored * inside, axis=(1, 2)), size)


def _log_odds(head, probabilities, least):
    """Return the (n, units) logits log(p / (1 - p)), p and 1 - p being `least` at the least."""
    against = 1 - probabilities
    if head.exclusive and head.units > 1:
        # What speaks for the other classes: near 1 it has more digits than 1 - p.
        against = probabilities @ (1 - tf.eye(head.units))
    return tf.math.log(tf.maximum(probabilities, least)) - tf.math.log(tf.maximum(against, least))


def of_all(head: Head, outputs):
    """Return (n, classes), the probabilities 0..1 of all classes, or the numbers of a head."""
    if head.outputs == "numbers":
        return outputs
    of_units = _of_units(head, outputs)
    return tf.concat([1 - of_units, of_units], axis=1) if head.units < head.classes else of_units


def predicted(head: Head, outputs):
    """Return the (n,) int32 predicted classes, or which number is the highest."""
    if head.units < head.classes:
        is_1 = _of_units(head, outputs)[:, 0] > 0.5
        return tf.cast(is_1 | head.is_map, "int32")  # of a map, where it is something
    return tf.argmax(outputs, axis=1, output_type="int32")


def of_targets(head: Head, scores, targets):
    """Return the (n,) scores of the targets, negated for class 0 of a single unit."""
    if head.units < head.classes:
        return scores[:, 0] * tf.cast(2 * targets - 1, "float32")
    return tf.gather(scores, targets, axis=1, batch_dims=1)


def probabilities(head: Head, outputs, targets):
    """Return the (n,) probabilities 0..1 of the targets; NaN of numbers."""
    of_units = _of_units(head, outputs)
    if head.units < head.classes:
        return tf.where(targets == 1, of_units[:, 0], 1 - of_units[:, 0])
    return tf.gather(of_units, targets, axis=1, batch_dims=1)


def nowhere(head: Head, shares):
    """Return (n,) bool, whether a head's score is that of an area, and there is none."""
    return (head.is_map and head.region is None) & (shares == 0)


def _of_units(head, outputs):
    """Return the (n, units) probabilities of what a head gives."""
    if head.outputs == "numbers":
        return tf.fill(tf.shape(outputs), np.float32("nan"))
    if head.is_map and len(outputs.shape) == 2:
        return outputs  # shares of the area already
    if head.outputs == "logits":
        return tf.sigmoid(outputs) if head.units == 1 else tf.nn.softmax(outputs)
    return TO_PROBABILITY.get(head.ending, tf.identity)(outputs)
