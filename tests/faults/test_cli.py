"""The command line with whatever a person types, and stopped at any time."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab import __main__ as main
from cnnlab import image_files, runtime
from cnnlab.command_line import explain as explain_command
from cnnlab.command_line import options

ROOT = Path(__file__).resolve().parents[2]
PYTHON_NAMES = re.compile("real_images|value_range|head=|per_class|with head|names must|size must")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a good image, bad ones, a model's empty file and a folder."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((28, 28), np.uint8)).save("good.png")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save("whole.png")
    Path("half.png").write_bytes(Path("whole.png").read_bytes()[:3000])
    Path("empty.png").write_bytes(b"")
    Path("text.png").write_text("not an image")
    Path("empty.keras").write_bytes(b"")
    Path("notes.txt").write_text("not a model")
    Path("folder.png").mkdir()
    os.mkfifo("pipe.png")
    Path("models.keras").mkdir()
    return tmp_path


def run(arguments, capsys):
    """Return (exit code, stderr) of `explain`, and check that it wrote nothing."""
    before = sorted(os.listdir())
    try:
        code = main.main(["explain", *arguments])
    except SystemExit as end:  # argparse ends by itself
        code = end.code
    assert sorted(os.listdir()) == before
    printed = capsys.readouterr()
    assert printed.out == ""
    return code, printed.err


def explain(**options):
    """Return the arguments of a good command, with options changed, or left out by None."""
    options = {"model": "task1-mnist", "image": "good.png", "out": "out.png", **options}
    pairs = ((f"--{name}", value) for name, value in options.items() if value is not None)
    return [part for name, value in pairs for part in (name, *value.split("|"))]


EARLY = {
    "no image": ({"image": "none.png"}, "--image: none.png: No such file"),
    "half an image": ({"image": "half.png"}, "--image: half.png is damaged"),
    "empty image": ({"image": "empty.png"}, "--image: empty.png is not an image file"),
    "text for an image": ({"image": "text.png"}, "--image: text.png is not an image file"),
    "folder for an image": ({"image": "folder.png"}, "--image: folder.png: Is a directory"),
    "pipe for an image": ({"image": "pipe.png"}, "--image: pipe.png is not a file"),
    "no name of an image": ({"image": ""}, "--image: .: Is a directory"),
    "below a file": ({"image": "good.png/a.png"}, "--image: good.png/a.png: Not a directory"),
    "too long an image": ({"image": "x" * 300 + ".png"}, "File name too long"),
    "no folder for out": ({"out": "new/out.png"}, "--out: there is no folder new"),
    "out in a file": ({"out": "good.png/out.png"}, "--out: there is no folder good.png"),
    "out is a folder": ({"out": "folder.png"}, "--out: folder.png is a folder"),
    "out without suffix": ({"out": "out"}, "--out: out must end in .png, .pdf, .svg"),
    "out of another kind": ({"out": "out.jpg"}, "--out: out.jpg must end in .png, .pdf, .svg"),
    "out too long": ({"out": "x" * 245 + ".png"}, "cannot be written: File name too long"),
    "unknown model": ({"model": "task1-mnits"}, "--model: no model 'task1-mnits' (did you mean"),
    "no file of a model": ({"model": "none.keras"}, "--model: there is no file none.keras"),
    "empty model": ({"model": "empty.keras"}, "--model: empty.keras is empty"),
    "text for a model": ({"model": "notes.txt"}, "--model: notes.txt is no model: its name must"),
    "folder for a model": ({"model": "models.keras"}, "--model: models.keras is a folder"),
    "no model": ({"model": None}, "required: --model"),
    "no out": ({"out": None}, "required: --out"),
    "neither image nor layer": ({"image": None}, "give --image FILE, --layer NAME or both"),
    "head without image": ({"image": None, "layer": "a", "head": "b"}, "give --image FILE, too"),
    "target without image": ({"image": None, "layer": "a", "target": "1"}, "give --image FILE"),
    "negative target": ({"target": "-1"}, "--target: '-1' is not allowed: it must be a whole"),
    "fraction for a target": ({"target": "1.5"}, "--target: '1.5' is not allowed"),
    "word for a target": ({"target": "seven"}, "--target: 'seven' is not allowed"),
    "unknown method": ({"method": "cam"}, "--method: invalid choice: 'cam' (choose from"),
    "range upside down": ({"range": "1|0"}, "--range must be two numbers, low < high"),
    "range of nothing": ({"range": "1|1"}, "--range must be two numbers, low < high"),
    "endless range": ({"range": "0|inf"}, "--range must be two numbers"),
    "range of no number": ({"range": "0|nan"}, "--range must be two numbers"),
    "range too wide": ({"range": "0|1e300"}, "--range must be two numbers"),
    "range too narrow": ({"range": "0|1e-300"}, "--range must be two numbers"),
    "range of words": ({"range": "black|white"}, "--range: invalid float value: 'black'"),
    "half a range": ({"range": "0"}, "--range: expected 2 arguments"),
}


@pytest.mark.parametrize("name", EARLY)
def test_it_is_said_before_tensorflow_starts(name, here, monkeypatch, capsys):
    monkeypatch.setattr(runtime, "start", lambda seed: pytest.fail("TensorFlow was started"))
    options, message = EARLY[name]
    code, error = run(explain(**options), capsys)
    assert code == 2
    assert message in error
    assert error.startswith("python -m cnnlab explain: error: ") and error.count("\n") == 1
    assert not PYTHON_NAMES.search(error)


@pytest.mark.parametrize(
    ("option", "path", "mode", "message"),
    [
        ("image", "good.png", 0o000, "--image: good.png: Permission denied"),
        ("model", "empty.keras", 0o000, "--model: empty.keras: Permission denied"),
        ("out", "folder.png/out.png", 0o555, "cannot be written: Permission denied"),
    ],
)
def test_what_is_not_allowed_is_said_early(option, path, mode, message, here, monkeypatch, capsys):
    monkeypatch.setattr(runtime, "start", lambda seed: pytest.fail("TensorFlow was started"))
    locked = Path(path) if mode == 0 else Path(path).parent
    locked.chmod(mode)
    if os.access(locked, os.R_OK | os.W_OK):
        pytest.skip("this user may read and write everything")
    try:
        code, error = run(explain(**{option: path}), capsys)
    finally:
        locked.chmod(0o755)
    assert code == 2 and message in error and error.count("\n") == 1


@pytest.mark.parametrize("errno", ["EACCES", "EROFS", "ENOSPC", "EDQUOT", "EIO"])
def test_a_folder_that_takes_no_file_is_noticed_early(errno, here, monkeypatch, capsys):
    import errno as numbers

    def refuse(**options):
        number = getattr(numbers, errno)
        raise OSError(number, os.strerror(number), "/some/.cnnlab-trying-abc")

    monkeypatch.setattr(runtime, "start", lambda seed: pytest.fail("TensorFlow was started"))
    monkeypatch.setattr(options.tempfile, "NamedTemporaryFile", refuse)
    code, error = run(explain(), capsys)
    assert code == 2
    assert "--out: out.png cannot be written: " in error
    assert ".cnnlab-trying" not in error and error.count("\n") == 1


def test_the_checks_before_tensorflow_do_not_import_it(here):
    arguments = explain(image="half.png")
    code = (
        "import sys; from cnnlab import __main__ as main; "
        f"code = main.main({['explain', *arguments]!r}); "
        "sys.exit(code + 10 * any(name in sys.modules for name in ('tensorflow', 'keras')))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2, ran.stderr


def test_the_methods_are_those_there_are():
    from cnnlab.interpret import gradcam

    assert tuple(gradcam.METHODS) == explain_command.METHODS


LATE = {
    "unknown layer": ({"layer": "conv"}, "--layer: no layer 'conv'"),
    "layer of nothing": ({"layer": ""}, "--layer: no layer ''"),
    "unknown layer alone": ({"layer": "conv", "image": None}, "the layers are "),
    "layer of no maps": ({"layer": "answer", "head": "answer"}, "--layer: layer 'answer' gives"),
    "unknown head": ({"head": "color"}, "--head: no head 'color'; the model has answer"),
    "no name of a head": ({"head": ""}, "--head: no head ''; the model has answer"),
    "class out of range": ({"target": "3"}, "--target: target 3 is not a class of head 'answer'"),
    "class far out of range": ({"target": "9" * 30}, "--target: target must be one whole number"),
    "layer without filters": ({"layer": "rows", "image": None}, "usable are "),
}
LATE_OF_TWO = {
    "target of which head": ({"target": "1"}, "--target belongs to one head: say with --head"),
    "layer beside the way": ({"layer": "two", "head": "one"}, "--layer: layer 'two' does not feed"),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Files of two small models: one head; two heads with a layer of their own each."""
    runtime.start(seed=0)
    import keras
    from keras import layers

    folder = tmp_path_factory.mktemp("models")
    image = keras.Input((8, 8, 1))
    hidden = layers.Conv2D(2, 3, name="hidden")(image)
    rows = layers.Flatten(name="flat")(layers.Reshape((12, 6), name="rows")(hidden))
    keras.Model(image, layers.Dense(3, name="answer")(rows)).save(folder / "single.keras")
    heads = {
        name: layers.Dense(2)(layers.Flatten()(layers.Conv2D(2, 3, name=name)(image)))
        for name in ("one", "two")
    }
    keras.Model(image, heads).save(folder / "double.keras")
    small_integers = keras.Input((8, 8, 1), dtype="int8")
    rows = layers.Flatten()(layers.Conv2D(2, 3)(small_integers))
    keras.Model(small_integers, layers.Dense(3)(rows)).save(folder / "int8.keras")
    return folder


