"""Fill the documents from the results, and check them. Run from the repository's root:

python -m tools.documents fill      write the blocks of all Markdown files from the results
python -m tools.documents check     say what is wrong with documents, docstrings and files
"""

import argparse
import sys
from pathlib import Path

from cnnlab.runtime import atomic_path, repository_root
from tools import blocks, document_checks
from tools.tracked import read_text, tracked_files


class DocumentError(Exception):
    """A document that cannot be filled; the message says where."""


def fill(root: Path) -> list[str]:
    """Fill the blocks of all tracked Markdown files; returns the files that changed.

    Nothing is written before everything is known.

    Raises:
        DocumentError: a block that cannot be filled; then no file has changed.
    """
    results, changed = blocks.load(root), {}
    for file in (name for name in tracked_files(root) if name.endswith(".md")):
        text = read_text(root / file) or ""
        try:
            new = blocks.filled(text, results)
        except blocks.BlockError as error:
            raise DocumentError(f"{file}:{error.line}: {error.problem}") from error
        if new != text:
            changed[file] = new
    for file, new in changed.items():
        with atomic_path(root / file) as temporary:
            temporary.write_bytes(new.encode())
    return list(changed)


def problems(root: Path) -> list[str]:
    """Return what is wrong: file, line, what."""
    return [
        f"{file}:{line}: {problem}" if line else f"{file}: {problem}"
        for file, line, problem in document_checks.all_problems(root)
    ]


def main(arguments: list[str] | None = None, root: Path | None = None) -> int:
    """Run a command; returns the exit status, 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.documents", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", choices=["fill", "check"])
    options = parser.parse_args(arguments)
    root = (root or repository_root()).resolve()
    if options.command == "check":
        found = problems(root)
        print("\n".join(found) or "documents: nothing wrong")
        return int(bool(found))
    try:
        changed = fill(root)
    except DocumentError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(f"filled {file}" for file in changed) or "documents: nothing to fill")
    return 0


if __name__ == "__main__":
    sys.exit(main())
