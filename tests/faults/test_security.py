"""Input is never executed, and nothing is written where it was not asked for."""

import ast
import errno
import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from damage import ROOT
from PIL import Image

from cnnlab import __main__ as main
from cnnlab import lines, mnist, runtime
from cnnlab.lines import files

runtime.start(seed=0)

import keras  # noqa: E402
from keras import layers  # noqa: E402

from cnnlab.interpret import explain  # noqa: E402
from cnnlab.interpret.model.loading import load  # noqa: E402

# --- the syntax trees of all code

NAMES = {
    *("eval", "exec", "compile", "__import__", "importlib.import_module", "runpy.run_path"),
    *(f"{module}.{name}" for module in ("pickle", "cloudpickle") for name in ("load", "loads")),
    *("pickle.Unpickler", "dill.load", "dill.loads", "joblib.load", "marshal.loads"),
    *("shelve.open", "numpy.lib.format.read_array", "pandas.read_pickle", "torch.load"),
    *("yaml.load", "yaml.full_load", "yaml.unsafe_load"),
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("pty.spawn", "code.interact", "ctypes.CDLL", "tempfile.mktemp", "shutil.unpack_archive"),
    *(f"os.{kind}{end}" for kind in ("exec", "spawn") for end in ("l", "lp", "v", "ve", "vp")),
}
METHODS = {"extractall", "exec_module", "enable_unsafe_deserialization", "allow_pickle"}
KEYWORDS = {"shell": False, "allow_pickle": False, "safe_mode": True}  # the only value allowed

ALLOWED = {  # (file, what): why
    ("cnnlab/parallel.py", "cloudpickle.loads"): "functions sent to this program's own processes",
    ("tools/cluster.py", "pickle.loads"): "calls sent to this program's own workers",
    ("tools/recipes.py", "exec"): "the recipe cells of this repository's own scripts",
    ("tools/recipes.py", "compile"): "the same",
    ("tools/studies.py", ".exec_module"): "study.py of this repository",
    ("benchmarks/timing.py", "importlib.import_module"): "benchmarks by a fixed list of names",
}


def code_files():
    folders = ("cnnlab", "tools", "benchmarks", "Task-1", "Task-2", "Task-3")
    files = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path.relative_to(ROOT).as_posix() for path in files)


def dangers(code):
    """Return the names of all in Python code that could execute input: called or only mentioned."""
    tree = ast.parse(code)
    found, full_names = set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                full_names[alias.asname or name] = name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full_names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            first, dot, rest = ast.unparse(node).partition(".")
            name = full_names.get(first, first) + dot + rest
            if name in NAMES:
                found.add(name)
        if isinstance(node, ast.Attribute) and node.attr in METHODS:
            found.add(f".{node.attr}")
        if isinstance(node, ast.keyword) and node.arg in KEYWORDS:
            value = getattr(node.value, "value", "unknown")
            if value is not KEYWORDS[node.arg]:
                found.add(f"{node.arg}={ast.unparse(node.value)}")
    return found


@pytest.mark.parametrize("file", code_files())
def test_no_code_executes_input(file):
    """A place may go only when its line in ALLOWED goes, too."""
    allowed = {what for name, what in ALLOWED if name == file}
    assert dangers((ROOT / file).read_text(encoding="utf-8")) == allowed


def test_every_place_that_is_allowed_exists():
    assert {file for file, _ in ALLOWED} <= set(code_files())


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("eval(text)", "eval"),
        ("list(map(eval, texts))", "eval"),
        ("exec('1')", "exec"),
        ("def f():\n    return __import__(name)", "__import__"),
        ("import pickle\npickle.load(file)", "pickle.load"),
        ("import pickle as p\np.loads(b'')", "pickle.loads"),
        ("from pickle import loads\nloads(b'')", "pickle.loads"),
        ("from pickle import loads as decode\ndecode(b'')", "pickle.loads"),
        ("import cloudpickle\nread = cloudpickle.loads", "cloudpickle.loads"),
        ("import joblib\njoblib.load('x')", "joblib.load"),
        ("import numpy as np\nnp.load('x', allow_pickle=True)", "allow_pickle=True"),
        ("np.load('x', allow_pickle=trusted)", "allow_pickle=trusted"),
        ("import yaml\nyaml.load(text)", "yaml.load"),
        ("import os\nos.system('ls')", "os.system"),
        ("from os import popen\npopen('ls')", "os.popen"),
        ("import os\nos.execv('ls', [])", "os.execv"),
        ("import subprocess\nsubprocess.run('ls', shell=True)", "shell=True"),
        ("subprocess.Popen('ls', shell=1)", "shell=1"),
        ("keras.models.load_model('x', safe_mode=False)", "safe_mode=False"),
        ("keras.config.enable_unsafe_deserialization()", ".enable_unsafe_deserialization"),
        ("archive.extractall(folder)", ".extractall"),
    ],
)
def test_the_scan_finds(code, what):
    assert dangers(code) == {what}


