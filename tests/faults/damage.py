"""Ways to damage a file, and a child process that may not read one."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SHARES = np.random.default_rng(1).uniform(0, 1, 20).round(4).tolist()  # of a file, where it is cut
FLIPS = [  # (share of a file, bit)
    (round(float(share), 5), int(bit))
    for share, bit in zip(
        np.random.default_rng(2).uniform(0, 1, 100),
        np.random.default_rng(3).integers(0, 8, 100),
        strict=True,
    )
]
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
    changed = bytearray(whole)
    changed[int(share * len(whole))] ^= 1 << bit
    return bytes(changed)


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
