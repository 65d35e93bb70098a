"""A study stores each run at once, goes on after it was killed, and names a run that failed."""

import contextlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import small_repository

from cnnlab import runtime
from cnnlab.training import workers
from tools import cluster, studies

ROOT = Path(__file__).resolve().parents[1]
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

runs = [
    studies.Run(f"run/{n}", "recipe", {"number": n, "gate": gate, "fails": n == int(sys.argv[2])})
    for n, gate in enumerate(sys.argv[1].split(","))
]
try:
    studies.execute(HERE / "study.json", runs, do, jobs=2)
finally:
    print([os.environ.get(name) for name in THREADS])
"""


@contextlib.contextmanager
def study(folder, gates, failing=-1):
    """A study in two processes: one run for each gate, a pipe or a file, or "" for none."""
    path = f"{small_repository.fake_modules(folder)}{os.pathsep}{ROOT}"
    (folder / "study.py").write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": path, "TF_NUM_INTRAOP_THREADS": "7"}
    environment.pop("TF_NUM_INTEROP_THREADS", None)
    process = subprocess.Popen(
        [sys.executable, folder / "study.py", ",".join(gates), str(failing)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:  # no process is left, also not a worker that lost its study
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.communicate()


def test_a_killed_study_goes_on_and_names_what_fails(tmp_path):
    """Run 0 waits until run 1 is stored, and is stored itself while runs 2 and 3 wait."""
    for gate in "abc":
        os.mkfifo(tmp_path / gate)
    with study(tmp_path, ["a", "", "b", "c"]) as process:
        assert process.stdout.readline() == "1/4  run/1\n"
        (tmp_path / "a").write_text("")
        assert process.stdout.readline() == "2/4  run/0\n"
        process.kill()
    before = studies.load(tmp_path / "study.json")
    assert set(before) == {"run/0", "run/1"}

    (tmp_path / "b").unlink()
    (tmp_path / "b").touch()
    with study(tmp_path, ["a", "", "b", "c"], failing=3) as process:
        assert process.stdout.readline() == "1/2  run/2\n"
        (tmp_path / "c").write_text("")
        printed, complained = process.communicate()
    assert process.returncode == 1
    assert "RuntimeError: the run run/3 failed: KeyError('gone')" in complained
    assert printed == "['7', None]\n"  # as before, though it failed
    after = studies.load(tmp_path / "study.json")
    squares = {key: run["square"] for key, run in after.items()}
    assert squares == {"run/0": 0, "run/1": 1, "run/2": 4}
    assert {key: after[key] for key in before} == before
    assert [run["threads"] for run in after.values()] == [["1", "1"]] * 3
    begun = (tmp_path / "begun").read_text().split()
    assert (begun.count("0"), begun.count("1")) == (1, 1)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Where a study is stored whose runs are done in this process, without TensorFlow."""
    monkeypatch.setattr(workers, "start_process", lambda: None)
    return tmp_path / "study.json"


def run_of(number, recipe="recipe", **arguments):
    return studies.Run(f"run/{number}", recipe, {"number": number} | arguments)


def test_every_run_starts_alike(tmp_path):
    """Whatever ran before it in the same process; with Keras, for once."""

    def do(number):
        import keras

        layer = keras.layers.Dense(2)
        layer.build((None, 2))
        return {"name": layer.name, "random": [random.random(), *layer.kernel.numpy().ravel()]}

    studies.execute(tmp_path / "study.json", [run_of(0), run_of(1)], do)
    first, second = studies.load(tmp_path / "study.json").values()
    assert first["name"] == "dense" and first == second | {"number": 0}


