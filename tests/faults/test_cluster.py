"""Studies on a Ray cluster: every result once, whoever dies; one sentence for what is wrong.

The head and two machines are processes of their own. They have another budget than the study, no
copy of the repository, and runs that take no time. What is said without Ray or without a cluster is
in `test_studies.py`.
"""

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import small_repository
from damage import ROOT

from tools import studies

pytest.importorskip("ray", reason="pip install -r requirements-cluster.txt -c constraints.txt")
pytestmark = pytest.mark.fault
LONGEST = 540  # seconds of a test that waits for what does not come
STUDY = studies.Study("Task-9/study.py")
SCRIPT = '''
"""Runs that say when they begin, and wait as long as there is a gate."""

import functools
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cnnlab import runtime
from cnnlab.training import workers
from tools import studies

STUDY = studies.Study("Task-9/study.py")
SIGNALS = Path(os.environ["SIGNALS"])

def do(kind, number):
    with open(SIGNALS / "begun", "a") as file:
        file.write(f"{number} {os.getppid()} {os.getpid()}\\n")
    while (SIGNALS / f"gate {number}").exists():
        time.sleep(0.1)
    if kind == "failing":
        raise KeyError("gone")
    if kind == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    threads = [os.environ.get(name) for name in workers.THREADS]
    return {"square": number**2, "budget": runtime.budget(), "threads": threads}

KINDS = {
    kind: studies.Kind(functools.partial(do, kind), ())
    for kind in ("plain", "more", "failing", "deadly")
}

def runs_of(kind, stored):
    numbers = range(6) if kind == "plain" else (7,)
    return [studies.Run(f"{kind}/{n}", "recipe", {"number": n}, (kind,)) for n in numbers]

if __name__ == "__main__":
    studies.main(STUDY)
'''


class Cluster:
    """A head without a core for runs, two machines with one each, and a study of six runs."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        # Where runs say that they begin; holds the study's copy of the repository.
        self.folder, self.stack = folder, stack
        (folder / "begun").touch()
        self.environment = os.environ | {
            "SIGNALS": str(folder),
            "PYTHONPATH": str(small_repository.fake_modules(folder)),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }
        for package in ("cnnlab", "tools"):
            shutil.copytree(ROOT / package, folder / "study" / package)
        (folder / "study" / "Task-9").mkdir()
        (folder / "study" / STUDY.file).write_text(SCRIPT)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        head = ["--head", f"--port={port}", "--disable-usage-stats", "--include-dashboard=false"]
        self.head = self._start(*head, "--num-cpus=0")
        for _ in range(2):
            self._start(f"--address={self.address}", "--num-cpus=1")

    def _start(self, *options: str) -> subprocess.Popen:
        # Two machines on one computer may not share a folder, and the paths of sockets are short.
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="ray-"))
        more = ["--node-ip-address=127.0.0.1", "--block", f"--temp-dir={folder}"]
        process = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", *options, *more],
            cwd=folder,
            env=self.environment | {"CNNLAB_BUDGET": "smoke"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.stack.callback(process.wait)
        self.stack.callback(process.terminate)
        said = ""
        for line in process.stdout:
            said += line
            if "Ray runtime started" in line:
                return process
        if "timed out" in said:  # Ray gives a machine 30 seconds, which a busy one may not meet
            return self._start(*options)
        pytest.fail(said)

    def study(self, *options: str, **environment: str) -> subprocess.Popen:
        """Start the study's command."""
        where = "--backend", "ray", "--address", self.address
        command = [STUDY.file, *where, *(options or ("--only", "plain"))]
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=self.folder / "study",
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def complaint(self, *options: str, **environment: str) -> str:
        """Return the last line that the failing command prints."""
        study = self.study(*options, **environment)
        _, complained = study.communicate()
        assert study.returncode == 1
        return complained.splitlines()[-1]

    def squares(self) -> dict[str, int]:
        stored = studies.load(self.folder / "study" / STUDY.results)
        for run in stored.values():  # as on the machine of the study
            assert (run["budget"], run["threads"]) == ("full", ["1", "1"])
        return {key: run["square"] for key, run in stored.items()}

    def begun(self) -> list[list[int]]:
        """Say which runs began: [number, its machine's process id, its own], in order."""
        lines = (self.folder / "begun").read_text().splitlines()
        return [[int(part) for part in line.split()] for line in lines]

    def wait_for(self, number: int, tries: int) -> list[int]:
        """Return what the last try of a run says, when so many have begun."""
        while len(lines := [line for line in self.begun() if line[0] == number]) < tries:
            time.sleep(0.1)
        return lines[-1]


@pytest.fixture
def started(tmp_path):
    """A cluster; a test that waits for what does not come ends."""

    def late(*_):
        raise TimeoutError("what the test waits for did not come")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LONGEST)
    with contextlib.ExitStack() as stack:
        yield Cluster(tmp_path, stack)
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


SQUARES = {f"plain/{n}": n**2 for n in range(6)}


def test_killed_processes_and_machines_lose_only_what_they_were_doing(started):
    gate = started.folder / "gate 4"
    gate.touch()
    study = started.study()
    printed = [study.stdout.readline() for _ in range(5)]
    assert started.squares().items() < SQUARES.items()
    os.kill(started.wait_for(4, tries=1)[-1], signal.SIGKILL)
    _, machine, process = started.wait_for(4, tries=2)
    os.kill(machine, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    started.wait_for(4, tries=3)
    gate.unlink()
    rest, complained = study.communicate()
    assert study.returncode == 0, complained

    printed += re.findall(r"^\d/6 .*$", rest, re.MULTILINE)  # Ray says there who died
    assert [line.split()[0] for line in printed] == [f"{n}/6" for n in range(1, 7)]
    assert {line.split()[1] for line in printed} == set(SQUARES)
    begun = started.begun()
    assert sorted(number for number, *_ in begun) == [0, 1, 2, 3, 4, 4, 4, 5]
    assert begun[-1][1] != machine and len({process for *_, process in begun}) == 8
    assert started.squares() == SQUARES

    (started.folder / "gate 7").touch()
    study = started.study("--only", "more")
    started.wait_for(7, tries=1)
    started.head.terminate()
    complained = study.communicate()[1].splitlines()[-1]
    assert study.returncode == 1
    assert f"the cluster at {started.address} is lost: what was stored stays, " in complained


def test_what_is_wrong_is_named(started):
    failed = started.complaint("--only", "plain", "failing")
    assert failed == "RuntimeError: the run failing/7 failed: KeyError('gone')"
    assert started.squares() == SQUARES
    failed = started.complaint("--only", "deadly")
    assert failed == "RuntimeError: the run deadly/7 failed: its process died 4 times"
    begun = started.begun()
    assert sorted(number for number, *_ in begun) == [*range(6), 7, 7, 7, 7, 7]

    refused = started.complaint("--only", "more", RAY_AUTH_TOKEN="0" * 64)
    assert refused.startswith("no Ray cluster that takes the token of this user is at 127")
    (started.folder / "study" / ".gitignore").write_text("workers.py\n")
    lacking = started.complaint("--only", "more")
    assert re.match("a machine of the cluster cannot do more/7 .*Error: .*'workers'", lacking)
    assert started.begun() == begun
