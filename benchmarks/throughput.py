"""How well the given network uses the processor, and what was tried.

A step is one pass forward and backward and one of Adam; every variant runs in a process of its own,
with random images. The share is of what a large matrix product of the same process reaches.
"""

import inspect

from benchmarks.timing import in_a_process, matrix_peak, medians, recipe_of_task
from cnnlab.training.workers import THREADS

VARIANTS = {
    "as in the notebook": {},
    "Keras's own batch normalization": {"normalization": "Keras"},
    "one thread": {"threads": 1},
    "batches of 32": {"batch": 32},
    "batches of 512": {"batch": 512},
    "XLA": {"XLA": True},
    "bfloat16": {"type": "mixed_bfloat16"},
    "channels first": {"layout": "channels_first"},
    "16 steps in one call": {"steps in a call": 16},
}
STEPS = 16
# Multiplications and additions of a pass forward: convolution 22 x 22 x 32 x 49, dense 3872 x 1024
# and 1024 x 10. A pass backward has each of them twice; nobody asks for the gradient of the pixels.
CONVOLUTION = 2 * 22 * 22 * 32 * 49
DENSE = 2 * (3872 * 1024 + 1024 * 10)
OPERATIONS = 2 * CONVOLUTION + 3 * DENSE


def measure() -> list[dict]:
    """Run every variant.

    Returns:
        Rows with "variant", "images/s", "GFLOP/s", "share" of "peak GFLOP/s", or "error" with what
        TensorFlow said to a variant that it cannot run.
    """
    return [{"variant": name} | _alone(change) for name, change in VARIANTS.items()]


def _alone(setting):
    environment = dict.fromkeys(THREADS, str(setting["threads"])) if "threads" in setting else {}
    try:
        return in_a_process(speed, setting, environment=environment)
    except RuntimeError as error:
        return {"error": str(error).splitlines()[-1][:120]}


def speed(setting: dict) -> dict[str, float]:
    """Train with a setting, in this process; returns the numbers of its row."""
    recipe = recipe_of_task(1)
    import keras
    import numpy as np
    import tensorflow as tf

    if setting.get("normalization") == "Keras":
        layer = keras.layers.BatchNormalization
        layer.call = inspect.unwrap(layer.call)
    layout, batch = setting.get("layout", "channels_last"), setting.get("batch", 128)
    keras.config.set_image_data_format(layout)
    keras.config.set_dtype_policy(setting.get("type", "float32"))
    shape = (28, 28, 1) if layout == "channels_last" else (1, 28, 28)
    network = recipe["given_network"](shape, 10)
    weights, loss = network.trainable_variables, keras.losses.CategoricalCrossentropy()
    optimizer = keras.optimizers.Adam()
    optimizer.build(weights)
    random = np.random.default_rng(0)
    images = tf.constant(random.integers(0, 256, (batch, *shape), np.uint8))
    labels = tf.one_hot(random.integers(0, 10, batch), 10)

    in_a_call = setting.get("steps in a call", 1)

    def train():
        for _ in tf.range(in_a_call):
            with tf.GradientTape() as tape:
                error = loss(labels, network(images, training=True))
            optimizer.apply(tape.gradient(error, weights), weights)

    compiled = tf.function(train, jit_compile=setting.get("XLA", False))

    def all_steps():
        for _ in range(STEPS // in_a_call):
            compiled()
        weights[-1].numpy()  # waits for the last step

    per_second = STEPS * batch / medians(steps=all_steps)["steps"]
    rate, peak = per_second * OPERATIONS / 1e9, matrix_peak()
    return {"images/s": per_second, "GFLOP/s": rate, "peak GFLOP/s": peak, "share": rate / peak}
