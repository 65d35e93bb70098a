"""What is explained: a head of a model and one of its classes, as a logit.

A softmax or sigmoid that is nearly certain has almost no gradient, so what is explained is the
number that enters it. A head with one sigmoid unit has two classes; the score of class 0 is the
negated logit, because the unit speaks for class 1.
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from cnnlab.interpret.model.graph import Graph
from cnnlab.interpret.model.keras2 import keras2_hard_sigmoid
from cnnlab.interpret.model.kinds import SQUEEZING, UNITWISE, activation_name, same_row

# How the logit of a unit by itself becomes 0..1; each f has f(-x) = 1 - f(x).
TO_PROBABILITY = {
    "hardsigmoid": keras.activations.hard_sigmoid,
    "keras2hardsigmoid": keras2_hard_sigmoid,
    "tanh": lambda logit: (1 + tf.tanh(logit)) / 2,
}


class Head(NamedTuple):
    """One output of a model."""

    name: str  # the key of a dict of outputs, else the name of the layer that makes it
    ending: str  # one of SQUEEZING, or "linear" for everything else
    units: int  # numbers that it gives for an image
    classes: int  # that it can predict: 2 for one unit that is not a softmax, else `units`
    value: int  # the number of the output in the graph
    without_activation: str  # the name of the call to be made so for logits, or ""


def heads(graph: Graph) -> dict[str, Head]:
    """Return the heads of a model by name: the outputs that are one row of numbers for an image."""
    return {
        name: _head(graph, name, value, shape[-1])
        for name, value in graph.outputs.items()
        if (shape := graph.shapes[value]) and shape[-1] is not None and set(shape[:-1]) <= {1}
    }


def _head(graph, name, value, units):
    ending, maker = "linear", None
    for (maker,) in graph.walk(value, backwards=True):
        sizes = [size for size in graph.shapes[maker.inputs[0]] if size != 1]
        if not (same_row(maker) and sizes in ([], [units])):
            ending = activation_name(maker.operation)
            break
    ending = ending if ending in SQUEEZING else "linear"
    classes = 2 if units == 1 and "softmax" not in ending else units
    return Head(name, ending, units, classes, value, "" if ending == "linear" else maker.name)


def find_head(heads: dict[str, Head], name: str | None) -> Head:
    """Return the head of that name, or the only one for None; ValueError lists the heads."""
    if not heads:
        raise ValueError(
            "no output of the model is a row of numbers, one for each class; "
            "there is no class to explain"
        )
    if name is None and len(heads) == 1:
        return next(iter(heads.values()))
    names = ", ".join(heads)
    if name is None:
        raise ValueError(f"the model has {len(heads)} heads: say which, with head=...: {names}")
    if not isinstance(name, str) or name not in heads:
        raise ValueError(f"no head {name!r}; the model has {names}")
    return heads[name]


def logits(graph: Graph, head: Head, images, **how):
    """Return the (n, units) float32 logits of a head; `how` goes to `Graph.run`."""
    # (n, ..., units), whose other sizes are 1
    (row,) = graph.run(images, [head.value], without_activation={head.without_activation}, **how)
    return tf.cast(tf.reshape(row, (tf.shape(row)[0], -1)), "float32")


def predicted(head: Head, logits):
    """Return the (n,) int32 predicted classes: the highest logit, or the sign of the only one."""
    if head.units < head.classes:
        return tf.cast(logits[:, 0] > 0, "int32")
    return tf.argmax(logits, axis=1, output_type="int32")


def of_targets(head: Head, logits, targets):
    """Return the (n,) scores of the targets: the logit, negated for class 0 of a single unit."""
    if head.units < head.classes:
        return logits[:, 0] * tf.cast(2 * targets - 1, "float32")
    return tf.gather(logits, targets, axis=1, batch_dims=1)


def probabilities(head: Head, logits, targets):
    """Return the (n,) probabilities 0..1 of the targets, linear numbers being read as logits."""
    if head.ending in UNITWISE or head.units < head.classes:
        return TO_PROBABILITY.get(head.ending, tf.sigmoid)(of_targets(head, logits, targets))
    return tf.gather(tf.nn.softmax(logits), targets, axis=1, batch_dims=1)


def check_targets(head: Head, target, count: int):
    """Return (count,) int32 targets, -1, the predicted class, for None; ValueError for others."""
    if target is None:
        return np.full(count, -1, np.int32)
    try:
        targets = np.asarray(target)
    except ValueError:  # a list of lists that differ in length
        targets = np.asarray("")
    if targets.dtype.kind not in "iu" or targets.shape not in ((), (count,)):
        raise ValueError(
            f"target must be one whole number or one for each of the {count} images, not {target!r}"
        )
    wrong = targets[(targets < 0) | (targets >= head.classes)].ravel()
    if wrong.size:
        raise ValueError(
            f"target {wrong[0]} is not a class of head {head.name!r}: 0..{head.classes - 1}"
        )
    return np.broadcast_to(targets, (count,)).astype(np.int32)
