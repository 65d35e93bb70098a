"""Studies on a Ray cluster: every result once, whoever dies; one sentence for what is wrong.

The head and two machines are processes of their own. They have another budget than the study, no
copy of the repository, and runs that take no time.
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

from tools import studies

pytest.importorskip("ray", reason="pip install -r requirements-cluster.txt -c constraints.txt")
ROOT = Path(__file__).resolve().parents[2]
STUDY = studies.Study("Task-9/study.py")
SCRIPT = '''
"""Runs that say when they begin, and wait as long as there is a gate."""

import os
import signal
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

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
    return {
        "square": number**2,
        "budget": runtime.budget(),
        "threads": [os.environ.get(name) for name in workers.THREADS],
    }

def main():
    options = studies.parse(STUDY, __doc__, ["plain", "failing", "deadly"], None)
    runs = [studies.Run(f"plain/{n}", "recipe", {"number": n}, ("plain",)) for n in range(6)]
    more = options.only or ()
    runs += [studies.Run(f"{kind}/7", "recipe", {"number": 7}, (kind,)) for kind in more]
    studies.execute(options.out, runs, STUDY.do, address=options.address)

if __name__ == "__main__":
    studies.run(main)
'''


class Cluster:
    """A head without a core for runs, two machines with one each, and a study of six runs.

    Runs say in `folder` that they begin; it holds the study's copy of the repository.
    """

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder, self.stack = folder, stack
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
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        head = ["--head", "--port", self.address.partition(":")[2], "--disable-usage-stats"]
        self.machines = [self._start(*head, "--include-dashboard=false", "--num-cpus=0")]
        self.machines += [self._start(f"--address={self.address}", "--num-cpus=1") for _ in "12"]

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
        command = [sys.executable, STUDY.file, "--backend", "ray", "--address", self.address]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        environment = self.environment | environment
        cwd = self.folder / "study"
        return subprocess.Popen([*command, *options], cwd=cwd, env=environment, **pipes)

    def complaint(self, *options: str, **environment: str) -> str:
        """Return the last line that the failing command prints."""
        study = self.study(*options, **environment)
        _, complained = study.communicate()
        assert study.returncode == 1
        return complained.splitlines()[-1]

    def stored(self) -> dict[str, dict]:
        return studies.load(self.folder / "study" / STUDY.results)

    def begun(self) -> list[list[int]]:
        """Say which runs began: [number, its machine's process id, its own], in order."""
        file = self.folder / "begun"
        lines = file.read_text().splitlines() if file.exists() else []
        return [[int(part) for part in line.split()] for line in lines]

    def wait_for(self, number: int, tries: int) -> list[int]:
        """Return what the last try of a run says, when so many have begun."""
        while len(lines := [line for line in self.begun() if line[0] == number]) < tries:
            time.sleep(0.1)
        return lines[-1]


@pytest.fixture
def started(tmp_path):
    """A cluster; the alarm ends a test that waits for what does not come."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("waited for too long"))
    signal.alarm(540)
    with contextlib.ExitStack() as stack:
        yield Cluster(tmp_path, stack)
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.fault
def test_killed_processes_and_machines_lose_only_what_they_were_doing(started):
    gate = started.folder / "gate 4"
    gate.touch()
    study = started.study()
    printed = [study.stdout.readline() for _ in range(5)]
    before = started.stored()
    _, _, process = started.wait_for(4, tries=1)
    os.kill(process, signal.SIGKILL)
    _, machine, process = started.wait_for(4, tries=2)
    os.kill(machine, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    started.wait_for(4, tries=3)
    gate.unlink()
    rest, complained = study.communicate()
    assert study.returncode == 0, complained

    printed += re.findall(r"^\d/6 .*$", rest, re.MULTILINE)  # Ray says there who died
    assert sorted(line.split()[1] for line in printed) == [f"plain/{n}" for n in range(6)]
    begun = started.begun()
    assert sorted(number for number, *_ in begun) == [0, 1, 2, 3, 4, 4, 4, 5]
    assert len({process for *_, process in begun}) == 8
    assert begun[-1][1] != machine
    stored = started.stored()
    assert [run["square"] for run in stored.values()] == [n**2 for n in range(6)]
    assert {key: stored[key] for key in before} == before and len(before) == 5
    assert all((r["budget"], r["threads"]) == ("full", ["1", "1"]) for r in stored.values())

    (started.folder / "gate 7").touch()
    study = started.study("--only", "plain")
    started.wait_for(7, tries=1)
    started.machines[0].terminate()
    complained = study.communicate()[1].splitlines()[-1]
    assert study.returncode == 1 and re.match(
        rf"the cluster at {started.address} is lost: what was stored stays, .*", complained
    )


@pytest.mark.fault
def test_what_is_wrong_is_named(started):
    failed = started.complaint("--only", "failing")
    assert failed == "RuntimeError: the run failing/7 failed: KeyError('gone')"
    assert sorted(started.stored()) == [f"plain/{n}" for n in range(6)]
    failed = started.complaint("--only", "deadly")
    assert failed == "RuntimeError: the run deadly/7 failed: its process died 4 times"
    begun = [number for number, *_ in started.begun()]
    assert sorted(begun) == [*range(6), 7, 7, 7, 7, 7]

    refused = started.complaint("--only", "plain", RAY_AUTH_TOKEN="0" * 64)
    assert refused.startswith("no Ray cluster that takes the token of this user is at 127")
    (started.folder / "study" / ".gitignore").write_text("workers.py\n")
    lacking = started.complaint("--only", "plain")
    assert re.match("a machine of the cluster cannot do plain/7 .*Error: .*'workers'", lacking)
    assert len(started.begun()) == len(begun)
