"""A full disk, one core, little memory, no home, no network: it works, or a sentence says why not.

The commands run in a small copy of the repository whose path has a space and a letter beyond ASCII.
What they write is compared with what they write without any trouble.
"""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
import numpy as np
import pytest
from damage import ROOT
from PIL import Image

from cnnlab import lines, saving

if sys.platform != "linux":
    pytest.skip("only Linux keeps to these limits", allow_module_level=True)

import resource

pytestmark = pytest.mark.fault
SECONDS = 1800  # more is a hang
SCRIPT = """\
# %% [markdown]
# # A small task

# %%
import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd().parent))
from cnnlab import lines, notebook

out = notebook.outputs("Task-1")
images = lines.generate(per_class=1).images
out.json({"headline": [{"what": "größe", "value": f"{images.mean():.3f}"}]})
print("größe", images.shape)
"""
# Where nothing can be written: the dataset is made, the results are stored elsewhere.
RESULTS = """
from cnnlab import lines, notebook
from cnnlab.lines import dataset

dataset.PER_CLASS = 1
lines.load()
print(notebook.outputs("Task-1").json({"a": 1}))
"""
COMMANDS = {
    "lines": ["-m", "cnnlab", "lines", "--per-class", "1", "--out", "OUT/größe"],
    "explain": ["-m", "cnnlab", "explain", "--model", "own.keras", "--image", "photo.png"]
    + ["--out", "OUT/größe.png"],
    "notebook": ["-m", "tools.notebooks", "run"],
    "results": ["-c", RESULTS],
    "Task-1": ["-m", "tools.notebooks", "run", "Task-1", "--smoke", "OUT"],
}


class Situation(NamedTuple):
    """What is different from other runs.

    Attributes:
        prefix: a command that starts the command.
        limit: called in the new process, before the command.
        environment: variables; None removes one.
    """

    prefix: tuple[str, ...] = ()
    limit: object = None
    environment: dict = {}


def limited(kind: str, size: int) -> Situation:
    limits = (size, size)
    return Situation(limit=lambda: resource.setrlimit(getattr(resource, kind), limits))


def one_core() -> None:
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])


