"""All tests of faults, the slow ones too, and what came out: make test-faults.

Every damaged file, wrong name, kill and scarce resource is a case of its own in `tests/faults`. How
many there are and how many passed is written to `tests/faults/outcomes.json`, for
`docs/what-it-withstands.md`.
`python -m tools.faults kills names` runs some of the files again, and keeps the others' outcomes.
"""

import ast
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from cnnlab import runtime
from cnnlab.saving import save_json

FOLDER = "tests/faults"
OUTCOMES = f"{FOLDER}/outcomes.json"
COUNTED = ("quick", "slow", "passed", "skipped", "failed")
MARKS = {"quick": "not fault", "slow": "fault"}


def run(root: Path, paths: list[str]) -> dict[str, Counter]:
    """Run test files; returns for each by its name what came out: COUNTED, and "seconds"."""
    counts: dict[str, Counter] = {}
    for speed, mark in MARKS.items():
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.xml"
            command = [sys.executable, "-m", "pytest", "-m", mark, f"--junitxml={report}", *paths]
            pytest = subprocess.run(command, cwd=root)
            if pytest.returncode not in (0, 1, 5):  # all passed, some failed, none has this mark
                pytest.check_returncode()
            for case in ElementTree.parse(report).iter("testcase"):
                file = re.findall(r"\btest_\w+", case.get("classname"))[-1] + ".py"
                tags = {child.tag for child in case}
                failed = tags & {"failure", "error"}
                outcome = "failed" if failed else "skipped" if "skipped" in tags else "passed"
                count = {speed: 1, outcome: 1, "seconds": float(case.get("time"))}
                counts.setdefault(file, Counter()).update(count)
    return counts


def store(root: Path, counts: dict[str, Counter]) -> None:
    """Write the outcomes of files next to those of the others that are still there."""
    path = root / OUTCOMES
    stored = json.loads(path.read_bytes())["files"] if path.exists() else {}
    for name, count in counts.items():
        docstring = ast.get_docstring(ast.parse((root / FOLDER / name).read_bytes()))
        topic = docstring.splitlines()[0].removesuffix(".")
        row = {"topic": topic, "seconds": round(count["seconds"], 1)}
        stored[name] = row | {key: count[key] for key in COUNTED}
    files = {name: stored[name] for name in sorted(stored) if (root / FOLDER / name).exists()}
    own = {"machine": runtime.machine(), "versions": runtime.versions()}
    save_json(own | {"files": files}, path)


if __name__ == "__main__":
    root = runtime.repository_root()
    counts = run(root, [f"{FOLDER}/test_{name}.py" for name in sys.argv[1:]] or [FOLDER])
    store(root, counts)
    sys.exit(int(any(count["failed"] for count in counts.values())))
