"""A claim: trained on red and blue lines, a network needs only a new color head to know green.

The other heads are said to keep working, because shape has nothing to do with color.
"""

import keras
import numpy as np
from keras import layers, ops

from cnnlab import datasets, lines, metrics
from cnnlab.experiments import stored
from cnnlab.lines import variants
from cnnlab.training import heads
from cnnlab.training.batches import batches, predict

SHAPE_HEADS = ("length", "width", "angle")
GREEN = (0, 255, 0)
COLORLESS = ("green", "white")  # drawn so, a line has neither of the two colors
VARIANTS = {  # of the training lines
    "as they are": {},
    "0.1 % recolored": {"recolored": 0.001},
    "1 % recolored": {"recolored": 0.01},
    "10 % recolored": {"recolored": 0.1},
    "10 % white": {"recolored": 0.1, "colors": (255, 255, 255)},
}
SHARES = {  # of lines in a random color
    each.get("recolored", 0): variant for variant, each in VARIANTS.items() if "colors" not in each
}


def drawn_otherwise(part):
    """Return the same lines in green, in white, and dimmed: {name: images}."""
    return {
        "red and blue": part.images,
        "green": variants.recolored(part.images, GREEN),
        "white": variants.recolored(part.images, (255, 255, 255)),
        "40 % bright": variants.dimmed(part.images, 0.4),
    }


def read(network, drawn, labels):
    """Return how often each head is right on lines drawn otherwise: {name: {head: 0..1}}.

    `drawn` is {name: images (n, height, width, 3)}, of the same labels (n, 4); "color" and "joint"
    are left out where lines have a color without a class.
    """
    rows = {}
    for name, images in drawn.items():
        rows[name] = heads.accuracies(heads.predict(network, images), labels)
        if name in COLORLESS:
            rows[name] = {head: rows[name][head] for head in SHAPE_HEADS}
    return rows


def train(recipe, variant, seed):
    """Train the plain network of Task 2 on training lines of which a share is redrawn.

    `recipe` is {name: object}, what Task-2.py defines.
    """
    keras.utils.set_random_seed(seed)
    network = recipe["build_network"](**recipe["NETWORKS"]["final"])
    part = recipe["varied"](datasets.line_heads().train, seed, **VARIANTS[variant])
    how = recipe["Recipe"](recipe["PLAIN_EPOCHS"], recipe["LEARNING_RATE"], seed)
    recipe["train"](network, part, how)
    return network


def stored_accuracies(variant, drawn, head):
    """Return the accuracy of a head for each seed of a variant, on lines drawn in one way."""
    runs = stored.runs("Task-2", f"variant/{variant}")
    return [1 - run["drawn otherwise"][drawn][head] / run["n"] for run in runs]


def first_convolution(network):
    """Return the first convolution of a network, a layer."""
    return next(layer for layer in network.layers if isinstance(layer, layers.Conv2D))


def with_green_weights(network, weights):
    """Return a copy of a network whose first convolution reads green with these weights."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    kernel = first_convolution(copy).kernel
    values = ops.convert_to_numpy(kernel).copy()
    values[:, :, 1] = weights
    kernel.assign(values)
    return copy


def retrain_color(network, training, seed=0, epochs=10):
    """Return a copy with a color head that knows green, as its class 2; nothing else changes.

    The features stay as they are; the head learns from red, blue and green training lines.
    """
    to_features = keras.Model(network.inputs, network.get_layer("color").input)
    known, new = (lines.Lines(*(c[start::4] for c in training)) for start in (0, 2))
    images = np.concatenate([known.images, variants.recolored(new.images, GREEN)])
    colors = np.concatenate([known.labels[:, 3], np.full(len(new.images), 2)])
    features = predict(to_features, images)
    color_head = keras.Sequential([keras.Input(features.shape[1:]), layers.Dense(3, "softmax")])
    color_head.compile(
        keras.optimizers.Adam(1e-2),
        "sparse_categorical_crossentropy",
        steps_per_execution=32,  # of a head so small, a step takes longer to call than to compute
    )
    served = batches(features, colors, shuffle_seed=seed)
    color_head.fit(served, shuffle=False, epochs=epochs, verbose=0)
    shape = {head: network.get_layer(head).output for head in SHAPE_HEADS}
    return keras.Model(network.inputs, shape | {"color": color_head(to_features.output)})


def claim(network, training, test):
    """Return how often each head is right on green lines once the color head was retrained.

    {"length": 0..1, "width", "angle", "color", "color, red and blue"}, of the test lines.
    """
    retrained = retrain_color(network, training)
    green = test.labels.copy()
    green[:, lines.HEADS.index("color")] = 2
    on_green = _accuracies(retrained, variants.recolored(test.images, GREEN), green)
    known = _accuracies(retrained, test.images, test.labels)
    return on_green | {"color, red and blue": known["color"]}


def _accuracies(retrained, images, labels):
    outputs = heads.probabilities(retrained, images)
    predicted = {"color": outputs.pop("color").argmax(axis=-1)} | heads.to_labels(outputs)
    return {
        head: metrics.accuracy(labels[:, column], predicted[head])
        for column, head in enumerate(lines.HEADS)
    }
