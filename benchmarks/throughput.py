"""How well the network of Part 1 uses the processor, and what was tried. From the root:

.venv/bin/python -m benchmarks.throughput

A step is one pass forward and backward and one of Adam; every variant runs in a process of its own,
with random images. The share is of what a large matrix product of the same process reaches.
"""

import json
import os
import statistics
import subprocess
import sys
import time

BASE = {
    "batch": 128,
    "threads": 0,
    "normalization": "fused",
    "XLA": False,
    "type": "float32",
    "loop": False,
}
VARIANTS = {
    "as in the notebook": {},
    "Keras's own batch normalization": {"normalization": "Keras"},
    "one thread": {"threads": 1},
    "batches of 32": {"batch": 32},
    "batches of 512": {"batch": 512},
    "XLA": {"XLA": True},
    "bfloat16": {"type": "mixed_bfloat16"},
    "channels first": {"layout": "channels_first"},
    "16 steps in one call": {"loop": True},
}
STEPS = 16
ROUNDS = 5
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
    return [{"variant": name} | _in_a_process(change) for name, change in VARIANTS.items()]


def _in_a_process(change):
    environment = dict(os.environ)
    if change.get("threads"):
        environment |= dict.fromkeys(
            ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), str(change["threads"])
        )
    command = [sys.executable, "-m", "benchmarks.throughput", json.dumps(BASE | change)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1][:120]}
    return json.loads(done.stdout)


def _main(setting):
    from benchmarks import recipes, timing

    recipe = recipes.of_task(1)

    import inspect

    import keras
    import numpy as np
    import tensorflow as tf

    if setting["normalization"] == "Keras":
        layer = keras.layers.BatchNormalization
        layer.call = inspect.unwrap(layer.call)
    if "layout" in setting:
        keras.config.set_image_data_format(setting["layout"])
    keras.config.set_dtype_policy(setting["type"])
    shape = (1, 28, 28) if setting.get("layout") else (28, 28, 1)
    network = recipe["part1_network"](shape, 10)
    weights, loss = network.trainable_variables, keras.losses.CategoricalCrossentropy()
    optimizer = keras.optimizers.Adam()
    optimizer.build(weights)
    random = np.random.default_rng(0)
    images = tf.constant(random.integers(0, 256, (setting["batch"], *shape), np.uint8))
    answers = tf.one_hot(random.integers(0, 10, setting["batch"]), 10)
    steps = 16 if setting["loop"] else 1

    def train():
        for _ in tf.range(steps):
            with tf.GradientTape() as tape:
                error = loss(answers, network(images, training=True))
            optimizer.apply(tape.gradient(error, weights), weights)

    compiled = tf.function(train, jit_compile=setting["XLA"])
    compiled()
    weight = weights[-1]

    def several():
        for _ in range(max(1, STEPS // steps)):
            compiled()
        weight.numpy()  # waits for the last step

    rounds = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        several()
        rounds.append(time.perf_counter() - begin)
    speed = STEPS * setting["batch"] / statistics.median(rounds)
    peak = timing.matrix_peak()
    rate = speed * OPERATIONS / 1e9
    print(
        json.dumps({"images/s": speed, "GFLOP/s": rate, "peak GFLOP/s": peak, "share": rate / peak})
    )


def table(found: list[dict]) -> str:
    """Return what `measure` found as text."""
    lines = [f"{'':34}{'images/s':>10}{'GFLOP/s':>9}{'peak':>7}{'share':>7}"]
    for row in found:
        if "error" in row:
            lines.append(f"{row['variant']:34}not possible: {row['error']}")
        else:
            lines.append(
                f"{row['variant']:34}{row['images/s']:10,.0f}{row['GFLOP/s']:9.1f}"
                f"{row['peak GFLOP/s']:7.0f}{100 * row['share']:6.1f}%"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:]:
        _main(json.loads(sys.argv[1]))
    else:
        print(table(measure()))
