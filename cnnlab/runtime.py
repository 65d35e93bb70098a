"""How a notebook starts, what budget it has, and what it says about itself.

Importing this module does not import TensorFlow; `start` does.
"""

import atexit
import contextlib
import importlib.metadata
import logging
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None

ADDRESS_SPACE = 2 << 30  # bytes; TensorFlow starts with so much, and not with half
BUDGETS = ("full", "smoke")
PACKAGES = (
    "tensorflow",
    "keras",
    "numpy",
    "scipy",
    "matplotlib",
    "opencv-python-headless",
    "pillow",
    "scikit-learn",
)


def repository_root() -> Path:
    """Return the root, from this file or the current folder upwards; or FileNotFoundError."""
    for start_folder in (Path(__file__).resolve().parent, Path.cwd()):
        for folder in (start_folder, *start_folder.parents):
            if (folder / "pyproject.toml").is_file() and (folder / "cnnlab").is_dir():
                return folder
    raise FileNotFoundError("this is not inside a copy of the cnnlab repository")


def data_folder() -> Path:
    """Return the repository's `data` folder."""
    return repository_root() / "data"


def budget() -> str:
    """Return "full", or "smoke" when CNNLAB_BUDGET asks for a run of seconds; or ValueError."""
    value = os.environ.get("CNNLAB_BUDGET", "").strip().lower() or "full"
    if value not in BUDGETS:
        raise ValueError(f"CNNLAB_BUDGET is {value!r}; it can be {' or '.join(BUDGETS)}")
    return value


def in_smoke() -> bool:
    """Say whether this run only checks that everything works."""
    return budget() == "smoke"


def use_writable_settings_folders() -> None:
    """Give Matplotlib, Keras and IPython a temporary settings folder when no home can be written.

    They would warn on stderr, in the middle of a notebook; also when its first start on a
    computer spends more than 5 seconds on the list of fonts.
    """
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    if os.access(os.path.expanduser("~"), os.W_OK | os.X_OK):
        return
    for variable in {"MPLCONFIGDIR", "KERAS_HOME", "IPYTHONDIR"}.difference(os.environ):
        os.environ[variable] = tempfile.mkdtemp(prefix="cnnlab-settings-")
        atexit.register(shutil.rmtree, os.environ[variable], ignore_errors=True)


def start(seed: int) -> None:
    """Import TensorFlow without its start-up lines, and make what follows repeatable.

    Python, NumPy and Keras get the seed, and TensorFlow only uses operations that give the same
    bits in each run on one machine. Another processor or number of cores may still round
    differently. Called again, it starts over from the seed. Raises ValueError or MemoryError where
    TensorFlow could not be imported.
    """
    _require_fit_surroundings()
    with _silent_file_descriptor(2):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        tf.constant(0)  # the first one sets the devices up, which writes lines too
    import absl.logging
    import keras

    tf.get_logger().setLevel(logging.ERROR)
    absl.logging.set_verbosity(absl.logging.ERROR)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def _require_fit_surroundings() -> None:
    """Refuse a folder or limit of memory with which TensorFlow would end without a clear word."""
    try:
        __file__.encode()
    except UnicodeEncodeError:
        raise ValueError(
            "TensorFlow cannot work in a folder whose name has letters that the locale does not "
            f"know ({sys.getfilesystemencoding()}): set PYTHONUTF8=1"
        ) from None
    if resource is None:
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < ADDRESS_SPACE:
        raise MemoryError(
            f"TensorFlow needs {ADDRESS_SPACE >> 20:,} MiB of address space or more, "
            f"but `ulimit -v` allows {limit >> 20:,} MiB"
        )


@contextlib.contextmanager
def _silent_file_descriptor(number: int) -> Iterator[None]:
    """Point a file descriptor at the null device: C++ code does not go through `sys.stderr`."""
    saved = os.dup(number)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, number)
        yield
    finally:
        os.dup2(saved, number)
        os.close(null)
        os.close(saved)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape the results."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            installed[package] = "not installed"
    return installed


def machine() -> dict[str, str | int]:
    """Describe the computer: system, processor, cores this process may use, memory in GiB."""
    cores, memory = os.cpu_count() or 1, "unknown"
    if hasattr(os, "sched_getaffinity"):  # Linux: a container may allow fewer than there are
        cores = len(os.sched_getaffinity(0))
    if hasattr(os, "sysconf"):  # not on Windows
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor_name(),
        "cores": cores,
        "memory_gib": memory,
    }


def _processor_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()