def test_only_what_is_missing_is_done_and_stored_with_its_origin(path, monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    done = []

    def do(number):
        assert os.environ["TF_NUM_INTRAOP_THREADS"] == "7"
        done.append(number)
        if number == 3:  # another process stores a run meanwhile
            studies.store(path, run_of(7), {})
        return {"square": number**2}

    studies.execute(path, [run_of(0), run_of(2)], do)
    studies.execute(path, map(run_of, range(4)), do)
    assert done == [0, 2, 1, 3]
    stored = studies.load(path)
    assert set(stored) == {f"run/{n}" for n in (0, 1, 2, 3, 7)}
    origin = {"machine": runtime.machine(), "versions": runtime.versions(), "recipe": "recipe"}
    origin["seconds"] = 0.0
    assert stored["run/3"] == {"square": 9, "number": 3} | origin
    studies.execute(path, map(run_of, range(4)), do)
    assert (len(done), studies.load(path)) == (4, stored)


def test_missing_by_key_recipe_and_arguments(path):
    studies.store(path, run_of(1, rate=0.01), {"loss": 3})
    same = run_of(1, rate=0.01)
    wanted = [run_of(2, rate=0.01), run_of(1, "other", rate=0.01), run_of(1, rate=0.03)]
    assert studies.missing(studies.load(path), [same, *wanted]) == wanted
    assert studies.missing({}, [same, *wanted]) == [same, *wanted]


def test_recipe_is_executed_once(tmp_path, path):
    script, cell = tmp_path / "Task-9.py", '# %% tags=["recipe"]\n'
    script.write_text(f"{cell}RATE = 3\n\n# %%\nRATE = 4\n\n{cell}twice = 2 * RATE\n")
    names = studies.recipe(script)
    assert (names["RATE"], names["twice"]) == (3, 6)
    assert studies.recipe(script) is names


# --- the command ----------


@pytest.mark.parametrize("task", ["Task-1", "Task-2"])
def test_the_command_says_where_and_help_how(task, path, monkeypatch, capsys):
    executed = []

    def execute(out, runs, *more):
        executed.append((runs, more[-1]))
        for run in runs:
            studies.store(out, run, {})

    monkeypatch.setattr(studies, "execute", execute)
    study = studies.module(f"{task}/study.py")
    for wrong in ("--backend ray --address host", "--address host:1"):
        with pytest.raises(SystemExit, match="2"):
            studies.main(study.STUDY, wrong.split())
        assert "--backend ray and --address HOST:PORT belong together" in capsys.readouterr().err
    kind = "final" if task == "Task-2" else "final-lines"
    for more in ([], ["--backend", "ray", "--address", "host:1"]):
        path.unlink(missing_ok=True)
        studies.main(study.STUDY, ["--only", kind, "--out", str(path), *more])
    assert [address for _, address in executed] == [None, "host:1"]
    assert [run.recipe for run in executed[1][0]] == [study.digest(kind)] * 5
    with pytest.raises(SystemExit, match="0"):
        studies.main(study.STUDY, ["--help"])
    assert f"python {study.STUDY.file} --backend ray --address HOST" in capsys.readouterr().out


@pytest.mark.parametrize("task", ["Task-1", "Task-2"])
def test_a_dry_run_does_one_run_of_each_kind(task, tmp_path):
    options = ["--smoke", "--out", tmp_path / "study.json"]
    command = [sys.executable, ROOT / task / "study.py", *options]
    subprocess.run(command, check=True, capture_output=True, timeout=900)
    stored = studies.load(tmp_path / "study.json")
    kinds = studies.module(f"{task}/study.py").KINDS
    assert {key.partition("/")[0] for key in stored} == set(kinds)
    for run in stored.values():
        assert run["recipe"].startswith("smoke ")
        assert {"seconds", "machine", "versions"} < set(run)


def test_a_search_goes_on_while_the_best_is_at_the_edge():
    search = studies.Search((1, 2, 3, 4, 5, 6), slice(2, 4), "k/{value}/{seed}", (0, 1), abs)
    scores = {1: 9, 2: 4, 3: 5, 4: 6}
    stored = {f"k/{value}/{seed}": scores[value] for value in (3, 4) for seed in (0, 1)}
    assert (search.tried({}), search.best({})) == ((3, 4), None)
    assert (search.tried(stored), search.best(stored)) == ((2, 3, 4), None)
    stored |= {"k/2/0": 4, "k/2/1": 4}
    assert search.tried(stored) == (1, 2, 3, 4)
    stored |= {"k/1/0": 9, "k/1/1": 0}
    assert (search.tried(stored), search.best(stored)) == ((1, 2, 3, 4), 2)
    stored |= {"k/1/0": 1}  # the best is the first of the whole grid: no more to try
    assert (search.tried(stored), search.best(stored)) == ((1, 2, 3, 4), 1)


def test_without_ray_or_a_cluster(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "ray", None)
        with pytest.raises(cluster.ClusterError, match=r"needs the package ray: pip install"):
            studies.execute(path, [run_of(0)], dict, address="127.0.0.1:1")
    pytest.importorskip("ray", reason="pip install -r requirements-cluster.txt -c constraints.txt")
    with pytest.raises(cluster.ClusterError, match=r"^no Ray cluster .*127\.0\.0\.1:1 \(.*refused"):
        studies.execute(path, [run_of(0)], dict, address="127.0.0.1:1")
    studies.store(path, run_of(0), {})
    studies.execute(path, [run_of(0)], dict, address="127.0.0.1:1")  # nothing to do
