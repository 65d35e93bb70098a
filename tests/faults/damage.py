"""What the tests of faults share: damaged files, refusals in one line, processes of their own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SPECIAL = ("directory", "empty file", "text", "npy", "named pipe", "link to itself", "device")
CHANGE_USER = """
import os
if os.geteuid() == 0:
    try:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    except PermissionError:
        pass  # a root without its powers, to whom permissions apply as to others
"""


def flipped(whole: bytes, position: int) -> bytes:
    """Return a file with one bit of the byte at a position flipped, in each byte another one."""
    changed = bytearray(whole)
    changed[position] ^= 1 << position % 8
    return bytes(changed)


def put(kind: str, path: Path) -> None:
    """Put something else, one of SPECIAL, where a file should be."""
    if kind == "directory":
        path.mkdir()
    elif kind == "named pipe":
        os.mkfifo(path)
    elif kind in ("link to itself", "device"):
        path.symlink_to(path if kind == "link to itself" else "/dev/zero")
    elif kind == "npy":
        with open(path, "wb") as file:
            np.save(file, np.zeros(3))
    else:
        path.write_text("" if kind == "empty file" else "hello")


def attempt(function, *arguments, **options):
    """Call a function; returns (result, None), or (None, the one line of its ValueError)."""
    try:
        return function(*arguments, **options), None
    except ValueError as error:
        assert "\n" not in str(error)
        return None, str(error)


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a process that imports this package from any folder."""
    return os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"} | changes


def printed(code: str, *arguments: str, python=sys.executable, folder: Path = ROOT) -> str:
    """Return what Python code prints in a process of its own, which must succeed."""
    command = [str(python), "-c", textwrap.dedent(code), *arguments]
    variables = environment(PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def printed_without_permission(folder: Path, prepare: str, code: str) -> str:
    """Return what `code` prints in a folder, run by a user who is not root.

    `prepare` runs before, still as the user of the tests: it imports what may lie in folders of
    theirs. The folder is the current one, because those above it may be closed to others, too.
    """
    return printed(textwrap.dedent(prepare) + CHANGE_USER + textwrap.dedent(code), folder=folder)
