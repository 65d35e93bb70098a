"""The library that Keras computes with: the visualizer needs TensorFlow."""

import contextlib
import json
import os
import sys
from pathlib import Path


def require_tensorflow_backend() -> None:
    """Find out which backend Keras works with, or is set to, without importing it.

    Raises:
        ValueError: it is another one than TensorFlow, which may not even be installed.
    """
    if "keras" in sys.modules:
        backend, where = sys.modules["keras"].backend.backend(), "was imported with"
    elif backend := os.environ.get("KERAS_BACKEND"):
        where = "is set by the environment variable KERAS_BACKEND to"
    else:
        settings = Path(os.environ.get("KERAS_HOME", "~/.keras"), "keras.json").expanduser()
        where = f"is set in {settings} to"
        backend = "tensorflow"
        with contextlib.suppress(OSError, ValueError):  # not there or damaged, as Keras allows
            backend = json.loads(settings.read_text()).get("backend", "tensorflow")
    if backend != "tensorflow":
        raise ValueError(
            f"Keras {where} {backend!r}, and this needs TensorFlow: set KERAS_BACKEND=tensorflow "
            "in the environment before Keras is imported"
        )
