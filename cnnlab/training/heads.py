"""Four heads on one network: labels as targets for `fit`, probabilities as labels again.

A head is always found by its name, never by its position: Keras orders a dict of outputs by
sorted key, the columns of the labels are ordered as in `lines.HEADS`.
"""

import math

import numpy as np
import tensorflow as tf

from cnnlab.lines import HEADS, NUM_CLASSES
from cnnlab.training import batches as image_batches
from cnnlab.validation import require, require_integers, require_shape

UNKNOWN = 255  # a label that is not known: the head learns nothing from that image


def check_names(names):
    """Return names of heads as a tuple; ValueError for none, for others and for one twice."""
    names = (names,) if isinstance(names, str) else tuple(names)
    if unknown := [name for name in names if name not in HEADS]:
        raise ValueError(f"no head {unknown[0]!r}; the heads are {', '.join(HEADS)}")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"the heads must be different names, at least one, not {names}")
    return names


def check_labels(labels):
    """Return labels (n, 4) uint8, n >= 1, each a class of its head or UNKNOWN; else ValueError."""
    labels = require_integers("labels", labels)
    require_shape(f"array of labels {HEADS}", labels, ("n", len(HEADS)))
    for column, (head, count) in zip(labels.T, NUM_CLASSES.items(), strict=True):
        is_class = (column >= 0) & (column < count)
        allowed = f"in 0..{count - 1}, or {UNKNOWN} where it is not known"
        require(is_class | (column == UNKNOWN), column, f"{head} label", allowed)
    return labels.astype(np.uint8)


def check_weights(weights, names=HEADS):
    """Return {name: float} in the order of names: finite, >= 0 and not all 0, or ValueError."""
    names = check_names(names)
    if set(weights) != set(names):
        raise ValueError(f"weights for {', '.join(weights)}; each of {', '.join(names)} needs one")
    for name, value in weights.items():
        is_allowed = math.isfinite(value) and value >= 0
        require(is_allowed, value, f"the weight of {name}:", "a finite number >= 0")
    if not any(weights.values()):
        raise ValueError("all weights are 0, so there is nothing to learn; one must be > 0")
    return {name: float(weights[name]) for name in names}


def batches(images, labels, names=HEADS, batch_size=128, shuffle_seed=None):
    """Serve images (n, h, w, 3) with a target for each head, as `cnnlab.training.batches` does.

    Labels are (n, 4) integers, UNKNOWN where there is none; names are the network's heads; other
    ones are a ValueError. Returns a `tf.data.Dataset` of (images, targets, weights), the latter two
    float32 by head: targets (batch, 1) of 0 and 1, or (batch, 12) one-hot; weights (batch,), 0 for
    an unknown label, else 1.
    """
    labels, names = check_labels(labels), check_names(names)
    served = image_batches.batches(images, labels, batch_size, shuffle_seed)

    def by_head(images, labels):
        columns = {name: labels[:, HEADS.index(name)] for name in names}
        targets = {name: _target(column, NUM_CLASSES[name]) for name, column in columns.items()}
        known = {name: tf.cast(column != UNKNOWN, "float32") for name, column in columns.items()}
        return images, targets, known

    return served.map(by_head)


def _target(labels, classes):
    if classes > 2:
        return tf.one_hot(labels, classes)
    return tf.cast(labels[:, None] == 1, "float32")


def probabilities(network, images):
    """Predict images (n, h, w, 3): {head: (n, 1) or (n, 12) float32}; ValueError without heads."""
    predicted = image_batches.predict(network, images)
    if not isinstance(predicted, dict):
        given = f"the outputs of {network.name!r} are a {type(predicted).__name__}"
        raise ValueError(f"{given}; they must be a dict by head: {', '.join(HEADS)}")
    return predicted


def joint(network, part) -> float:
    """Return how often a network is right with all heads at once on `lines.Lines`, 0..1."""
    return accuracies(predict(network, part.images), part.labels)["joint"]


