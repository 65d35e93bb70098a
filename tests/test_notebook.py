"""What notebooks share: where results go, tables, lines while training, times."""

import os

import matplotlib.pyplot as plt
import numpy as np
import pytest

from cnnlab import notebook

TRAINED = "Task-1/models/net.keras"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(notebook, "repository_root", lambda: tmp_path)
    return tmp_path


def test_a_smoke_run_leaves_the_repository_alone(root, monkeypatch):
    monkeypatch.setenv("CNNLAB_BUDGET", "smoke")
    outputs = notebook.outputs("Task-1")
    outputs.json({"accuracy": 0.5})
    path = outputs.folder / "results.json"
    assert path.is_file() and list(root.iterdir()) == []
    del outputs
    assert not path.parent.exists()


def test_a_checkout_that_cannot_be_written_is_said_once(root, monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr("tempfile.tempdir", str(root))
    outputs = notebook.outputs("Task-2")
    outputs.json([1])
    assert (outputs.folder / "results.json").is_file() and outputs.folder.parent == root
    assert str(outputs.folder) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("made", "tasks", "opened"),
    [
        ("new", None, ""),
        ("new", "Task-2", ""),
        ("new", "Task-2 Task-1", "run/"),
        ("old", "Task-1", ""),
    ],
    ids=["left from another run", "another task", "of this run", "the same bytes"],
)
def test_which_models_are_opened(root, monkeypatch, capsys, made, tasks, opened):
    for folder, content in (("", "old"), ("run/", made)):
        (root / folder / TRAINED).parent.mkdir(parents=True)
        (root / folder / TRAINED).write_text(content)
    if tasks:
        monkeypatch.setenv("CNNLAB_MODELS_OF_RUN", tasks)
    assert notebook.model_files([root / TRAINED]) == [root / f"{opened}{TRAINED}"]
    assert capsys.readouterr().out == f"models: {opened}Task-1/models\n"


@pytest.mark.parametrize("in_notebook", [True, False])
def test_what_was_saved_is_shown_once_in_the_size_of_the_figure(tmp_path, monkeypatch, in_notebook):
    shown = []
    figure, axis = plt.subplots(figsize=(3, 2), dpi=100)
    axis.plot([1, 2])
    with plt.rc_context({"savefig.bbox": "standard"}):  # the style would cut the margins off
        figure.savefig(tmp_path / "a.png", dpi=150)
    monkeypatch.setattr("IPython.get_ipython", lambda: object() if in_notebook else None)
    monkeypatch.setattr("IPython.display.display", shown.append)
    notebook.show_saved(figure, tmp_path / "a.png")
    assert not plt.fignum_exists(figure.number)
    assert [picture.width for picture in shown] == [300] * in_notebook
    assert all(picture.data == (tmp_path / "a.png").read_bytes() for picture in shown)


def test_table():
    text = notebook.table([{"a": 1, "b": "x|y"}, {"a": 2, "b": "z"}]).data
    assert text.splitlines() == ["| a | b |", "| --- | --- |", "| 1 | x\\|y |", "| 2 | z |"]
    with pytest.raises(ValueError, match="same keys"):
        notebook.table([{"a": 1}, {"b": 2}])


def test_percent():
    assert notebook.percent(0.99712) == "99.71 %"
    assert notebook.percent_range(0.996, 0.99801, 1) == "99.6–99.8 %"


def test_epoch_lines_show_training_first(capsys):
    import keras

    x = np.linspace(0, 1, 16, dtype="float32")[:, None]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("adam", loss="mse", metrics=["mae"])
    options = {"validation_split": 0.5, "verbose": 0, "callbacks": [notebook.epoch_lines()]}
    history = model.fit(x, x, epochs=3, **options).history
    lines = capsys.readouterr().out.splitlines()
    assert [line[:9] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    shown = "  loss {loss:.4f}  mae {mae:.4f}  val_loss {val_loss:.4f}  val_mae {val_mae:.4f}"
    assert lines[2] == "epoch 3/3" + shown.format(**{name: v[2] for name, v in history.items()})

    model.fit(x, x, verbose=0, callbacks=[notebook.epoch_lines(names=("mae",))])
    assert capsys.readouterr().out.startswith("epoch 1/1  mae ")
    halves = [notebook.epoch_lines(names=("mae",), halves=True)]
    model.fit(x, x, batch_size=4, epochs=2, verbose=0, callbacks=halves)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:10] for line in lines] == [f"epoch {each}/2" for each in ("0½", " 1", "1½", " 2")]


def test_stopwatch_adds_up_and_survives_a_failure(monkeypatch):
    times = iter([0.0, 1.5, 10.0, 12.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    stopwatch = notebook.Stopwatch()
    with stopwatch.measure("training"):
        pass
    with pytest.raises(RuntimeError), stopwatch.measure("training"):
        raise RuntimeError
    assert stopwatch.seconds == {"training": 3.5}


def test_claims_say_whether_they_hold(capsys):
    claims = notebook.Claims()
    claims("one is one", np.True_)
    claims("one is two", 1 == 2)
    assert capsys.readouterr().out == "holds: one is one\nDOES NOT HOLD: one is two\n"
    assert claims.holds == {"one is one": True, "one is two": False}
    assert "| one is two | **does not hold** |" in claims.table().data
