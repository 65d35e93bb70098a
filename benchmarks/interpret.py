"""Speed and memory of the visualizer next to tf-keras-vis, in one process.

Both explain the same images with the same models, in turns. The first round is the cold one, in
which our functions are compiled (tf-keras-vis compiles none); a warm time is the median of the
others. tf-keras-vis has no activations: there the other is a Keras model with all layers as
outputs, and its `predict`.
"""

import gc
import warnings

import psutil

from benchmarks.timing import interleaved
from cnnlab import mnist, runtime

runtime.start(seed=0)

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from cnnlab.interpret import activations, grad_cam, load, maximize_filters  # noqa: E402
from cnnlab.interpret.ascent import Ascent  # noqa: E402
from cnnlab.interpret.model.network import as_batch, inspect_model  # noqa: E402

with warnings.catch_warnings():  # they use names of SciPy's that are going
    warnings.simplefilter("ignore", DeprecationWarning)
    from tf_keras_vis.activation_maximization import ActivationMaximization
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

MODELS = ("task1-part1-mnist", "task1-mnist")
IMAGES, FILTERS, STEPS = 64, 32, 100
CALLS = 1000  # of `grad_cam`, for the memory


def measure() -> dict:
    """Return what was measured.

    Returns:
        {"grad_cam": {model: {"ours": times, "theirs": times, "forward": times}}, "activations" and
        "filters": the same without "forward", "memory": {model: {"100": MiB, "1000": MiB}}}; times
        are as in `timing.interleaved`; "forward" is one compiled pass of the model over the images,
        below which no heatmap can come; MiB are what the process has grown by since the first 10
        calls.
    """
    images = mnist.load()[1][0][:IMAGES]
    models = {name: load(name) for name in MODELS}
    return {
        task.__name__.removeprefix("_"): {
            name: task(model, images) for name, model in models.items()
        }
        for task in (_grad_cam, _activations, _filters, _memory)
    }


def _grad_cam(model, images):
    batch = as_batch(inspect_model(model), images)
    targets = model.predict(batch, verbose=0).argmax(axis=-1)  # before the first, cold round
    score = CategoricalScore([int(target) for target in targets])

    def end_linearly(copied):  # without softmax; their own way fails for a Sequential
        copied.layers[-1].activation = keras.activations.linear

    visualizer = Gradcam(model, model_modifier=end_linearly)
    layer = inspect_model(model).convolutions()[-1]  # the one that theirs takes
    signature = [inspect_model(model).signature()]
    forward = tf.function(lambda given: model(given, training=False), signature)
    return interleaved(
        ours=lambda: grad_cam(model, images, target=targets, layer=layer),
        theirs=lambda: visualizer(score, batch),
        forward=lambda: forward(batch),
    )


def _activations(model, images):
    batch = as_batch(inspect_model(model), images)
    every_layer = keras.Model(model.inputs, [layer.output for layer in model.layers])
    return interleaved(
        ours=lambda: activations(model, images),
        theirs=lambda: every_layer.predict(batch, verbose=0),
    )


def _filters(model, _):
    layer = inspect_model(model).convolutions()[-1]
    cut = keras.Model(model.inputs, model.get_layer(layer).output)
    visualizer = ActivationMaximization(cut, clone=False)
    score = CategoricalScore(list(range(FILTERS)))
    shape = (FILTERS, *model.input_shape[1:])
    return interleaved(
        ours=lambda: maximize_filters(model, layer, range(FILTERS), ascent=Ascent(STEPS)),
        theirs=lambda: visualizer(score, tf.random.uniform(shape, 0, 255), steps=STEPS),
    )


def _memory(model, images):
    grown = {}
    for number in range(1, 10 + CALLS + 1):
        grad_cam(model, images)
        if number in (10, 110, 10 + CALLS):
            gc.collect()
            grown[number - 10] = psutil.Process().memory_info().rss / 2**20
    return {str(count): mebibytes - grown[0] for count, mebibytes in grown.items() if count}


TASKS = {
    "grad_cam": (f"Grad-CAM, {IMAGES} images", "tf-keras-vis"),
    "activations": (f"activations of all layers, {IMAGES} images", "Keras, predict"),
    "filters": (f"{FILTERS} filters, {STEPS} steps", "tf-keras-vis"),
}


def rows(measured: dict) -> list[dict]:
    """Return the rows of the common table, warm and cold."""
    return [
        {
            "work": f"{words}, {model}, {state}",
            "ours": measured[task][model]["ours"][key],
            "other": measured[task][model]["theirs"][key],
            "who": other,
        }
        for task, (words, other) in TASKS.items()
        for model in MODELS
        for state, key in (("warm", "median"), ("cold", "first"))
    ]
