"""Typeset report.pdf from report/ and the committed results. Run from the repository's root:

python -m tools.report build    write report.pdf
python -m tools.report check    say whether report.pdf belongs to its sources and holds the results
"""

import argparse
import contextlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import typst

from cnnlab.runtime import repository_root
from cnnlab.saving import atomic_path
from tools import blocks, provenance

SOURCES = (
    *("report/*.typ", "report/*.yml", "report/*.json"),
    *("Task-*/results.json", "Task-*/times.json", "Task-*/study.json", "Task-*/figures/*"),
)


def build(root: Path) -> Path:
    """Write report.pdf; the same sources give the same bytes. Returns its path.

    No network and no fonts of the system are used: Typst brings its own.

    Raises:
        typst.TypstError: the report does not compile; the old report.pdf stays.
    """
    with atomic_path(root / "report.pdf") as temporary:
        typst.compile(
            root / "report" / "report.typ",
            output=temporary,
            root=root,
            ignore_system_fonts=True,
            sys_inputs={"digest": digest(root)},
        )
    return root / "report.pdf"


def digest(root: Path) -> str:
    """Return the digest of everything that the report is made from."""
    files = {file for pattern in SOURCES for file in root.glob(pattern)}
    sources = {f.relative_to(root).as_posix(): provenance.digest(f.read_bytes()) for f in files}
    return provenance.digest(json.dumps(sources, sort_keys=True))


def problems(root: Path) -> Iterator[str]:
    """Yield what is wrong with the committed report.pdf, a sentence each."""
    path = root / "report.pdf"
    if not path.is_file():
        yield "report.pdf is missing: make report"
        return
    with contextlib.closing(pypdfium2.PdfDocument(path)) as pdf:
        made_from = pdf.get_metadata_value("Keywords")
        text = _spaced(" ".join(page.get_textpage().get_text_bounded() for page in pdf))
    if made_from != digest(root):
        yield "report.pdf is older than its sources: make report"
    for value, what in headlines(root):
        if _spaced(value) not in text:
            yield f"report.pdf lacks {what}: {value}"


def headlines(root: Path) -> Iterator[tuple[str, str]]:
    """Yield (value, what it is) of the results that the report must hold.

    These are the means of several seeds, and all of Task 3, which has one network of each kind.
    """
    for task, results in blocks.tasks(root).items():
        rows = {row["what"]: row["value"] for row in results["headline"]}
        for what in blocks.studies(results) or rows:
            yield rows[what], f"{task}, {what}"


def _spaced(text: str) -> str:
    """Make all white space, also the narrow one before a percent sign, a single space."""
    return re.sub(r"\s+", " ", text)


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.report", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", choices=["build", "check"])
    command, root = parser.parse_args().command, repository_root().resolve()
    if command == "build":
        print(build(root).relative_to(root))
        return 0
    wrong = list(problems(root))
    print("\n".join(wrong) or "report: nothing wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
