"""Studies: many runs of a notebook's recipes, each stored as soon as it is done.

A study that was stopped goes on where it was; a run whose recipe has changed since is done again.
"""

import functools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import joblib

from cnnlab import runtime
from tools import recipes


class Run(NamedTuple):
    """One run of a study.

    Attributes:
        key: its name in the file of results, such as "final-lines/3".
        recipe: the digest of the code that it depends on.
        arguments: what tells it from other runs, passed to the function that does it.
    """

    key: str
    recipe: str
    arguments: dict


def load(path: Path) -> dict[str, dict]:
    """Return the stored runs by key."""
    return json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else {}


def missing(stored: dict[str, dict], runs: Iterable[Run]) -> list[Run]:
    """Return the runs that are not stored, or from an older recipe or other arguments, in order."""
    return [run for run in runs if not _is_stored(stored.get(run.key, {}), run)]


def _is_stored(found: dict, run: Run) -> bool:
    wanted = run.arguments | {"recipe": run.recipe}
    return all(found.get(name) == value for name, value in wanted.items())


def store(path: Path, run: Run, result: dict) -> None:
    """Add one result to the file, with where it comes from."""
    origin = {
        "recipe": run.recipe,
        "machine": runtime.machine(),
        "versions": runtime.versions(),
    }
    stored = load(path)  # again: another process may have added to it
    stored[run.key] = result | run.arguments | origin
    runtime.save_json({"runs": stored}, path)


def execute(path: Path, runs: Iterable[Run], do: Callable[..., dict], jobs: int = 1) -> None:
    """Do the runs that are missing, and store each at once.

    Args:
        path: the JSON file of results.
        runs: all runs of the study, or of a part of it.
        do: called with a run's arguments; returns its result.
        jobs: processes at a time. With more than one, TensorFlow uses one core in each, and the
            times of the runs mean little.

    Raises:
        RuntimeError: a run failed; the message names it. Those that were stored stay stored.
    """
    waiting = missing(load(path), runs)
    with _cores_of_a_process(1 if jobs > 1 else None):
        workers = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
        done = workers(joblib.delayed(_do)(do, index, run) for index, run in enumerate(waiting))
        for count, (index, result) in enumerate(done, 1):
            store(path, waiting[index], result)
            print(f"{count}/{len(waiting)}  {waiting[index].key}", flush=True)


def _do(do: Callable[..., dict], index: int, run: Run) -> tuple[int, dict]:
    runtime.start(seed=0)
    import keras

    keras.utils.clear_session()  # or the graphs of all earlier runs would stay in memory
    try:
        return index, do(**run.arguments)
    except Exception as error:
        raise RuntimeError(f"the run {run.key} failed: {error!r}") from error


@contextmanager
def _cores_of_a_process(count: int | None) -> Iterator[None]:
    """Tell TensorFlow, in processes that start from here on, how many cores to use."""
    if count is None:
        yield
        return
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@functools.cache
def recipe(script: Path) -> dict:
    """Return what the recipe cells of a script define, executed once in each process."""
    runtime.start(seed=0)
    return recipes.load(script)
