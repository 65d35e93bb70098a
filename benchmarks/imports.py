"""How long `import cnnlab` takes, in fresh processes and next to TensorFlow."""

import functools
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
    start = functools.partial(subprocess.run, **options)
    commands = {name: [sys.executable, "-c", code] for name, code in CODE.items()}
    return medians(**{name: functools.partial(start, each) for name, each in commands.items()})


def rows(seconds: dict) -> list[dict]:
    """Return the rows of the common table."""
    other = {"other": seconds["tensorflow"], "who": "TensorFlow"}
    return [{"work": work, "ours": seconds[name]} | other for name, work in WORK.items()]
