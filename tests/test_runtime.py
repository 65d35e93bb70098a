"""Start-up, budgets, and results that are written whole or not at all."""

import json
import os
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cnnlab import backend, runtime, saving

ROOT = Path(__file__).resolve().parents[1]


def small_model():
    import keras

    keras.backend.clear_session()
    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(hidden)))
    model.compile("adam", loss="mse", metrics=["mae"])
    return model


IMAGES = np.linspace(0, 1, 16 * 64, dtype="float32").reshape(16, 8, 8, 1)
TARGETS = np.eye(3, dtype="float32")[np.arange(16) % 3]


def test_importing_does_not_import_tensorflow():
    code = """
import sys
import cnnlab.__main__, cnnlab.lines, cnnlab.metrics, cnnlab.mnist, cnnlab.notebook, cnnlab.plots
import cnnlab.runtime, cnnlab.splits
sys.exit("tensorflow" in sys.modules or "keras" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("home", [None, "/nonexistent"])
def test_start_is_silent_without_a_home(tmp_path, home):
    code = """
import os
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
from cnnlab import runtime
import matplotlib.pyplot as plt
runtime.start(1)
runtime.start(1)
import keras, numpy
keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).predict(numpy.ones((1, 4)), verbose=0)
os.write(2, b"descriptor 2 is back")
"""
    changed = {"HOME": home, "MPLCONFIGDIR": None, "KERAS_HOME": None, "PYTHONPATH": str(ROOT)}
    environment = {k: v for k, v in (os.environ | changed).items() if v is not None}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    shown = (result.returncode, result.stdout, result.stderr)
    assert shown == (0, "", "descriptor 2 is back")
    assert list(tmp_path.iterdir()) == []


def test_the_seed_decides():
    import keras

    def drawn(seed):
        runtime.start(seed)
        return keras.random.normal((5,)).numpy().tolist()

    assert drawn(7) == drawn(7) != drawn(8)


def test_budget_names_what_is_allowed(monkeypatch):
    assert runtime.budget() == "full" and not runtime.in_smoke()
    monkeypatch.setenv("CNNLAB_BUDGET", "smoke")
    assert runtime.in_smoke()
    monkeypatch.setenv("CNNLAB_BUDGET", "quick")
    with pytest.raises(ValueError, match="'quick'; it can be full or smoke"):
        runtime.budget()


def test_versions_and_machine_say_nothing_that_changes_from_run_to_run():
    versions, machine = runtime.versions(), runtime.machine()
    assert versions["python"].startswith("3.") and versions["keras"].startswith("3.15.1")
    assert machine["cores"] >= 1 and machine["memory_gib"] >= 1 and machine["processor"]
    assert (versions, machine) == (runtime.versions(), runtime.machine())
    assert "/" not in json.dumps([versions, machine["system"]])


def test_atomic_path_replaces_at_the_end_and_only_then(tmp_path):
    target = tmp_path / "new folder" / "a.tar.gz"
    with saving.atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.name.startswith(".") and temporary.name.endswith("a.tar.gz")
        temporary.write_text("first")
        assert not target.exists()
    assert target.read_text() == "first"
    with pytest.raises(RuntimeError), saving.atomic_path(target) as temporary:
        temporary.write_text("half of the sec")
        raise RuntimeError
    with pytest.raises(FileNotFoundError), saving.atomic_path(target):
        pass
    assert target.read_text() == "first"
    assert list(target.parent.iterdir()) == [target]


def test_json_is_sorted_rounded_and_takes_numpy(tmp_path):
    data = {"b": np.float32(0.1), "a": [np.int64(3), True, None], "c": np.eye(2), "ä": 2 / 3}
    text = saving.save_json(data, tmp_path / "results.json").read_text(encoding="utf-8")
    assert list(json.loads(text)) == ["a", "b", "c", "ä"] and text.endswith("}\n")
    expected = {"a": [3, True, None], "b": 0.1, "c": [[1.0, 0.0], [0.0, 1.0]], "ä": 0.66666667}
    assert json.loads(text) == expected


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"loss": [1.0, float("nan")]}, ValueError, r"data\['loss'\]\[1\] is nan"),
        ({"path": Path("x")}, TypeError, r"data\['path'\] is a \w*Path"),
        ({1: 2}, TypeError, "the key 1 is not a string"),
    ],
)
def test_json_refuses_what_is_no_result(tmp_path, data, error, message):
    with pytest.raises(error, match=message):
        saving.save_json(data, tmp_path / "results.json")
    assert list(tmp_path.iterdir()) == []


def test_figures_come_out_the_same_each_time(tmp_path):
    from matplotlib.figure import Figure

    def draw():
        figure = Figure(figsize=(2, 2))
        figure.subplots().plot([1, 3, 2])
        return figure

    for name in ("a.png", "a.svg", "a.pdf"):
        first = saving.save_figure(draw(), tmp_path / "1" / name).read_bytes()
        assert first == saving.save_figure(draw(), tmp_path / "2" / name).read_bytes()
        assert not any(word in first for word in (b"Software", b"<dc:date>", b"CreationDate"))
    with pytest.raises(ValueError, match=r"a\.gif: a figure is saved as \.png, \.pdf, \.svg"):
        saving.save_figure(draw(), tmp_path / "a.gif")


def test_models_are_saved_without_optimizer_and_repeatably(tmp_path, recwarn):
    import h5py
    import keras

    files = []
    for name in ("a.keras", "b.keras"):
        runtime.start(1)
        model = small_model()
        model.fit(IMAGES, TARGETS, epochs=2, verbose=0)
        moments = [variable.numpy() for variable in model.optimizer.variables]
        files.append(saving.save_model(model, tmp_path / name))
        for variable, moment in zip(model.optimizer.variables, moments, strict=True):
            assert np.array_equal(variable.numpy(), moment)  # training can go on
    first, second = files
    assert first.read_bytes() == second.read_bytes()

    loaded = keras.models.load_model(first)
    assert not loaded.compiled
    assert np.array_equal(loaded.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0))
    assert not [warning for warning in recwarn if "optimizer" in str(warning.message)]
    with zipfile.ZipFile(first) as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
        weights = h5py.File(archive.open("model.weights.h5"))
        assert "optimizer" not in weights


def test_names_of_classes_are_kept_in_the_file_of_a_model(tmp_path):
    import keras

    names, model = {"kind": ["é", "b"]}, small_model()
    path = saving.save_model(model, tmp_path / "a.keras", names)
    assert saving.read_class_names(path) == names
    loaded = keras.models.load_model(path)
    assert np.array_equal(loaded.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0))
    (tmp_path / "b.keras").write_bytes(b"no archive")
    for other in (saving.save_model(model, tmp_path / "c.keras"), tmp_path / "b.keras", tmp_path):
        assert saving.read_class_names(other) == {}


@pytest.mark.parametrize(
    ("variable", "settings", "words"),
    [
        ("jax", None, "the environment variable KERAS_BACKEND to 'jax'"),
        (None, '{"backend": "torch"}', "keras.json to 'torch'"),
    ],
)
def test_another_backend_of_keras_is_said_before_it_is_imported(
    tmp_path, variable, settings, words
):
    if settings:
        (tmp_path / "keras.json").write_text(settings)
    environment = os.environ | {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": variable or ""}
    command = [sys.executable, "-c", "from cnnlab import interpret"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("ValueError: Keras is set ") and words in sentence
    assert "set KERAS_BACKEND=tensorflow" in sentence and "import keras" not in done.stderr


def test_the_backend_that_keras_has_or_will_have(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    for settings in (None, "damaged", "{}", '{"backend": "tensorflow"}'):
        if settings:
            (tmp_path / "keras.json").write_text(settings)
        backend.require_tensorflow_backend()
    imported = types.SimpleNamespace(backend=types.SimpleNamespace(backend=lambda: "numpy"))
    monkeypatch.setitem(sys.modules, "keras", imported)
    with pytest.raises(ValueError, match="imported with 'numpy'"):
        backend.require_tensorflow_backend()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to this limit")
def test_free_memory_is_what_a_limit_leaves():
    code = """
import resource
from cnnlab import memory
before = memory.free_memory()
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 2**28, -1))
first, block = memory.free_memory(), bytearray(2**27)
print(2**30 < before, 2**28 - 2**22 < first <= 2**28, 2**26 < memory.free_memory() < 2**27)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["True"] * 3, done
