"""The recipes of a notebook, for scripts that repeat them: one source for the lesson and the study.

A cell of `Task-N.py` that is tagged "recipe" only defines things: constants, networks, training.
"""

import ast
from pathlib import Path

import jupytext

from tools import provenance


def source(script: Path) -> str:
    """Return the code of all cells of a percent script that are tagged "recipe"."""
    cells = jupytext.read(script).cells
    return "\n\n".join(cell.source for cell in cells if "recipe" in cell.metadata.get("tags", []))


def load(script: Path) -> dict:
    """Execute the recipe cells; returns everything that they define, by name."""
    names: dict = {}
    exec(compile(source(script), f"{script.name} (recipes)", "exec"), names)
    return names


def digest(code: str, names: list[str], modules: list[Path] = ()) -> str:
    """Return a SHA-256 over the meaning of the named definitions and of all that they use.

    What they use are other definitions of the code and of the modules. A change anywhere else, or
    in a comment, leaves the digest as it was.

    Args:
        code: the recipe cells.
        names: top-level names in it.
        modules: Python files whose definitions the recipes import.

    Raises:
        KeyError: a name is not defined in the code.
    """
    texts = [code, *(module.read_text(encoding="utf-8") for module in modules)]
    definitions = _definitions("\n".join(texts))
    waiting, used = list(names), set()
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            for node in definitions[name]:
                words = {word.id for word in ast.walk(node) if isinstance(word, ast.Name)}
                waiting += sorted(words & definitions.keys())
    parts = sorted({ast.unparse(node) for name in used for node in definitions[name]})
    return provenance.digest("\n".join(map(provenance.meaning, parts)))


def _definitions(code: str) -> dict[str, list[ast.stmt]]:
    """Return the top-level statements that define each name; of an import, only that name."""
    found: dict[str, list[ast.stmt]] = {}
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.ImportFrom | ast.Import):
            for alias in statement.names:
                only = type(statement)(**(vars(statement) | {"names": [alias]}))
                name = (alias.asname or alias.name).partition(".")[0]
                found.setdefault(name, []).append(only)
        elif isinstance(statement, ast.FunctionDef | ast.ClassDef):
            found.setdefault(statement.name, []).append(statement)
        else:  # assignments, also those inside an `if`
            for word in ast.walk(statement):
                if isinstance(word, ast.Name) and isinstance(word.ctx, ast.Store):
                    found.setdefault(word.id, []).append(statement)
    return found
