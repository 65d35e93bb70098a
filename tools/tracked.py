"""Which files belong to the repository."""

import os
import subprocess
from pathlib import Path


def tracked_files(root: Path) -> list[str]:
    """Return the files that git tracks and that are there, named from the root, sorted.

    Raises:
        FileNotFoundError: `root` is no clone (a repository around it must not answer), or there
            is no git.
        subprocess.CalledProcessError: git refuses, and has said why.
    """
    if not (root / ".git").exists():
        raise FileNotFoundError(f"{root} is a copy without .git, so nothing is tracked there")
    command = ["git", "ls-files", "-z"]
    names = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, check=True).stdout
    return [name for name in os.fsdecode(names).split("\0")[:-1] if (root / name).is_file()]
