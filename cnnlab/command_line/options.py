"""How the command line reads its options, and says what is wrong with one."""

import argparse
import contextlib
import tempfile


def whole_number(least):
    """Return a function that reads a whole number of at least `least`, for `add_argument`."""

    def read(text):
        with contextlib.suppress(ValueError):
            if (number := int(text)) >= least:
                return number
        message = f"{text!r} is not allowed: it must be a whole number >= {least}"
        raise argparse.ArgumentTypeError(message)

    return read


@contextlib.contextmanager
def option(name):
    """Put the name of an option before what is wrong with its value, as a ValueError."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise ValueError(f"{name}: {sentence(error)}") from error


def sentence(error):
    """Say in one line what an exception says."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the files could not be written'}: {error.strerror}"
    return " ".join(str(error).split()) or "there is not enough memory"


def check_writable(name, path):
    """Try, before the work, whether a path can be written, or ValueError; no folder is made."""
    if path.is_dir():
        raise ValueError(f"{name}: {path} is a folder")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    # A long prefix, since the file is written under a longer name than its own, too.
    trial = {"dir": folder, "prefix": ".cnnlab-trying-", "suffix": path.name}
    with writing(name, path), tempfile.NamedTemporaryFile(**trial):
        pass


@contextlib.contextmanager
def writing(name, path):
    """Say as a ValueError which option's file cannot be written, in place of an OSError."""
    try:
        yield
    except OSError as error:  # its own words would name a temporary file
        why = error.strerror or sentence(error)
        raise ValueError(f"{name}: {path} cannot be written: {why}") from error
