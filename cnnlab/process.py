"""What TensorFlow needs of the process that it starts in, and when a process has to end."""

import functools
import multiprocessing
import os
import sys
import threading
import time

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None

ADDRESS_SPACE = 2 << 30  # bytes; TensorFlow starts with so much, and not with half


def require_readable_path() -> None:
    """Refuse to go on where TensorFlow would only say that a string cannot be cast.

    Raises:
        ValueError: this locale cannot read the name of the folder that this file is in.
    """
    try:
        __file__.encode()
    except UnicodeEncodeError:
        raise ValueError(
            "TensorFlow cannot work in a folder whose name has letters that the locale does not "
            f"know ({sys.getfilesystemencoding()}): set PYTHONUTF8=1"
        ) from None


def require_address_space() -> None:
    """Refuse to go on where TensorFlow would end Python without a word.

    Raises:
        MemoryError: `ulimit -v` leaves less than ADDRESS_SPACE.
    """
    if resource is None:
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < ADDRESS_SPACE:
        raise MemoryError(
            f"TensorFlow needs {ADDRESS_SPACE >> 20:,} MiB of address space or more, "
            f"but `ulimit -v` allows {limit >> 20:,} MiB"
        )


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
