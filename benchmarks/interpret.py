"""Speed and memory of the visualizer beside tf-keras-vis, in one process. From the root:

    .venv/bin/python -m benchmarks.interpret

Both explain the same images with the same models. Rounds of the two alternate. The first round is
the cold one, in which our functions are compiled (tf-keras-vis compiles none); a warm time is the
median of the others. tf-keras-vis has no activations: there the other is a Keras model with all
layers as outputs, and its `predict`. Times of different runs cannot be compared, ratios can.

xplique 2.0.2 cannot be installed beside TensorFlow 2.21: it wants 2.20 at most.
"""

import gc
import warnings

import psutil

from benchmarks.timing import interleaved
from cnnlab import mnist, runtime

runtime.start(seed=0)

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from cnnlab.interpret.activations import activations  # noqa: E402
from cnnlab.interpret.gradcam import grad_cam  # noqa: E402
from cnnlab.interpret.model.loading import load  # noqa: E402
from cnnlab.interpret.model.network import as_batch, inspect_model  # noqa: E402

with warnings.catch_warnings():  # they use names of SciPy's that are going
    warnings.simplefilter("ignore", DeprecationWarning)
    from tf_keras_vis.activation_maximization import ActivationMaximization
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

MODELS = ("task1-part1-mnist", "task1-mnist")
IMAGES, FILTERS, STEPS = 64, 32, 100
ROUNDS, CALLS = 5, 1000


def measure(rounds: int = ROUNDS, calls: int = CALLS) -> dict:
    """Return what was measured.

    Args:
        rounds: of each time.
        calls: of `grad_cam`, for the memory; 100 at least.

    Returns:
        {"grad_cam": {model: {"ours": times, "theirs": times, "forward": times}}, "activations" and
        "filters": the same without "forward", "memory": {model: {"100": MiB, calls: MiB}}}; times
        are as in `timing.interleaved`; "forward" is one compiled pass of the model over the images,
        below which no heatmap can come; MiB are what the process has grown by since the first 10
        calls.
    """
    images = mnist.load()[1][0][:IMAGES]
    models = {name: load(name) for name in MODELS}
    return {
        "grad_cam": {name: _grad_cam(model, images, rounds) for name, model in models.items()},
        "activations": {
            name: _activations(model, images, rounds) for name, model in models.items()
        },
        "filters": {name: _filters(model, rounds) for name, model in models.items()},
        "memory": {name: _memory(model, images, calls) for name, model in models.items()},
    }


def _grad_cam(model, images, rounds):
    batch = as_batch(inspect_model(model), images)
    targets = model.predict(batch, verbose=0).argmax(axis=-1)  # before the first, cold round
    score = CategoricalScore([int(target) for target in targets])
    visualizer = Gradcam(model, model_modifier=_end_linearly)

    @tf.function(input_signature=[inspect_model(model).signature()])
    def forward(given):
        return model(given, training=False)

    return interleaved(
        rounds,
        ours=lambda: grad_cam(model, images, target=targets),
        theirs=lambda: visualizer(score, batch),
        forward=lambda: forward(batch),
    )


def _activations(model, images, rounds):
    batch = as_batch(inspect_model(model), images)
    every_layer = keras.Model(model.inputs, [layer.output for layer in model.layers])
    return interleaved(
        rounds,
        ours=lambda: activations(model, images),
        theirs=lambda: every_layer.predict(batch, verbose=0),
    )


def _end_linearly(copied):
    """Take the softmax off a copy of the model: their own way fails for a Sequential."""
    copied.layers[-1].activation = keras.activations.linear


def _filters(model, rounds):
    from cnnlab.interpret.filters import maximize_filters

    network = inspect_model(model)
    layer = network.convolutions()[-1]
    visualizer = ActivationMaximization(
        keras.Model(model.inputs, model.get_layer(layer).output), clone=False
    )
    score = CategoricalScore(list(range(FILTERS)))
    shape = (FILTERS, *network.graph.input_shape)
    return interleaved(
        rounds,
        ours=lambda: maximize_filters(model, layer, filters=range(FILTERS), steps=STEPS),
        theirs=lambda: visualizer(score, tf.random.uniform(shape, 0, 255), steps=STEPS),
    )


def _memory(model, images, calls):
    grown = {}
    for number in range(1, 10 + calls + 1):
        grad_cam(model, images)
        if number in (10, 110, 10 + calls):
            gc.collect()
            grown[number - 10] = psutil.Process().memory_info().rss / 2**20
    return {str(count): mebibytes - grown[0] for count, mebibytes in grown.items() if count}


TASKS = {
    "grad_cam": (f"Grad-CAM, {IMAGES} images", "tf-keras-vis"),
    "activations": (f"activations of all layers, {IMAGES} images", "Keras, predict"),
    "filters": (f"{FILTERS} filters, {STEPS} steps", "tf-keras-vis"),
}


def rows(found: dict) -> list[dict]:
    """Return the rows of the common table, warm and cold."""
    return [
        {
            "work": f"{words}, {model}, {state}",
            "ours": times["ours"][key],
            "other": times["theirs"][key],
            "who": other,
        }
        for task, (words, other) in TASKS.items()
        for model in MODELS
        for times in [found[task][model]]
        for state, key in (("warm", "median"), ("cold", "first"))
    ]


if __name__ == "__main__":
    from benchmarks.__main__ import table

    measured = measure()
    print(table(rows(measured)))
    for name, times in measured["grad_cam"].items():
        print(f"a forward pass of {name} alone: {1000 * times['forward']['median']:.1f} ms")
    for name, grown in measured["memory"].items():
        grown = ", ".join(f"{mebibytes:+.1f} MiB after {n}" for n, mebibytes in grown.items())
        print(f"memory, {name}: {grown} calls")
