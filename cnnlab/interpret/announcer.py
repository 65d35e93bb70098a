"""Say what is being done when it takes longer than a second."""

import contextlib
import sys
import threading
import time

PATIENCE = 1.0  # seconds without a word


@contextlib.contextmanager
def announcer(given):
    """Give a function that announces steps: the one given, or else stderr after a second."""
    if given is not None:
        yield given
        return
    begin, running = time.perf_counter(), []

    def tell():
        print(f"{running[-1]} ...", file=sys.stderr, flush=True)

    def say(step):
        running.append(step)
        if time.perf_counter() - begin > PATIENCE:
            tell()

    timer = threading.Timer(PATIENCE, lambda: running and tell())
    timer.daemon = True
    timer.start()
    try:
        yield say
    finally:
        timer.cancel()
