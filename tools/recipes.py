"""The recipes of a notebook, for scripts that repeat them: one source for the lesson and the study.

A cell of `Task-N.py` that is tagged "recipe" only defines things: constants, networks, training.
"""

import ast
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import jupytext

from cnnlab import runtime
from cnnlab.training import workers
from tools import provenance

START = workers.start_process  # what every run of a study starts with
_Definitions = dict[str | None, list[ast.stmt | str]]
_Use = tuple[str, str | None]  # a module and a name in it


def source(script: Path) -> str:
    """Return the code of all cells of a percent script that are tagged "recipe"."""
    cells = jupytext.read(script).cells
    return "\n\n".join(cell.source for cell in cells if "recipe" in cell.metadata.get("tags", []))


def load(script: Path) -> dict:
    """Execute the recipe cells; returns everything that they define, by name."""
    names: dict = {}
    exec(compile(source(script), f"{script.name} (recipes)", "exec"), names)
    return names


def digest(script: Path, needed: Iterable[str | Callable]) -> str:
    """Return the budget and a digest of recipes: of all code that a run of them depends on.

    What is `needed` are names that the recipe cells define, such as "train_final" or
    "heads.probabilities", and functions of modules.
    """
    code, names = [source(script)], []
    for each in (*needed, START):
        if not isinstance(each, str):
            code.append(f"import {each.__module__}")
            each = f"{each.__module__}.{each.__name__}"
        names.append(each)
    return f"{runtime.budget()} {code_digest(chr(10).join(code), names, script.parents[1])}"


def code_digest(code: str, names: list[str], root: Path) -> str:
    """Return a SHA-256 over the meaning of the named definitions and of all that they use.

    What they use is followed through the whole import closure of the code below `root`. A change
    of anything else, of a comment or of a docstring leaves the digest as it was, and so does moving
    a definition to another module.

    Raises:
        KeyError: a name is not defined in the code.
    """
    modules = {"": _definitions(code, "")}
    for file in provenance.import_closure(code, [root]):
        package = ".".join(file.relative_to(root).parent.parts)
        name = package if file.stem == "__init__" else f"{package}.{file.stem}".strip(".")
        modules[name] = _definitions(file.read_text(encoding="utf-8"), package)
    if unknown := {name.partition(".")[0] for name in names} - modules[""].keys():
        raise KeyError(f"the recipes do not define {', '.join(sorted(unknown))}")

    waiting = [use for name in names for use in _resolve(modules, "", name.split("."))]
    waiting += [(module, None) for module in modules]
    used, meanings = set(), set()
    while waiting:
        module, name = use = waiting.pop()
        for definition in modules[module].get(name, []) if use not in used else []:
            if isinstance(definition, str):  # imported from outside the repository
                meanings.add(f"{name} is {definition}")
            else:
                meanings.add(provenance.tree_meaning(definition))
                waiting += _uses(modules, module, definition)
        used.add(use)
    return provenance.digest("\n".join(sorted(meanings)))


def _definitions(code: str, package: str) -> _Definitions:
    """Return the top-level statements that define each name of a module.

    Of what is imported, wherever that is, the dotted name. Under None, the statements that define
    nothing: importing the module executes them, so they always count.
    """
    tree = provenance.parse(code)
    definitions: _Definitions = {}
    for statement in tree.body:
        names = set()
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names = {statement.name}
        elif not isinstance(statement, ast.Import | ast.ImportFrom):
            words = (word for word in ast.walk(statement) if isinstance(word, ast.Name))
            names = {word.id for word in words if isinstance(word.ctx, ast.Store)} or {None}
        for name in names:
            definitions.setdefault(name, []).append(statement)
    for node in ast.walk(tree):
        for name, dotted in provenance.bindings(node, package):
            definitions.setdefault(name, []).append(dotted)
    return definitions


def _uses(modules: dict[str, _Definitions], module: str, node: ast.AST) -> Iterator[_Use]:
    """Yield what the names and the attributes of names in a statement may stand for."""
    if chain := _chain(node):
        yield from _resolve(modules, module, chain)
        return
    for child in ast.iter_child_nodes(node):
        yield from _uses(modules, module, child)


def _chain(node: ast.AST) -> list[str]:
    """Return ["a", "b", "c"] for `a.b.c`, and nothing for anything but names and dots."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (chain := _chain(node.value)):
        return [*chain, node.attr]
    return []


def _resolve(modules: dict[str, _Definitions], module: str, chain: list[str]) -> Iterator[_Use]:
    """Yield the definitions that `a.b.c` leads to, from the point of view of a module."""
    first, *rest = chain
    for definition in modules[module].get(first, []):
        target = definition if isinstance(definition, str) else ""
        parent, _, name = target.rpartition(".")
        if target in modules and target:
            yield from _in_module(modules, target, rest)
        elif parent in modules and parent:
            yield from _in_module(modules, parent, [name, *rest])
        else:
            yield module, first


def _in_module(modules: dict[str, _Definitions], module: str, chain: list[str]) -> Iterator[_Use]:
    names = modules[module]
    if chain and chain[0] in names:
        yield from _resolve(modules, module, chain)
    elif chain and f"{module}.{chain[0]}" in modules:
        yield from _in_module(modules, f"{module}.{chain[0]}", chain[1:])
    else:  # the module itself is handed on, or what it defines cannot be seen: all of it may count
        yield from ((module, name) for name in names)
