"""A study stores each run at once, goes on after it was killed, and names a run that failed."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cnnlab import runtime
from tools import studies

ROOT = Path(__file__).resolve().parents[1]
# In processes of their own, fake runs do without the seconds that these need to start.
SLOW_MODULES = ("tensorflow", "keras", "jupytext")
EMPTY_MODULE = """
import sys
from unittest.mock import MagicMock

sys.modules[__name__] = MagicMock()
"""
SCRIPT = """
import os
import sys
from pathlib import Path

from tools import studies

HERE = Path(__file__).parent
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")

def do(number, gate, fails):
    with open(HERE / "begun", "a") as file:
        file.write(f"{number} ")
    if gate:
        (HERE / gate).read_text()  # of a pipe: waits until somebody opens it
    if fails:
        raise KeyError("gone")
    return {"square": number**2, "threads": [os.environ.get(name) for name in THREADS]}

gates, failing = sys.argv[2].split(","), int(sys.argv[3])
runs = [
    studies.Run(f"run/{n}", "recipe", {"number": n, "gate": gate, "fails": n == failing})
    for n, gate in enumerate(gates)
]
try:
    studies.execute(HERE / "study.json", runs, do, int(sys.argv[1]))
finally:
    print([os.environ.get(name) for name in THREADS])
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "study.py").write_text(SCRIPT)
    (tmp_path / "modules").mkdir()
    for name in SLOW_MODULES:
        (tmp_path / "modules" / f"{name}.py").write_text(EMPTY_MODULE)
    return tmp_path


