"""What the execution of the committed notebooks took: seconds and memory of each."""

import json

from cnnlab.runtime import repository_root


def measure() -> dict[str, dict]:
    """Return {task: {"seconds", "peak_mebibytes", "machine"}}, as their execution wrote them."""
    return {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(repository_root().glob("Task-*/execution.json"))
    }
