"""Activations: what each layer of a network makes of an image."""

import numpy as np
import tensorflow as tf

from cnnlab.interpret.model.network import as_batch, as_list, inspect_model

BATCH = 256  # images in one call of the compiled function: bounds the memory


def activations(model, images, layers=None) -> dict[str, np.ndarray]:
    """Return the outputs of layers, all computed in one pass.

    Args:
        model: a Keras model; see `inspect_model`. It stays as it was.
        images: what the model's own input needs, one or many; see `as_batch`.
        layers: names of layers, or one name; left out, every layer with feature maps.

    Returns:
        {name: (n, height, width, channels) float32}, in the order asked for; layers without
        feature maps, a dense one for example, give the shape that they have. A layer that is
        called several times has a name for each call.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: an unknown layer (the message lists them), or images that do not fit.
    """
    network = inspect_model(model, images)
    images = as_batch(network, images)
    layers = network.feature_maps() if layers is None else as_list(layers)
    calls = [network.layer(name) for name in layers]
    names = tuple(call.name for call in calls)
    compute = network.function(("activations", names), lambda: _compile(network, calls))
    parts = [compute(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
    return {
        name: np.concatenate([part[index].numpy() for part in parts])
        for index, name in enumerate(names)
    }


def _compile(network, calls):
    @tf.function(input_signature=[network.signature()])
    def compute(images):
        outputs = network.graph.run(images, [call.outputs[0] for call in calls])
        return [tf.cast(tensor, "float32") for tensor in outputs]

    return compute


def dead_channels(model, images, layers=None) -> dict[str, np.ndarray]:
    """Return which channels of each layer give 0 everywhere, for every one of the images.

    Args:
        model, images, layers: as in `activations`; only one batch is in memory at a time.

    Returns:
        {name: (channels,) bool}.

    Raises:
        TypeError, ValueError: as `activations`.
    """
    images = as_batch(inspect_model(model, images), images)
    alive = {}
    for start in range(0, len(images), BATCH):
        for name, maps in activations(model, images[start : start + BATCH], layers).items():
            alive[name] = alive.get(name, False) | maps.any(axis=tuple(range(maps.ndim - 1)))
    return {name: ~channels for name, channels in alive.items()}
