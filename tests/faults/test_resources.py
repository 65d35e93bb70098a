"""A full disk, one core, little memory, no home, no network: it works, or a sentence says why not.

The commands run in a small copy of the repository whose path has a space and a letter beyond ASCII.
What they write is compared with what they write without any trouble.
"""

import ast
import functools
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
import numpy as np
import pytest
from PIL import Image

from cnnlab import lines, runtime

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120  # more is a hang

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
    "lines": ["-m", "cnnlab", "lines", "--per-class", "1", "--out", "{out}/größe"],
    "explain": ["-m", "cnnlab", "explain", "--model", "own.keras", "--image", "photo.png"]
    + ["--out", "{out}/größe.png"],
    "notebook": ["-m", "tools.notebooks", "run"],
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


UNCHANGED = Situation()


def limited(kind: str, size: int) -> Situation:
    limits = (size, size)
    return Situation(limit=lambda: resource.setrlimit(getattr(resource, kind), limits))


def one_core() -> None:
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])


def locale(name: str, **environment) -> Situation:
    return Situation(environment={"LC_ALL": name, "LANG": None} | environment)


LOCAL = 'ip link set lo up 2>/dev/null || ifconfig lo up; exec "$@"'
ALONE = ("unshare", "--map-root-user", "--net")
STRICT = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
SITUATIONS = {
    "no home": Situation(environment={"HOME": None}),
    "no writable home": Situation(environment={"HOME": os.devnull}),
    "locale C": locale("C"),
    "locale POSIX": locale("POSIX"),
    "locale C, not UTF-8": locale("C", **STRICT),
    "locale POSIX, not UTF-8": locale("POSIX", **STRICT),
    "one core": Situation(limit=one_core),
    "4 GiB": limited("RLIMIT_AS", 4 << 30),
    "no network": Situation(prefix=(*ALONE, "sh", "-c", LOCAL, "sh")),
}


@functools.cache
def possible(*command: str) -> bool:
    """Say whether a command works on this machine."""
    if not shutil.which(command[0]):
        return False
    return subprocess.run([*command], capture_output=True, check=False).returncode == 0