@pytest.mark.parametrize("name", [*LATE, *LATE_OF_TWO])
def test_names_that_only_the_model_knows(name, models, here, capsys):
    options, message = {**LATE, **LATE_OF_TWO}[name]
    model = models / ("single.keras" if name in LATE else "double.keras")
    code, error = run(explain(**{"model": str(model), **options}), capsys)
    *steps, last = error.splitlines()
    assert code == 2
    assert message in last and last.startswith("python -m cnnlab explain: error: ")
    assert all(step.endswith(" ...") for step in steps)
    assert not PYTHON_NAMES.search(last)


def test_a_damaged_model_is_said_to_be_the_model(models, here, capsys):
    content = (models / "single.keras").read_bytes()
    Path("damaged.keras").write_bytes(content[: len(content) // 2])
    code, error = run(explain(model="damaged.keras"), capsys)
    assert code == 2 and "error: --model: damaged.keras is damaged" in error


def test_a_model_that_tensorflow_cannot_compute(models, here, capsys):
    code, error = run(explain(model=str(models / "int8.keras")), capsys)
    assert code == 2 and "int8.keras cannot be computed: " in error.splitlines()[-1]


def test_too_little_memory_for_tensorflow(models, here, monkeypatch, capsys):
    import tensorflow as tf

    from cnnlab import interpret

    def fail(*arguments, **options):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\nand so on")

    monkeypatch.setattr(interpret, "explain", fail)
    code, error = run(explain(model=str(models / "single.keras")), capsys)
    assert code == 2 and error.splitlines()[-1].endswith("computed: OOM when allocating")


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device", "/x/.1-2-out.png"), OSError("disk is gone")]
)
def test_a_disk_that_fills_up_meanwhile(error, models, here, monkeypatch, capsys):
    from matplotlib.figure import Figure

    def fail(self, path, **options):
        Path(path).write_bytes(b"half")
        raise error

    monkeypatch.setattr(Figure, "savefig", fail)
    code, said = run(explain(model=str(models / "single.keras")), capsys)
    assert code == 2
    assert "--out: out.png cannot be written: " in said and ".1-2-" not in said


@pytest.mark.parametrize("error", [MemoryError(), MemoryError("Unable to allocate 9 TiB")])
def test_too_little_memory_has_a_sentence(error, here, monkeypatch, capsys):
    def fail(path):
        raise error

    monkeypatch.setattr(image_files, "read", fail)
    code, said = run(explain(), capsys)
    assert code == 2 and re.search("error: .*(memory|allocate)", said)


@pytest.mark.parametrize("where", ["read", "start", "load", "explain", "save"])
def test_ctrl_c_is_no_traceback(where, models, here, monkeypatch, capsys):
    from matplotlib.figure import Figure

    from cnnlab import interpret
    from cnnlab.interpret.model import loading

    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    owner, name = {
        "read": (image_files, "read"),
        "start": (runtime, "start"),
        "load": (loading, "load"),
        "explain": (interpret, "explain"),
        "save": (Figure, "savefig"),
    }[where]
    monkeypatch.setattr(owner, name, interrupt)
    code, error = run(explain(model=str(models / "single.keras")), capsys)
    assert code == 130
    assert all(step.endswith(" ...") for step in error.splitlines())


def start(arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "cnnlab", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        # Where the tests run in the background, SIGINT is ignored, and children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


@pytest.mark.fault
@pytest.mark.parametrize(
    ("step", "arguments"),
    [
        ("starting TensorFlow", explain()),
        ("loading", explain()),
        ("heatmaps", explain()),
        ("activations", explain()),
        ("drawing", explain()),
        ("filters of", explain(image=None, layer="conv2d")),
    ],
    ids=lambda part: part if isinstance(part, str) else "it",
)
def test_ctrl_c_during_a_step(step, arguments, here):
    before = sorted(os.listdir())
    process = start(["explain", *arguments])
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith(step):
            process.send_signal(signal.SIGINT)
            break
    _, rest = process.communicate()
    said = "".join(said) + rest
    assert process.returncode == 130, said
    assert "Traceback" not in said and "Error" not in said
    assert sorted(os.listdir()) == before


@pytest.mark.fault
@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.2, 2.0, 3.0])
def test_ctrl_c_while_tensorflow_is_imported(seconds, here):
    process = start(["explain", *explain()])
    first = process.stderr.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate()
    assert process.returncode == 130, rest
    assert "Traceback" not in rest and "Error" not in rest, first + rest
    assert not os.path.exists("out.png")


@pytest.mark.fault
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_terminal_that_cannot_show_every_letter(encoding, here):
    Image.new("RGB", (60, 30)).save("wide é.png")
    process = start(
        ["explain", *explain(image="wide é.png", out="out é.png")], PYTHONIOENCODING=encoding
    )
    _, error = process.communicate()
    assert process.returncode == 0, error
    assert Image.open("out é.png").width > 500


@pytest.mark.fault
def test_ctrl_c_leaves_no_part_of_the_dataset(here):
    process = start(["lines", "--out", "new", "--per-class", "500"])
    while process.poll() is None and not (os.path.isdir("new") and os.listdir("new")):
        pass
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert process.returncode == 130, error
    assert error == "" and os.listdir("new") == []
