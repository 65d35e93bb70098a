"""Studies: many runs of a notebook's recipes, each stored as soon as it is done.

A study that was stopped goes on where it was; a run whose recipe has changed since is done again.
The runs are done by processes of this machine or, with `--backend ray`, of a Ray cluster.
"""

import argparse
import functools
import importlib.util
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import joblib

from cnnlab import runtime
from cnnlab.saving import save_json
from cnnlab.training import workers
from tools import cluster, recipes

ROOT = Path(__file__).resolve().parents[1]

HELP = """On several machines, each with requirements.txt and requirements-cluster.txt installed:

  ray get-auth-token --generate            on one: ~/.ray/auth_token, to be copied to all
  export RAY_AUTH_MODE=token               on each: nobody joins without the token
  ray start --head --disable-usage-stats   on one machine; it prints the HOST:PORT of the cluster
  ray start --address=HOST:PORT            on each of the others
  python {file} --backend ray --address HOST:PORT
                                           on one of them, where all results are stored

Machines may join, leave or fail at any time: what they were doing is done again.
"""


class Run(NamedTuple):
    """One run of a study."""

    key: str  # its name in the file of results, such as "final-lines/3"
    recipe: str  # the digest of the code that it depends on
    arguments: dict  # what tells it from other runs, passed to the function that does it
    kind: tuple[str, ...] = ()  # passed to that function first; not stored, as the key tells it

    @property
    def origin(self) -> dict:
        """What is stored with the result."""
        return self.arguments | {"recipe": self.recipe}


def runs(kind: str, recipe: str, names: tuple, plan: Iterable[tuple], follows: str | None = None):
    """Return the runs of a kind, given the names of their arguments and the values of each.

    The key of a run, "kind/value/value", leaves out the argument that `follows` from the others.
    """
    planned = [dict(zip(names, values, strict=True)) for values in plan]
    keys = ["/".join([kind, *(str(v) for n, v in a.items() if n != follows)]) for a in planned]
    return [Run(key, recipe, a, (kind,)) for key, a in zip(keys, planned, strict=True)]


class Study(NamedTuple):
    """A `study.py`, whose function `do` each process finds in its own copy of the repository.

    A study is started as `__main__`, and what is defined there is not found by other processes.
    """

    file: str  # its path from the repository's root, such as "Task-1/study.py"

    @property
    def results(self) -> str:
        """The path of its results from the repository's root."""
        return self.file.removesuffix("py") + "json"

    def do(self, kind: str, **arguments) -> dict:
        """Do a run."""
        return module(self.file).KINDS[kind].do(**arguments)


@functools.cache
def module(file: str):
    """Return a study's module, given its path from the repository's root.

    `import` would take Task-1.py for the package of Task-1/study.py, and execute it.
    """
    spec = importlib.util.spec_from_file_location(f"the study {file}", ROOT / file)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def load(path: Path) -> dict[str, dict]:
    """Return the stored runs by key."""
    return json.loads(path.read_bytes())["runs"] if path.exists() else {}


class Search(NamedTuple):
    """A search for the value, of a grid, whose runs have the lowest score in sum.

    It begins with the `middle` of the grid, and tries more as long as the best is at the edge.
    """

    grid: tuple[float, ...]
    middle: slice
    key: str  # of its runs, with fields for the value and the seed: "rate/lines/{value}/{seed}"
    seeds: Iterable[int]
    score: Callable[[dict], float]

    def tried(self, stored: dict[str, dict]) -> tuple[float, ...]:
        """Return the values to be tried, given the runs that are stored."""
        if runtime.in_smoke():
            return self.grid[self.middle]
        first, last = self.middle.start, self.middle.stop
        while best := self.best(stored, self.grid[first:last]):
            if best == self.grid[first] and first > 0:
                first -= 1
            elif best == self.grid[last - 1] and last < len(self.grid):
                last += 1
            else:
                break
        return self.grid[first:last]

    def best(self, stored: dict[str, dict], values: Iterable[float] | None = None) -> float | None:
        """Return the best of some values, or of all that are to be tried; None while runs lack."""
        if runtime.in_smoke():
            return self.grid[self.middle.start]
        totals = {}
        for value in self.tried(stored) if values is None else values:
            keys = [self.key.format(value=value, seed=seed) for seed in self.seeds]
            if not all(key in stored for key in keys):
                return None
            totals[value] = sum(self.score(stored[key]) for key in keys)
        return min(totals, key=totals.get)


class Kind(NamedTuple):
    """A kind of runs, which the module of a study lists in its KINDS."""

    do: Callable[..., dict]  # called with the arguments of a run; returns its result
    recipes: tuple[str | Callable, ...]  # what it depends on; see `recipes.digest`
    alone: bool = False  # one run at a time, on all cores: its seconds are a result


