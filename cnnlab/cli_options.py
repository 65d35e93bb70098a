"""How the command line reads its options, and says what is wrong with one."""

import argparse
import contextlib


def whole_number(least):
    """Return a function that reads a whole number of at least `least`, for `add_argument`."""

    def read(text):
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or number < least:
            message = f"{text!r} is not allowed: it must be a whole number >= {least}"
            raise argparse.ArgumentTypeError(message)
        return number

    return read


@contextlib.contextmanager
def option(name):
    """Put the name of an option before what is wrong with its value.

    Raises:
        ValueError: in place of a ValueError or OSError of the block.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        raise ValueError(f"{name}: {sentence(error)}") from error


def sentence(error):
    """Say in one line what an exception says."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the files could not be written'}: {error.strerror}"
    return " ".join(str(error).split()) or "there is not enough memory"
