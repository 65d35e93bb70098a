"""SIGKILL at any moment: nothing half-written is read as whole, and the next run goes on.

Each case kills at another moment. The moments are spread over the whole duration, which is measured
first, from the moment when the imports are done.
"""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import psutil
import pytest
import small_repository
from damage import ROOT
from matplotlib.figure import Figure

from cnnlab import lines, runtime, saving
from cnnlab.lines import dataset as line_dataset
from cnnlab.lines import files
from tools import notebooks, provenance

KILLS = 8
PATIENCE = 300  # seconds; processes of a killed one that live longer wait for ever


def at_each_moment(test):
    """Mark a test that gets the number of its kill."""
    return pytest.mark.fault(pytest.mark.parametrize("kill", range(KILLS))(test))


def moment(kill: int, seconds: float) -> float:
    """Return a random moment in the kill-th of KILLS equal parts of a duration."""
    return (kill + random.Random(kill).random()) / KILLS * seconds


def start(code: str, folder: Path, *arguments, **environment) -> subprocess.Popen:
    """Start Python code in a folder; returns when it has printed its first line."""
    path = os.pathsep.join([*environment.pop("modules", []), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": path, "MPLBACKEND": "Agg"} | environment
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout.readline() == "begin\n"
    return process


def duration(process: subprocess.Popen) -> float:
    """Wait for the process; returns the seconds."""
    begin = time.monotonic()
    process.communicate()
    assert process.returncode == 0
    return time.monotonic() - begin


def kill_after(process: subprocess.Popen, seconds: float) -> list[psutil.Process]:
    """Kill the process alone; returns those that it had started."""
    time.sleep(seconds)
    started = []
    with contextlib.suppress(psutil.NoSuchProcess):
        started = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    process.stdout.close()
    return started


def assert_ended(processes: list[psutil.Process]) -> None:
    """Nobody is left of them after some seconds; whoever is gets killed."""
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
    alive = [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    commands = [" ".join(process.cmdline()) for process in alive]
    for process in alive:
        process.kill()
    assert commands == []


# --- the line dataset ----------

PER_CLASS = 60
CACHE = f"""
import sys
from pathlib import Path
from cnnlab import lines, runtime, saving
from cnnlab.lines import dataset
dataset.PER_CLASS = {PER_CLASS}
runtime.data_folder = lambda: Path(sys.argv[1])
print("begin", flush=True)
lines.load()
"""
COMMAND_LINE = """
import sys
from PIL import Image
from cnnlab import __main__ as main
print("begin", flush=True)
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def dataset():
    return lines.generate(PER_CLASS)


def same(first: lines.Lines, second: lines.Lines) -> bool:
    return np.array_equal(first.images, second.images) and np.array_equal(
        first.labels, second.labels
    )


@pytest.fixture(scope="module")
def seconds_of_cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    return duration(start(CACHE, folder, folder))


@at_each_moment
def test_the_cache_is_whole_or_made_again(tmp_path, monkeypatch, dataset, seconds_of_cache, kill):
    assert_ended(kill_after(start(CACHE, tmp_path, tmp_path), moment(kill, seconds_of_cache)))
    cache = tmp_path / "lines.npz"
    if cache.exists():
        assert same(files.read_npz(cache, lines.recipe(PER_CLASS, 0)), dataset)
    monkeypatch.setattr(line_dataset, "PER_CLASS", PER_CLASS)
    monkeypatch.setattr(runtime, "data_folder", lambda: tmp_path)
    assert same(lines.load(), dataset)
    assert same(files.read_npz(cache), dataset)


def command(folder: Path) -> subprocess.Popen:
    arguments = ["lines", "--per-class", str(PER_CLASS), "--out", str(folder)]
    return start(COMMAND_LINE, folder.parent, *arguments)


@pytest.fixture(scope="module")
def seconds_of_command(tmp_path_factory):
    return duration(command(tmp_path_factory.mktemp("command line") / "out"))


@at_each_moment
def test_a_folder_is_whole_or_refused(tmp_path, dataset, seconds_of_command, kill):
    out = tmp_path / "out"
    assert_ended(kill_after(command(out), moment(kill, seconds_of_command)))
    try:
        assert same(lines.load(out), dataset)
    except (FileNotFoundError, ValueError) as error:
        assert str(out) in str(error) or not out.exists()
    again = command(out)
    again.communicate()
    if again.returncode:  # the folder holds images: nothing is overwritten or mixed
        assert again.returncode == 2 and any(out.glob("[!.]*"))
        out = tmp_path / "new"
        duration(command(out))
    assert same(lines.load(out), dataset)


# --- studies ----------

STUDY = """
import sys
import time
from pathlib import Path

from tools import studies

def do(number):
    time.sleep(0.1)
    return {"root": number**0.5, "series": [number / part for part in range(1, 400)]}

runs = [studies.Run(f"run/{n}", "recipe", {"number": n}) for n in range(12)]
print("begin", flush=True)
studies.execute(Path("study.json"), runs, do, int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    return [str(small_repository.fake_modules(tmp_path_factory.mktemp("fakes")))]


def results(path: Path) -> dict:
    """Return what a study found, without the machine that it ran on."""
    runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
    for run in runs.values():
        del run["machine"], run["versions"]
    return runs


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, modules):
    """What a study finds when nobody kills it, and its seconds with one and with two processes."""
    seconds = {}
    for jobs in (1, 2):
        folder = tmp_path_factory.mktemp("study")
        seconds[jobs] = duration(start(STUDY, folder, jobs, modules=modules))
    return results(folder / "study.json"), seconds


@at_each_moment
def test_a_study_goes_on(tmp_path, modules, uninterrupted, kill):
    expected, seconds = uninterrupted
    jobs = 1 + kill % 2
    process = start(STUDY, tmp_path, jobs, modules=modules)
    left = kill_after(process, moment(kill, seconds[jobs]))
    path = tmp_path / "study.json"
    before = results(path) if path.exists() else {}
    assert before.items() <= expected.items()
    duration(start(STUDY, tmp_path, jobs, modules=modules))
    assert results(path) == expected
    assert_ended(left)


# --- notebooks ----------

CELLS = """\
# %% [markdown]
# # A task that takes a while

# %%
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path.cwd().parent))
from cnnlab.parts import double

for number in range(5):
    time.sleep(0.1)
    print(double(number))

# %%
import subprocess

double(subprocess.run([sys.executable, "-c", "import time; time.sleep(0.2)"]).returncode)
"""
EXECUTION = """
import sys
from pathlib import Path
from tools import notebooks
print("begin", flush=True)
sys.exit(notebooks.main(["renew"], Path(sys.argv[1])))
"""


def slow_repository(folder: Path) -> Path:
    """A small repository whose notebook was executed before a change of its script."""
    root = small_repository.add_notebook(small_repository.make(folder))
    (root / "Task-1" / "Task-1.py").write_text(CELLS)
    return root


@pytest.fixture(scope="module")
def executed_notebook(tmp_path_factory):
    root = slow_repository(tmp_path_factory.mktemp("notebook") / "repository")
    seconds = duration(start(EXECUTION, root.parent, root))
    return seconds, (root / "Task-1" / "Task-1.ipynb").read_bytes()


@at_each_moment
def test_a_notebook_is_the_old_or_the_new_one(tmp_path, executed_notebook, capsys, kill):
    seconds, expected = executed_notebook
    root = slow_repository(tmp_path / "repository")
    path = root / "Task-1" / "Task-1.ipynb"
    before = path.read_bytes()
    left = kill_after(start(EXECUTION, tmp_path, root), moment(kill, seconds))
    assert path.read_bytes() in (before, expected)
    assert notebooks.main(["renew"], root) == 0
    assert path.read_bytes() == expected
    assert notebooks.main(["check"], root) == 0, capsys.readouterr().out
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
def test_processes_next_to_each_other_end_with_their_parent(tmp_path, modules, seconds):
    assert_ended(kill_after(start(WAITING, tmp_path, modules=modules), seconds))


# --- saving ----------

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


def test_what_a_kill_left_is_no_source_of_a_notebook(tmp_path):
    """A half-written model next to the models that a later task reads."""
    root = small_repository.make(tmp_path / "repository")
    small_repository.edit(root / "Task-1" / "Task-1.py", "double(4)", 'double("Task-2")')
    task, models = root / "Task-1", root / "Task-2" / "models"
    models.mkdir(parents=True)
    (models / "whole.keras").write_text("whole")
    before = provenance.digests(notebooks.build(task / "Task-1.py"), task, root)
    (models / ".12-0123456789ab-whole.keras").write_text("wh")
    assert provenance.digests(notebooks.build(task / "Task-1.py"), task, root) == before
    assert "Task-2/models/whole.keras" in before


def test_what_a_kill_left_is_not_committed():
    names = ["Task-1/.12-0123456789ab-results.json", "data/.7-0123456789ab-lines.npz"]
    command = ["git", "check-ignore", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 128:
        pytest.skip("this copy is no git repository")
    assert done.stdout.split() == names
