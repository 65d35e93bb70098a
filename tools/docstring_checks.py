"""What must be true of docstrings. Each check yields (file, line, problem)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools.tracked import read_text

# Parameters of these names are arrays of an image or more, or what a network says of them.
ARRAYS = {
    "image",
    "images",
    "labels",
    "heatmaps",
    "logits",
    "maps",
    "masks",
    "probabilities",
}
SIDE = r"(?:\.\.\.|[a-z_]+|\d+)(?: (?:\+|or) \d+)?"
SHAPE = re.compile(rf"\({SIDE},(?: {SIDE}(?:, {SIDE})*)?\)")  # (n,), (n, 28, 28, 3), (..., 4)
REFERENCE = re.compile(r"\b(?:as|as in|as for|as from|as of|see) `")  # where it is said

Problems = Iterator[tuple[str, int | None, str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Definition(NamedTuple):
    """A public class, function or method: its dotted name, and its node of the syntax tree."""

    name: str
    node: ast.ClassDef | Function


def all_problems(root: Path, files: list[str]) -> Problems:
    """Run every check on the modules of `cnnlab` and `tools`."""
    for file in files:
        if file.startswith(("cnnlab/", "tools/")) and file.endswith(".py"):
            tree = ast.parse(read_text(root / file) or "")
            found = [*missing(tree)]
            if file.startswith("cnnlab/"):
                found += [*errors(tree), *shapes(tree)]
            yield from ((file, line, problem) for line, problem in found)


def missing(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, problem): the module and all that is public in it have a docstring."""
    if not ast.get_docstring(tree):
        yield 1, "the module has no docstring"
    for name, node in public(tree):
        if not ast.get_docstring(node):
            yield node.lineno, f"{name} has no docstring"


def errors(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, problem): a function's docstring names the errors that its own body raises."""
    for name, node in public(tree):
        if isinstance(node, Function):
            text = ast.get_docstring(node) or ""
            for error, line in _raised(node):
                if not re.search(rf"\b{error}\b", text):
                    yield line, f"{name} raises {error}, which its docstring does not say"


def shapes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, problem): a docstring says the shape of arrays, or where it is said."""
    for name, node in public(tree):
        if not isinstance(node, Function):
            continue
        text = ast.get_docstring(node) or ""
        given = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
        arrays = [argument.arg for argument in given if argument.arg in ARRAYS]
        if arrays and not SHAPE.search(text) and not REFERENCE.search(text):
            yield node.lineno, f"{name} does not say the shape of {', '.join(arrays)}"


def public(node: ast.Module | ast.ClassDef, within: str = "") -> Iterator[Definition]:
    """Yield the public classes, functions and methods, but none that are inside functions."""
    for child in node.body:
        if isinstance(child, ast.ClassDef | Function) and not child.name.startswith("_"):
            yield Definition(within + child.name, child)
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{within}{child.name}.")


def _raised(function: Function) -> Iterator[tuple[str, int]]:
    """Yield (class, line) of the errors that a function raises itself, not by inner functions."""
    waiting = list(function.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, Function | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            name = ast.unparse(error).rpartition(".")[2]
            if name[:1].isupper():  # else it is a variable: an error is passed on
                yield name, node.lineno
        waiting += ast.iter_child_nodes(node)
