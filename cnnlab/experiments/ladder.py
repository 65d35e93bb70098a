"""A ladder from the given network to the final one: each rung adds one change to those below."""

import keras

from cnnlab import lines, runtime
from cnnlab.experiments import stored
from cnnlab.training.classifier import served

RUNGS = {
    "MNIST": (
        "as given",
        "averaged weights",
        "falling learning rate",
        "depth",
        "dropout",
        "new shapes",
        "new appearance",
    ),
    "lines": (
        "as given",
        "averaged weights",
        "falling learning rate",
        "depth",
        "lines drawn otherwise",
        "new appearance",
    ),
}
EPOCHS = {"MNIST": 6, "lines": 5}
CLASSES = {"MNIST": 10, "lines": lines.CLASSES}
MEMORY = 200  # steps that weights are averaged over
MOMENTUM = 0.97  # of batch normalization, on all rungs
GRAY = {"MNIST": "background 32", "lines": "background 1"}  # the test that shows what they rely on

if runtime.in_smoke():
    EPOCHS = dict.fromkeys(EPOCHS, 1)


def train(recipe, data, rung, dataset, seed):
    """Train the given network with all changes up to a rung; returns it and its history.

    `recipe` is {name: object}: the networks and changes of images that Task-1.py defines.
    """
    keras.utils.set_random_seed(seed)
    shape, classes, epochs = dataset.train.images.shape[1:], CLASSES[data], EPOCHS[data]
    climbed, digits = RUNGS[data][: RUNGS[data].index(rung) + 1], data == "MNIST"
    if "falling learning rate" not in climbed:
        average = {"use_ema": True, "ema_momentum": 1 - 1 / MEMORY}
        optimizer = keras.optimizers.Adam(**(average if "averaged weights" in climbed else {}))
        network = recipe["given_network"](shape, classes, MOMENTUM)
        network.compile(optimizer, "categorical_crossentropy")
        optimizer.build(network.trainable_variables)
        batches = served(dataset.train, classes, shuffle_seed=seed)
        return network, network.fit(batches, shuffle=False, epochs=epochs, verbose=0).history
    if "depth" not in climbed:
        network = recipe["given_network"](shape, classes, MOMENTUM)
    elif digits:
        network = recipe["final_digit_network"](0.3 if "dropout" in climbed else 0.0)
    else:
        network = recipe["final_line_network"]()
    if "lines drawn otherwise" in climbed:
        images = recipe["redrawn_lines"](seed)
        dataset = dataset._replace(train=dataset.train._replace(images=images))
    changes = recipe["new_shapes"](seed) if "new shapes" in climbed else []
    if "new appearance" in climbed:
        changes += recipe["new_appearance" if digits else "line_changes"](seed)
    how = recipe["digit_recipe" if digits else "line_recipe"](changes, epochs)
    return network, recipe["train_final"](network, dataset, how, seed)


def stored_errors(data):
    """Return the errors of all seeds that the study holds: {test: {rung: counts}}."""
    found = {rung: stored.runs("Task-1", f"ladder/{data}/{rung}") for rung in RUNGS[data]}
    gray = GRAY[data]
    return {
        "test images": {rung: [run["errors"] for run in of] for rung, of in found.items()},
        f"the same on gray {gray.split()[1]}": {
            rung: [run["tests"][gray]["errors"] for run in of] for rung, of in found.items()
        },
    }