def _check_probabilities(probabilities, count="n"):
    check_names(probabilities)
    for name, p in probabilities.items():
        outputs = NUM_CLASSES[name] if NUM_CLASSES[name] > 2 else 1
        require_shape(f"array of {name} probabilities", p, (count, outputs))


def to_labels(probabilities):
    """Turn probabilities by head into {head: labels (n,) uint8}; ValueError for other shapes."""
    _check_probabilities(probabilities)
    return {
        name: (p[:, 0] > 0.5 if NUM_CLASSES[name] == 2 else p.argmax(axis=-1)).astype(np.uint8)
        for name, p in probabilities.items()
    }


def label_columns(probabilities):
    """Turn probabilities of all four heads, or ValueError, into labels (n, 4) uint8."""
    if missing := [name for name in HEADS if name not in probabilities]:
        raise ValueError(f"there are no probabilities of the head {', '.join(missing)}")
    labels = to_labels(probabilities)
    return np.stack([labels[name] for name in HEADS], axis=-1)


def predict(network, images):
    """Return labels (n, 4) uint8; arguments and errors as of `probabilities`, `label_columns`."""
    return label_columns(probabilities(network, images))


def errors(network, part):
    """Count the errors of each head of a network on `lines.Lines`, and "joint" ones of all four.

    Returns {head: count}; "joint", where at least one head is wrong, only for all four heads.
    """
    predicted = to_labels(probabilities(network, part.images))
    wrong = {name: p != part.labels[:, HEADS.index(name)] for name, p in predicted.items()}
    if len(wrong) == len(HEADS):
        wrong["joint"] = np.any(list(wrong.values()), axis=0)
    return {name: int(np.sum(each)) for name, each in wrong.items()}


def accuracies(predicted, labels):
    """Return {"joint": 0..1, head: 0..1, ...} of predicted and true labels, both (n, 4)."""
    wrong = predicted != labels
    of_heads = dict(zip(HEADS, wrong.sum(axis=0), strict=True))
    counts = {"joint": wrong.any(axis=1).sum()} | of_heads
    return {name: 1 - int(count) / len(labels) for name, count in counts.items()}


def confidence(probabilities, labels):
    """Return {head: (confidence in its predictions (n,) 0..1, whether they are right (n,))}."""
    right, of_heads = label_columns(probabilities) == labels, {}
    for column, head in enumerate(HEADS):
        p = probabilities[head]
        of_head = p.max(axis=-1) if NUM_CLASSES[head] > 2 else np.maximum(p, 1 - p)[:, 0]
        of_heads[head] = of_head, right[:, column]
    return of_heads


def by_head(history):
    """Return Keras's history of four heads as {head: history of this head alone}."""
    return {
        name: {
            start + key: history[f"{start}{name}_{key}"]
            for start in ("", "val_")
            for key in ("accuracy", "loss")
        }
        for name in HEADS
    }


def cross_entropy(probabilities, labels):
    """Return {head: mean cross-entropy in nats}; ValueError unless labels (n, 4) are known."""
    labels = check_labels(labels)
    _check_probabilities(probabilities, len(labels))
    losses = {}
    for name, p in probabilities.items():
        of_each = np.concatenate([1 - p, p], axis=1) if NUM_CLASSES[name] == 2 else p
        column = labels[:, HEADS.index(name)]
        if np.any(column == UNKNOWN):
            raise ValueError(f"the {name} label {UNKNOWN} means unknown: it has no cross-entropy")
        true = of_each[np.arange(len(labels)), column]
        losses[name] = float(-np.log(np.maximum(true, 1e-7)).mean())
    return losses


def weighted_mean(accuracies, weights):
    """Return the heads' mean accuracy, both {head: number}; weights as for `check_weights`."""
    weights = check_weights(weights, tuple(accuracies))
    return sum(weights[name] * accuracies[name] for name in weights) / sum(weights.values())
