"""Studies: many runs of a notebook's recipes, each stored as soon as it is done.

A study that was stopped goes on where it was; a run whose recipe has changed since is done again.

The runs are done on this machine, or on a Dask cluster. Each machine of it has the same commit, the
packages of requirements.txt and requirements-test.txt and the same CNNLAB_BUDGET, and starts its
workers in the repository's folder, one for each core; results come back to the study's file:

    python -m dask scheduler                                         # on one machine: its address
    python -m dask worker tcp://HOST:8786 --nworkers 8 --nthreads 1 --memory-limit 0     # on each
    python Task-2/study.py --backend dask --scheduler tcp://HOST:8786

Each run is done in a process beside its worker, where TensorFlow uses one core, unless the worker
was started with other TF_NUM_INTRAOP_THREADS and TF_NUM_INTEROP_THREADS. A worker may join, leave
or be killed at any time: what it was doing is done again. When a study is stopped, the runs that
workers are doing go on, but their results are lost. Whoever reaches the scheduler's port can
execute code on all machines, so it belongs into a private network.
"""

import argparse
import functools
import importlib.util
import json
import platform
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import joblib

from cnnlab import runtime
from cnnlab.training import workers
from tools import cluster, recipes

ROOT = Path(__file__).resolve().parents[1]


ON_A_CLUSTER = """With --backend dask, start `python -m dask scheduler` on one machine, and in the
folder of the same commit on each machine `python -m dask worker tcp://HOST:8786 --nworkers CORES
--nthreads 1 --memory-limit 0`; tools/studies.py says more."""


class Run(NamedTuple):
    """One run of a study.

    Attributes:
        key: its name in the file of results, such as "final-lines/3".
        recipe: the digest of the code that it depends on.
        arguments: what tells it from other runs, passed to the function that does it.
        kind: passed to that function first; not stored, as the key tells it.
    """

    key: str
    recipe: str
    arguments: dict
    kind: tuple[str, ...] = ()


class Study(NamedTuple):
    """The functions of a `study.py`, which each process finds in its own copy of the repository.

    A study is started as `__main__`, and what is defined there is not found by other processes.

    Attributes:
        file: its path from the repository's root, such as "Task-1/study.py".
    """

    file: str

    @property
    def results(self) -> str:
        """The path of its results from the repository's root."""
        return self.file.removesuffix("py") + "json"

    def do(self, kind: str, **arguments) -> dict:
        """Do a run."""
        return _module(self.file).do(kind, **arguments)

    def digest(self, kind: str) -> str:
        """Return the digest of the recipe of a kind of runs."""
        return _module(self.file).digest(kind)


