"""Input is never executed, and nothing is written where it was not asked for."""

import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from damage import ROOT
from PIL import Image

from cnnlab import __main__ as main
from cnnlab import lines, runtime
from cnnlab.lines import files

runtime.start(seed=0)

import keras  # noqa: E402
from keras import layers  # noqa: E402

from cnnlab.interpret import explain  # noqa: E402
from cnnlab.interpret.model.loading import load  # noqa: E402

DANGERS = {  # code that could execute input, and ruff's name for it
    "exec(text)": "exec-builtin",
    "list(map(eval, texts))": "suspicious-eval-usage",
    "import pickle as p\np.loads(b'')": "suspicious-pickle-usage",
    "import os\nos.system(text)": "start-process-with-a-shell",
    "from cloudpickle import loads": "banned-api",
    "import importlib as i\ni.import_module(name)": "banned-api",
    "import keras\nkeras.config.enable_unsafe_deserialization()": "banned-api",
}


@pytest.mark.parametrize("code", DANGERS)
def test_code_that_could_execute_input_is_noticed(code):
    """By `make check`: the rules are in pyproject.toml, with the files that may do so."""
    options = ["--no-cache", "--output-format=concise", "--stdin-filename=cnnlab/planted.py", "-"]
    command = [sys.executable, "-m", "ruff", "check", *options]
    done = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True)
    assert f" {DANGERS[code]}: " in done.stdout, done


# --- what is on the disk


def tree(folder):
    """Return {path: what it is} of all that lies below a folder; links are not followed."""
    content = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            what = f"link to {os.readlink(path)}"
        else:
            what = "folder" if path.is_dir() else path.read_bytes()
        content[path.relative_to(folder).as_posix()] = what
    return content


def changes(before, after):
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder of a user's own, deep inside another; its temporary folder lies there, too."""
    folder = tmp_path / "some" / "where"
    folder.mkdir(parents=True)
    (tmp_path / "temporary").mkdir()
    (tmp_path / "thesis.txt").write_text("dear")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(folder)
    return tmp_path


# --- files that lead elsewhere, or are programs

MEMBERS = {
    "absolute": ("{world}/escaped.txt", None),
    "inside, then above": ("assets/../../../escaped.txt", None),
    "a link": ("assets/link", "{world}/thesis.txt"),
    "a link to a folder": ("assets", "{world}"),
}


@pytest.fixture(scope="module")
def model():
    parts = [layers.Conv2D(2, 3, name="conv"), layers.Flatten(), layers.Dense(3)]
    return keras.Sequential([keras.Input((8, 8, 1)), *parts])


@pytest.mark.parametrize("kind", MEMBERS)
def test_members_of_a_model_that_lead_elsewhere(world, model, kind):
    model.save("input.keras")
    name, target = (text and text.format(world=world) for text in MEMBERS[kind])
    entry = zipfile.ZipInfo(name)
    if target:
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile("input.keras", "a") as archive:
        archive.writestr(entry, target or "escaped")
        archive.writestr("assets/file.txt", "so that Keras unpacks its folder of files")
        archive.writestr("assets/link/file.txt", "through the link")
    before = tree(world)
    with pytest.raises(ValueError, match=r"input\.keras"):
        load("input.keras")
    assert changes(before, tree(world)) == set()


def test_a_program_in_the_place_of_an_image_is_not_run(world, monkeypatch, model):
    """PostScript is a language, which Pillow gives to Ghostscript where that is installed."""
    Path("bin").mkdir()
    Path("bin/gs").write_text("#!/bin/sh\necho 1 >> was-run\n")
    Path("bin/gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(Path("bin").resolve()), prepend=os.pathsep)
    files.write_folder(Path("images"), lines.generate(1), "png", lines.recipe(1, 0))
    Image.new("RGB", (28, 28)).save("images/0_0_0_0_0.png", "EPS")
    shutil.copy("images/0_0_0_0_0.png", "photo.png")
    with pytest.raises(ValueError, match=r"photo\.png is PostScript"):
        explain(model, "photo.png")
    with pytest.raises(ValueError, match=r"0_0_0_0_0\.png"):
        lines.load("images")
    assert not Path("was-run").exists()


# --- where the command line writes

COMMANDS = {
    "png": ["lines", "--per-class", "1", "--out", "{}"],
    "npz": ["lines", "--per-class", "1", "--format", "npz", "--out", "{}"],
    "sheet": ["lines", "--per-class", "1", "--sheet", "{}.png"],
    "film": ["lines", "--per-class", "1", "--video", "{}.avi"],
    "filters": ["explain", "--model", "m.keras", "--layer", "conv", "--out", "{}.svg"],
    "heatmaps": ["explain", "--model", "m.keras", "--image", "i.png", "--out", "{}.png"],
}
TARGETS = {  # what is asked for: where that is, from the outermost folder, and folders made for it
    "deep/er/new": ("some/where/deep/er/new", {"some/where/deep", "some/where/deep/er"}),
    "{world}/absolute": ("absolute", set()),
    "link/../with space é": ("with space é", set()),
}


def do(command, target):
    return main.main([part.replace("{}", str(target)) for part in COMMANDS[command]])


@pytest.mark.parametrize(
    ("command", "target"),
    [("png", target) for target in TARGETS] + [(name, [*TARGETS][-1]) for name in COMMANDS],
)
def test_the_command_line_writes_only_where_it_was_told(world, model, target, command):
    model.save("m.keras")
    Image.new("RGB", (9, 9), "red").save("i.png")
    (world / "other").mkdir()
    Path("link").symlink_to(world / "other")
    before = tree(world)
    path, folders = TARGETS[target]
    path += COMMANDS[command][-1].removeprefix("{}")
    assert do(command, target.format(world=world)) == 0
    changed = changes(before, tree(world))
    assert path in changed
    # The tests' one process keeps TensorFlow's temporary files longer than the command.
    inside = (f"{path}/", "temporary/__autograph")
    assert {other for other in changed if not other.startswith(inside)} <= {path, *folders}


def test_what_is_refused_changes_nothing(world, model):
    model.save("m.keras")
    Path("link").symlink_to(world)
    before = tree(world)
    assert do("filters", "deep/er/new") == 2  # a figure makes no folder
    assert do("png", "link") == 2  # a link to a full folder is a full folder
    assert changes(before, tree(world)) == set()


def test_a_link_in_the_place_of_a_figure_is_replaced(world):
    """The file behind it stays as it was."""
    Path("new.png").symlink_to(world / "thesis.txt")
    before = tree(world)
    assert do("sheet", "new") == 0
    assert changes(before, tree(world)) == {"some/where/new.png"}


def test_what_another_program_put_there_is_not_removed(world, monkeypatch):
    """When the disk is full, only the images that were written go away."""

    def fill(image, path, **options):
        path.write_bytes(b"part")
        Path("new/thesis.txt").write_text("dear")
        if len(os.listdir("new")) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fill)
    assert do("png", "new") == 2
    assert os.listdir("new") == ["thesis.txt"]
