"""All tests of faults, the slow ones too, and what came out: make test-faults

Every damaged file, wrong name, kill and scarce resource is a case of its own in `tests/faults`. How
many there are and how many passed is written to `tests/faults/outcomes.json`, for the README.
`python -m tools.faults kills names` runs some of the files anew, and keeps the others' outcomes.
"""

import ast
import json
import sys
from pathlib import Path

import pytest

from cnnlab import runtime

FOLDER = "tests/faults"
OUTCOMES = f"{FOLDER}/outcomes.json"
COUNTED = ("quick", "slow", "passed", "skipped", "failed", "seconds")


class Counter:
    """A plugin of pytest that counts the cases of each file.

    Attributes:
        files: {file name: {"quick" and "slow": cases, "passed", "skipped" and "failed": how they
            ended, "seconds": together}}.
    """

    def __init__(self) -> None:
        self.files: dict[str, dict[str, float]] = {}

    def pytest_collection_finish(self, session) -> None:
        """Count the cases; called by pytest when it has found them."""
        for item in session.items:
            found = self.files.setdefault(item.path.name, dict.fromkeys(COUNTED, 0))
            found["slow" if item.get_closest_marker("fault") else "quick"] += 1

    def pytest_runtest_logreport(self, report) -> None:
        """Count how a case ended; called by pytest for each of its three steps."""
        found = self.files[Path(report.location[0]).name]
        found["seconds"] = round(found["seconds"] + report.duration, 1)
        # A case that fails or is skipped before it begins has no call; one that ends badly has two.
        if report.when == "call" or (report.when == "setup" and not report.passed):
            found[report.outcome] += 1
        elif report.failed:
            found["passed"] -= 1
            found["failed"] += 1


def topic(file: Path) -> str:
    """Return what a file tests: the first line of its docstring."""
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or file.stem
    return docstring.splitlines()[0].removesuffix(".")


def store(root: Path, outcomes: dict[str, dict[str, float]]) -> None:
    """Write the outcomes of files beside those of the others that are still there."""
    path = root / OUTCOMES
    stored = json.loads(path.read_text(encoding="utf-8"))["files"] if path.exists() else {}
    stored |= {name: {"topic": topic(root / FOLDER / name)} | row for name, row in outcomes.items()}
    files = {name: stored[name] for name in sorted(stored) if (root / FOLDER / name).exists()}
    own = {"machine": runtime.machine(), "versions": runtime.versions()}
    runtime.save_json(own | {"files": files}, path)


def main(names: list[str]) -> int:
    """Run the files `tests/faults/test_NAME.py`, or all; returns pytest's exit code."""
    root, counter = runtime.repository_root(), Counter()
    chosen = [f"{FOLDER}/test_{name}.py" for name in names] or [FOLDER]
    places = [str(root / place) for place in chosen]
    options = ["--rootdir", str(root), "-m", "fault or not fault"]
    status = pytest.main([*places, *options], plugins=[counter])
    if status in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        store(root, counter.files)
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