@functools.cache
def _module(file: str) -> ModuleType:
    # By its path: `import` would take Task-1.py for the package of Task-1/study.py, and execute it.
    spec = importlib.util.spec_from_file_location(f"the study {file}", ROOT / file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Cluster(NamedTuple):
    """Where runs are done that are not done on this machine.

    Attributes:
        scheduler: the address of its Dask scheduler.
        digest: called on the worker with a run's kind; returns the recipe's digest there.
    """

    scheduler: str
    digest: Callable[..., str]


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
    """Add one result to the file, with the recipe and arguments that it comes from."""
    stored = load(path)  # again: another process may have added to it
    stored[run.key] = result | run.arguments | {"recipe": run.recipe}
    runtime.save_json({"runs": stored}, path)


def execute(
    path: Path,
    runs: Iterable[Run],
    do: Callable[..., dict],
    jobs: int = 1,
    place: Cluster | None = None,
) -> None:
    """Do the runs that are missing, and store each at once.

    Args:
        path: the JSON file of results.
        runs: all runs of the study, or of a part of it.
        do: called with a run's kind and arguments; returns its result.
        jobs: processes at a time on this machine. With more than one, TensorFlow uses one core in
            each, and the times of the runs mean little.
        place: the cluster that does them instead; `do` is then the method of a `Study`.

    Raises:
        ClusterError: the cluster cannot be used, or a worker has another recipe; see
            `cluster.results`.
        RuntimeError: a run failed; the message names it. Those that were stored stay stored.
    """
    waiting = missing(load(path), runs)
    if not waiting:
        return
    finished = _on_cluster(place, do, waiting) if place else _here(jobs, do, waiting)
    with closing(finished):
        for count, (index, result) in enumerate(finished, 1):
            store(path, waiting[index], result)
            print(f"{count}/{len(waiting)}  {waiting[index].key}", flush=True)


def _here(jobs: int, do: Callable[..., dict], runs: list[Run]) -> Iterator[tuple[int, dict]]:
    call = joblib.delayed(_do_beside_others if jobs > 1 else _do)
    workers = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
    yield from workers(call(do, index, run) for index, run in enumerate(runs))


def _do_beside_others(do: Callable[..., dict], index: int, run: Run) -> tuple[int, dict]:
    workers.use_one_core()
    return _do(do, index, run)


def _on_cluster(
    place: Cluster, do: Callable[..., dict], runs: list[Run]
) -> Iterator[tuple[int, dict]]:
    calls = {
        run.key: functools.partial(_do_elsewhere, place.digest, do, index, run)
        for index, run in enumerate(runs)
    }
    return cluster.results(place.scheduler, calls)


def _do_elsewhere(
    digest: Callable[..., str], do: Callable[..., dict], index: int, run: Run
) -> tuple[int, dict]:
    """Do a run on a worker, if its repository has the recipe that the study asks for."""
    if digest(*run.kind) != run.recipe:
        raise cluster.ClusterError(
            f"a worker on {platform.node()} has another recipe or CNNLAB_BUDGET for {run.key}: "
            "start all workers anew, from the same commit"
        )
    return _do(do, index, run)


def _do(do: Callable[..., dict], index: int, run: Run) -> tuple[int, dict]:
    workers.start_process()
    try:
        result = do(*run.kind, **run.arguments)
    except Exception as error:
        raise RuntimeError(f"the run {run.key} failed: {error!r}") from error
    return index, result | {"machine": runtime.machine(), "versions": runtime.versions()}


@functools.cache
def recipe(script: Path) -> dict:
    """Return what the recipe cells of a script define, executed once in each process."""
    workers.start_process()
    return recipes.load(script)


def command_line(study: Study, description: str, kinds: Iterable[str]) -> argparse.ArgumentParser:
    """Return a parser with the options of every study; `parse` reads them.

    Args:
        study: whose results go beside it when nothing else is said.
        description: its first line is shown.
        kinds: what can be done alone.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0], epilog=ON_A_CLUSTER)
    parser.add_argument("--only", nargs="*", choices=kinds, help="left out: all of them")
    parser.add_argument("--out", type=Path, help=f"left out: {study.results}")
    parser.add_argument(
        "--backend",
        choices=("processes", "dask"),
        default="processes",
        help="what does the runs: processes of this machine (the default), or the workers of a "
        "Dask cluster, several runs at a time; the seconds of a run mean little there",
    )
    parser.add_argument(
        "--scheduler", metavar="tcp://HOST:PORT", help="of the cluster; only with --backend dask"
    )
    return parser


def parse(
    study: Study, parser: argparse.ArgumentParser, given: list[str] | None
) -> argparse.Namespace:
    """Read the options of a study; `out` and `place` are then what `execute` takes."""
    arguments = parser.parse_args(given)
    if runtime.in_smoke() and arguments.out is None:
        parser.error("with CNNLAB_BUDGET=smoke, --out must say where the results go")
    on_cluster = arguments.backend == "dask"
    if on_cluster and not re.fullmatch(r"[a-z]+://\S+:\d+", arguments.scheduler or ""):
        parser.error("--backend dask needs --scheduler tcp://HOST:PORT")
    if arguments.scheduler and not on_cluster:
        parser.error("--scheduler needs --backend dask")
    arguments.out = arguments.out or ROOT / study.results
    arguments.place = Cluster(arguments.scheduler, study.digest) if on_cluster else None
    return arguments


def run(main: Callable[[], None]) -> None:
    """Do the command of a study; a cluster that cannot be used ends it with one sentence."""
    try:
        main()
    except cluster.ClusterError as error:
        sys.exit(str(error))
