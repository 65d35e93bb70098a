"""Activations: what each layer of a network makes of an image."""

import numpy as np
import tensorflow as tf

from cnnlab.interpret.model.batches import in_batches
from cnnlab.interpret.model.memory import images_that_fit
from cnnlab.interpret.model.network import as_batch, as_list, inspect_model

BATCH = 256  # images in one call of the compiled function: bounds the memory


def activations(model, images, layers=None) -> dict[str, np.ndarray]:
    """Return the outputs of layers, all computed in one pass.

    {name: (n, height, width, channels) float32} in the order of `layers`, one name or several; left
    out, every layer with feature maps. Layers without them give the shape that they have; a layer
    that is called several times has a name for each call. ValueError for an unknown layer.
    """
    view = inspect_model(model, images)
    images = as_batch(view, images)
    layers = view.feature_maps() if layers is None else as_list(layers)
    calls = [view.layer(name) for name in layers]
    names, wanted = tuple(call.name for call in calls), [call.outputs[0] for call in calls]
    size, count = images.shape[1:3], len(images)
    what = f"activations for {count:,} image{'s' * (count > 1)}"
    numbers = sum(view.require_size(size).values[value] for value in wanted)
    copies = 2 * count * numbers  # the parts and the whole
    at_once = images_that_fit(view, size, BATCH, wanted, results=copies, what=what)
    compute = view.function(("activations", names), lambda: _compile(view, calls))
    return dict(zip(names, in_batches(view.graph, compute, at_once, images), strict=True))


def _compile(view, calls):
    @view.traced(view.signature())
    def compute(images):
        outputs = view.graph.run(images, [call.outputs[0] for call in calls])
        return [tf.cast(tensor, "float32") for tensor in outputs]

    return compute


def dead_channels(model, images, layers=None) -> dict[str, np.ndarray]:
    """Return {name: (channels,) bool}, those that give 0 for every image; as `activations`."""
    images = as_batch(inspect_model(model, images), images)
    alive = {}
    for start in range(0, len(images), BATCH):
        for name, maps in activations(model, images[start : start + BATCH], layers).items():
            alive[name] = alive.get(name, False) | maps.any(axis=tuple(range(maps.ndim - 1)))
    return {name: ~channels for name, channels in alive.items()}
