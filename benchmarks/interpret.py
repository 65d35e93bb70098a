"""Speed and memory of the visualiser beside tf-keras-vis, in one process. From the root:

    .venv/bin/python -m benchmarks.interpret

Both explain the same images with the same models. Rounds of the two alternate, after a first round
that does not count, in which our functions are compiled; tf-keras-vis compiles none. A time is the
median of the rounds. Times of different runs cannot be compared, ratios can.
"""

import gc
import statistics
import time
import warnings

import psutil

from cnnlab import mnist, runtime

runtime.start(seed=0)

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from cnnlab.interpret.gradcam import grad_cam  # noqa: E402
from cnnlab.interpret.loading import load  # noqa: E402
from cnnlab.interpret.network import as_batch, network_of  # noqa: E402

with warnings.catch_warnings():  # they use names of SciPy's that are going
    warnings.simplefilter("ignore", DeprecationWarning)
    from tf_keras_vis.activation_maximization import ActivationMaximization
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

MODELS = ("task1-part1-mnist", "task1-mnist")
IMAGES, FILTERS, STEPS = 64, 32, 100
ROUNDS, CALLS = 7, 1000


def measure(rounds: int = ROUNDS, calls: int = CALLS) -> dict:
    """Return what was measured.

    Args:
        rounds: of each time.
        calls: of `grad_cam`, for the memory; 100 at least.

    Returns:
        {"grad_cam": {model: {"ours": s, "theirs": s, "forward": s, "ratio": theirs / ours}},
        "filters": the same without "forward", "memory": {model: {100: MiB, calls: MiB}}}; "forward"
        is one compiled pass of the model over the images, below which no heatmap can come; MiB are
        what the process has grown by since the first 10 calls.
    """
    images = mnist.load()[1][0][:IMAGES]
    models = {name: load(name) for name in MODELS}
    return {
        "grad_cam": {name: _grad_cam(model, images, rounds) for name, model in models.items()},
        "filters": {name: _filters(model, rounds) for name, model in models.items()},
        "memory": {name: _memory(model, images, calls) for name, model in models.items()},
    }


def _medians(rounds, **tasks):
    """Return {name: median seconds} of functions that take turns, and "ratio", theirs / ours."""
    seconds = {name: [] for name in tasks}
    for number in range(rounds + 1):
        for name, task in tasks.items():
            begin = time.perf_counter()
            task()
            if number > 0:
                seconds[name].append(time.perf_counter() - begin)
    found = {name: statistics.median(values) for name, values in seconds.items()}
    return {**found, "ratio": found["theirs"] / found["ours"]}


def _grad_cam(model, images, rounds):
    batch = as_batch(network_of(model), images)
    targets = grad_cam(model, images).targets
    score = CategoricalScore([int(target) for target in targets])
    visualizer = Gradcam(model, model_modifier=_end_linearly)

    @tf.function(input_signature=[network_of(model).signature()])
    def forward(given):
        return model(given, training=False)

    return _medians(
        rounds,
        ours=lambda: grad_cam(model, images, target=targets),
        theirs=lambda: visualizer(score, batch),
        forward=lambda: forward(batch),
    )


def _end_linearly(copied):
    """Take the softmax off a copy of the model: their own way fails for a Sequential."""
    copied.layers[-1].activation = keras.activations.linear


def _filters(model, rounds):
    from cnnlab.interpret.filters import maximize_filters

    network = network_of(model)
    layer = network.convolutions()[-1]
    visualizer = ActivationMaximization(
        keras.Model(model.inputs, model.get_layer(layer).output), clone=False
    )
    score = CategoricalScore(list(range(FILTERS)))
    shape = (FILTERS, *network.graph.input_shape)
    return _medians(
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
    return {count: mebibytes - grown[0] for count, mebibytes in grown.items() if count}


def table(found: dict) -> str:
    """Return what `measure` found as text."""
    lines = [f"{'':42}{'ours':>10}{'tf-keras-vis':>14}{'ratio':>8}"]
    tasks = {
        "grad_cam": f"Grad-CAM, {IMAGES} images",
        "filters": f"{FILTERS} filters, {STEPS} steps",
    }
    for task, words in tasks.items():
        for model, times in found[task].items():
            ours, theirs = (f"{1000 * times[who]:.1f} ms" for who in ("ours", "theirs"))
            lines.append(f"{f'{words}, {model}':42}{ours:>10}{theirs:>14}{times['ratio']:>7.1f}x")
    for model, times in found["grad_cam"].items():
        lines.append(f"{f'forward pass alone, {model}':42}{1000 * times['forward']:>7.1f} ms")
    for model, grown in found["memory"].items():
        of_calls = ", ".join(f"{grown[count]:+.1f} MiB after {count:,}" for count in grown)
        lines.append(f"{f'memory, {model}':42}{of_calls} calls")
    return "\n".join(lines)


if __name__ == "__main__":
    computer = runtime.machine()
    print(f"{computer['processor']}, {computer['cores']} cores; median of {ROUNDS} rounds\n")
    print(table(measure()))
