"""How Task 1's networks share two cores. By hand, from the root; it is no part of `make bench`:

.venv/bin/python -m benchmarks.processes

A step of training (128 images, forward, backward and the optimizer) of each kind of network that
the notebook trains: two of them at a time in processes of one core each, as the notebook does it
(`cnnlab.training.workers`), with large and with ordinary pages of memory, and one after the other
in one process with two threads. Times of two processes are halved, so that all are those of one
step.
"""

import json
import os
import statistics
import subprocess
import sys
import time

from cnnlab.training.workers import LARGE_PAGES, THREADS

SETTINGS = {  # name: processes, threads of each, large pages
    "two processes, large pages": (2, 1, True),
    "two processes": (2, 1, False),
    "one process": (1, 2, False),
}
ROUNDS, STEPS = 3, 40
BATCH = 128


def measure(rounds: int = ROUNDS) -> list[dict]:
    """Time all settings in turns.

    Returns:
        [{"network": name, setting: median of the rounds, milliseconds a step}].
    """
    found = {setting: [] for setting in SETTINGS}
    for _ in range(rounds):
        for setting, options in SETTINGS.items():
            found[setting].append(_together(*options))
    networks = found["one process"][0]
    return [
        {"network": name}
        | {
            setting: statistics.median(each[name] for each in all_rounds)
            for setting, all_rounds in found.items()
        }
        for name in networks
    ]


def _together(processes, threads, large_pages):
    variable, value = LARGE_PAGES
    environment = dict(os.environ) | dict.fromkeys(THREADS, str(threads))
    environment[variable] = value if large_pages else ""
    command = [sys.executable, "-m", "benchmarks.processes", "--only-measure"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "env": environment}
    started = [subprocess.Popen(command, **options) for _ in range(processes)]
    each = [json.loads(process.communicate()[0]) for process in started]
    return {name: statistics.mean(found[name] for found in each) / processes for name in each[0]}


def _main():
    from benchmarks import recipes

    recipe = recipes.of_task(1)

    import numpy as np

    from cnnlab.training.batches import batches

    random = np.random.default_rng(0)
    found = {}
    for name, (network, classes) in _networks(recipe).items():
        network.optimizer.build(network.trainable_variables)
        shape = (STEPS * BATCH, *network.input_shape[1:])
        images = random.integers(0, 256, shape, np.uint8)
        answers = np.eye(classes, dtype=np.float32)[random.integers(0, classes, len(images))]
        rounds = []
        for _ in range(4):
            begin = time.perf_counter()
            network.fit(batches(images, answers, BATCH, 0), shuffle=False, verbose=0)
            rounds.append((time.perf_counter() - begin) / STEPS * 1000)
        found[name] = statistics.median(rounds[1:])
    print(json.dumps(found))


def _networks(recipe):
    """One of each kind, ready to be trained: {name: (network, classes)}."""
    import keras

    from cnnlab import lines

    def behind(changes, network):
        pixels = changed = keras.Input(network.input_shape[1:])
        for change in changes:
            changed = change(changed)
        return keras.Model(pixels, network(changed))

    adam, averaged = keras.optimizers.Adam, {"use_ema": True, "ema_momentum": 0.99}
    kinds = {
        "Part 1, lines": (
            recipe["part1_network"]((28, 28, 3), lines.CLASSES),
            adam(**averaged),
            lines.CLASSES,
        ),
        "final, lines": (
            behind(recipe["line_changes"](0), recipe["final_lines_network"]()),
            keras.optimizers.AdamW(),
            lines.CLASSES,
        ),
        "final, MNIST": (
            behind(recipe["digit_changes"](0), recipe["final_mnist_network"]()),
            keras.optimizers.AdamW(),
            10,
        ),
        "base of the variations, MNIST": (
            recipe["varied_network"]((28, 28, 1), 10, recipe["BASE"]),
            adam(),
            10,
        ),
    }
    for network, optimizer, _ in kinds.values():
        network.compile(optimizer, "categorical_crossentropy")
    return {name: (network, classes) for name, (network, _, classes) in kinds.items()}


def table(found: list[dict]) -> str:
    """Return what `measure` found as text."""
    lines = [f"{'ms a step':32}" + "".join(f"{setting:>28}" for setting in SETTINGS)]
    for row in found:
        times = "".join(f"{row[setting]:28.1f}" for setting in SETTINGS)
        lines.append(f"{row['network']:32}{times}")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:]:
        _main()
    else:
        print(table(measure()))
