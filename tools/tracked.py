"""Which files belong to the repository."""

import fnmatch
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path


def tracked_files(root: Path) -> list[str]:
    """Return the tracked files that are there, named from the root, sorted.

    Where git cannot say (a copy without `.git`, a machine without git), these are all files that
    `.gitignore` does not name.
    """
    try:
        names = _known_to_git(root)
    except (OSError, subprocess.CalledProcessError):
        names = _not_ignored(root)
    return sorted(name for name in names if (root / name).is_file())


def read_text(path: Path) -> str | None:
    """Return the text of a file as UTF-8; None when it is no text, or not there."""
    try:
        text = path.read_bytes().decode()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return None if "\0" in text else text


def _known_to_git(root: Path) -> list[str]:
    if not (root / ".git").exists():  # or a repository around this one would answer
        raise FileNotFoundError(root / ".git")
    command = ["git", "ls-files", "-z"]
    answer = subprocess.run(command, cwd=root, capture_output=True, check=True)
    return os.fsdecode(answer.stdout).split("\0")[:-1]


def _not_ignored(root: Path) -> Iterator[str]:
    """Yield the files that no line of `.gitignore` names; lines with "!" or "**" are not known."""
    lines = [line.strip() for line in (read_text(root / ".gitignore") or "").splitlines()]
    patterns = [".git", *(line for line in lines if line and not line.startswith("#"))]
    for folder, folders, files in os.walk(root):
        above = Path(folder).relative_to(root)
        folders[:] = [name for name in folders if not _ignored((above / name), patterns)]
        kept = (above / name for name in files)
        yield from (path.as_posix() for path in kept if not _ignored(path, patterns))


def _ignored(path: Path, patterns: list[str]) -> bool:
    """Say whether a pattern names this path; with a slash before its end it names it from the root.

    Files in a folder that is ignored are never asked about.
    """
    for pattern in patterns:
        name = path.as_posix() if "/" in pattern.rstrip("/") else path.name
        if fnmatch.fnmatchcase(name, pattern.strip("/")):
            return True
    return False
