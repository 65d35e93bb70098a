"""A study on a Dask cluster: every result once, whoever dies; and one sentence for what is wrong.

The scheduler and the workers are processes of their own, on ports that were free. The workers have
another copy of the repository than the study, and runs that take no time.
"""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tools import cluster, studies

ROOT = Path(__file__).resolve().parents[1]
EMPTY_MODULE = """
import sys
from unittest.mock import MagicMock

sys.modules[__name__] = MagicMock()
"""
STUDY = studies.Study("Task-9/study.py")
SCRIPT = '''
"""Runs that say when they begin, and wait where there is a gate."""

import contextlib
import os
import signal
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tools import cluster, studies

STUDY = studies.Study("Task-9/study.py")
SIGNALS = Path(os.environ["SIGNALS"])

def do(kind, number):
    with open(SIGNALS / "begun", "a") as file:
        file.write(f"{number} {os.getppid()} {os.getpid()}\\n")
    with contextlib.suppress(FileNotFoundError):
        (SIGNALS / f"gate {number}").read_text()  # of a pipe: waits until somebody opens and closes
    if (SIGNALS / f"fails {number}").exists():
        raise KeyError("gone")
    if kind == "deadly":
        os.kill(os.getppid() if number else os.getpid(), signal.SIGKILL)
    return {
        "square": number**2,
        "repository": str(HERE.parent),
        "beside Dask": "distributed" in sys.modules,
        "threads": [os.environ.get(name) for name in cluster.THREADS],
    }

def digest(kind):
    return f"recipe of {kind}"

def main():
    parser = studies.command_line(STUDY, __doc__, ["plain"])
    arguments = studies.parse(STUDY, parser, None)
    runs = [
        studies.Run(f"plain/{n}", digest("plain"), {"number": n}, ("plain",)) for n in range(10)
    ]
    studies.execute(arguments.out, runs, STUDY.do, place=arguments.place)

if __name__ == "__main__":
    studies.run(main)
'''


def run_of(number, kind="plain", recipe=None):
    recipe = recipe or f"recipe of {kind}"
    return studies.Run(f"{kind}/{number}", recipe, {"number": number}, (kind,))


class Cluster:
    """A scheduler and workers on this machine, in a folder with two copies of the repository."""

    def __init__(self, folder, deaths_allowed):
        self.folder = folder
        self.processes = contextlib.ExitStack()
        self.workers = {}
        self.environment = os.environ | {
            "SIGNALS": str(folder),
            "PYTHONPATH": str(folder / "modules"),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(deaths_allowed),
        }
        for name in cluster.THREADS:
            self.environment.pop(name, None)
        self._write()
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        self.scheduler = self._start(["-m", "dask", "scheduler", *options], folder)
        self.address = self._said(self.scheduler, r"Scheduler at:\s+(\S+)")

    def _write(self):
        (self.folder / "modules").mkdir()
        for name in ("tensorflow", "keras", "jupytext"):  # fake runs need not wait for them
            (self.folder / "modules" / f"{name}.py").write_text(EMPTY_MODULE)
        for copy in ("study", "worker"):
            for package in ("cnnlab", "tools"):
                shutil.copytree(ROOT / package, self.folder / copy / package)
            (self.folder / copy / "Task-9").mkdir()
            (self.folder / copy / STUDY.file).write_text(SCRIPT)

    def _start(self, arguments, folder):
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.callback(process.wait)
        self.processes.callback(process.kill)
        return process

    def _said(self, process, pattern):
        """Wait for a line of its log; what comes after it is read and dropped."""
        seen = []
        for line in process.stderr:
            seen.append(line)
            if found := re.search(pattern, line):
                threading.Thread(target=process.stderr.read, daemon=True).start()
                return found[found.lastindex or 0]
        pytest.fail("".join(seen))

    def add_workers(self, count=1, threads=1):
        """Start workers, as the documentation says, and wait until they have joined."""
        options = ["--nthreads", str(threads), "--memory-limit", "0", "--no-nanny"]
        command = ["-m", "dask", "worker", self.address, *options, "--no-dashboard"]
        workers = [self._start(command, self.folder / "worker") for _ in range(count)]
        for worker in workers:
            self._said(worker, "Registered to:")
            self.workers[worker.pid] = worker

    def study(self, *more):
        """The study's command, started."""
        options = ["--backend", "dask", "--scheduler", self.address, *more]
        return self._start([STUDY.file, *options], self.folder / "study")

    def execute(self, path, runs):
        """The same in this process, with these runs."""
        studies.execute(path, runs, STUDY.do, place=studies.Cluster(self.address, STUDY.digest))

    def begun(self):
        """Say which runs began: (number, the worker's process id, the run's), in order."""
        lines = (self.folder / "begun").read_text().splitlines()
        return [tuple(map(int, line.split())) for line in lines]


