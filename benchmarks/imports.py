"""How long `import cnnlab` takes, in fresh processes and next to TensorFlow."""

import subprocess
import sys

from benchmarks.timing import medians
from cnnlab.runtime import repository_root

CODE = {
    "python": "pass",
    "cnnlab": "import cnnlab",
    "modules": "import cnnlab; from cnnlab import lines, metrics, mnist, plots, splits",
    "tensorflow": "import tensorflow",
}
WORK = {"cnnlab": "import cnnlab", "modules": "import of lines, metrics, mnist, plots, splits"}


def measure() -> dict[str, float]:
    """Return seconds of whole processes, medians: Python alone, cnnlab, TensorFlow."""
    options = {"cwd": repository_root(), "check": True, "capture_output": True}

    def importing(code):
        return lambda: subprocess.run([sys.executable, "-c", code], **options)

    return medians(**{name: importing(code) for name, code in CODE.items()})


def rows(found: dict) -> list[dict]:
    """Return the rows of the common table."""
    return [
        {"work": work, "ours": found[name], "other": found["tensorflow"], "who": "TensorFlow"}
        for name, work in WORK.items()
    ]
