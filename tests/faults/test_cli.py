"""The command line with whatever a user types, and stopped at any time."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from damage import environment
from matplotlib.figure import Figure
from PIL import Image

from cnnlab import __main__ as main
from cnnlab import pretrained, runtime
from cnnlab.command_line import explain as explain_command

PYTHON_NAMES = re.compile("real_images|value_range|head=|per_class|with head|names must|size must")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a good image, bad ones, a model's empty file and folders."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((28, 28), np.uint8)).save("good.png")
    Image.effect_noise((64, 64), 99).save("half.png")
    Path("half.png").write_bytes(Path("half.png").read_bytes()[:2000])
    for name in ("empty.keras", "notes.txt"):
        Path(name).touch()
    Path("folder.png").mkdir()
    os.mkfifo("pipe.png")
    return tmp_path


@pytest.fixture
def without_tensorflow(monkeypatch):
    """What is wrong must be said before TensorFlow starts."""
    monkeypatch.setattr(runtime, "start", lambda seed: pytest.fail("TensorFlow was started"))


def explain(**options):
    """Return the arguments of a good command, with options changed, or left out by None."""
    options = {"model": "task1-mnist", "image": "good.png", "out": "out.png", **options}
    pairs = ((f"--{name}", value) for name, value in options.items() if value is not None)
    return ["explain", *(part for name, value in pairs for part in (name, *value.split("|")))]


def run(capsys, **options):
    """Return what `explain` says is wrong, and check that it wrote nothing."""
    before = sorted(os.listdir())
    try:
        code = main.main(explain(**options))
    except SystemExit as end:  # argparse ends by itself
        code = end.code
    printed = capsys.readouterr()
    *steps, said = printed.err.splitlines()
    assert (code, printed.out, sorted(os.listdir())) == (2, "", before)
    assert all(step.endswith(" ...") for step in steps)
    assert "cnnlab explain: error: " in said and not PYTHON_NAMES.search(said)
    return said


EARLY = {  # option: {value: what is said of it}
    "image": {
        "half.png": "half.png is damaged",
        "folder.png": "folder.png is a folder, so --out must name one",
        "pipe.png": "pipe.png is not a file",
        "good.png/a.png": "good.png/a.png: Not a directory",
        "x" * 300 + ".png": "File name too long",
    },
    "out": {
        "new/out.png": "there is no folder new",
        "good.png": "good.png is the image itself",
        "out.jpg": "out.jpg must end in .png, .pdf, .svg",
        "x" * 245 + ".png": "cannot be written: File name too long",
        None: "required",
    },
    "model": {
        "task1-mnits": "'task1-mnits' (did you mean 'task1-mnist'",
        "empty.keras": "empty.keras is empty",
        "notes.txt": "notes.txt",
    },
    "target": {"-1": "'-1'", "seven": "'seven'"},
    "method": {"cam": "invalid choice: 'cam' (choose from"},
    "outputs": {"percent": "invalid choice: 'percent' (choose from"},
    "preprocess": {
        "0..1e300": "two numbers",
        "black..white": "'black..white'",
        "rasnet50": "did you mean 'resnet50'?",
    },
}


@pytest.mark.parametrize(("option", "value"), [(name, v) for name in EARLY for v in EARLY[name]])
def test_a_wrong_value_is_said_early(option, value, here, without_tensorflow, capsys):
    said = run(capsys, **{option: value})
    assert f"--{option}" in said and EARLY[option][value] in said


@pytest.mark.parametrize("options", [{}, {"layer": "a", "target": "1"}, {"layer": "a|--invert"}])
def test_options_that_need_an_image(options, here, without_tensorflow, capsys):
    assert "give --image FILE" in run(capsys, image=None, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "convx"}, "--layer: no layer 'convx'"),
        ({"target": "10"}, "--target: target 10 is not a class"),
        ({"target": "1", "model": "task2"}, "angle, "),  # which of the heads?
        ({"outputs": "logits"}, "gives probabilities, not logits"),
        ({"model": "half.keras"}, "--model: half.keras is damaged"),
    ],
)
def test_what_only_the_model_knows(options, message, here, capsys):
    whole = pretrained.find("task1-mnist").read_bytes()
    Path("half.keras").write_bytes(whole[: len(whole) // 2])
    assert message in run(capsys, **options)


def fail(monkeypatch, step, error):
    """Let one of the steps of the command raise an error; saving has half a file by then."""
    from cnnlab import interpret
    from cnnlab.interpret.model import loading

    def raise_it(*arguments, **options):
        if step == "savefig":
            Path(arguments[1]).write_bytes(b"half")
        raise error

    owners = {"read": explain_command.image_files, "start": runtime, "load": loading}
    owners |= {"explain": interpret, "savefig": Figure}
    monkeypatch.setattr(owners[step], step, raise_it)


def out_of_memory():
    import tensorflow as tf

    return tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\nand so on")


@pytest.mark.parametrize(
    ("step", "error", "words"),
    [
        ("read", lambda: MemoryError("Unable to allocate 9 TiB"), "error: .*allocate 9 TiB$"),
        ("explain", out_of_memory, "cannot be computed: OOM when allocating$"),
        ("savefig", lambda: OSError(28, "Full", "/x/.1-out.png"), "--out: out.png .*: Full$"),
    ],
)
def test_what_fails_meanwhile_has_a_sentence(step, error, words, here, monkeypatch, capsys):
    fail(monkeypatch, step, error())
    assert re.search(words, run(capsys))


@pytest.mark.parametrize("step", ["read", "start", "load", "explain", "savefig", "TensorFlow"])
def test_ctrl_c_is_no_traceback(step, here, monkeypatch, capsys):
    """Inside of TensorFlow it can come out as a TypeError without words."""
    given = ("explain", TypeError()) if step == "TensorFlow" else (step, KeyboardInterrupt)
    fail(monkeypatch, *given)
    before = os.listdir()
    assert main.main(explain()) == 130
    assert all(line.endswith(" ...") for line in capsys.readouterr().err.splitlines())
    assert os.listdir() == before


# --- in a process of its own


def start(arguments, **variables):
    return subprocess.Popen(
        [sys.executable, "-m", "cnnlab", *arguments],
        env=environment(**variables),
        # Where the tests run in the background, SIGINT is ignored, and children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def assert_stopped(process):
    """Stop it with Ctrl-C: it says nothing more."""
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert "Traceback" not in said and "Error" not in said


@pytest.mark.fault
@pytest.mark.parametrize("step", ["starting TensorFlow", "heatmaps"])
def test_ctrl_c_during_a_step(step, here):
    before = sorted(os.listdir())
    process = start(explain())
    assert any(line.startswith(step) for line in process.stderr)
    assert_stopped(process)
    assert sorted(os.listdir()) == before


@pytest.mark.fault
def test_ctrl_c_leaves_no_part_of_the_dataset(here):
    process = start(["lines", "--out", "new", "--per-class", "500"])
    while process.poll() is None and not (os.path.isdir("new") and os.listdir("new")):
        pass
    assert_stopped(process)
    assert os.listdir("new") == []


@pytest.mark.fault
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_that_cannot_show_every_letter(encoding, here):
    Image.new("RGB", (60, 30)).save("wide é.png")
    process = start(explain(image="wide é.png", out="out é.png"), PYTHONIOENCODING=encoding)
    _, error = process.communicate()
    assert process.returncode == 0, error
    assert Image.open("out é.png").width > 500
