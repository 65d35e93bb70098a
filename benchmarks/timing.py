"""Fair times: rounds in which the compared functions take turns, and what the machine can do."""

import statistics
import time
from collections.abc import Callable

import numpy as np

ROUNDS = 5
PEAK_SIZE = 2048  # rows and columns of the multiplied matrices


def interleaved(rounds: int = ROUNDS, **tasks: Callable[[], object]) -> dict[str, dict]:
    """Time functions that take turns, after a first round that does not count.

    Args:
        rounds: that count, at least 1.
        tasks: the functions by name.

    Returns:
        {name: {"first": seconds of the first call, "median": seconds, "rounds": all seconds}}.
    """
    seconds = {name: [] for name in tasks}
    for _ in range(rounds + 1):
        for name, task in tasks.items():
            begin = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - begin)
    return {
        name: {"first": first, "median": statistics.median(rest), "rounds": rest}
        for name, (first, *rest) in seconds.items()
    }


def matrix_peak(rounds: int = ROUNDS) -> float:
    """Return the GFLOP/s of a large float32 matrix product: the most that the machine gives."""
    import tensorflow as tf

    factors = np.random.default_rng(0).standard_normal((2, PEAK_SIZE, PEAK_SIZE), np.float32)
    first, second = map(tf.constant, factors)
    found = interleaved(rounds, product=lambda: tf.matmul(first, second).numpy())
    return 2 * PEAK_SIZE**3 / found["product"]["median"] / 1e9
