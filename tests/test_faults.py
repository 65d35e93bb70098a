"""How the cases of faults are counted."""

import json
from collections import Counter
from pathlib import Path

from tools import faults

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


def test_every_case_is_counted_once(tmp_path):
    (tmp_path / "test_cases.py").write_text(CASES)
    count = faults.run(ROOT, [str(tmp_path)])["test_cases.py"]
    assert count.pop("seconds") >= 0
    assert count == {"quick": 4, "slow": 3, "passed": 4, "skipped": 1, "failed": 2}


def test_files_that_were_not_run_keep_their_outcomes(tmp_path):
    folder = tmp_path / faults.FOLDER
    folder.mkdir(parents=True)
    for name in ("data", "kills", "gone"):
        (folder / f"test_{name}.py").write_text(f'"""Faults of {name}.\n\nMore."""')
    count = Counter(quick=2, slow=1, passed=3, seconds=4.04)
    faults.store(tmp_path, {"test_data.py": count, "test_gone.py": count})
    (folder / "test_gone.py").unlink()
    faults.store(tmp_path, {"test_kills.py": count + Counter(quick=5, failed=5)})
    stored = json.loads((tmp_path / faults.OUTCOMES).read_bytes())["files"]
    row = dict(count) | {"seconds": 4.0, "skipped": 0, "failed": 0, "topic": "Faults of data"}
    assert stored["test_data.py"] == row
    assert stored["test_kills.py"]["quick"] == 7 and len(stored) == 2


def test_the_readme_tells_of_all_files():
    stored = json.loads((ROOT / faults.OUTCOMES).read_bytes())["files"]
    assert set(stored) == {path.name for path in (ROOT / faults.FOLDER).glob("test_*.py")}
    assert all(row["failed"] == 0 for row in stored.values())
