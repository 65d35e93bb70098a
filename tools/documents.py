"""Fill the documents from the results, and check them. Run from the repository's root:

python -m tools.documents fill      write the blocks of all Markdown files from the results
python -m tools.documents check     say what is wrong with documents and committed files

A block stands between the lines `[[[cog print(blocks.NAME()) ]]]` and `[[[end]]]`, both in comments
of HTML: cog writes what the function NAME of `tools.blocks` returns. A file with a wrong block
stays as it was. rumdl looks for dead links.
"""

import argparse
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from cnnlab.runtime import repository_root
from tools import prose
from tools.notebook_checks import MACHINE_PATHS

TOOLS = str(Path(__file__).resolve().parents[1])  # from there cog imports the blocks
COG = [sys.executable, "-P", "-m", "cogapp", "--verbosity=1", "-P", "-I", TOOLS]
COG += ["-p", "from tools import blocks"]
RUMDL = Path(sysconfig.get_path("scripts"), "rumdl")  # `python -m rumdl` is not for installed ones
MOST_BYTES = 20_000_000
PLANTING = "tests/test_notebook_checks.py"  # plants folders of a machine, to see them noticed
VERSION_LINES = {
    "cnnlab/__init__.py": r'^__version__ = "(.+)"$',
    "CITATION.cff": r"^version: (\S+)$",
    "CHANGELOG.md": r"^## \[?(\d[^\]\s]*)",
}


def fill(root: Path) -> bool:
    """Fill the blocks of all Markdown files; returns whether all went well."""
    return _run(root, *COG, "-r")


def check(root: Path) -> bool:
    """Say what is wrong with the documents and committed files; returns whether nothing is."""
    wrong = list(problems(root))
    print("".join(f"{problem}\n" for problem in wrong), end="", flush=True)
    filled = _run(root, *COG, "--check", "--diff", "--check-fail-msg=run make documents")
    linked = _run(root, RUMDL, "check", "--quiet", "--no-cache")
    return filled and linked and not wrong


def _run(root: Path, *command: str | Path) -> bool:
    """Run a command on all Markdown files of a repository; returns whether it ends well."""
    files = sorted([*root.glob("*.md"), *root.glob("[!.]*/*.md")])
    names = [str(file.relative_to(root)) for file in files]
    return subprocess.run([*command, *names], cwd=root).returncode == 0


def problems(root: Path) -> Iterator[str]:
    """Yield what is wrong with figures, versions and committed files: file, line, what."""
    for figure in sorted(root.glob("Task-*/figures/*")):  # its script names it, or how it begins
        task, words = figure.parent.parent, figure.stem.split("-")
        starts = [f'"{"-".join(words[:k])}-{{' for k in range(1, len(words))]
        script = _text(task / f"{task.name}.py")
        if not any(name in script for name in (f'"{figure.stem}"', *starts)):
            yield f"{task.name}/figures/{figure.name}: is not made by {task.name}/{task.name}.py"
    named = {}
    for file, pattern in VERSION_LINES.items():
        line = re.search(pattern, _text(root / file), re.MULTILINE)
        named[file] = line[1] if line else "none"
    package = named["cnnlab/__init__.py"]
    for file, version in named.items():
        if version != package:
            yield f"{file}: the version is {version}, that of the package {package}"
    yield from prose.problems(root)
    if (root / ".git").exists():  # a copy without it commits nothing
        yield from tracked_problems(root)


def tracked_problems(root: Path) -> Iterator[str]:
    """No file is too large to be cloned quickly; no text names a folder of somebody's machine.

    (Notebooks have a check of their own.)
    """
    for file in tracked_files(root):
        size = (root / file).stat().st_size
        if size > MOST_BYTES:
            yield f"{file}: has {size / 1e6:.1f} MB, more than {MOST_BYTES / 1e6:.0f} MB"
        if not file.endswith(".ipynb") and file != PLANTING:
            for number, line in enumerate(_text(root / file).splitlines(), 1):
                if path := MACHINE_PATHS.search(line):
                    yield f"{file}:{number}: names a folder of somebody's machine ({path.group()})"


def tracked_files(root: Path) -> list[str]:
    """Return the files that git tracks and that are there, named from the root, sorted.

    Raises:
        FileNotFoundError: `root` is not a clone (a repository around it must not answer).
    """
    if not (root / ".git").exists():
        raise FileNotFoundError(f"{root} is a copy without .git, so nothing is tracked there")
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=root)
    return [name for name in os.fsdecode(names).split("\0")[:-1] if (root / name).is_file()]


def _text(path: Path) -> str:
    """Return the text of a file; "" where it holds something else."""
    content = path.read_bytes()
    try:
        return "" if b"\0" in content else content.decode()
    except UnicodeDecodeError:
        return ""


def main(arguments: list[str] | None = None, root: Path | None = None) -> int:
    """Run a command; returns the exit status, 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.documents", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", choices=["fill", "check"])
    root = (root or repository_root()).resolve()
    command = {"fill": fill, "check": check}[parser.parse_args(arguments).command]
    return int(not command(root))


if __name__ == "__main__":
    sys.exit(main())
