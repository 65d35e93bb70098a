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


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name:28}{value:10.4g}")
