"""Does a heatmap depend on what the network has learned? Cascading randomization of its weights.

A picture that looks like the outline of the object may be no more than that: some explanations stay
the same when the weights are random (Adebayo et al., 2018, "Sanity checks for saliency maps"). So
the layers are made random one after the other, from the head down to the first, and each time the
heatmaps of the same classes at the same layer are compared with those of the trained network.
"""

import numpy as np

from cnnlab.interpret.checks.cascade import KINDS, Cascade, between_images, rank_sums
from cnnlab.interpret.gradcam import grad_cam
from cnnlab.interpret.model import scores
from cnnlab.interpret.model.network import as_batch, inspect_model
from cnnlab.validation import require_whole


def randomization(
    model,
    images,
    head=None,
    target=None,
    layer=None,
    method="grad-cam",
    seed=0,
    *,
    draws=5,
    explain=None,
) -> Cascade:
    """Make the layers on the way to a head random, from the top down, and watch the heatmaps.

    A variable becomes random by a shuffle of its own entries, which takes away what it has learned
    and keeps its scale, so that the network stays alive; weights drawn anew need not fit the
    statistics of the batch normalization. In kernels each entry gets a random sign as well: the
    weights of a trained softmax head are negative on average (adding a number to all of its logits
    changes nothing), and merely shuffled they leave nothing that speaks for a class.

    Compared are the sums at the layer's own size, not the pictures: enlarging adds nothing but
    neighbors that agree, and cutting off at 0 makes places equal. Equal places share their mean
    rank.

    Args:
        model: a Keras model; see `inspect_model`. It stays as it was.
        images: what the model's own input needs, one or many.
        head, target, layer, method: as in `grad_cam`. The target left out is the answer of the
            trained network, at all stages.
        seed: of the shuffles.
        draws: how often the cascade is repeated, each time with other shuffles.
        explain: another explanation to be checked in place of `method`: a function of (images,
            targets, weights) that returns (n, h, w) numbers, higher where more speaks for the
            target; `weights` is [(variable, array)], for `Graph.run`.

    Returns:
        `Cascade`; `verdict` puts it into a sentence.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: as `grad_cam`; a seed that is no whole number >= 0, or draws >= 1; no layer with
            weights; or numbers from `explain` of another shape.
    """
    require_whole("seed", seed, 0)
    require_whole("draws", draws, 1)
    network = inspect_model(model, images)
    images = as_batch(network, images)
    layers = weighted_layers(network, scores.find_head(network.heads, head))
    # Also the trained weights are given as arguments, so that one compiled function does it all.
    trained = {
        id(variable): (variable, np.array(variable))
        for operation in layers.values()
        for variable in operation.weights
    }
    first = grad_cam(model, images, head, target, layer, method, list(trained.values()))

    def sums(values):
        weights = list(values.values())
        if explain is not None:
            return _checked(explain(images, first.targets, weights), len(images))
        at = (first.head, first.targets, first.layer, method)
        maps = grad_cam(model, images, *at, weights)
        empty = [note.startswith("empty") for note in maps.note]
        return np.where(np.array(empty)[:, None], np.nan, _checked(maps.raw, len(images)))

    return Cascade(
        stages=tuple(layers),
        **_cascade(list(layers.values()), trained, sums, draws, np.random.default_rng(seed)),
        targets=first.targets,
        head=first.head,
        layer=first.layer,
        method=method if explain is None else getattr(explain, "__name__", "explain"),
    )


def weighted_layers(network, head):
    """Return {name: layer} of the layers with weights on the way to a head, from the head down.

    A layer that is called several times appears once, where it is nearest to the head.

    Raises:
        ValueError: there is none.
    """
    found = {}
    for call in reversed(network.graph.ancestors(head.value)):
        operation = call.operation
        if getattr(operation, "weights", ()) and not any(
            operation is old for old in found.values()
        ):
            found[call.name] = operation
    if not found:
        raise ValueError(f"no layer on the way to {head.name!r} has weights to make random")
    return found


def _cascade(layers, trained, sums, draws, generator):
    """Return the numbers of a `Cascade`; `sums` computes (n, places) for the weights given."""
    ranks = rank_sums(sums(trained))
    shape = (draws, len(layers), len(ranks["signed"]))
    found = {kind: np.empty(shape) for kind in KINDS}
    changed = np.empty(shape[:2])
    for draw in range(draws):
        values = dict(trained)
        for stage, layer in enumerate(layers):
            changed[draw, stage] = _shuffle(layer.weights, values, generator)
            for kind, part in rank_sums(sums(values)).items():
                found[kind][draw, stage] = np.sum(ranks[kind] * part, axis=1)
    return {
        **found,
        "empty": float(np.isnan(ranks["signed"][:, 0]).mean()),
        "changed": changed.mean(axis=0),
        "reference": {kind: between_images(part) for kind, part in ranks.items()},
    }


def _shuffle(variables, values, generator):
    """Make the variables random in `values`; return the share of numbers that became another."""
    different = total = 0
    for variable in variables:
        _, old = values[id(variable)]
        new = generator.permutation(old.ravel()).reshape(old.shape)
        if old.ndim > 1 and old.dtype.kind == "f":
            new *= generator.choice(np.array([-1, 1], old.dtype), size=old.shape)
        values[id(variable)] = variable, new
        different, total = different + np.sum(new != old), total + old.size
    return different / total


def _checked(sums, count):
    sums = np.asarray(sums, np.float64)
    if sums.ndim != 3 or len(sums) != count:
        raise ValueError(f"`explain` returned the shape {sums.shape}, not ({count}, h, w)")
    return sums.reshape(count, -1)