@pytest.fixture(autouse=True)
def in_time():
    """A test that waits for what does not come ends."""

    def late(*_):
        raise TimeoutError("what the test waits for did not come")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """A cluster with two workers, of which a test may kill one."""
    started = Cluster(tmp_path_factory.mktemp("cluster"), deaths_allowed=1)
    with started.processes:
        started.add_workers(2)
        yield started


@pytest.fixture
def strict(tmp_path):
    """A cluster without a worker yet, where a run may not kill any."""
    started = Cluster(tmp_path, deaths_allowed=0)
    with started.processes:
        yield started


def test_a_killed_worker_loses_only_what_it_was_doing(workers):
    path = workers.folder / "study" / STUDY.results
    gate = workers.folder / "gate 4"
    os.mkfifo(gate)
    study = workers.study()
    with open(gate, "w"):  # as soon as the run has opened it
        printed = [study.stdout.readline() for _ in range(9)]
        before = json.loads(path.read_text())["runs"]
        ((_, worker, process),) = (each for each in workers.begun() if each[0] == 4)
        ended = os.pidfd_open(process)
        workers.workers[worker].kill()
        select.select([ended], [], [])  # the run's process ends with its worker
        os.close(ended)
        gate.unlink()
    rest, complained = study.communicate()
    assert study.returncode == 0, complained

    printed += rest.splitlines(keepends=True)
    assert [line.split()[0] for line in printed] == [f"{n}/10" for n in range(1, 11)]
    assert sorted(line.split()[1] for line in printed) == [f"plain/{n}" for n in range(10)]
    assert printed[-1] == "10/10  plain/4\n"
    begun = [number for number, *_ in workers.begun()]
    assert sorted(begun) == sorted([*range(10), 4])
    assert len({worker for number, worker, _ in workers.begun() if number == 4}) == 2
    runs = json.loads(path.read_text())["runs"]
    assert {key: run["square"] for key, run in runs.items()} == {
        f"plain/{n}": n**2 for n in range(10)
    }
    assert {key: runs[key] for key in before} == before and len(before) == 9
    assert all(run["repository"] == str(workers.folder / "worker") for run in runs.values())
    assert all(run["threads"] == ["1", "1"] for run in runs.values())
    assert not any(run["beside Dask"] for run in runs.values())  # which draws random numbers
    assert all(run["machine"] and run["versions"] for run in runs.values())
    assert sorted(os.listdir(path.parent)) == ["study.json", "study.py"]


def test_a_killed_study_goes_on(workers, tmp_path):
    path, gate = tmp_path / "study.json", workers.folder / "gate 4"
    os.mkfifo(gate)
    study = workers.study("--out", path)
    with open(gate, "w"):
        assert all(study.stdout.readline() for _ in range(4))
        study.kill()
        study.wait()
        gate.unlink()
    before = studies.load(path)
    assert 4 <= len(before) <= 9 and "plain/4" not in before
    printed, complained = (study := workers.study("--out", path)).communicate()
    assert study.returncode == 0, complained
    after = studies.load(path)
    assert sorted(after) == [f"plain/{n}" for n in range(10)]
    assert {key: after[key] for key in before} == before
    assert {line.split()[1] for line in printed.splitlines()} == after.keys() - before.keys()


def test_a_failing_run_is_named_and_a_stopped_study_goes_on(workers, tmp_path):
    path, runs = tmp_path / "study.json", [run_of(n) for n in range(20, 25)]
    (workers.folder / "fails 24").touch()
    workers.execute(path, runs[:4])
    with pytest.raises(RuntimeError, match=r"^the run plain/24 failed: KeyError\('gone'\)$"):
        workers.execute(path, runs)
    assert sorted(studies.load(path)) == [run.key for run in runs[:4]]
    (workers.folder / "fails 24").unlink()
    workers.execute(path, runs)
    assert {key: run["square"] for key, run in studies.load(path).items()} == {
        f"plain/{n}": n**2 for n in range(20, 25)
    }
    begun = [number for number, *_ in workers.begun() if number >= 20]
    assert sorted(begun) == [20, 21, 22, 23, 24, 24]


