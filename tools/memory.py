"""The most memory that a process and those it starts ever have."""

import threading

import psutil


class PeakMemory:
    """Looks at this process and its children until the block ends.

    ```
    with PeakMemory() as memory:
        ...
    memory.mebibytes
    ```

    Attributes:
        mebibytes: the most that all had together. Memory that several share is counted once where
            the system tells (Linux), otherwise in each.
    """

    def __init__(self, seconds_between: float = 1.0) -> None:
        self.mebibytes = 0.0
        self._seconds, self._ended = seconds_between, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        self._thread.join()

    def _look(self):
        this = psutil.Process()
        while True:
            used = sum(map(_bytes, [this, *this.children(recursive=True)]))
            self.mebibytes = max(self.mebibytes, used / 2**20)
            if self._ended.wait(self._seconds):
                return


def _bytes(process) -> int:
    try:
        found = process.memory_full_info()
        return getattr(found, "pss", found.rss)
    except psutil.Error:  # it has ended meanwhile
        return 0