@pytest.mark.parametrize(
    "code",
    [
        "import re\nre.compile('a')",
        "model.compile('adam')",
        "import pickle\npickle.dumps(3)",
        "np.load('x', allow_pickle=False)",
        "keras.models.load_model('x', safe_mode=True)",
        "import subprocess\nsubprocess.run(['ls'], shell=False)",
        "import json\njson.loads('1')",
        "'eval(this)'",
    ],
)
def test_the_scan_lets_pass(code):
    assert dangers(code) == set()


# --- what is on the disk


def tree(folder):
    """Return {path: what it is} of all that lies below a folder; links are not followed."""
    found = {}
    for above, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(above, name)
            if path.is_symlink():
                content = f"link to {os.readlink(path)}"
            else:
                content = "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).digest()
            found[path.relative_to(folder).as_posix()] = content
    return found


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


# --- archives with names that lead elsewhere

MEMBERS = {
    "above": ("../../escaped.txt", None),
    "far above": ("../" * 30 + "tmp/escaped.txt", None),
    "absolute": ("{world}/escaped.txt", None),
    "inside, then above": ("assets/../../../escaped.txt", None),
    "with backslashes": ("..\\..\\escaped.txt", None),
    "a link": ("assets/link", "{world}/thesis.txt"),
    "a link to a folder": ("assets", "{world}"),
    "the name of an array": ("../images.npy", None),
}


def add_member(path, world, kind):
    name, target = (text and text.format(world=world) for text in MEMBERS[kind])
    entry = zipfile.ZipInfo(name)
    if target:
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, target or "escaped")
        archive.writestr("assets/file.txt", "so that Keras unpacks its folder of files")
        archive.writestr("assets/link/file.txt", "through the link")


@pytest.fixture(scope="module")
def model():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)]
    )


@pytest.mark.parametrize("kind", MEMBERS)
@pytest.mark.parametrize("what", ["lines", "mnist", "model"])
def test_members_that_lead_elsewhere(world, monkeypatch, model, what, kind):
    path = Path("input.keras" if what == "model" else "input.npz")
    if what == "model":
        model.save(path)
    elif what == "lines":
        files.write_npz(path, lines.generate(1), lines.recipe(1, 0))
    else:
        array = np.zeros(3, np.uint8)
        known = {"x_train": (array.shape, hashlib.sha256(array).hexdigest())}
        monkeypatch.setattr(mnist, "ARRAYS", dict.fromkeys(mnist.ARRAYS, known["x_train"]))
        np.savez(path, **dict.fromkeys(mnist.ARRAYS, array))
    add_member(path, world, kind)
    before = tree(world)
    read = {"lines": lines.load, "mnist": mnist.load, "model": load}[what]
    try:
        found = read(path)
    except ValueError as error:
        assert path.name in str(error)
        found = None
    if what == "model":
        assert found is None
    if what == "lines" and found is not None:
        assert np.array_equal(found.images, lines.generate(1).images)
    assert changes(before, tree(world)) == set()
    assert not Path("/tmp/escaped.txt").exists()


# --- image folders with links


@pytest.fixture
def images(world):
    part = lines.Lines(*(array[::12] for array in lines.generate(1)))
    files.write_folder(Path("images"), part, "png", lines.recipe(1, 0))
    return Path("images")


@pytest.mark.parametrize(
    "target", ["thesis.txt", "temporary", "nowhere", "/dev/zero", "/dev/null", "some/where/images"]
)
def test_links_that_are_no_images(world, images, target):
    image = sorted(images.iterdir())[3]
    image.unlink()
    image.symlink_to(world / target)
    before = tree(world)
    with pytest.raises(ValueError, match=image.name):
        lines.load(images)
    assert changes(before, tree(world)) == set()


def test_a_link_to_an_image_is_as_good(world, images):
    right = lines.load(images)
    image = sorted(images.iterdir())[3]
    image.rename(world / "elsewhere.png")
    image.symlink_to(world / "elsewhere.png")
    assert np.array_equal(lines.load(images).images, right.images)
    Path("link").symlink_to("images")
    assert np.array_equal(lines.load("link").images, right.images)


