"""Does a heatmap depend on what the network has learned? Cascading randomization of its weights.

A picture that looks like the outline of the object may be no more than that: some explanations stay
the same when the weights are random (Adebayo et al., 2018, "Sanity checks for saliency maps"). So
the layers are made random one after the other, from the head down to the first, and each time the
heatmaps of the same classes at the same layer are compared with those of the trained network.
"""

from dataclasses import dataclass

import numpy as np

from cnnlab.interpret.attribution import heatmaps
from cnnlab.interpret.checks.cascade import KINDS, Cascade, between_images, rank_sums
from cnnlab.interpret.model.heads import find_head
from cnnlab.interpret.model.network import as_batch, inspect_model
from cnnlab.validation import require_whole


@dataclass(frozen=True)
class Shuffling:
    """How often the cascade is repeated, each time with other shuffles."""

    draws: int = 5  # >= 1, else ValueError
    seed: int = 0  # >= 0, else ValueError

    def __post_init__(self):
        require_whole("draws", self.draws, 1)
        require_whole("seed", self.seed, 0)


DEFAULT_SHUFFLING = Shuffling()


def randomization(
    model, images, head=None, target=None, method="grad-cam", shuffling=DEFAULT_SHUFFLING
) -> Cascade:
    """Make the layers on the way to a head random, from the top down, and watch the heatmaps.

    A variable becomes random by a shuffle of its own entries, which takes away what it has learned
    and keeps its scale, so that the network stays alive; weights drawn again need not fit the
    statistics of the batch normalization. In kernels each entry gets a random sign as well: the
    weights of a trained softmax head are negative on average (adding a number to all of its logits
    changes nothing), and merely shuffled they leave nothing that speaks for a class. Compared are
    the sums at the layer's own size, since enlarging adds only neighbors that agree.

    `target`, left out, is the prediction of the trained network, at all stages. `method` is a key
    of METHODS, `GradCam`, or another explanation to be checked: a function of (images, targets,
    weights) that returns (n, h, w) numbers, higher where more speaks for the target; `weights` is
    [(variable, array)], for `Graph.run`. ValueError for no layer with weights, or a function's
    wrong shape; else as `grad_cam`.
    """
    view = inspect_model(model, images)
    images = as_batch(view, images)
    layers = weighted_layers(view, find_head(view, head))
    # Also the trained weights are given as arguments, so that one compiled function does it all.
    variables = [variable for operation in layers.values() for variable in operation.weights]
    trained = {id(variable): (variable, np.array(variable)) for variable in variables}
    how = "grad-cam" if callable(method) else method
    first = heatmaps(model, images, head, target, how, list(trained.values()))

    def sums(values):
        weights = list(values.values())
        if callable(method):
            return _checked(method(images, first.targets, weights), len(images))
        maps = heatmaps(model, images, first.head, first.targets, how, weights)
        empty = [note.startswith("empty") for note in maps.note]
        return np.where(np.array(empty)[:, None], np.nan, _checked(maps.raw, len(images)))

    generator = np.random.default_rng(shuffling.seed)
    return Cascade(
        stages=tuple(layers),
        **_cascade(list(layers.values()), trained, sums, shuffling.draws, generator),
        targets=first.targets,
        head=first.head,
        layer=first.layer,
        method=getattr(method, "__name__", "function") if callable(method) else first.method,
    )


def weighted_layers(view, head):
    """Return {name: layer with weights} on the way to a head, from the head down, each once."""
    layers = {}  # {id: (name, layer)}
    for call in reversed(view.graph.ancestors(head.value)):
        if getattr(call.operation, "weights", ()):
            layers.setdefault(id(call.operation), (call.name, call.operation))
    if not layers:
        raise ValueError(f"no layer on the way to {head.name!r} has weights to make random")
    return dict(layers.values())


def _cascade(layers, trained, sums, draws, generator):
    """Return the numbers of a `Cascade`; `sums` computes (n, positions) for the weights given."""
    ranks = rank_sums(sums(trained))
    shape = (draws, len(layers), len(ranks["signed"]))
    correlations = {kind: np.empty(shape) for kind in KINDS}
    changed = np.empty(shape[:2])
    for draw in range(draws):
        values = dict(trained)
        for stage, layer in enumerate(layers):
            changed[draw, stage] = _shuffle(layer.weights, values, generator)
            for kind, part in rank_sums(sums(values)).items():
                correlations[kind][draw, stage] = np.sum(ranks[kind] * part, axis=1)
    reference = {kind: between_images(part) for kind, part in ranks.items()}
    return correlations | {"changed": changed.mean(axis=0), "reference": reference}


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
        raise ValueError(f"the sums have the shape {sums.shape}, not ({count}, h, w)")
    return sums.reshape(count, -1)
