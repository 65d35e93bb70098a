"""The study repeats just what the notebook teaches, notices when that changes, and resumes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import recipes, studies

ROOT = Path(__file__).resolve().parents[1]
CODE = '''
from math import pi, tau
RATE, EPOCHS = 1, 2
if EPOCHS:
    SIZE = 3
def inner(x):
    """Doc."""
    return x * RATE
def outer(x):
    return inner(x) + pi
def other():
    return SIZE
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [("x * RATE", "x + RATE"), ("RATE, EPOCHS = 1", "RATE, EPOCHS = 9"), ("+ pi", "- pi")],
)
def test_digest_follows_what_is_used(old, new):
    assert recipes.digest(CODE, ["outer"]) != recipes.digest(CODE.replace(old, new), ["outer"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SIZE = 3", "SIZE = 4"),
        ("Doc.", "Text."),
        ("pi, tau", "pi, e"),
        ("return SIZE", "return 1"),
    ],
)
def test_digest_ignores_what_is_not(old, new):
    assert recipes.digest(CODE, ["outer"]) == recipes.digest(CODE.replace(old, new), ["outer"])


def test_digest_follows_into_modules_and_names_what_is_missing(tmp_path):
    module = tmp_path / "module.py"
    code = "from module import helped\ndef final():\n    return helped()\n"

    def digest(text):
        module.write_text(text)
        return recipes.digest(code, ["final"], [module])

    text = "A, B = 1, 2\ndef helped():\n    return A\ndef unused():\n    return 5\n"
    assert digest(text) == digest(text.replace("5", "6"))
    assert digest(text) != digest(text.replace("A, B = 1", "A, B = 7"))
    with pytest.raises(KeyError, match="absent"):
        recipes.digest(CODE, ["absent"])


def study_module():
    sys.path.insert(0, str(ROOT / "Task-1"))
    try:
        import study
    finally:
        sys.path.pop(0)
    return study


def test_committed_study_is_of_the_current_recipe():
    study, stored = study_module(), json.loads((ROOT / "Task-1" / "study.json").read_text())
    current = study.digests()
    for key, run in stored["runs"].items():
        assert run["recipe"] == current[key.partition("/")[0]], f"{key} is of an older recipe"
    for name in ("final-mnist-official", "final-lines"):
        assert not studies.missing(stored["runs"], study.runs_of(name, current))


@pytest.mark.slow
def test_study_goes_on_where_it_was_stopped(tmp_path):
    path = tmp_path / "study.json"
    command = [sys.executable, "Task-1/study.py", "--only", "part1-lines", "--out", str(path)]
    options = {
        "cwd": ROOT,
        "env": os.environ | {"CNNLAB_BUDGET": "smoke"},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.DEVNULL,
        "text": True,
    }
    with subprocess.Popen(command, **options) as process:
        for line in process.stdout:
            if "part1-lines/0" in line:  # printed when it is stored
                process.kill()
    stopped = json.loads(path.read_text())["runs"]
    assert "part1-lines/0" in stopped  # another one may have been stored at the same time
    printed = subprocess.run(command, check=True, **options).stdout
    finished = json.loads(path.read_text())["runs"]
    assert len(finished) == len(study_module().EXPERIMENTS["part1-lines"].seeds)
    assert all(finished[key] == run for key, run in stopped.items())
    assert not any(key in printed for key in stopped)