def missing(stored: dict[str, dict], runs: Iterable[Run]) -> list[Run]:
    """Return the runs that are not stored, or from an older recipe or other arguments, in order."""
    return [run for run in runs if stored.get(run.key, {}) | run.origin != stored.get(run.key)]


def store(path: Path, run: Run, result: dict) -> None:
    """Add one result to the file, with the recipe and arguments that it comes from."""
    stored = load(path)  # again: another process may have added to it
    stored[run.key] = result | run.origin
    save_json({"runs": stored}, path)


def execute(path: Path, runs: Iterable[Run], do: Callable, jobs=1, address=None) -> None:
    """Do the runs that are missing, and store each at once in the JSON file `path`.

    Args:
        path: of the results.
        runs: all runs of the study, or of a part of it.
        do: called with a run's kind and arguments; returns its result, a dict.
        jobs: processes at a time on this machine. With more than one, TensorFlow uses one core in
            each, and the times of the runs mean little.
        address: of the Ray cluster that does them instead, with one core for each as well; `do` is
            then the method of a `Study`.

    Raises:
        ClusterError: the cluster cannot be used; see `cluster.results`.
        RuntimeError: a run failed; the message names it. Those that were stored stay stored.
    """
    waiting = {run.key: run for run in missing(load(path), runs)}
    if not waiting:
        return
    one_core = jobs > 1 or address is not None
    calls = {key: functools.partial(_do, do, run, one_core) for key, run in waiting.items()}
    if address:
        finished = cluster.results(address, calls)
    else:
        processes = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
        finished = processes(joblib.delayed(call)() for call in calls.values())
    with closing(finished):
        for count, (key, result) in enumerate(finished, 1):
            store(path, waiting[key], result)
            print(f"{count}/{len(waiting)}  {key}", flush=True)


def _do(do: Callable[..., dict], run: Run, one_core: bool) -> tuple[str, dict]:
    if one_core:
        workers.use_one_core()
    workers.start_process()
    begin = time.perf_counter()
    try:
        result = do(*run.kind, **run.arguments)
    except Exception as error:
        raise RuntimeError(f"the run {run.key} failed: {error!r}") from error
    cost = {"seconds": round(time.perf_counter() - begin, 1)}  # of all; a result may say it better
    return run.key, cost | result | {"machine": runtime.machine(), "versions": runtime.versions()}


@functools.cache
def recipe(script: Path) -> dict:
    """Return what the recipe cells of a script define, executed once in each process."""
    workers.start_process()
    return recipes.load(script)


def parse(study: Study, description: str, kinds: Iterable[str], given: list[str] | None):
    """Read the options of a study, None for those of this process.

    Returns:
        Its kinds that are to be done alone in `only`; `out`, `jobs` and `address` for `execute`.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = HELP.format(file=study.file)
    parser.add_argument("--only", nargs="*", choices=kinds, help="left out: all of them")
    parser.add_argument("--out", type=Path, help=f"left out: {study.results}")
    parser.add_argument("--jobs", type=int, default=runtime.machine()["cores"])
    what = "one small run of each kind, to see that all works; by itself into run/"
    parser.add_argument("--smoke", action="store_true", help=what)
    where = "processes of this machine (the default), or of a Ray cluster, several runs at a time"
    parser.add_argument("--backend", choices=("processes", "ray"), default="processes", help=where)
    parser.add_argument("--address", metavar="HOST:PORT", help="of the cluster's head")
    options = parser.parse_args(given)
    if options.smoke:
        os.environ["CNNLAB_BUDGET"] = "smoke"
    valid = re.fullmatch(r"\S+:\d+", options.address) if options.address else None
    if (options.backend == "ray") != (valid is not None):
        parser.error("--backend ray and --address HOST:PORT belong together")
    folder = ROOT / "run" if runtime.in_smoke() else ROOT
    options.out = options.out or folder / study.results
    return options


def main(study: Study, given: list[str] | None = None) -> None:
    """Do the command of a study, given its options; a cluster that fails ends it in a sentence.

    Its module has KINDS, {name: Kind}, and `runs_of(name, stored)`: all runs of a kind, given those
    that are stored, on whose results the plan may depend.
    """
    plan = module(study.file)
    options = parse(study, plan.__doc__, plan.KINDS, given)
    try:
        for kind in options.only or plan.KINDS:
            while missing(stored := load(options.out), runs := _planned(plan, kind, stored)):
                jobs = 1 if plan.KINDS[kind].alone else max(2, options.jobs)
                execute(options.out, runs, study.do, jobs, options.address)
    except cluster.ClusterError as error:
        sys.exit(str(error))


def _planned(plan, kind: str, stored: dict[str, dict]) -> list[Run]:
    runs = plan.runs_of(kind, stored)
    return runs[:1] if runtime.in_smoke() else runs
