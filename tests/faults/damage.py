"""Ways to damage a file, and a child process that may not read one."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SHARES = (0.0, 0.03, 0.4, 0.75, 0.9)  # of a file, where it is cut
FLIPS = ((0.0, 1), (0.002, 7), (0.15, 0), (0.45, 3), (0.7, 5), (0.9, 2), (0.97, 4), (0.999, 6))
SPECIAL = ("directory", "empty file", "text", "npy", "named pipe", "link to itself")
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


def cut(whole: bytes, share: float) -> bytes:
    """Return the first part of a file, shorter than the file."""
    return whole[: int(share * len(whole))]


def flip(whole: bytes, share: float, bit: int) -> bytes:
    """Return a file with one bit flipped."""
    return flipped(whole, int(share * len(whole)), bit)


def flipped(whole: bytes, position: int, bit: int) -> bytes:
    """Return a file with one bit of the byte at a position flipped."""
    changed = bytearray(whole)
    changed[position] ^= 1 << bit
    return bytes(changed)


def put(kind: str, path: Path) -> None:
    """Put something else, one of SPECIAL, where a file should be."""
    if kind == "directory":
        path.mkdir()
    elif kind == "named pipe":
        os.mkfifo(path)
    elif kind == "link to itself":
        path.symlink_to(path)
    elif kind == "npy":
        with open(path, "wb") as file:
            np.save(file, np.zeros(3))
    else:
        path.write_text("" if kind == "empty file" else "hello")


def without_permission(folder: Path, prepare: str, code: str) -> str:
    """Return what a child process prints that runs `code` in `folder` as a user who is not root.

    `prepare` runs before, still as the user of the tests: it imports what may lie in folders of
    theirs. The folder is the current one, because those above it may be closed to others, too.
    """
    program = textwrap.dedent(prepare) + CHANGE_USER + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
