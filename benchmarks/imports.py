"""How long `import cnnlab` takes, in fresh processes and beside TensorFlow. From the root:

.venv/bin/python -m benchmarks.imports
"""

import subprocess
import sys

from benchmarks.timing import interleaved
from cnnlab.runtime import repository_root

WITHOUT_TENSORFLOW = "import cnnlab; from cnnlab import lines, metrics, mnist, plots, splits"


def measure(rounds: int = 5) -> dict[str, float]:
    """Return seconds of whole processes, medians: Python alone, cnnlab, TensorFlow."""

    def run(code):
        subprocess.run(
            [sys.executable, "-c", code], cwd=repository_root(), check=True, capture_output=True
        )

    found = interleaved(
        rounds,
        python=lambda: run("pass"),
        cnnlab=lambda: run("import cnnlab"),
        modules=lambda: run(WITHOUT_TENSORFLOW),
        tensorflow=lambda: run("import tensorflow"),
    )
    return {name: times["median"] for name, times in found.items()}


def rows(found: dict) -> list[dict]:
    """Return the rows of the common table."""
    others = {
        "cnnlab": "import cnnlab",
        "modules": "import of lines, metrics, mnist, plots, splits",
    }
    return [
        {"work": words, "ours": found[name], "other": found["tensorflow"], "who": "TensorFlow"}
        for name, words in others.items()
    ]


if __name__ == "__main__":
    from benchmarks.__main__ import table

    print(table(rows(measure())))
