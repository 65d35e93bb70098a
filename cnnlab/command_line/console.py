"""What a command prints: as UTF-8, and an output that cannot be written is an error like others."""

import os
import sys


def use_utf8() -> None:
    """Print UTF-8 even in the locale C, where a letter such as ö would end a command."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(encoding="utf-8", errors="surrogateescape")


def flush() -> None:
    """Write what was printed, or OSError; Python would try at its end, and complain at length."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OSError(error.errno, error.strerror, "standard output") from None
