"""Several trainings at a time, each in a process of its own where TensorFlow uses one core.

Small networks hardly use a second core. And as the cores of each are fixed, their number on a
computer decides how long the work takes, not what comes out.
"""

import contextlib
import functools
import gc
import multiprocessing
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import cloudpickle
import joblib
from joblib.externals.loky import get_reusable_executor

from cnnlab import runtime

THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")  # read once by each process
DONE = ".done"  # the suffix of a file that says that a job has printed all
MOST_PROCESSES = 4  # each needs about a gibibyte of memory
# Memory in pages of 2 MiB instead of 4 KiB, where Linux has them: training reads and writes much of
# it, and the processor finds it sooner. Read when a process starts; other C libraries ignore it.
LARGE_PAGES = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")


def side_by_side(jobs: Mapping[str, tuple[Callable, ...]]) -> dict[str, object]:
    """Call functions in other processes, as many at a time as there are cores.

    Jobs are {name: (function, *arguments)}. A function can be defined in a notebook; its result
    must be something that can be pickled, such as a Keras model. They begin in their order, so
    short ones should come last: all cores are busy to the end. What a job prints is shown under its
    name, as it comes, but in the order of the jobs: so the text is the same in each run. Large
    arrays cannot be written there. Returns {name: result}. When a job fails, RuntimeError names it,
    and the others are given up.
    """
    # With a single process, joblib would do the jobs in this one, where TensorFlow has its cores.
    processes = max(2, min(joblib.cpu_count(), len(jobs), MOST_PROCESSES))
    workers = joblib.Parallel(n_jobs=processes, batch_size=1)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        files = {name: Path(folder, f"{number}.txt") for number, name in enumerate(jobs)}
        try:
            with warnings.catch_warnings(), _large_pages(), _shown(files):
                # A process whose memory has grown is replaced by a new one, which is welcome.
                warnings.filterwarnings("ignore", "A worker stopped while some jobs were given")
                # As bytes, a function is unpickled in `_do`: it may import TensorFlow, with noise.
                results = workers(
                    joblib.delayed(_do)(name, files[name], cloudpickle.dumps(function), arguments)
                    for name, (function, *arguments) in jobs.items()
                )
        finally:
            get_reusable_executor().shutdown()  # or joblib would keep the processes and memory
    return dict(zip(jobs, results, strict=True))


@contextlib.contextmanager
def _shown(files: Mapping[str, Path]) -> Iterator[None]:
    """Print what jobs write into their files, one after the other, each under its name."""
    ended = threading.Event()

    def follow() -> None:
        for name, file in files.items():
            place, done = 0, False
            while not done:
                done = ended.wait(0.1) or file.with_suffix(DONE).exists()
                with contextlib.suppress(FileNotFoundError):
                    text = file.read_text("utf-8")
                    whole = len(text) if done else text.rfind("\n") + 1
                    heading = f"{name}\n" if whole and not place else ""
                    print(heading + text[place:whole], end="", flush=True)
                    place = whole

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def _large_pages() -> Iterator[None]:
    """Let processes that start meanwhile use LARGE_PAGES, unless the caller has set other ones."""
    variable, value = LARGE_PAGES
    was_set = variable in os.environ
    os.environ.setdefault(variable, value)
    try:
        yield
    finally:
        if not was_set:
            del os.environ[variable]


def _do(name, file, pickled, arguments):
    use_one_core()
    start_process()
    function = cloudpickle.loads(pickled)
    try:
        with (
            file.open("w", encoding="utf-8", buffering=1) as text,
            contextlib.redirect_stdout(text),
        ):
            result = function(*arguments)
    except Exception as error:
        raise RuntimeError(f"{name} failed: {type(error).__name__}: {error}") from error
    finally:
        file.with_suffix(DONE).touch()
    return result


def start_process() -> None:
    """Start TensorFlow for a training; called again, it starts over as if for the first time.

    Batch normalization is done by the fused kernel. A process of joblib ends with its parent.
    """
    end_with_parent()
    runtime.start(seed=0)
    import keras

    from cnnlab.training import fused_batch_norm  # here, because it imports TensorFlow

    fused_batch_norm.switch_on(quiet=True)
    keras.utils.clear_session()  # or graphs and images of earlier jobs would stay in memory
    gc.collect()


def use_one_core() -> None:
    """Tell TensorFlow, which this process has not imported yet, to use one core."""
    os.environ.update(dict.fromkeys(THREADS, "1"))


@functools.cache
def end_with_parent() -> None:
    """Let a process of joblib end, within a second or two, when the one that started it was killed.

    joblib's own processes would wait for more work, for minutes and with a gibibyte each.
    """
    parent = multiprocessing.parent_process()
    if parent is None or "Loky" not in multiprocessing.current_process().name:
        return

    def watch() -> None:
        while os.getppid() == parent.pid:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
