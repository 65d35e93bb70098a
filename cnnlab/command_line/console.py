"""What a command prints: as UTF-8, and an output that cannot be written is an error like others."""

import os
import sys


def use_utf8() -> None:
    """Print UTF-8 whatever the locale says, as Python itself will from version 3.15 on.

    In the locale C a letter such as ö, or the sign °, would end a command.
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(encoding="utf-8", errors="surrogateescape")


def flush() -> None:
    """Write what was printed; Python would try at its end, and complain on several lines.

    Raises:
        OSError: it cannot be written, and is dropped.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OSError(error.errno, error.strerror, "standard output") from None
