"""What must be true of the documents and the files. Each check yields (file, line, problem).

The line is None where a problem is that of a whole file.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from tools import blocks, docstring_checks
from tools.markdown import anchors, links
from tools.notebook_checks import MACHINE_PATHS
from tools.tracked import read_text, tracked_files

MOST_BYTES = 20_000_000
FIGURE = re.compile(r"Task-\d+/figures/[^/]+\.(?:png|svg)")
# A figure in a Typst file: its path, or its task and its name as arguments of a function.
FIGURE_NAME = re.compile(r'"(Task-\d+)", *"([\w-]+)"')
FIGURE_PATH = re.compile(r"[\w./-]*\bfigures/[\w.-]+\.(?:png|svg|jpe?g|pdf)\b")
PLANTING = "tests/test_notebook_checks.py"  # plants such paths, to see them found
VERSION_LINES = {
    "cnnlab/__init__.py": re.compile(r'^__version__ = "(.+)"$', re.MULTILINE),
    "CITATION.cff": re.compile(r"^version: (\S+)$", re.MULTILINE),
    "CHANGELOG.md": re.compile(r"^## \[?(\d[^\]\s]*)", re.MULTILINE),
}

Problems = Iterator[tuple[str, int | None, str]]


def all_problems(root: Path) -> Problems:
    """Run every check on the tracked files of a repository."""
    files = tracked_files(root)
    yield from filling(root, files)
    yield from linking(root, files)
    yield from figures(root, files)
    yield from figure_paths(root, files)
    yield from docstring_checks.all_problems(root, files)
    yield from machine_paths(root, files)
    yield from sizes(root, files)
    yield from version(root, files)


def filling(root: Path, files: list[str]) -> Problems:
    """Every block holds what `fill` would write."""
    results = blocks.load(root)
    for file, text in _texts(root, files, ".md"):
        lines = text.splitlines(keepends=True)
        try:
            for block, content in blocks.contents(text, results):
                if "".join(lines[block.begin : block.end - 1]) != content:
                    yield file, block.begin, f"the block {block.name!r} is old: run make documents"
        except blocks.BlockError as error:
            yield file, error.line, error.problem


def linking(root: Path, files: list[str]) -> Problems:
    """Relative links lead to tracked files or folders, their anchors to headings."""
    folders = {parent for file in files for parent in _parents(file)}
    texts = dict(_texts(root, files, ".md"))
    for file, text in texts.items():
        for line, path, anchor in links(text):
            target = _resolved(file, path)
            if target not in folders and target not in files:
                yield file, line, f"links to {path}, which is no tracked file or folder"
            elif anchor and target in texts and anchor not in anchors(texts[target]):
                yield file, line, f"links to #{anchor}, which is no heading of {target}"


def figures(root: Path, files: list[str]) -> Problems:
    """Every figure of a task is made by its script, which names it at the end of a call."""
    for file in filter(FIGURE.fullmatch, files):
        task, name = file.split("/")[0], Path(file).stem
        script = read_text(root / task / f"{task}.py") or ""
        if f'"{name}")' not in script:
            yield file, None, f"is not made by {task}/{task}.py"


def figure_paths(root: Path, files: list[str]) -> Problems:
    """Every figure that a Typst file names is there. (Those of Markdown are links.)"""
    for file, text in _texts(root, files, ".typ"):
        for number, line in enumerate(text.splitlines(), 1):
            shown = {path: [_resolved(file, path)] for path in FIGURE_PATH.findall(line)}
            for task, name in FIGURE_NAME.findall(line):
                shown[name] = [f"{task}/figures/{name}.{suffix}" for suffix in ("png", "svg")]
            for name, paths in shown.items():
                if not any(path in files for path in paths):
                    yield file, number, f"shows {name}, which is no tracked figure"


def machine_paths(root: Path, files: list[str]) -> Problems:
    """No text names a folder of somebody's machine. (Notebooks have a check of their own.)"""
    for file, text in _texts(root, files):
        if file.endswith(".ipynb") or file == PLANTING:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if found := MACHINE_PATHS.search(line):
                yield file, number, f"names a folder of somebody's machine ({found.group()})"


def sizes(root: Path, files: list[str]) -> Problems:
    """No file is too large to be cloned quickly."""
    for file in files:
        size = (root / file).stat().st_size
        if size > MOST_BYTES:
            yield file, None, f"has {size / 1e6:.1f} MB, more than {MOST_BYTES / 1e6:.0f} MB"


def version(root: Path, files: list[str]) -> Problems:
    """The citation and the newest entry of the changelog name the package's version."""
    found = {
        file: pattern.search(read_text(root / file) or "")
        for file, pattern in VERSION_LINES.items()
        if file in files
    }
    package = found.pop("cnnlab/__init__.py", None)
    for file, match in found.items():
        if package and (match is None or match[1] != package[1]):
            named = f"version {match[1]}" if match else "no version"
            yield file, None, f"names {named}, the package is {package[1]}"


def _texts(root: Path, files: list[str], suffix: str = "") -> Iterator[tuple[str, str]]:
    for file in files:
        text = read_text(root / file) if file.endswith(suffix) else None
        if text is not None:
            yield file, text


def _parents(file: str) -> list[str]:
    return [parent.as_posix() for parent in Path(file).parents]


def _resolved(file: str, path: str) -> str:
    """Return what a path in a file means, from the root; a leading slash is the root."""
    if not path:
        return file
    base = "" if path.startswith("/") else posixpath.dirname(file)
    return posixpath.normpath(posixpath.join(base, path.lstrip("/")))
