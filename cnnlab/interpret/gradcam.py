"""Heatmaps of class activation: Grad-CAM, Grad-CAM++ and LayerCAM.

All three weigh the feature maps A of one layer with the gradient g of the score S, the logit of one
class or a number that the network gives, see `model.scores`, and add them up over the channels k;
what speaks against the class, or lowers the number, is cut off at 0:

    Grad-CAM    (Selvaraju et al., 2017)       relu(sum_k mean(g_k) A_k)
    Grad-CAM++  (Chattopadhay et al., 2018)    relu(sum_k sum(alpha_k relu(g_k)) A_k)
    LayerCAM    (Jiang et al., 2021)           relu(sum_k relu(g_k) A_k)
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from cnnlab.interpret.answers import Answers
from cnnlab.interpret.model import heat_layers, scores
from cnnlab.interpret.model.batches import in_batches
from cnnlab.interpret.model.heads import check_targets, find_head
from cnnlab.interpret.model.memory import images_that_fit
from cnnlab.interpret.model.network import as_batch, inspect_model
from cnnlab.interpret.placement import are_alike, enlarged, place
from cnnlab.preprocessing import require_any_method, require_outputs
from cnnlab.validation import HEATMAP_METHODS, require_method

BATCH = 256  # images in one call of the compiled function: bounds the memory


class Heatmaps(NamedTuple):
    """Heatmaps of n images."""

    maps: np.ndarray  # (n, height, width) float32, 0..1, as the images; own highest value 1
    layers: tuple[str, ...]  # at which they were made; several of branches that share no map; none
    head: str  # that is explained
    outputs: str  # what the head gives: "probabilities", "logits" or "numbers"
    targets: np.ndarray  # (n,) int32, the classes explained, or which of the numbers
    scores: np.ndarray  # (n,) float32, their logits (negated for class 0 of a single unit); numbers
    probabilities: np.ndarray  # (n,) float32, 0..1, that the model predicts; NaN of numbers
    answers: np.ndarray  # (n, classes) float32, the probabilities of all classes; all numbers
    peak: np.ndarray  # (n,) float32, the highest value of `raw`, in units of `scores`; empty: <= 0
    # (n, h, w) float32, the weighted sums of the layer's cells, with their sign; of several layers
    # added up, and enlarged before if their cells lie otherwise.
    raw: np.ndarray
    note: tuple[str, ...]  # n strings, "" or why the map is empty, all 0, or says little
    method: str  # a key of METHODS, or of `methods.PIXELWISE`
    of_area: bool = False  # whether probabilities are shares of the area of a map

    @property
    def layer(self):
        """The name of the layer, or the names, or "the pixels"."""
        return " + ".join(self.layers) or "the pixels"

    def told(self) -> Answers:
        """Return what the head says of each image, the classes not explained among it."""
        return Answers(self.head, self.outputs, self.answers, self.of_area)


def grad_cam_sum(maps, gradients):
    """Return the (n, h, w) sums of the feature maps (n, h, w, channels), Selvaraju et al. 2017."""
    weights = tf.reduce_mean(gradients, axis=(1, 2))  # (n, channels)
    return tf.einsum("nhwk,nk->nhw", maps, weights)


def grad_cam_plus_plus_sum(maps, gradients):
    """Return the (n, h, w) sums of Chattopadhay et al. 2018, equations 10 and 19."""
    # For the score exp(S), all of whose derivatives are powers of the gradient of S; its factor
    # exp(S) does not change the picture and is left out.
    everywhere = tf.reduce_sum(maps, axis=(1, 2), keepdims=True)
    below = 2 * gradients**2 + everywhere * gradients**3
    alpha = tf.math.divide_no_nan(gradients**2, below)
    weights = tf.reduce_sum(alpha * tf.nn.relu(gradients), axis=(1, 2))
    return tf.einsum("nhwk,nk->nhw", maps, weights)


def layer_cam_sum(maps, gradients):
    """Return the (n, h, w) sums of Jiang et al. 2021: each position has its own weight."""
    return tf.reduce_sum(tf.nn.relu(gradients) * maps, axis=-1)


_sums = (grad_cam_sum, grad_cam_plus_plus_sum, layer_cam_sum)
METHODS = dict(zip(HEATMAP_METHODS, _sums, strict=True))


@dataclass(frozen=True)
class GradCam:
    """How heatmaps are made; ValueError for an unknown method, or no kind of outputs."""

    layer: str | None = None  # with feature maps; None for the default of `model.heat_layers`
    method: str = "grad-cam"  # a key of METHODS, or for `attribution.heatmaps` of PIXELWISE
    outputs: str | None = None  # what the head gives; None: as in `model.heads`
    range_: object = None  # black and white, for methods that need them, as in `attribute`
    region: np.ndarray | None = None  # of a head that is a map, where its score is; see `attribute`

    def head(self, view, name):
        """Return the head of that name, or the only one, as it is to be read, or ValueError."""
        head = find_head(view, name, self.outputs)
        return head.within(self.region, view.graph.shapes[head.value])

    def __post_init__(self):
        require_any_method(self.method)
        require_outputs(self.outputs)


def grad_cam(
    model, images, head=None, target=None, layer=None, method="grad-cam", outputs=None
) -> Heatmaps:
    """Return what in each image speaks for a class, or for a higher number.

    `head` names the output to explain, and can be left out if there is only one; `target` is a
    class, 0/1 for a single sigmoid unit, or the place of a number, or one for each image, left out
    the model's prediction, or its highest number; for layer and method see `GradCam`. Tokens make a
    map, too, if they lie on a grid. The raw sums are enlarged by bilinear interpolation between the
    positions that the cells of the layer look at, see `interpret.placement`; where these are not
    known, the notes say so.

    `outputs` says what the head gives, where the model does not tell, see `model.heads`: "numbers",
    as linear units do unless they are said to be "logits" of classes, or "probabilities".

    Raises:
        ValueError: an unknown head, layer or method, a layer that does not feed the head, a target
            out of range, or `outputs` that the head does not give.
    """
    require_method(method)
    return heatmaps(model, images, head, target, GradCam(layer, method, outputs))


def heatmaps(model, images, head, target, how, weights=()) -> Heatmaps:
    """Return the same as `grad_cam`, by a `GradCam` or a key of METHODS, maybe with other weights.

    They are [(variable, array)], used instead of the variables' own values; the model is not
    changed, and other arrays for the same variables cost no new compilation.
    """
    how = how if isinstance(how, GradCam) else GradCam(method=how)
    view = inspect_model(model, images)
    images = as_batch(view, images)
    head = how.head(view, head)
    calls = view.heat_layers(how.layer, head)
    targets = check_targets(head, target, len(images))
    placements = [place(view, call, images.shape[1:3]) for call in calls]
    tables = tuple(placement.tables for placement in placements)
    is_alike = are_alike(placements)
    names = tuple(call.name for call in calls)
    variables, values = zip(*weights, strict=True) if weights else ((), ())
    explain = view.function(
        ("grad_cam", how.method, names, is_alike, *head.key, *map(id, variables)),
        lambda: _compile(view, head, calls, METHODS[how.method], variables, placements, is_alike),
    )
    since = [call.outputs[0] for call in calls]
    count = images_that_fit(view, images.shape[1:3], BATCH, [head.value], since)
    results = in_batches(
        view.graph, lambda *part: explain(*part, values, tables), count, images, targets
    )
    facts = {name: results.pop(name) for name in ("finite", "active", "reached", "shown")}
    head.require_probabilities(results["probabilities"])
    remarks = list(dict.fromkeys(filter(None, (placement.remark for placement in placements))))
    if how.layer is None and heat_layers.are_bypassed(view, calls, head):
        what = " and ".join(names)
        remarks.append(f"of {what} alone, and not of the paths to the head that have no map")
    facts["somewhere"] = ~scores.nowhere(head, results["probabilities"])
    note = _notes(head, results["peak"], "; ".join(remarks), **facts)
    told = {"layers": names, "head": head.name, "outputs": head.outputs, "method": how.method}
    told["of_area"] = head.is_map
    return Heatmaps(note=note, **told, **results)


def _compile(view, head, calls, combine, variables, placements, is_alike):
    """Return the function (images, targets, values for variables, tables of placements) -> dict.

    Targets are classes, or -1 for the predicted ones; `is_alike` is that of the placements.
    """
    values = tuple(tf.TensorSpec(variable.shape, variable.dtype) for variable in variables)
    table = tuple(tf.TensorSpec((None, None), dtype) for dtype in ("int32", "float32", "float32"))
    targets = tf.TensorSpec((None,), tf.int32)
    numbers = [call.outputs[0] for call in calls]

    @view.traced(view.signature(), targets, values, (table,) * len(calls))
    def explain(images, targets, values, tables):
        with tf.GradientTape(watch_accessed_variables=False) as tape:

            def watch(number, tensor):
                if number in numbers:
                    tape.watch(tensor)
                    watched[number] = tensor

            watched = {}
            weights = list(zip(variables, values, strict=True))
            outputs, of_all = scores.answers(view.graph, head, images, watch, weights)
            targets = tf.where(targets < 0, scores.predicted(head, outputs), targets)
            score = scores.of_targets(head, of_all, targets)
        made = [watched[number] for number in numbers]
        # Images do not influence each other, so the gradient of the sum holds that of each score.
        gradients = tape.gradient(score, made, unconnected_gradients="zero")
        maps, gradients = _as_maps(made, placements), _as_maps(gradients, placements)
        sums = list(map(combine, maps, gradients))
        if is_alike:
            raw = tf.add_n(sums)
            large = enlarged(tf.nn.relu(raw), *tables[0])
        else:
            raw = tf.add_n([enlarged(one, *its) for one, its in zip(sums, tables, strict=True)])
            large = tf.nn.relu(raw)
        finite = tf.reduce_all(tf.math.is_finite(raw), axis=(1, 2))
        highest, peak = (tf.reduce_max(part, axis=(1, 2)) for part in (large, raw))
        shown = finite & (highest >= scores.TINY)
        # Both go through every number again, and only matter where there is nothing to show.
        active, reached = tf.cond(
            tf.reduce_all(shown),
            lambda: (shown, shown),
            lambda: (_any(maps), _any(gradients)),
        )
        scale = tf.where(shown, highest, 1)[:, None, None]
        return {
            "maps": tf.where(shown[:, None, None], large / scale, 0),
            "targets": targets,
            "scores": score,
            "probabilities": scores.probabilities(head, outputs, targets),
            "answers": scores.of_all(head, outputs),
            "peak": peak,
            "raw": raw,
            "finite": finite,
            "active": active,
            "reached": reached,
            "shown": shown,
        }

    return explain


def _as_maps(parts, placements):
    """Return what layers make, or gradients by it, as float32 (n, h, w, channels)."""
    pairs = zip(placements, parts, strict=True)
    return [placement.as_maps(tf.cast(part, "float32")) for placement, part in pairs]


def _any(parts):
    """Return (n,), whether any number of any of the (n, h, w, channels) parts is not 0."""
    each = [tf.reduce_any(part != 0, axis=(1, 2, 3)) for part in parts]
    return tf.reduce_any(tf.stack(each), axis=0)


def _notes(head, peak, remarks, finite, somewhere, active, reached, shown):
    """Return why each map is empty, or else the remarks."""
    what = "a higher number" if head.outputs == "numbers" else "the class"
    highest = [f"the highest raw value is {value:.3g}" for value in peak]
    # In the order in which they are asked: the first that holds is the note.
    reasons = {
        "empty: the network computes NaN or infinity for this image": finite,
        scores.NOWHERE: somewhere,
        "empty: the layer is dead, it gives 0 everywhere for this image": active,
        "empty: no gradient arrives, the units between the layer and the head are all off "
        "or saturated": reached,
        f"empty: no position speaks for {what}, {{highest}}": peak >= scores.TINY,
        f"empty: what speaks for {what} lies outside the pixels, in padding for example": shown,
    }
    wrong = [np.logical_not(good) for good in reasons.values()]
    notes = np.select(wrong, list(reasons), remarks).tolist()
    return tuple(note.format(highest=words) for note, words in zip(notes, highest, strict=True))