def test_a_worker_with_another_recipe_is_refused(workers, tmp_path):
    with pytest.raises(cluster.ClusterError, match=r"another recipe or .* for plain/30: start all"):
        workers.execute(tmp_path / "study.json", [run_of(30, recipe="newer")])
    assert studies.load(tmp_path / "study.json") == {}
    assert 30 not in [number for number, *_ in workers.begun()]


def test_a_worker_without_the_study_is_refused(workers, tmp_path):
    other = studies.Study("Task-8/study.py")
    place = studies.Cluster(workers.address, other.digest)
    with pytest.raises(cluster.ClusterError, match=r"cannot do plain/0 .*FileNotFoundError.*anew"):
        studies.execute(tmp_path / "study.json", [run_of(0)], other.do, place=place)


def test_late_workers_are_used_deadly_runs_named_and_a_lost_scheduler_told(strict, tmp_path):
    """Also a worker with two threads is used: each has a process of its own."""
    study = strict.study()
    assert study.stdout.readline().startswith("no worker has joined the scheduler at tcp://")
    strict.add_workers(threads=2)
    printed, complained = study.communicate()
    assert (study.returncode, len(printed.splitlines())) == (0, 10), complained

    strict.add_workers(1)
    with pytest.raises(RuntimeError, match=r"^the run deadly/0 failed: its process ended \(-9\)$"):
        strict.execute(tmp_path / "study.json", [run_of(0, "deadly")])
    with pytest.raises(RuntimeError, match=r"^the run deadly/1 failed: .*died .*: 1$"):
        strict.execute(tmp_path / "study.json", [run_of(1, "deadly")])

    os.mkfifo(tmp_path / "gate 3")

    def kill_scheduler():
        with open(tmp_path / "gate 3", "w"):
            strict.scheduler.kill()

    threading.Thread(target=kill_scheduler).start()
    with pytest.raises(cluster.ClusterError, match=r"^the scheduler at tcp://\S+ is lost: .* on"):
        strict.execute(tmp_path / "study.json", [run_of(3)])


def test_a_scheduler_that_does_not_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 1)
    place = studies.Cluster("tcp://127.0.0.1:1", STUDY.digest)
    with pytest.raises(cluster.ClusterError, match=r"^no Dask scheduler answers at tcp://127\S+:1"):
        studies.execute(tmp_path / "study.json", [run_of(0)], STUDY.do, place=place)


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    place = studies.Cluster("tcp://127.0.0.1:1", STUDY.digest)
    with pytest.raises(cluster.ClusterError, match=r"needs the package distributed: pip install"):
        studies.execute(tmp_path / "study.json", [run_of(0)], STUDY.do, place=place)
    studies.store(tmp_path / "study.json", run_of(0), {})
    studies.execute(tmp_path / "study.json", [run_of(0)], STUDY.do, place=place)  # nothing to do


@pytest.fixture(params=["Task-1", "Task-2"])
def executed(request, monkeypatch):
    """A study's command, and what it would have executed."""
    seen = []
    monkeypatch.setattr(studies, "execute", lambda *given, **named: seen.append((given, named)))
    return studies._module(f"{request.param}/study.py").main, seen


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--backend", "dask"], "--backend dask needs --scheduler tcp://HOST:PORT"),
        (["--backend", "dask", "--scheduler", "host"], "needs --scheduler tcp://HOST:PORT"),
        (["--scheduler", "tcp://host:1"], "--scheduler needs --backend dask"),
        (
            ["--backend", "processes", "--scheduler", "tcp://host:1"],
            "--scheduler needs --backend dask",
        ),
        (["--backend", "threads"], "invalid choice"),
    ],
)
def test_the_command_refuses_wrong_combinations(executed, capsys, options, complaint):
    main, seen = executed
    with pytest.raises(SystemExit, match="2"):
        main(options)
    assert complaint in capsys.readouterr().err and not seen


def test_the_command_says_where_and_help_how(executed, capsys):
    main, seen = executed
    kind = "final" if main.__globals__["STUDY"].file.startswith("Task-2") else "final-lines"
    main(["--only", kind])
    main(["--only", kind, "--backend", "dask", "--scheduler", "tcp://host:1"])
    places = [named.get("place", given[-1]) for given, named in seen]
    assert places[0] is None and places[1].scheduler == "tcp://host:1"
    runs = seen[1][0][1]
    assert len(runs) == 5
    assert all(places[1].digest(*run.kind) == run.recipe for run in runs)
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "the seconds of a run mean little there" in told
    assert "python -m dask worker tcp://HOST:8786 --nworkers CORES --nthreads 1" in told