def require_possible(situation: Situation) -> None:
    if situation.prefix and not possible(*situation.prefix, "true"):
        pytest.skip(f"this machine does not allow {' '.join(situation.prefix[:3])}")
    if situation.limit is one_core and not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system does not bind processes to cores")
    if situation is SITUATIONS["4 GiB"] and sys.platform != "linux":
        pytest.skip("only Linux keeps to a limit of address space")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A copy of the code with a small task, an own model and a photo."""
    root = tmp_path_factory.mktemp("original") / "a copy for Zoë"
    for name in ("cnnlab", "tools"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.txt", "constraints.txt"):
        shutil.copy(ROOT / name, root)
    (root / "Task-1").mkdir()
    (root / "Task-1" / "Task-1.py").write_text(SCRIPT, encoding="utf-8")
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(noise).save(root / "photo.png")

    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(3)]
    runtime.save_model(keras.Sequential([keras.Input((12, 12, 1)), *layers]), root / "own.keras")
    return root


@pytest.fixture
def checkout(tmp_path, original):
    return Path(shutil.copytree(original, tmp_path / original.name))


def run(
    checkout: Path, name: str, situation: Situation = UNCHANGED, out=".", **options
) -> subprocess.CompletedProcess:
    """Run a command in the copy; options are for `subprocess.run`."""
    environment = {**os.environ, "MPLBACKEND": "Agg", **situation.environment}
    for variable in ("PYTHONPATH", "PYTHONUNBUFFERED", "MPLCONFIGDIR", "KERAS_HOME"):
        environment.pop(variable, None)
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    done = subprocess.run(
        [*situation.prefix, sys.executable, *(part.format(out=out) for part in COMMANDS[name])],
        cwd=checkout,
        env={name: value for name, value in environment.items() if value is not None},
        preexec_fn=situation.limit,
        timeout=SECONDS,
        check=False,
        **options,
    )
    done.stderr = done.stderr.decode(errors="replace")
    return done


def written(folder: Path, name: str):
    """Return what a command has written, to be compared."""
    if name == "lines":
        return lines.load(folder / "größe").images.tobytes()
    if name == "explain":
        return np.asarray(Image.open(folder / "größe.png")).tobytes()
    text = (folder / "run" / "Task-1" / "Task-1.ipynb").read_bytes()
    return text, (folder / "run" / "Task-1" / "results.json").read_bytes()


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


def assert_calm(text: str) -> None:
    for word in ("Traceback", "Warning", "Exception ignored"):
        assert word not in text, text


def assert_one_sentence(done: subprocess.CompletedProcess, status: int, *words: str) -> None:
    """The last line says what is wrong; before it there are only steps such as 'loading ...'."""
    assert_calm(done.stderr)
    *steps, sentence = done.stderr.splitlines()
    assert done.returncode == status, done.stderr
    assert [step for step in steps if not step.endswith(" ...")] == []
    assert all(word in sentence for word in words), sentence


@pytest.mark.fault
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_it_works_all_the_same(checkout, expected, situation, name):
    require_possible(SITUATIONS[situation])
    if name == "explain" and "not UTF-8" in situation:
        checkout = checkout.rename(checkout.parent / "a copy for Zoe")  # see the next test
    done = run(checkout, name, SITUATIONS[situation])
    assert done.returncode == 0, done.stderr
    assert_calm(done.stderr)
    assert written(checkout, name) == expected(name)


@pytest.mark.fault
@pytest.mark.parametrize("name", ["C", "POSIX"])
def test_a_path_that_the_locale_does_not_know(checkout, name):
    """Only TensorFlow cannot work there."""
    if sys.platform != "linux":
        pytest.skip("only on Linux are paths read by the locale")
    done = run(checkout, "explain", locale(name, **STRICT))
    assert_one_sentence(done, 2, "set PYTHONUTF8=1")


# ---------- a full disk ----------


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


FULL = (
    "mount -t tmpfs -o size=40k none full && head -c 1000000 /dev/zero > full/zeros 2>/dev/null; "
    'exec "$@"'
)
FULL_DISK = Situation(prefix=("unshare", "--map-root-user", "--mount", "sh", "-c", FULL, "sh"))


@pytest.mark.fault
@pytest.mark.parametrize("name", ["lines", "explain"])
def test_a_full_disk(checkout, name):
    if not possible(
        "unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"
    ):
        pytest.skip("this machine does not let a user mount a small disk")
    (checkout / "full").mkdir()
    done = run(checkout, name, FULL_DISK, out="full")
    assert_one_sentence(done, 2, "No space left on device")


@pytest.mark.fault
@pytest.mark.parametrize("name", COMMANDS)
def test_files_that_become_too_large(checkout, name):
    """As with a full disk, nothing half-written stays."""
    (checkout / "new").mkdir()
    before = files(checkout)
    done = run(checkout, name, limited("RLIMIT_FSIZE", 64), out="new")
    assert_one_sentence(done, 1 if name == "notebook" else 2, "File too large")
    assert files(checkout) == before


@pytest.mark.fault
@pytest.mark.parametrize("name", COMMANDS)
def test_text_that_cannot_be_written(checkout, name):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "wb") as full:
        done = run(checkout, name, stdout=full)
    assert_one_sentence(done, 1 if name == "notebook" else 2, "No space left on device")


@pytest.mark.fault
def test_nobody_reads_the_text(checkout):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe:
        done = run(checkout, "lines", stdout=pipe)
    assert_one_sentence(done, 2, "standard output: Broken pipe")


# ---------- a copy that cannot be written ----------

FIXED = 'mount --bind . . && mount -o remount,ro,bind . && cd "$PWD" && exec "$@"'
READ_ONLY = ("unshare", "--map-root-user", "--mount", "sh", "-c", FIXED, "sh")


@pytest.fixture
def read_only(checkout):
    """A copy that cannot be written, and how to run something there."""
    if possible(*READ_ONLY, "true"):
        yield Situation(prefix=READ_ONLY)
    elif os.geteuid() == 0:
        pytest.skip("root can write everywhere, and this machine does not let it mount")
    else:
        subprocess.run(["chmod", "-R", "a-w", checkout], check=True)
        yield Situation()
        subprocess.run(["chmod", "-R", "u+w", checkout], check=True)


@pytest.mark.fault
@pytest.mark.parametrize("name", ["lines", "explain"])
def test_a_read_only_copy_writes_elsewhere(checkout, read_only, tmp_path, expected, name):
    done = run(checkout, name, read_only, out=tmp_path)
    assert done.returncode == 0, done.stderr
    assert written(tmp_path, name) == expected(name)
    assert_one_sentence(run(checkout, name, read_only), 2, "größe")


@pytest.mark.fault
def test_a_read_only_copy_says_so_before_the_work(checkout, read_only):
    done = run(checkout, "notebook", read_only)
    assert_one_sentence(done, 1, "run cannot be written, so no notebook was executed")
    assert done.stdout == b""


@pytest.mark.fault
def test_results_of_a_read_only_copy_are_kept(checkout, read_only, tmp_path, monkeypatch):
    """As in a notebook that somebody else executes: the dataset is made, the results are stored."""
    code = "from cnnlab import lines, notebook; lines.PER_CLASS = 1; lines.load(); "
    code += "print(notebook.outputs('Task-1').json({'a': 1}))"
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setitem(COMMANDS, "code", ["-c", code.replace("{", "{{").replace("}", "}}")])
    done = run(checkout, "code", read_only)
    assert (done.returncode, done.stderr) == (0, "")
    said, path = done.stdout.decode().splitlines()
    assert said.startswith("This copy of the repository cannot be written: the results go to ")
    assert Path(path).read_text() == '{\n "a": 1\n}\n' and Path(path).parent.parent == tmp_path


# ---------- memory and network ----------


@pytest.mark.fault
def test_too_little_address_space_is_said(checkout):
    if sys.platform != "linux":
        pytest.skip("only Linux keeps to a limit of address space")
    done = run(checkout, "explain", limited("RLIMIT_AS", 1 << 30))
    assert_one_sentence(done, 2, "TensorFlow needs 2,048 MiB", "`ulimit -v` allows 1,024 MiB")


TRAININGS = """
def train(units):
    import keras
    import numpy as np

    keras.utils.set_random_seed(units)
    layers = [keras.layers.Conv2D(units, 3), keras.layers.Flatten(), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    model.compile("adam", "mse")
    return model.fit(np.ones((64, 28, 28, 1)), np.ones((64, 1)), verbose=0).history["loss"]

if __name__ == "__main__":
    from cnnlab import parallel

    print(parallel.side_by_side({{"small": (train, 4), "large": (train, 8)}}))
"""


@pytest.mark.fault
@pytest.mark.parametrize("situation", ["4 GiB", "one core", "no network", "no home"])
def test_trainings_beside_each_other(checkout, monkeypatch, situation):
    require_possible(SITUATIONS[situation])
    monkeypatch.setitem(COMMANDS, "code", ["-c", TRAININGS])
    done = run(checkout, "code", SITUATIONS[situation])
    assert done.returncode == 0, done.stderr
    assert list(ast.literal_eval(done.stdout.decode())) == ["small", "large"]


@pytest.mark.fault
def test_a_notebook_without_even_the_loopback_interface(checkout):
    situation = Situation(prefix=ALONE)
    require_possible(situation)
    assert_one_sentence(run(checkout, "notebook", situation), 1, "127.0.0.1")


# ---------- two at once ----------


def start(checkout: Path, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=checkout,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.fault
def test_a_notebook_twice_at_once(checkout, expected):
    both = [start(checkout, *COMMANDS["notebook"]) for _ in range(2)]
    for process in both:
        assert process.wait(SECONDS) == 0, process.stderr.read()
    assert written(checkout, "notebook") == expected("notebook")


@pytest.mark.fault
@pytest.mark.parametrize("file_format", ["png", "npz"])
def test_two_datasets_in_one_folder(checkout, file_format):
    """One of them is written; the other one says why it is not."""
    options = ["--per-class", "5", "--format", file_format, "--out", "out"]
    both = [start(checkout, "-m", "cnnlab", "lines", *options, "--seed", seed) for seed in "12"]
    errors = [process.communicate(timeout=SECONDS)[1].decode() for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], errors
    winner = next(seed for seed, process in enumerate(both, 1) if process.returncode == 0)
    assert "out is not empty" in "".join(errors) or "out was not written to its end" in "".join(
        errors
    )
    path = checkout / "out" / ("lines.npz" if file_format == "npz" else "")
    assert np.array_equal(lines.load(path).images, lines.generate(5, winner).images)


# ---------- whole notebooks ----------

TROUBLE = SITUATIONS["no network"]._replace(
    limit=one_core, environment={"HOME": os.devnull, "LC_ALL": "POSIX"}
)


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("task", ["Task-2", "Task-3"])
@pytest.mark.parametrize("situation", [SITUATIONS["4 GiB"], TROUBLE], ids=["4 GiB", "alone"])
def test_a_smoke_run(tmp_path, monkeypatch, task, situation):
    """With little address space, or with one core, no network, no home and no locale."""
    require_possible(situation)
    copy = tmp_path / "a copy for Zoë"
    ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "lines.npz")
    shutil.copytree(ROOT, copy, ignore=ignored)
    command = ["-m", "tools.notebooks", "run", task, "--smoke", "{out}"]
    monkeypatch.setitem(COMMANDS, "smoke", command)
    monkeypatch.setattr(sys.modules[__name__], "SECONDS", 600)
    done = run(copy, "smoke", situation, out=tmp_path / "out")
    assert done.returncode == 0, done.stderr
    notebook = nbformat.read(tmp_path / "out" / f"{task}.ipynb", as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