@contextlib.contextmanager
def study(folder, jobs, gates, failing=-1):
    """A study in processes of its own: one run for each gate, "" where there is none.

    A gate is a pipe or a file in the folder; a run waits until it can read it. At the end no
    process is left, also not a worker that lost its study.
    """
    environment = os.environ | {"PYTHONPATH": f"{folder / 'modules'}{os.pathsep}{ROOT}"}
    environment |= {"TF_NUM_INTRAOP_THREADS": "7"}
    environment.pop("TF_NUM_INTEROP_THREADS", None)
    process = subprocess.Popen(
        [sys.executable, folder / "study.py", str(jobs), ",".join(gates), str(failing)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.communicate()


def stored(folder):
    return json.loads((folder / "study.json").read_text())["runs"]


def begun(folder):
    return (folder / "begun").read_text().split()


@pytest.fixture
def quick(monkeypatch):
    """Runs in this process, without setting up TensorFlow anew for each."""
    monkeypatch.setattr(runtime, "start", lambda seed: None)


def run_of(number, recipe="recipe", **arguments):
    return studies.Run(f"run/{number}", recipe, {"number": number} | arguments)


def square(number):
    return {"square": number**2}


@pytest.mark.parametrize("jobs", [1, 2])
def test_goes_on_after_it_was_killed(folder, jobs):
    os.mkfifo(folder / "gate")
    gates = [*[""] * 3, *["gate"] * 3]
    with study(folder, jobs, gates) as process:
        for line in process.stdout:
            if line.startswith("3/6"):
                process.kill()
                break
        else:
            pytest.fail(process.stderr.read())
    assert process.returncode == -signal.SIGKILL
    before = stored(folder)
    assert set(before) == {"run/0", "run/1", "run/2"}

    (folder / "gate").unlink()
    (folder / "gate").touch()
    with study(folder, jobs, gates) as process:
        printed, complained = process.communicate()
    assert process.returncode == 0, complained
    after = stored(folder)
    assert {key: run["square"] for key, run in after.items()} == {
        f"run/{n}": n**2 for n in range(6)
    }
    assert {key: after[key] for key in before} == before
    assert sorted(printed.split()[1:-2:2]) == ["run/3", "run/4", "run/5"]
    assert [begun(folder).count(str(n)) for n in (0, 1, 2)] == [1, 1, 1]
    assert not [path for path in folder.iterdir() if path.name.endswith("-study.json")]


def test_order_cores_and_a_failure_in_another_process(folder):
    """Run 0 waits until run 1 is stored, run 2 until run 0 is; then it fails."""
    os.mkfifo(folder / "first gate")
    os.mkfifo(folder / "second gate")
    with study(folder, 2, ["first gate", "", "second gate"], failing=2) as process:
        assert process.stdout.readline() == "1/3  run/1\n"
        (folder / "first gate").write_text("")
        assert process.stdout.readline() == "2/3  run/0\n"
        (folder / "second gate").write_text("")
        printed, complained = process.communicate()
    assert process.returncode == 1
    assert "RuntimeError: the run run/2 failed: KeyError('gone')" in complained
    runs = stored(folder)
    assert {key: (run["number"], run["square"]) for key, run in runs.items()} == {
        "run/0": (0, 0),
        "run/1": (1, 1),
    }
    assert [run["threads"] for run in runs.values()] == [["1", "1"]] * 2
    assert printed == "['7', None]\n"  # as before, though it failed


def test_a_failure_in_this_process(tmp_path, quick, monkeypatch, capsys):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    path, seen = tmp_path / "study.json", []

    def do(number):
        seen.append((number, os.environ["TF_NUM_INTRAOP_THREADS"]))
        return {"share": 12 / number}

    runs = [run_of(number) for number in (2, 1, 0, 3)]
    with pytest.raises(RuntimeError, match=r"run/0 failed: ZeroDivisionError") as error:
        studies.execute(path, runs, do)
    assert isinstance(error.value.__cause__, ZeroDivisionError)
    assert {key: run["share"] for key, run in studies.load(path).items()} == {
        "run/2": 6,
        "run/1": 12,
    }
    assert seen == [(2, "7"), (1, "7"), (0, "7")]
    assert capsys.readouterr().out == "1/4  run/2\n2/4  run/1\n"


def test_a_result_that_json_cannot_hold_is_named_and_spoils_nothing(tmp_path, quick):
    path = tmp_path / "study.json"
    with pytest.raises(ValueError, match=r"\['run/1'\]\['loss'\] is nan"):
        studies.execute(
            path, map(run_of, range(3)), lambda number: {"loss": [0, float("nan")][number]}
        )
    assert set(studies.load(path)) == {"run/0"}
    assert list(tmp_path.iterdir()) == [path]


def test_every_run_starts_alike(tmp_path):
    """Whatever ran before it in the same process; with Keras, for once."""
    path = tmp_path / "study.json"

    def do(number):
        import keras

        layer = keras.layers.Dense(2)
        layer.build((None, 2))
        return {"name": layer.name, "random": [random.random(), *layer.kernel.numpy().ravel()]}

    studies.execute(path, [run_of(0), run_of(1)], do)
    first, second = studies.load(path).values()
    assert first["name"] == second["name"] == "dense"
    assert first["random"] == second["random"]


def test_what_is_stored_says_where_it_comes_from(tmp_path, quick):
    path = tmp_path / "study.json"
    studies.execute(path, [run_of(3)], square)
    assert studies.load(path) == {
        "run/3": {
            "square": 9,
            "number": 3,
            "recipe": "recipe",
            "machine": runtime.machine(),
            "versions": runtime.versions(),
        }
    }


def test_only_what_is_missing_is_done(tmp_path, quick, capsys):
    path, done = tmp_path / "study.json", []

    def do(number):
        done.append(number)
        return square(number)

    studies.execute(path, [run_of(0), run_of(2)], do)
    studies.execute(path, map(run_of, range(4)), do)
    assert done == [0, 2, 1, 3]
    text = path.read_bytes()
    capsys.readouterr()
    studies.execute(path, map(run_of, range(4)), do)
    assert (done, path.read_bytes(), capsys.readouterr().out) == ([0, 2, 1, 3], text, "")


def test_a_run_of_an_older_recipe_is_replaced(tmp_path, quick):
    path = tmp_path / "study.json"
    studies.execute(path, [run_of(1, "old"), run_of(2, "old")], lambda number: {"before": number})
    studies.execute(path, [run_of(1, "new")], square)
    runs = studies.load(path)
    assert runs["run/1"]["recipe"] == "new" and "before" not in runs["run/1"]
    assert runs["run/2"]["recipe"] == "old" and runs["run/2"]["before"] == 2


def test_missing_by_key_recipe_and_arguments():
    found = {"recipe": "recipe", "number": 1, "rate": 0.01, "loss": 3}
    same = run_of(1, rate=0.01)
    assert studies.missing({"run/1": found}, [same]) == []
    wanted = [
        run_of(2, rate=0.01),
        run_of(1, "other", rate=0.01),
        run_of(1, rate=0.03),
        run_of(1, rate=0.01, seed=0),
    ]
    mixed = [wanted[0], same, *wanted[1:]]
    assert studies.missing({"run/1": found}, mixed) == wanted
    assert studies.missing({}, mixed) == mixed


def test_nothing_is_stored_at_first(tmp_path):
    assert studies.load(tmp_path / "study.json") == {}


def test_what_another_process_stored_meanwhile_stays(tmp_path, quick):
    path = tmp_path / "study.json"

    def do(number):
        if number == 0:
            studies.store(path, run_of(7), square(7))
        return square(number)

    studies.execute(path, [run_of(0), run_of(1)], do)
    assert set(studies.load(path)) == {"run/7", "run/0", "run/1"}


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_the_file_is_whole_at_any_time(tmp_path, monkeypatch, moment):
    """Up to the last moment the old file is there, and readable."""
    path = tmp_path / "study.json"
    studies.store(path, run_of(0), square(0))
    real, seen = getattr(os, moment), []

    def looking(*arguments):
        seen.append(set(studies.load(path)))
        real(*arguments)

    monkeypatch.setattr(os, moment, looking)
    studies.store(path, run_of(1), square(1))
    assert seen == [{"run/0"}]
    assert set(studies.load(path)) == {"run/0", "run/1"}


def test_recipe_is_executed_once(tmp_path, quick):
    script = tmp_path / "Task-9.py"
    cell = '# %% tags=["recipe"]\n'
    script.write_text(f"{cell}RATE = 3\n\n# %%\nRATE = 4\n\n{cell}twice = 2 * RATE\n")
    names = studies.recipe(script)
    assert (names["RATE"], names["twice"]) == (3, 6)
    assert studies.recipe(script) is names
