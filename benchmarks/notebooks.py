"""What the last `make run` took: seconds and memory of each notebook. From the root:

.venv/bin/python -m benchmarks.notebooks
"""

import json

from cnnlab.runtime import repository_root


def measure() -> dict[str, dict]:
    """Return {task: {"seconds", "peak_mebibytes", "machine"}}, as `make run` wrote them down."""
    return {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(repository_root().glob("Task-*/execution.json"))
    }


def table(found: dict[str, dict]) -> str:
    """Return what `measure` found as text."""
    lines = [f"{'notebooks, as make run executed them last':44}{'seconds':>9}{'MiB':>8}"]
    for task, cost in found.items():
        lines.append(f"{task:44}{cost['seconds']:9.0f}{cost['peak_mebibytes']:8,}")
    together = sum(cost["seconds"] for cost in found.values())
    return "\n".join([*lines, f"{'together':44}{together:9.0f}"])


if __name__ == "__main__":
    print(table(measure()))