ALONE = ("unshare", "--map-root-user", "--net")
LOCAL = (*ALONE, "sh", "-c", 'ip link set lo up 2>/dev/null || ifconfig lo up; exec "$@"', "sh")
MOUNTED = ("unshare", "--map-root-user", "--mount", "sh", "-c")
READ_ONLY = 'mount --bind . . && mount -o remount,ro,bind . && cd "$PWD" && exec "$@"'
FULL = (
    "mount -t tmpfs -o size=40k none full && head -c 1000000 /dev/zero > full/zeros 2>/dev/null; "
    'exec "$@"'
)
C = {"LC_ALL": "C", "LANG": None}
SITUATIONS = {
    "unchanged": Situation(),
    "no home": Situation(environment={"HOME": None}),
    "no writable home": Situation(environment={"HOME": os.devnull}),
    "locale C": Situation(environment=C),
    "not UTF-8": Situation(environment=C | {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    "one core": Situation(limit=one_core),
    "4 GiB": limited("RLIMIT_AS", 4 << 30),
    "1 GiB": limited("RLIMIT_AS", 1 << 30),
    "small files": limited("RLIMIT_FSIZE", 64),
    "no network": Situation(LOCAL),
    "no loopback interface": Situation(ALONE),
    "much at once": Situation(LOCAL, one_core, {"HOME": os.devnull, "LC_ALL": "POSIX"}),
    "read-only": Situation((*MOUNTED, READ_ONLY, "sh")),
    "full disk": Situation((*MOUNTED, FULL, "sh")),
}
WORKS = [  # in a situation a command comes out as without it
    *(("locale C", name) for name in ("explain", "notebook")),
    *(("not UTF-8", name) for name in ("lines", "notebook")),
    *(("no home", name) for name in ("explain", "notebook")),
    ("no writable home", "explain"),
    ("one core", "explain"),
    ("4 GiB", "explain"),
    ("no network", "notebook"),
]
SAYS = {  # a situation and a command: what it says
    ("not UTF-8", "explain"): "set PYTHONUTF8=1",  # only TensorFlow cannot work there
    ("1 GiB", "explain"): "2,048 MiB",
    ("no loopback interface", "notebook"): "127.0.0.1",
    ("full disk", "lines"): "No space left on device",
    ("full disk", "explain"): "No space left on device",
    ("small files", "lines"): "File too large",
    ("small files", "notebook"): "File too large",
    ("read-only", "lines"): "größe",
    ("read-only", "explain"): "größe",
    ("read-only", "notebook"): "run cannot be written",
}


@functools.cache
def is_possible(prefix: tuple[str, ...]) -> bool:
    """Say whether a command that starts others works on this machine."""
    if not shutil.which(prefix[0]):
        return False
    mounts = "--mount" in prefix
    trial = (*prefix[:3], "mount", "-t", "tmpfs", "none", "/mnt") if mounts else (*prefix, "true")
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A copy of the code with a small task, an own model and a photo."""
    root = tmp_path_factory.mktemp("original") / "a copy for Zoë"
    for name in ("cnnlab", "tools"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.txt", "constraints.txt"):
        shutil.copy(ROOT / name, root)
    for name in ("Task-1", "full"):
        (root / name).mkdir()
    (root / "Task-1" / "Task-1.py").write_text(SCRIPT, encoding="utf-8")
    Image.effect_noise((30, 20), 99).save(root / "photo.png")

    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(3)]
    saving.save_model(keras.Sequential([keras.Input((12, 12, 1)), *layers]), root / "own.keras")
    return root


@pytest.fixture
def checkout(tmp_path, original):
    return Path(shutil.copytree(original, tmp_path / original.name))


def run(checkout: Path, name: str, kind: str = "unchanged", out=".", stdout=subprocess.PIPE):
    """Run a command in a situation in the copy; it writes to `out`."""
    situation = SITUATIONS[kind]
    if situation.prefix and not is_possible(situation.prefix):
        pytest.skip(f"this machine does not allow {' '.join(situation.prefix[:3])}")
    environment = {**os.environ, "MPLBACKEND": "Agg", **situation.environment}
    for variable in ("PYTHONPATH", "PYTHONUNBUFFERED", "MPLCONFIGDIR", "KERAS_HOME"):
        environment.pop(variable, None)
    command = [part.replace("OUT", str(out)) for part in COMMANDS[name]]
    done = subprocess.run(
        [*situation.prefix, sys.executable, *command],
        cwd=checkout,
        env={name: value for name, value in environment.items() if value is not None},
        preexec_fn=situation.limit,
        timeout=SECONDS,
        check=False,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )
    done.stderr = done.stderr.decode(errors="replace")
    for word in ("Traceback", "Warning", "Exception ignored"):
        assert word not in done.stderr, done.stderr
    return done


def written(folder: Path, name: str):
    """Return what a command has written, to be compared."""
    if name == "lines":
        return lines.load(folder / "größe").images.tobytes()
    if name == "explain":
        return np.asarray(Image.open(folder / "größe.png")).tobytes()
    names = ("Task-1.ipynb", "results.json")
    return [(folder / "run" / "Task-1" / name).read_bytes() for name in names]


@pytest.fixture(scope="module")
def expected(tmp_path_factory, original):
    """What a command writes without any trouble; each runs once."""

    @functools.cache
    def of(name):
        folder = shutil.copytree(original, tmp_path_factory.mktemp(name) / original.name)
        done = run(folder, name)
        assert done.returncode == 0, done.stderr
        return written(folder, name)

    return of


def assert_one_sentence(done: subprocess.CompletedProcess, words: str) -> None:
    """The last line says what is wrong; before it there are only steps such as 'loading ...'."""
    *steps, sentence = done.stderr.splitlines()
    assert done.returncode == (1 if "tools.notebooks" in done.args else 2), done.stderr
    assert [step for step in steps if not step.endswith(" ...")] == []
    assert words in sentence


@pytest.mark.parametrize(("kind", "name"), WORKS)
def test_it_works_all_the_same(checkout, expected, kind, name):
    done = run(checkout, name, kind)
    assert done.returncode == 0, done.stderr
    assert written(checkout, name) == expected(name)


@pytest.mark.parametrize(("kind", "name"), SAYS)
def test_it_says_in_a_sentence_what_is_missing(checkout, kind, name):
    """Nothing half-written stays."""
    before = {path for path in checkout.rglob("*") if path.suffix != ".pyc"}
    out = "full" if kind == "full disk" else "Task-1"
    assert_one_sentence(run(checkout, name, kind, out=out), SAYS[kind, name])
    after = {path for path in checkout.rglob("*") if path.suffix != ".pyc"}
    assert {path for path in after - before if path.is_file()} == set()


@pytest.mark.parametrize("name", ["lines", "explain"])
def test_a_read_only_copy_writes_elsewhere(checkout, tmp_path, expected, name):
    done = run(checkout, name, "read-only", out=tmp_path)
    assert done.returncode == 0, done.stderr
    assert written(tmp_path, name) == expected(name)


def test_results_of_a_read_only_copy_are_kept(checkout, tmp_path, monkeypatch):
    """As in a notebook that somebody else executes."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = run(checkout, "results", "read-only")
    assert (done.returncode, done.stderr) == (0, "")
    said, path = done.stdout.decode().splitlines()
    assert "cannot be written: the results go to " in said
    assert Path(path).read_text() == '{\n "a": 1\n}\n' and Path(path).parent.parent == tmp_path


@pytest.mark.parametrize("name", ["lines", "explain", "notebook"])
def test_text_that_cannot_be_written(checkout, name):
    with open("/dev/full", "wb") as full:
        assert_one_sentence(run(checkout, name, stdout=full), "No space left on device")


def test_nobody_reads_the_text(checkout):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe:
        assert_one_sentence(run(checkout, "lines", stdout=pipe), "standard output: Broken pipe")


@pytest.mark.slow
def test_a_smoke_run_with_much_at_once(tmp_path):
    copy = tmp_path / "a copy for Zoë"
    ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "lines.npz")
    shutil.copytree(ROOT, copy, ignore=ignored)
    done = run(copy, "Task-1", "much at once", out=tmp_path / "out")
    assert done.returncode == 0, done.stderr
    notebook = nbformat.read(tmp_path / "out" / "Task-1.ipynb", as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


# ---------- two at once ----------


def both(checkout: Path, *commands: list[str]) -> tuple[list[int], str]:
    """Run commands at the same time; returns their exit codes and all that they say."""
    options = {"cwd": checkout, "stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    processes = [subprocess.Popen([sys.executable, *command], **options) for command in commands]
    said = [process.communicate(timeout=SECONDS)[1].decode() for process in processes]
    return [process.returncode for process in processes], "".join(said)


def test_a_notebook_twice_at_once(checkout, expected):
    codes, said = both(checkout, COMMANDS["notebook"], COMMANDS["notebook"])
    assert codes == [0, 0], said
    assert written(checkout, "notebook") == expected("notebook")


def test_two_datasets_in_one_folder(checkout):
    """One of them is written; the other one says why it is not."""
    command = ["-m", "cnnlab", "lines", "--per-class", "5", "--out", "out"]
    codes, said = both(checkout, *([*command, "--seed", seed] for seed in "12"))
    assert sorted(codes) == [0, 2], said
    assert "out is not empty" in said or "out was not written to its end" in said
    right = lines.generate(5, seed=1 + codes.index(0)).images
    assert np.array_equal(lines.load(checkout / "out").images, right)
