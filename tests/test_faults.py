"""How the cases of faults are counted."""

import ast
import json
import subprocess
import sys
from pathlib import Path

from tools import blocks, faults

ROOT = Path(__file__).resolve().parents[1]
CASES = """
import pytest

def test_right(): pass
def test_wrong(): assert False
def test_impossible(): pytest.skip("no such machine")

@pytest.mark.fault
@pytest.mark.parametrize("number", range(3))
def test_slow(number): pass

@pytest.fixture
def broken():
    yield
    raise OSError("it does not go away")

def test_that_ends_badly(broken): pass
"""
COUNT = """
import sys
import pytest
from tools.faults import Counter

counter = Counter()
pytest.main([sys.argv[1], "-m", "fault or not fault", "-p", "no:cacheprovider"], plugins=[counter])
print(counter.files)
"""


def test_every_case_is_counted_once(tmp_path):
    (tmp_path / "test_cases.py").write_text(CASES)
    command = [sys.executable, "-c", COUNT, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = ast.literal_eval(done.stdout.splitlines()[-1])["test_cases.py"]
    assert found.pop("seconds") >= 0
    assert found == {"quick": 4, "slow": 3, "passed": 4, "skipped": 1, "failed": 2}


def test_files_that_were_not_run_keep_their_outcomes(tmp_path):
    folder = tmp_path / faults.FOLDER
    folder.mkdir(parents=True)
    for name in ("data", "kills", "gone"):
        (folder / f"test_{name}.py").write_text(f'"""Faults of {name}.\n\nMore."""')
    row = {"quick": 2, "slow": 1, "passed": 3, "skipped": 0, "failed": 0, "seconds": 4.0}
    faults.store(tmp_path, {"test_data.py": row, "test_gone.py": row})
    (folder / "test_gone.py").unlink()
    faults.store(tmp_path, {"test_kills.py": row | {"quick": 7}})
    stored = json.loads((tmp_path / faults.OUTCOMES).read_text(encoding="utf-8"))
    assert {name: each["quick"] for name, each in stored["files"].items()} == {
        "test_data.py": 2,
        "test_kills.py": 7,
    }
    table = blocks.faults(stored).splitlines()
    assert table[2].startswith("| Faults of data | 2 | 1 | 3 |")
    assert table[-1].startswith("| together | 9 | 2 | 6 |")


def test_the_readme_tells_of_all_files():
    stored = json.loads((ROOT / faults.OUTCOMES).read_text(encoding="utf-8"))["files"]
    assert set(stored) == {path.name for path in (ROOT / faults.FOLDER).glob("test_*.py")}
    assert all(row["failed"] == 0 for row in stored.values())
