"""Fair times: rounds in which the compared functions take turns, and processes of their own."""

import importlib
import multiprocessing
import os
import statistics
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from types import ModuleType
from unittest import mock

import numpy as np

from cnnlab import runtime

ROUNDS = 5
PEAK_SIZE = 2048  # rows and columns of the multiplied matrices


def timed(function: Callable, *arguments) -> tuple[float, object]:
    """Return the seconds that a call takes, and what it returns."""
    begin = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - begin, result


def interleaved(rounds: int = ROUNDS, **tasks: Callable[[], object]) -> dict[str, dict]:
    """Time functions that take turns; the first round does not count in the median.

    Returns:
        {name: {"first": seconds of the first call, "median": seconds, "rounds": the others'}}.
    """
    seconds = {name: [] for name in tasks}
    for _ in range(rounds + 1):
        for name, task in tasks.items():
            seconds[name].append(timed(task)[0])
    return {
        name: {"first": first, "median": statistics.median(rest), "rounds": rest}
        for name, (first, *rest) in seconds.items()
    }


def summary(runs: list[tuple], **of: Callable) -> dict:
    """Sum up (seconds, result) of each seed: `of` says the name of results, and their average."""
    averages = {"seconds": statistics.median} | of
    columns = dict(zip(averages, map(list, zip(*runs, strict=True)), strict=True))
    by_seed = {f"{name} by seed": column for name, column in columns.items()}
    return by_seed | {name: averages[name](column) for name, column in columns.items()}


def medians(rounds: int = ROUNDS, **tasks: Callable[[], object]) -> dict[str, float]:
    """Return the medians of `interleaved`, in seconds by name."""
    return {name: times["median"] for name, times in interleaved(rounds, **tasks).items()}


def matrix_peak() -> float:
    """Return the GFLOP/s of a large float32 matrix product: the most that the machine gives."""
    import tensorflow as tf

    factors = np.random.default_rng(0).standard_normal((2, PEAK_SIZE, PEAK_SIZE), np.float32)
    first, second = map(tf.constant, factors)
    seconds = medians(product=lambda: tf.matmul(first, second).numpy())["product"]
    return 2 * PEAK_SIZE**3 / seconds / 1e9


def measure(name: str, with_peak: bool) -> tuple[float | None, object]:
    """Run a benchmark in this process: (`matrix_peak` before it, what its `measure` returns)."""
    if with_peak:
        runtime.start(seed=0)
    return matrix_peak() if with_peak else None, module(name).measure()


def module(name: str) -> ModuleType:
    """Return the module of a benchmark."""
    return importlib.import_module(f"benchmarks.{name}")


def recipe_of_task(number: int) -> dict:
    """Return what the recipe cells of `Task-N.py` define, by name; starts TensorFlow."""
    from tools import studies  # late, since it takes seconds and memory

    return studies.recipe(runtime.repository_root() / f"Task-{number}/Task-{number}.py")


def in_a_process(function: Callable, *arguments, environment: Mapping[str, str] | None = None):
    """Call a function in a new process, with these variables in addition; returns its result.

    Raises:
        RuntimeError: it failed; the message is its traceback.
    """
    context = multiprocessing.get_context("spawn")
    with mock.patch.dict(os.environ, environment or {}), ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_call, function, *arguments).result()


def _call(function, *arguments):
    try:
        return function(*arguments)
    except Exception:  # of a class that may not be possible to pickle
        raise RuntimeError(traceback.format_exc().strip()) from None
