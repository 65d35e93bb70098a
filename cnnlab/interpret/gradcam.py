"""Heatmaps of class activation: Grad-CAM, Grad-CAM++ and LayerCAM.

All three weigh the feature maps A of one layer with the gradient g of the score S, the logit of one
class, and add them up over the channels k; what speaks against the class is cut off at 0:

    Grad-CAM    (Selvaraju et al., 2017)       relu(sum_k mean(g_k) A_k)
    Grad-CAM++  (Chattopadhay et al., 2018)    relu(sum_k sum(alpha_k relu(g_k)) A_k)
    LayerCAM    (Jiang et al., 2021)           relu(sum_k relu(g_k) A_k)
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from cnnlab.interpret import placement
from cnnlab.interpret.model import scores
from cnnlab.interpret.model.network import as_batch, inspect_model
from cnnlab.validation import HEATMAP_METHODS, require_method

BATCH = 256  # images in one call of the compiled function: bounds the memory
TINY = np.finfo(np.float32).tiny  # below it TensorFlow takes numbers for 0


class Heatmaps(NamedTuple):
    """Heatmaps of n images.

    Attributes:
        maps: (n, height, width) float32, 0..1, as large as the images; each is divided by its
            own highest value, and is all 0 where `note` says why.
        layer: the name of the layer they were made at.
        head: the name of the head explained.
        targets: (n,) int32, the classes explained.
        scores: (n,) float32, their logits; negated for class 0 of a single sigmoid unit.
        probabilities: (n,) float32, 0..1, what the network gives them; of a head that ends on no
            activation, what a softmax or sigmoid would make of its numbers.
        peak: (n,) float32, the highest value of `raw`, in units of the logit; not above 0 where
            the map is empty.
        raw: (n, h, w) float32, the weighted sums at the layer's own size, with their sign.
        note: n strings, "" or why the map is empty or says little.
        method: "grad-cam", "grad-cam++" or "layercam".
    """

    maps: np.ndarray
    layer: str
    head: str
    targets: np.ndarray
    scores: np.ndarray
    probabilities: np.ndarray
    peak: np.ndarray
    raw: np.ndarray
    note: tuple[str, ...]
    method: str


def grad_cam_sum(maps, gradients):
    """Return the (n, h, w) sums of the feature maps (n, h, w, channels), Selvaraju et al. 2017."""
    weights = tf.reduce_mean(gradients, axis=(1, 2))  # (n, channels)
    return tf.einsum("nhwk,nk->nhw", maps, weights)


def grad_cam_plus_plus_sum(maps, gradients):
    """Return the (n, h, w) sums of Chattopadhay et al. 2018, equations 10 and 19.

    For the score exp(S), all of whose derivatives are powers of the gradient of S; the common
    factor exp(S) does not change the picture and is left out.
    """
    everywhere = tf.reduce_sum(maps, axis=(1, 2), keepdims=True)
    below = 2 * gradients**2 + everywhere * gradients**3
    alpha = tf.math.divide_no_nan(gradients**2, below)
    weights = tf.reduce_sum(alpha * tf.nn.relu(gradients), axis=(1, 2))
    return tf.einsum("nhwk,nk->nhw", maps, weights)


def layer_cam_sum(maps, gradients):
    """Return the (n, h, w) sums of Jiang et al. 2021: each position has its own weight."""
    return tf.reduce_sum(tf.nn.relu(gradients) * maps, axis=-1)


SUMS = (grad_cam_sum, grad_cam_plus_plus_sum, layer_cam_sum)
METHODS = dict(zip(HEATMAP_METHODS, SUMS, strict=True))


@dataclass(frozen=True)
class GradCam:
    """How heatmaps are made.

    Attributes:
        layer: the name of a layer with feature maps on the way to the head; None stands for the
            last convolution on that way.
        method: a key of METHODS; ValueError for another.
    """

    layer: str | None = None
    method: str = "grad-cam"

    def __post_init__(self):
        require_method(self.method)


def grad_cam(model, images, head=None, target=None, layer=None, method="grad-cam") -> Heatmaps:
    """Return what in each image speaks for a class.

    Args:
        model: a Keras model; see `inspect_model`. It stays as it was.
        images: what the model's own input needs, one or many; see `as_batch`.
        head: the name of the output to explain; can be left out if there is only one.
        target: a class index, 0/1 for a single sigmoid unit, or one for each image; left out, the
            model's own prediction.
        layer, method: see `GradCam`.

    Returns:
        `Heatmaps`, the raw sums enlarged to the image's size by bilinear interpolation between the
        positions that the cells of the layer look at; see `interpret.placement`.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: an unknown head, layer or method, a layer that does not feed the head, a target
            out of range, or images that do not fit; the message says what would be right.
    """
    return heatmaps(model, images, head, target, GradCam(layer, method))


def heatmaps(model, images, head, target, how, weights=()) -> Heatmaps:
    """Return the same as `grad_cam`, with other weights if some are given.

    Args:
        model, images, head, target: as in `grad_cam`.
        how: `GradCam`, or a key of METHODS.
        weights: [(variable, array)] to use instead of the variables' own values; the model is not
            changed. Other arrays for the same variables cost no new compilation.
    """
    how = how if isinstance(how, GradCam) else GradCam(method=how)
    network = inspect_model(model, images)
    images = as_batch(network, images)
    head = scores.find_head(network.heads, head)
    call = network.feature_map(how.layer, head)
    targets = scores.check_targets(head, target, len(images))
    if targets is None:
        targets = np.full(len(images), -1, np.int32)  # -1: the model's own prediction
    variables, values = zip(*weights, strict=True) if weights else ((), ())
    explain = network.function(
        ("grad_cam", call.name, head.name, how.method, *map(id, variables)),
        lambda: _compile(network, head, call, METHODS[how.method], variables),
    )
    parts = [
        explain(images[start : start + BATCH], targets[start : start + BATCH], values)
        for start in range(0, len(images), BATCH)
    ]
    results = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    facts = {name: results.pop(name) for name in ("finite", "active", "reached", "shown")}
    note = _notes(results["raw"], results["peak"], **facts)
    return Heatmaps(layer=call.name, head=head.name, note=note, method=how.method, **results)


def _compile(network, head, call, combine, variables):
    """Return the function that explains a batch.

    It turns images, targets (-1 for the model's own prediction) and values for `variables` into a
    dict.
    """
    enlarge = placement.enlarger(network, call)
    values = tuple(tf.TensorSpec(variable.shape, variable.dtype) for variable in variables)

    @tf.function(input_signature=[network.signature(), tf.TensorSpec((None,), tf.int32), values])
    def explain(images, targets, values):
        with tf.GradientTape(watch_accessed_variables=False) as tape:

            def watch(number, tensor):
                if number == call.outputs[0]:
                    tape.watch(tensor)
                    feature_maps.append(tensor)

            feature_maps = []
            weights = list(zip(variables, values, strict=True))
            logits = scores.logits(network.graph, head, images, watch=watch, weights=weights)
            targets = tf.where(targets < 0, scores.predicted(head, logits), targets)
            score = scores.of_targets(head, logits, targets)
        # Images do not influence each other, so the gradient of the sum holds that of each score.
        gradients = tape.gradient(score, feature_maps[0], unconnected_gradients="zero")
        maps, gradients = (tf.cast(part, "float32") for part in (feature_maps[0], gradients))
        raw = combine(maps, gradients)
        finite = tf.reduce_all(tf.math.is_finite(raw), axis=(1, 2))
        large = enlarge(tf.nn.relu(raw), tf.shape(images)[1:3])
        highest, peak = (tf.reduce_max(part, axis=(1, 2)) for part in (large, raw))
        shown = finite & (highest >= TINY)
        # Both go through every number again, and only matter where there is nothing to show.
        active, reached = tf.cond(
            tf.reduce_all(shown),
            lambda: (shown, shown),
            lambda: tuple(tf.reduce_any(part != 0, axis=(1, 2, 3)) for part in (maps, gradients)),
        )
        scale = tf.where(shown, highest, 1)[:, None, None]
        return {
            "maps": tf.where(shown[:, None, None], large / scale, 0),
            "targets": targets,
            "scores": score,
            "probabilities": scores.probabilities(head, logits, targets),
            "peak": peak,
            "raw": raw,
            "finite": finite,
            "active": active,
            "reached": reached,
            "shown": shown,
        }

    return explain


def _notes(raw, peak, finite, active, reached, shown):
    """Return for each image why its map is empty, or says little; "" for a good one."""
    highest = [f"the highest raw value is {value:.3g}" for value in peak]
    # In the order in which they are asked: the first that holds is the note.
    reasons = {
        "empty: the network computes NaN or infinity for this image": finite,
        "empty: the layer is dead, it gives 0 everywhere for this image": active,
        "empty: no gradient arrives, the units between the layer and the head are all off": reached,
        "empty: no place speaks for the class, {highest}": peak >= TINY,
        "empty: what speaks for the class lies beside the pixels, in padding for example": shown,
        "the layer has a single place, so the heat is the same everywhere": raw[0].size > 1,
    }
    wrong = [np.logical_not(good) for good in reasons.values()]
    notes = np.select(wrong, list(reasons), "").tolist()
    return tuple(note.format(highest=words) for note, words in zip(notes, highest, strict=True))
