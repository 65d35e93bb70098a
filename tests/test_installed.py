"""The package as `pip install .` makes it, called from a folder outside of the repository."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
EXPLAIN = ["cnnlab", "explain", "--image", "x.png", "--out", "a.png", "--model"]


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    """A function that runs a program of the installed package: (exit code, what it printed)."""
    site, folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere")
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(folder / "x.png")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, *offline, "--target", site, ROOT], check=True)
    environment = os.environ | {"PYTHONPATH": str(site)}

    def run(program, *arguments):
        command = [sys.executable, "-c", program] if "\n" in program else [site / "bin" / program]
        options = {"env": environment, "cwd": folder, "text": True, "stderr": subprocess.STDOUT}
        done = subprocess.run([*command, *arguments], stdout=subprocess.PIPE, **options)
        return done.returncode, done.stdout

    return run


def test_lines_are_written_without_tensorflow(call):
    assert call("cnnlab", "lines", "--out", "d", "--per-class", "1") == (0, "d: 96 images as png\n")
    code = """
import sys, cnnlab.__main__
from cnnlab import lines
assert "tensorflow" not in sys.modules
print(len(lines.load().images))  # with no folder to keep them in
"""
    assert call(code) == (0, "96000\n")


def test_messages_name_the_command_as_it_was_called(call):
    status, said = call(*EXPLAIN, "task2")
    assert status == 2 and said.count("\n") == 1
    assert said.startswith("cnnlab explain: error: --model: the model task2 belongs to the cnnlab")


def test_a_model_of_ones_own_is_explained(call):
    code = """
import keras, cnnlab, sys
layers = [keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")]
keras.Sequential([keras.Input((28, 28, 1)), *layers]).save("own.keras")
"""
    assert call(code)[0] == 0
    status, said = call(*EXPLAIN, "own.keras")
    assert status == 0 and said.splitlines()[-1].startswith("a.png: ")
