"""SIGKILL at any moment: nothing half-written is read as whole, and the next run goes on.

Each case kills at another moment. The moments are spread over the whole duration, which is measured
first, from the moment when the imports are done.
"""

import contextlib
import functools
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import psutil
import pytest
import small_repository
from damage import ROOT, attempt, environment
from matplotlib.figure import Figure

from cnnlab import lines, saving
from cnnlab.lines import files
from tools import notebooks, provenance, studies

KILLS = 4  # of each kind
PATIENCE = 300  # seconds; processes of a killed one that live longer wait for ever

# --- what is killed: each is executed in an empty folder, and prints a line when it begins

CACHE = """
from pathlib import Path
from cnnlab import lines, runtime, saving
from cnnlab.lines import dataset
dataset.PER_CLASS = 60
runtime.data_folder = Path
print("begin", flush=True)
lines.load()
"""
COMMAND_LINE = """
import sys
from PIL import Image
from cnnlab import __main__ as main
print("begin", flush=True)
sys.exit(main.main(["lines", "--per-class", "60", "--out", "out"]))
"""
STUDY = """
import time
from pathlib import Path
from tools import studies

def do(number):
    time.sleep(0.1)
    return {"root": number**0.5, "series": [number / part for part in range(1, 400)]}

runs = [studies.Run(f"run/{n}", "recipe", {"number": n}) for n in range(12)]
print("begin", flush=True)
studies.execute(Path("study.json"), runs, do, jobs=2)
"""
NOTEBOOK = """
import sys
from pathlib import Path
from tools import notebooks
print("begin", flush=True)
sys.exit(notebooks.main(["renew"], Path("repository")))
"""
CELLS = """\
# %%
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path.cwd().parent))
from cnnlab.parts import double

for number in range(5):
    time.sleep(0.1)
    print(double(number))

# %%
double(subprocess.run([sys.executable, "-c", "import time; time.sleep(0.2)"]).returncode)
"""


def add_repository(folder: Path) -> None:
    """Add a small repository whose notebook was executed before a change of its script."""
    root = small_repository.add_notebook(small_repository.make(folder / "repository"))
    (root / "Task-1" / "Task-1.py").write_text(CELLS)


def read_lines(path: Path) -> list[bytes] | None:
    """Return images and labels; None where there are none, or they are refused."""
    dataset, _ = attempt(lines.load, path) if path.exists() else (None, "")
    return dataset and [array.tobytes() for array in dataset[:2]]


def read_study(folder: Path) -> dict:
    """Return what a study found, without the machine that it ran on."""
    runs = studies.load(folder / "study.json")
    return {key: [run["root"], run["series"], run["recipe"]] for key, run in runs.items()}


class Work(NamedTuple):
    """What is killed."""

    code: str  # is executed in a folder; prints a line when the imports are done
    read: Callable[[Path], object]  # returns what it has written there
    prepare: Callable[[Path], None] = lambda folder: None  # fills the folder
    is_fake: bool = False  # TensorFlow and Keras are fakes, for which it need not wait


WORKS = {
    "cache": Work(CACHE, lambda folder: read_lines(folder / "lines.npz")),
    "folder of images": Work(COMMAND_LINE, lambda folder: read_lines(folder / "out")),
    "study": Work(STUDY, read_study, is_fake=True),
    "notebook": Work(
        NOTEBOOK,
        lambda folder: (folder / "repository/Task-1/Task-1.ipynb").read_bytes(),
        add_repository,
    ),
}


def start(code: str, folder: Path, is_fake: bool) -> subprocess.Popen:
    """Start Python code in a folder; returns when it has printed its first line."""
    fakes = [str(small_repository.fake_modules(folder))] if is_fake else []
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment(PYTHONPATH=os.pathsep.join([*fakes, str(ROOT)])),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout.readline() == "begin\n"
    return process


def kill_after(process: subprocess.Popen, seconds: float) -> list[psutil.Process]:
    """Kill the process alone; returns those that it had started."""
    time.sleep(seconds)
    started = []
    with contextlib.suppress(psutil.NoSuchProcess):
        started = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    return started


