"""The same bytes whatever is around."""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest
from damage import ROOT, printed

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


@pytest.mark.parametrize("which", ["lowest", "highest"])
def test_lines_are_the_same_with_another_numpy(tmp_path, which):
    """In a new environment that holds nothing but NumPy: the dataset needs no TensorFlow."""
    venv.create(tmp_path, symlinks=os.name != "nt")
    python = tmp_path / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    allowed, lowest = re.search(r"^numpy(>=([\d.]+),<\d+)", text, re.MULTILINE).groups()
    wanted = f"numpy=={lowest}" if which == "lowest" else f"numpy{allowed}"
    options = ["--quiet", "--only-binary", ":all:", "--retries", "0", "--disable-pip-version-check"]
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", *options, wanted]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{wanted} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    version, digest = printed(DIGEST, python=python).split()
    assert digest == printed(DIGEST).split()[1]
    assert which == "highest" or version == f"{lowest}.0"


def smoke_run(folder: Path, task: str, seed: int = 0, **variables: str) -> Path:
    """Execute a notebook with the quick budget in a copy of the repository; returns its path."""
    ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "lines.npz")
    shutil.copytree(ROOT, folder, ignore=ignored)
    script = folder / task / f"{task}.py"
    text = script.read_text(encoding="utf-8")
    assert text.count("\nSEED = 0\n") == 1
    script.write_text(text.replace("\nSEED = 0\n", f"\nSEED = {seed}\n"), encoding="utf-8")
    command = [sys.executable, "-m", "tools.notebooks", "run", task, "--smoke", "out"]
    options = {"env": os.environ | variables, "capture_output": True, "text": True}
    done = subprocess.run(command, cwd=folder, check=False, **options)
    assert done.returncode == 0, done.stderr
    return folder / "out" / f"{task}.ipynb"


@pytest.mark.slow
@pytest.mark.parametrize("task", ["Task-1", "Task-2", "Task-3"])
def test_a_notebook_depends_on_its_seed_and_on_nothing_around(tmp_path, task):
    """Not on the folder, the user's home, or the locale."""
    first = smoke_run(tmp_path / "elsewhere", task)
    around = {"HOME": os.devnull, "LC_ALL": "POSIX"}
    second = smoke_run(tmp_path / "a copy für Zoë", task, **around)
    assert second.read_bytes() == first.read_bytes()
    other = smoke_run(tmp_path / "other", task, seed=1)
    pairs = zip(*(nbformat.read(path, 4).cells for path in (first, other)), strict=True)
    assert sum(one.get("outputs") != another.get("outputs") for one, another in pairs) >= 5
