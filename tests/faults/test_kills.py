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

import nbformat
import numpy as np
import psutil
import pytest
import small_repository

from cnnlab import lines
from cnnlab.lines import files
from tools import notebooks, provenance

ROOT = Path(__file__).resolve().parents[2]
KILLS = 20
PATIENCE = 10  # seconds until the processes of a killed one must have ended


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


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.is_file()]


# --- the line dataset ----------

PER_CLASS = 60
CACHE = f"""
import sys
from pathlib import Path
from cnnlab import line_files, lines
lines.PER_CLASS = {PER_CLASS}
lines._cache_file = lambda: Path(sys.argv[1]) / "lines.npz"
print("begin", flush=True)
lines.load()
"""
COMMAND_LINE = """
import sys
from PIL import Image
from cnnlab import cli
print("begin", flush=True)
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def dataset():
    return lines.generate(PER_CLASS)


@pytest.fixture(scope="module")
def seconds_of_cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    return duration(start(CACHE, folder, folder))


def same(first: lines.Lines, second: lines.Lines) -> bool:
    return np.array_equal(first.images, second.images) and np.array_equal(
        first.labels, second.labels
    )


@at_each_moment
def test_the_cache_is_whole_or_made_again(tmp_path, monkeypatch, dataset, seconds_of_cache, kill):
    assert_ended(kill_after(start(CACHE, tmp_path, tmp_path), moment(kill, seconds_of_cache)))
    cache = tmp_path / "lines.npz"
    if cache.exists():
        assert same(files.read_npz(cache, lines.recipe(PER_CLASS, 0)), dataset)
    monkeypatch.setattr(lines, "PER_CLASS", PER_CLASS)
    monkeypatch.setattr(lines, "_cache_file", lambda: cache)
    assert same(lines.load(), dataset)
    assert same(files.read_npz(cache), dataset)


def command(folder: Path, file_format: str) -> list[str]:
    out = ["--out", str(folder), "--format", file_format]
    return ["lines", "--per-class", str(PER_CLASS), *out]


@pytest.fixture(scope="module")
def seconds_of_command(tmp_path_factory):
    folder = tmp_path_factory.mktemp("command line")
    return {
        name: duration(start(COMMAND_LINE, folder, *command(folder / name, name)))
        for name in ("png", "npz")
    }


@at_each_moment
def test_a_folder_is_whole_or_refused(tmp_path, dataset, seconds_of_command, kill):
    file_format = ("png", "png", "png", "npz")[kill % 4]
    arguments = command(tmp_path / "out", file_format)
    process = start(COMMAND_LINE, tmp_path, *arguments)
    assert_ended(kill_after(process, moment(kill, seconds_of_command[file_format])))
    out = tmp_path / "out"
    place = out / "lines.npz" if file_format == "npz" else out
    try:
        assert same(lines.load(place), dataset)
    except (FileNotFoundError, ValueError) as error:
        assert str(out) in str(error) or not out.exists()
    again = start(COMMAND_LINE, tmp_path, *arguments)
    again.communicate()
    if again.returncode:  # the folder holds images: nothing is overwritten or mixed
        assert again.returncode == 2 and any(out.glob("[!.]*"))
        again = start(COMMAND_LINE, tmp_path, *command(tmp_path / "new", file_format))
        again.communicate()
        place = tmp_path / "new" / place.relative_to(out)
    assert again.returncode == 0
    assert same(lines.load(place), dataset)


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


BESIDE = """
import time
from cnnlab import parallel

def wait():
    time.sleep(600)

print("begin", flush=True)
parallel.side_by_side({"first": (wait,), "second": (wait,)})
"""


@pytest.mark.fault
@pytest.mark.parametrize("seconds", [0.2, 1, 3])
def test_processes_beside_each_other_end_with_their_parent(tmp_path, modules, seconds):
    assert_ended(kill_after(start(BESIDE, tmp_path, modules=modules), seconds))


# --- saving ----------

SAVING = """
import sys
from pathlib import Path

import keras
from matplotlib.figure import Figure

from cnnlab import saving

folder = Path(sys.argv[1])
model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(400)])
ones = [weight * 0 + 1 for weight in model.get_weights()]
figure = Figure(figsize=(3, 2))
axes = figure.subplots()
print("begin", flush=True)
for number in range(6):
    model.set_weights([number * one for one in ones])
    axes.plot([number, 0])
    saving.save_json({"first": number, "all": [number] * 20_000}, folder / "a.json")
    saving.save_figure(figure, folder / "a.png")
    saving.save_figure(figure, folder / "a.svg")
    saving.save_model(model, folder / "a.keras")
"""


def save_in_a_loop(folder: Path) -> subprocess.Popen:
    return start(SAVING, folder, folder)


@pytest.fixture(scope="module")
def seconds_of_saving(tmp_path_factory):
    return duration(save_in_a_loop(tmp_path_factory.mktemp("saving")))


def assert_whole(path: Path) -> None:
    """Read the file to its end."""
    if path.suffix == ".json":
        data = json.loads(path.read_text(encoding="utf-8"))
        assert data["all"] == [data["first"]] * 20_000
    elif path.suffix == ".png":
        from PIL import Image

        with Image.open(path) as image:
            image.load()
    elif path.suffix == ".svg":
        from xml.etree import ElementTree

        ElementTree.parse(path)
    else:
        import keras

        weights = keras.models.load_model(path).get_weights()
        assert len({float(value) for weight in weights for value in weight.ravel()}) == 1


@at_each_moment
def test_what_is_saved_is_whole(tmp_path, seconds_of_saving, kill):
    assert_ended(kill_after(save_in_a_loop(tmp_path), moment(kill, seconds_of_saving)))
    left = hidden(tmp_path)
    assert len(left) <= 1
    for path in set(tmp_path.iterdir()) - set(left):
        assert_whole(path)
    if kill % 10 == 0:  # saved again beside what was left
        duration(save_in_a_loop(tmp_path))
        for name in ("a.json", "a.png", "a.svg", "a.keras"):
            assert_whole(tmp_path / name)


def test_what_a_kill_left_is_no_source_of_a_notebook(tmp_path):
    """A half-written model beside the models that a later task reads."""
    root = small_repository.make(tmp_path / "repository")
    small_repository.edit(root / "Task-1" / "Task-1.py", "double(4)", 'double("Task-2")')
    models = root / "Task-2" / "models"
    models.mkdir(parents=True)
    (models / "whole.keras").write_text("whole")
    before = provenance.digests(*notebook_of(root))
    (models / ".12-0123456789ab-whole.keras").write_text("wh")
    assert provenance.digests(*notebook_of(root)) == before
    assert "Task-2/models/whole.keras" in before


def notebook_of(root: Path) -> tuple[nbformat.NotebookNode, Path, Path]:
    folder = root / "Task-1"
    return notebooks.build(folder / "Task-1.py"), folder, root


def test_what_a_kill_left_is_not_committed():
    names = ["Task-1/.12-0123456789ab-results.json", "data/.7-0123456789ab-lines.npz"]
    command = ["git", "check-ignore", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 128:
        pytest.skip("this copy is no git repository")
    assert done.stdout.split() == names
