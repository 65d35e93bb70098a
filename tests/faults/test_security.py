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
FOLDERS = ("cnnlab", "tools", "benchmarks", "Task-1", "Task-2", "Task-3")
ALLOWED = {
    # Functions sent to this program's own processes.
    "cnnlab/training/workers.py": {"cloudpickle.loads"},
    # The recipe cells of this repository's own scripts.
    "tools/recipes.py": {"exec", "compile"},
    # study.py of this repository.
    "tools/studies.py": {".exec_module"},
    # Benchmarks by a fixed list of names.
    "benchmarks/timing.py": {"importlib.import_module"},
}


def dangers(code):
    """Return the names of all in Python code that could execute input: called or only mentioned."""
    tree = ast.parse(code)
    dangerous, full_names = set(), {}
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
                dangerous.add(name)
        if isinstance(node, ast.Attribute) and node.attr in METHODS:
            dangerous.add(f".{node.attr}")
        if isinstance(node, ast.keyword) and node.arg in KEYWORDS:
            value = getattr(node.value, "value", "unknown")
            if value is not KEYWORDS[node.arg]:
                dangerous.add(f"{node.arg}={ast.unparse(node.value)}")
    return dangerous


def test_no_code_executes_input():
    """What goes away must go from ALLOWED, too."""
    paths = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    scanned = {
        path.relative_to(ROOT).as_posix(): dangers(path.read_text(encoding="utf-8"))
        for path in paths
    }
    assert len(scanned) > 50
    assert {file: dangerous for file, dangerous in scanned.items() if dangerous} == ALLOWED


EXAMPLES = {
    "list(map(eval, texts))": {"eval"},
    "import pickle as p\np.loads(b'')": {"pickle.loads"},
    "from pickle import loads as decode\ndecode(b'')": {"pickle.loads"},
    "import numpy as np\nnp.load('x', allow_pickle=True)": {"allow_pickle=True"},
    "import os\nos.execv('ls', [])": {"os.execv"},
    "subprocess.Popen('ls', shell=1)": {"shell=1"},
    "keras.models.load_model('x', safe_mode=False)": {"safe_mode=False"},
    "keras.config.enable_unsafe_deserialization()": {".enable_unsafe_deserialization"},
    "archive.extractall(folder)": {".extractall"},
    "import re\nre.compile('a')": set(),
    "model.compile('adam')": set(),
    "import pickle\npickle.dumps(3)": set(),
    "np.load('x', allow_pickle=False)": set(),
    "'eval(this)'": set(),
}


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_scan(code):
    assert dangers(code) == EXAMPLES[code]


# --- what is on the disk


def tree(folder):
    """Return {path: what it is} of all that lies below a folder; links are not followed."""
    content = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            what = f"link to {os.readlink(path)}"
        else:
            what = "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).digest()
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


# --- archives with names that lead elsewhere

MEMBERS = {
    "above": ("../../escaped.txt", None),
    "absolute": ("{world}/escaped.txt", None),
    "inside, then above": ("assets/../../../escaped.txt", None),
    "with backslashes": ("..\\..\\escaped.txt", None),
    "a link": ("assets/link", "{world}/thesis.txt"),
    "a link to a folder": ("assets", "{world}"),
}


@pytest.fixture(scope="module")
def model():
    convolution = layers.Conv2D(2, 3, name="conv")
    return keras.Sequential(
        [keras.Input((8, 8, 1)), convolution, layers.Flatten(), layers.Dense(3)]
    )


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


# --- image folders with links


@pytest.fixture
def images(world):
    part = lines.Lines(*(array[::12] for array in lines.generate(1)))
    files.write_folder(Path("images"), part, "png", lines.recipe(1, 0))
    return Path("images")


@pytest.mark.parametrize("target", ["thesis.txt", "temporary", "nowhere", "/dev/zero"])
def test_links_that_are_no_images(world, images, target):
    image = sorted(images.iterdir())[3]
    image.unlink()
    image.symlink_to(world / target)
    before = tree(world)
    with pytest.raises(ValueError, match=image.name):
        lines.load(images)
    assert changes(before, tree(world)) == set()


def test_a_program_in_the_place_of_an_image_is_not_run(world, monkeypatch, model, images):
    """PostScript is a language, which Pillow gives to Ghostscript where that is installed."""
    Path("bin").mkdir()
    Path("bin/gs").write_text("#!/bin/sh\necho 1 >> was-run\n")
    Path("bin/gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(Path("bin").resolve()), prepend=os.pathsep)
    first = sorted(images.iterdir())[0]
    Image.new("RGB", (28, 28)).save(first, "EPS")
    shutil.copy(first, "photo.png")
    with pytest.raises(ValueError, match=r"photo\.png is PostScript"):
        explain(model, "photo.png")
    with pytest.raises(ValueError, match=first.name):
        lines.load(images)
    assert not Path("was-run").exists()


# --- where the command line writes

TARGETS = {  # what is asked for: where that is, from the outermost folder, and folders made for it
    "new": ("some/where/new", set()),
    "deep/er/new": ("some/where/deep/er/new", {"some/where/deep", "some/where/deep/er"}),
    "../aside": ("some/aside", set()),
    "there/../new": ("some/where/new", {"some/where/there"}),
    "{world}/absolute": ("absolute", set()),
    "link/../new": ("new", set()),
    "with space é": ("some/where/with space é", set()),
}
COMMANDS = {
    "png": ["lines", "--per-class", "1", "--out", "{}"],
    "npz": ["lines", "--per-class", "1", "--format", "npz", "--out", "{}"],
    "sheet": ["lines", "--per-class", "1", "--sheet", "{}.png"],
    "film": ["lines", "--per-class", "1", "--video", "{}.avi"],
    "filters": ["explain", "--model", "m.keras", "--layer", "conv", "--out", "{}.svg"],
    "heatmaps": ["explain", "--model", "m.keras", "--image", "i.png", "--out", "{}.png"],
}


@pytest.mark.parametrize(
    ("command", "target"),
    [("png", target) for target in TARGETS] + [(name, "link/../new") for name in [*COMMANDS][1:]],
)
def test_the_command_line_writes_only_where_it_was_told(world, model, target, command):
    model.save("m.keras")
    Image.new("RGB", (9, 9), "red").save("i.png")
    (world / "other").mkdir()
    Path("link").symlink_to(world / "other")
    before = tree(world)
    path, folders = TARGETS[target]
    path += COMMANDS[command][-1].removeprefix("{}")
    assert main.main([p.replace("{}", target.format(world=world)) for p in COMMANDS[command]]) == 0
    changed = {  # the tests' one process keeps TensorFlow's temporary files longer than the command
        path
        for path in changes(before, tree(world))
        if not path.startswith("temporary/__autograph")
    }
    assert path in changed
    assert {other for other in changed if not other.startswith(f"{path}/")} <= {path, *folders}


def test_a_figure_makes_no_folder(world, model):
    model.save("m.keras")
    before = tree(world)
    assert main.main([part.replace("{}", "deep/er/new") for part in COMMANDS["filters"]]) == 2
    assert changes(before, tree(world)) == set()


@pytest.mark.parametrize("command", ["sheet", "film"])
def test_a_link_in_the_place_of_a_figure_is_replaced(world, command):
    """The file behind it stays as it was."""
    name = COMMANDS[command][-1].format("new")
    Path(name).symlink_to(world / "thesis.txt")
    before = tree(world)
    assert main.main([part.format("new") for part in COMMANDS[command]]) == 0
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
