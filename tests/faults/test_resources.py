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

import numpy as np
import pytest
from damage import ROOT
from PIL import Image

from cnnlab import lines, saving

if sys.platform != "linux":
    pytest.skip("only Linux keeps to these limits", allow_module_level=True)

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
COMMANDS = {
    "lines": ["-m", "cnnlab", "lines", "--per-class", "1", "--out", "OUT/größe"],
    "explain": ["-m", "cnnlab", "explain", "--model", "own.keras", "--image", "photo.png"]
    + ["--out", "OUT/größe.png"],
    "large": ["-m", "cnnlab", "explain", "--model", "large.keras", "--image", "photo.png"]
    + ["--out", "OUT/größe.png"],
    "notebook": ["-m", "tools.notebooks", "run"],
}


def shell(before: str, after: str = "") -> tuple[str, ...]:
    """Return the beginning of a command whose rest is executed after some others."""
    return ("sh", "-c", f'{before} exec "$@" {after}', "sh")


C = ("env", "-u", "LANG", "LC_ALL=C")
ALONE = ("unshare", "--map-root-user", "--net")
MOUNTED = ("unshare", "--map-root-user", "--mount")
SITUATIONS = {  # how a command begins that is in that situation
    "unchanged": (),
    "no home": ("env", "-u", "HOME"),
    "locale C": C,
    "not UTF-8": (*C, "PYTHONUTF8=0", "PYTHONCOERCECLOCALE=0"),
    "another backend": ("env", "KERAS_BACKEND=jax"),
    "one core": ("taskset", "-c", str(min(os.sched_getaffinity(0)))),
    "4 GiB": shell("ulimit -v 4194304;"),
    "1 GiB": shell("ulimit -v 1048576;"),
    "small files": ("prlimit", "--fsize=64"),
    "full terminal": shell("", "> /dev/full"),
    "no network": (*ALONE, *shell("ip link set lo up 2>/dev/null || ifconfig lo up;")),
    "no loopback interface": ALONE,
    "read-only": (*MOUNTED, *shell('mount --bind . . && mount -o remount,ro,bind . && cd "$PWD";')),
    "full disk": (
        *MOUNTED,
        *shell("mount -t tmpfs -o size=40k none full && cp /dev/zero full/zeros 2>/dev/null;"),
    ),
}
WORKS = [  # in a situation a command comes out as without it
    ("locale C", "explain"),
    ("not UTF-8", "lines"),
    ("no home", "explain"),
    ("another backend", "explain"),
    ("one core", "explain"),
    ("4 GiB", "explain"),
    ("no network", "notebook"),
]
SAYS = {  # a situation and a command: what it says
    ("not UTF-8", "explain"): "set PYTHONUTF8=1",  # only TensorFlow cannot work there
    ("1 GiB", "explain"): "2,048 MiB",
    ("4 GiB", "large"): "images of 512 × 512 pixels need about 12.0 GiB of memory, and",
    ("no loopback interface", "notebook"): "127.0.0.1",
    ("full disk", "explain"): "No space left on device",
    ("small files", "notebook"): "File too large",
    ("read-only", "explain"): "größe",
    ("read-only", "notebook"): "run cannot be written",
    ("full terminal", "notebook"): "No space left on device",
}


@functools.cache
def is_possible(situation: str) -> bool:
    """Say whether commands can be in a situation on this machine."""
    prefix = SITUATIONS[situation]
    if prefix[:3] == MOUNTED:
        prefix = (*MOUNTED, "mount", "-t", "tmpfs", "none", "/mnt")
    try:
        return subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


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
    layers = [keras.layers.Conv2D(4096, 1), keras.layers.GlobalAveragePooling2D()]
    large = keras.Sequential([keras.Input((512, 512, 1)), *layers, keras.layers.Dense(3)])
    saving.save_model(large, root / "large.keras")
    return root


@pytest.fixture
def checkout(tmp_path, original):
    return Path(shutil.copytree(original, tmp_path / original.name))


def run(checkout: Path, name: str, situation: str = "unchanged", out=".", **options):
    """Run a command in the copy, which writes to `out`; options are for `subprocess.run`."""
    if situation != "unchanged" and not is_possible(situation):
        pytest.skip(f"this machine does not allow {SITUATIONS[situation]}")
    environment = os.environ | {"MPLBACKEND": "Agg"}
    for variable in ("PYTHONPATH", "PYTHONUNBUFFERED", "MPLCONFIGDIR", "KERAS_HOME"):
        environment.pop(variable, None)
    command = [part.replace("OUT", str(out)) for part in COMMANDS[name]]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": SECONDS} | options
    command = [*SITUATIONS[situation], sys.executable, *command]
    done = subprocess.run(command, cwd=checkout, env=environment, **options)
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


def test_a_read_only_copy_writes_elsewhere(checkout, tmp_path, expected):
    done = run(checkout, "explain", "read-only", out=tmp_path)
    assert done.returncode == 0, done.stderr
    assert written(tmp_path, "explain") == expected("explain")


def test_nobody_reads_the_text(checkout):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe:
        assert_one_sentence(run(checkout, "lines", stdout=pipe), "standard output: Broken pipe")


# --- two at once


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