def assert_ended(processes: list[psutil.Process]) -> None:
    """Nobody is left of them after some seconds; whoever is gets killed."""
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
    alive = [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    for process in alive:
        process.kill()
    assert alive == []


@functools.cache
def uninterrupted(work: Work) -> tuple[object, float]:
    """Return what a work writes when nobody kills it, and its seconds."""
    with tempfile.TemporaryDirectory() as name:
        work.prepare(folder := Path(name))
        process = start(work.code, folder, work.is_fake)
        begin = time.monotonic()
        assert process.wait() == 0
        return work.read(folder), time.monotonic() - begin


@pytest.mark.fault
@pytest.mark.parametrize("kill", range(KILLS))
@pytest.mark.parametrize("name", WORKS)
def test_what_is_killed_goes_on(tmp_path, name, kill):
    """At a random moment in the kill-th of KILLS equal parts of its duration."""
    work = WORKS[name]
    expected, seconds = uninterrupted(work)
    work.prepare(tmp_path)
    before = work.read(tmp_path)
    process = start(work.code, tmp_path, work.is_fake)
    left = kill_after(process, (kill + random.Random(kill).random()) / KILLS * seconds)
    there = work.read(tmp_path)
    is_part = name == "study" and there.items() <= expected.items()
    assert there in (before, expected) or is_part
    if any((tmp_path / "out").glob("[!.]*")):  # images: nothing is overwritten or mixed
        assert start(work.code, tmp_path, work.is_fake).wait() == 2
        shutil.rmtree(tmp_path / "out")
    assert start(work.code, tmp_path, work.is_fake).wait() == 0
    assert work.read(tmp_path) == expected
    if name == "notebook":
        assert notebooks.main(["check"], tmp_path / "repository") == 0
    assert_ended(left)


WAITING = """
import time
from cnnlab.training import workers

def wait():
    time.sleep(3600)

print("begin", flush=True)
workers.side_by_side({"first": (wait,), "second": (wait,)})
"""


@pytest.mark.fault
@pytest.mark.parametrize("seconds", [0.2, 3])
def test_processes_next_to_each_other_end_with_their_parent(tmp_path, seconds):
    assert_ended(kill_after(start(WAITING, tmp_path, is_fake=True), seconds))


# --- saving

SAVERS = {
    "a.json": lambda path: saving.save_json({"first": 1}, path),
    "a.png": lambda path: saving.save_figure(Figure(), path),
    "a.keras": lambda path: saving.save_model(
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), path
    ),
    "a.npz": lambda path: files.write_npz(path, lines.generate(1), "recipe"),
}


@pytest.mark.parametrize("name", SAVERS)
def test_a_file_is_replaced_when_the_new_one_is_whole(tmp_path, monkeypatch, name):
    """Killed before, it leaves the old file and a hidden one."""

    def kill(new, old):
        assert Path(new).parent == tmp_path and Path(new).name.startswith(".")
        raise SystemExit

    (tmp_path / name).write_text("old")
    monkeypatch.setattr(os, "replace", kill)
    with pytest.raises(SystemExit):
        SAVERS[name](tmp_path / name)
    assert (tmp_path / name).read_text() == "old"


def test_what_a_kill_left_is_no_source_of_a_notebook(repository):
    """A half-written model next to the models that a later task reads."""
    task, models = repository / "Task-1", repository / "Task-2" / "models"
    small_repository.edit(task / "Task-1.py", "double(4)", 'double("Task-2")')
    models.mkdir(parents=True)
    (models / "whole.keras").write_text("whole")
    (models / ".12-0123456789ab-whole.keras").write_text("wh")
    read = provenance.digests(notebooks.build(task / "Task-1.py"), task, repository)
    assert [name for name in read if name.startswith("Task-2")] == ["Task-2/models/whole.keras"]


def test_what_a_kill_left_is_not_committed():
    names = ["Task-1/.12-0123456789ab-results.json", "data/.7-0123456789ab-lines.npz"]
    command = ["git", "check-ignore", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 128:
        pytest.skip("this copy is no git repository")
    assert done.stdout.split() == names
