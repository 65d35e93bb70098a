"""What is explained: a head of a model and one of its classes, as a logit.

A softmax or sigmoid that is nearly sure has almost no gradient, so what is explained is the number
that enters it. A head with one sigmoid unit has two answers; the score of answer 0 is the negated
logit, because the unit speaks for answer 1.
"""

import re
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from cnnlab.interpret.model.graph import Graph, has_inner_activation

# Endings that squeeze each number into a range by itself, and how its logit becomes 0..1.
UNITWISE = {
    "sigmoid": tf.sigmoid,
    "log_sigmoid": tf.sigmoid,
    "hard_sigmoid": keras.activations.hard_sigmoid,
    "tanh": lambda logit: (1 + tf.tanh(logit)) / 2,
}
# All endings that squeeze numbers and keep their order: what enters them is a logit.
SQUEEZING = ("softmax", "log_softmax", *UNITWISE)
# Layers and operations that do nothing to the numbers when a trained network answers.
PASSING = (
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Identity,
    keras.layers.ActivityRegularization,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
)
PASSING_OPERATIONS = ("Cast", "ExpandDims", "Identity", "Ravel", "Reshape", "Squeeze")


class Head(NamedTuple):
    """One output of a model.

    Attributes:
        name: the key of a dict of outputs, else the name of the layer that makes it.
        ending: "softmax", "sigmoid", ... (one of SQUEEZING), or "linear" for everything else.
        units: numbers that it gives for an image.
        classes: answers that it can give: 2 for one unit that is no softmax, else `units`.
        value: the number of the output in the graph.
        plain: the name of the call whose activation is left out to get logits, or "".
    """

    name: str
    ending: str
    units: int
    classes: int
    value: int
    plain: str


def heads(graph: Graph) -> dict[str, Head]:
    """Return the heads of a model by name: the outputs that are one row of numbers for an image."""
    return {
        name: _head(graph, name, value)
        for name, value in graph.outputs.items()
        if _is_row(graph.shapes[value])
    }


def _is_row(shape):
    return bool(shape) and shape[-1] is not None and all(size == 1 for size in shape[:-1])


def _head(graph, name, value):
    makers = {number: call for call in graph.calls for number in call.outputs}
    units = graph.shapes[value][-1]
    maker = makers.get(value)
    while maker and _passes(maker.operation) and _same_row(graph, maker.inputs[0], units):
        maker = makers.get(maker.inputs[0])
    ending = _ending(maker.operation) if maker else "linear"
    classes = 2 if units == 1 and "softmax" not in ending else units
    return Head(name, ending, units, classes, value, maker.name if ending != "linear" else "")


def _same_row(graph, value, units):
    """Say whether a value is a row of so many units, in whatever axis."""
    return [size for size in graph.shapes[value] if size != 1] in ([], [units])


def _passes(operation):
    if isinstance(operation, keras.layers.Activation):
        return operation.activation is keras.activations.linear
    is_layer = isinstance(operation, keras.layers.Layer)
    return isinstance(operation, PASSING) or (
        not is_layer and type(operation).__name__ in PASSING_OPERATIONS
    )


def _ending(operation):
    """Return the name of the activation that an operation ends on, if it is a squeezing one."""
    found = operation  # a Softmax layer, or `keras.ops.sigmoid` and its like
    if isinstance(operation, keras.layers.Activation) or has_inner_activation(operation):
        found = operation.activation
    name = getattr(found, "__name__", type(found).__name__)
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    name = name.removesuffix("_v2")  # `tf.nn.softmax` calls itself softmax_v2
    return name if name in SQUEEZING else "linear"


def find_head(found: dict[str, Head], name: str | None) -> Head:
    """Return the head of that name; the only one for None.

    Raises:
        ValueError: no such head, or None where there are several (the message lists them), or no
            head at all.
    """
    if not found:
        raise ValueError(
            "no output of the model is a row of numbers, one for each class; "
            "there is no class to explain"
        )
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    names = ", ".join(found)
    if name is None:
        raise ValueError(f"the model has {len(found)} heads: say which, with head=...: {names}")
    if not isinstance(name, str) or name not in found:
        raise ValueError(f"no head {name!r}; the model has {names}")
    return found[name]


def logits(graph: Graph, head: Head, images, **how):
    """Return the (n, units) float32 logits of a head; `how` goes to `Graph.run`."""
    (row,) = graph.run(images, [head.value], plain={head.plain}, **how)
    return rows(row)


def rows(tensor):
    """Return a head's output (n, ..., units), whose other sizes are 1, as (n, units) float32."""
    return tf.cast(tf.reshape(tensor, (tf.shape(tensor)[0], -1)), "float32")


def answers(head: Head, logits):
    """Return the (n,) int32 answers that the logits give: the highest, or the sign of the one."""
    if head.units < head.classes:
        return tf.cast(logits[:, 0] > 0, "int32")
    return tf.argmax(logits, axis=1, output_type="int32")


def of_targets(head: Head, logits, targets):
    """Return the (n,) scores of the targets: the logit, negated for answer 0 of a single unit."""
    if head.units < head.classes:
        return logits[:, 0] * tf.cast(2 * targets - 1, "float32")
    return tf.gather(logits, targets, axis=1, batch_dims=1)


def probabilities(head: Head, logits, targets):
    """Return the (n,) probabilities 0..1 of the targets.

    Where the model ends on no activation, its numbers are read as logits of a softmax, or of a
    sigmoid if there is only one.
    """
    if head.ending in UNITWISE or head.units < head.classes:
        # Each f has f(-x) = 1 - f(x), so the negated logit of answer 0 gives its probability.
        return UNITWISE.get(head.ending, tf.sigmoid)(of_targets(head, logits, targets))
    return tf.gather(tf.nn.softmax(logits), targets, axis=1, batch_dims=1)


def check_targets(head: Head, target, count: int):
    """Return a target for each image as (count,) int32, or None for the model's own answers.

    Raises:
        ValueError: no integer, outside 0..classes-1, or neither one nor `count` of them.
    """
    if target is None:
        return None
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