def test_a_program_in_the_place_of_an_image_is_not_run(world, monkeypatch, model, images):
    """PostScript is a language, which Pillow gives to Ghostscript where that is installed."""
    Path("bin").mkdir()
    Path("bin/gs").write_text("#!/bin/sh\necho 1 >> was-run\n")
    Path("bin/gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(Path("bin").resolve()), prepend=os.pathsep)
    first = sorted(images.iterdir())[0]
    Image.new("RGB", (28, 28)).save(first, "EPS")
    shutil.copy(first, "photo.png")
    with pytest.raises(ValueError, match="photo.png is PostScript"):
        explain(model, "photo.png")
    with pytest.raises(ValueError, match="is not a readable image"):
        lines.load(images)
    assert not Path("was-run").exists()


# --- where the command line writes

TARGETS = {  # what is asked for: where that is, from the outermost folder, and folders made for it
    "new": ("some/where/new", set()),
    "deep/er/new": ("some/where/deep/er/new", {"some/where/deep", "some/where/deep/er"}),
    "../beside": ("some/beside", set()),
    "there/../new": ("some/where/new", {"some/where/there"}),
    "{world}/absolute": ("absolute", set()),
    "link/new": ("other/new", set()),
    "link/../new": ("new", set()),
    "with space é": ("some/where/with space é", set()),
}
LINES = {
    "png": ["lines", "--per-class", "1", "--out", "{}"],
    "npz": ["lines", "--per-class", "1", "--format", "npz", "--out", "{}"],
    "sheet": ["lines", "--per-class", "1", "--sheet", "{}.png"],
    "film": ["lines", "--per-class", "1", "--video", "{}.avi"],
    "filters": ["explain", "--model", "m.keras", "--layer", "conv", "--out", "{}.svg"],
    "heatmaps": ["explain", "--model", "m.keras", "--image", "i.png", "--out", "{}.png"],
}


@pytest.mark.fault
@pytest.mark.parametrize("command", LINES)
@pytest.mark.parametrize("target", TARGETS)
def test_the_command_line_writes_only_where_it_was_told(world, model, target, command):
    keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(2, 3, name="conv"), layers.Flatten()]
        + [layers.Dense(3)]
    ).save("m.keras")
    Image.new("RGB", (9, 9), "red").save("i.png")
    (world / "other").mkdir()
    Path("link").symlink_to(world / "other")
    before = tree(world)
    arguments = [part.replace("{}", target.format(world=world)) for part in LINES[command]]
    place, folders = TARGETS[target]
    if command in ("filters", "heatmaps") and folders:  # a figure's folder must be there
        assert main.main(arguments) == 2
        assert changes(before, tree(world)) == set()
        return
    assert main.main(arguments) == 0
    changed = {  # the tests' one process keeps TensorFlow's temporary files longer than the command
        path
        for path in changes(before, tree(world))
        if not path.startswith("temporary/__autograph")
    }
    place += LINES[command][-1].removeprefix("{}")
    assert place in changed
    assert {path for path in changed if not path.startswith(f"{place}/")} <= {place, *folders}


@pytest.mark.parametrize("command", ["sheet", "film"])
def test_a_link_in_the_place_of_a_figure_is_replaced(world, command):
    """The file behind it stays as it was."""
    name = LINES[command][-1].format("new")
    Path(name).symlink_to(world / "thesis.txt")
    before = tree(world)
    assert main.main([part.format("new") for part in LINES[command]]) == 0
    assert changes(before, tree(world)) == {f"some/where/{name}"}


def test_a_link_to_a_full_folder_is_refused(world, capsys):
    Path("link").symlink_to(world)
    before = tree(world)
    assert main.main(["lines", "--per-class", "1", "--out", "link"]) == 2
    assert changes(before, tree(world)) == set()
    assert "is not empty" in capsys.readouterr().err


def test_what_another_program_put_there_is_not_removed(world, monkeypatch):
    """When the disk is full, only the images that were written go away."""
    save = Image.Image.save
    written = []

    def fill(image, path, **options):
        save(image, path, **options)
        written.append(path)
        if len(written) == 5:
            Path("new/thesis.txt").write_text("dear")
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fill)
    assert main.main(["lines", "--per-class", "1", "--out", "new"]) == 2
    assert os.listdir("new") == ["thesis.txt"]
