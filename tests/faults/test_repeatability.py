"""The same bytes whatever is around."""

import functools
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest
from damage import ROOT

TASKS = ("Task-1", "Task-2", "Task-3")
pytestmark = pytest.mark.fault
DIGEST = """
import hashlib
import numpy
from cnnlab import lines

sha = hashlib.sha256()
for array in lines.generate():
    sha.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
print(numpy.__version__, sha.hexdigest())
"""


def numpy_and_digest(python: str | Path) -> list[str]:
    """Return the version of NumPy in an environment, and the digest of the dataset made there."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [str(python), "-c", DIGEST]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def bounds() -> tuple[str, str]:
    """Return the lowest version of NumPy that requirements.txt allows, and all that it allows."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    allowed = re.search(r"^numpy(>=([\d.]+),<\d+)", text, re.MULTILINE)
    return f"=={allowed[2]}", allowed[1]


@pytest.mark.parametrize("which", ["lowest", "highest"])
def test_lines_are_the_same_with_another_numpy(tmp_path, which):
    """In a new environment that holds nothing but NumPy: the dataset needs no TensorFlow."""
    venv.create(tmp_path, symlinks=os.name != "nt")
    python = tmp_path / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = "numpy" + bounds()[which == "highest"]
    options = ["--quiet", "--only-binary", ":all:", "--retries", "0", "--disable-pip-version-check"]
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", *options, wanted]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{wanted} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    version, digest = numpy_and_digest(python)
    assert digest == numpy_and_digest(sys.executable)[1]
    if which == "lowest":
        assert version == bounds()[0].strip("=") + ".0" * (2 - bounds()[0].count("."))


def smoke_run(folder: Path, task: str, seed: int = 0) -> Path:
    """Execute a notebook with the quick budget in a copy of the repository; returns its path."""
    ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "lines.npz")
    shutil.copytree(ROOT, folder, ignore=ignored)
    script = folder / task / f"{task}.py"
    text = script.read_text(encoding="utf-8")
    assert text.count("\nSEED = 0\n") == 1
    script.write_text(text.replace("\nSEED = 0\n", f"\nSEED = {seed}\n"), encoding="utf-8")
    command = [sys.executable, "-m", "tools.notebooks", "run", task, "--smoke", "out"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "out" / f"{task}.ipynb"


def shown(path: Path) -> list:
    """Return what the cells of a notebook have put out, figures as text."""
    return [cell.get("outputs") for cell in nbformat.read(path, as_version=4).cells]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The notebook of a task, executed once."""
    folder = tmp_path_factory.mktemp("once")
    return functools.cache(lambda task: smoke_run(folder / f"{task} für Zoë", task))


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_notebook_comes_out_the_same_in_another_folder(tmp_path, first, task):
    assert smoke_run(tmp_path / "elsewhere", task).read_bytes() == first(task).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_another_seed_gives_other_results(tmp_path, first, task):
    pairs = zip(shown(smoke_run(tmp_path / "other", task, seed=1)), shown(first(task)), strict=True)
    assert sum(other != one for other, one in pairs) >= 5
