"""The contract in pyproject.toml holds, and import-linter sees a planted breach of it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def copy(tmp_path):
    """A copy of the package and its contract, which import-linter looks at instead."""
    shutil.copytree(ROOT / "cnnlab", tmp_path / "cnnlab")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path / "cnnlab"


def lint(package):
    """Run import-linter in a process of its own, where the package is not imported yet."""
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    ran = subprocess.run(
        [sys.executable, "-c", command], cwd=package.parent, capture_output=True, text=True
    )
    return ran.returncode, ran.stdout


def test_no_import_runs_upwards(copy):
    code, report = lint(copy)
    assert code == 0, report


@pytest.mark.parametrize("module", ["saving", "interpret/model/graph"])
def test_an_import_that_runs_upwards_is_noticed(copy, module):
    file = copy / f"{module}.py"
    file.write_text("from cnnlab import command_line\n" + file.read_text())
    code, report = lint(copy)
    assert code == 1 and f"cnnlab.{module.replace('/', '.')} -> cnnlab.command_line" in report
