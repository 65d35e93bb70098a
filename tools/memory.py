"""The most memory that a process and those it starts ever have."""

import threading

import psutil


class PeakMemory(threading.Thread):
    """Looks at this process and its children until the `with` block ends.

    Attributes:
        mebibytes: the most that all had together. Memory that several share is counted once where
            the system tells (Linux), otherwise in each.
    """

    def __init__(self, seconds_between: float = 1.0) -> None:
        super().__init__(daemon=True)
        self.mebibytes = 0.0
        self._seconds, self._ended = seconds_between, threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        self.join()

    def run(self):
        """Look, for the last time when the block has ended."""
        this, ended = psutil.Process(), False
        while not ended:
            ended = self._ended.wait(self._seconds if self.mebibytes else 0)
            used = sum(map(_bytes, [this, *this.children(recursive=True)]))
            self.mebibytes = max(self.mebibytes, used / 2**20)


def _bytes(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
        return getattr(memory, "pss", memory.rss)
    except psutil.Error:  # it has ended meanwhile
        return 0
