"""What a notebook's outputs were made from: one digest for each source that shapes them.

Code counts by its meaning: a changed comment, docstring or blank line leaves the digest as it was,
so that better documentation does not cost a new run. The exception is a notebook that shows the
source of functions (`inspect.getsource`): there the text of the modules counts.
"""

import ast
import hashlib
import importlib.util
import json
import re
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

PACKAGE = "cnnlab"
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def digests(notebook, folder: Path, root: Path) -> dict[str, str]:
    """Return a digest for each source of the outputs of a notebook in `folder`, by name.

    These are "code cells" and files, named from the root: requirements, imported modules and the
    files they name, data, `study.json` next to the notebook, models of other tasks it names.
    """
    text = "\n".join(python_cells(notebook))
    shown = "getsource" in text
    modules = {file: file.read_text("utf-8") for file in import_closure(text, [root, folder])}
    files = {file: digest(code if shown else meaning(code)) for file, code in modules.items()}
    for file in _data_files("".join([text, *modules.values()]), folder, root):
        files[file] = digest(file.read_bytes())
    for task in set(re.findall(r"Task-\d+", text)) - {folder.name}:
        for file in (root / task / "models").glob("[!.]*.keras"):  # not what a kill left
            files[file] = digest(file.read_bytes())
    sources = {file.relative_to(root).as_posix(): each for file, each in files.items()}
    sources["code cells"] = digest(code_meaning(notebook))
    for name in ("requirements.txt", "constraints.txt"):
        sources[name] = digest(meaningful_lines(root / name))
    return dict(sorted(sources.items()))


def _data_files(code: str, folder: Path, root: Path) -> list[Path]:
    """Return the files that are not Python code but are named in the code."""
    others = [file for file in (root / PACKAGE).rglob("*") if file.suffix not in (".py", ".pyc")]
    candidates = [root / "data" / "mnist.npz", folder / "study.json", *others]
    return [file for file in candidates if file.is_file() and file.name in code]


def changes(stored: dict[str, str], current: dict[str, str]) -> list[str]:
    """Say which sources differ, one phrase each."""
    phrases = [
        f"{name} {'has changed' if name in stored else 'is new'}"
        for name in current
        if stored.get(name) != current[name]
    ]
    return phrases + [f"{name} is not used any more" for name in stored if name not in current]


def digest(content: str | bytes) -> str:
    """Return the SHA-256 of text or bytes, in hexadecimal."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def meaningful_lines(path: Path) -> str:
    """Return a requirements file without its comments, blank lines and order; "" without a file."""
    if not path.is_file():
        return ""
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return "\n".join(sorted(line for line in lines if line))


def python_cells(notebook) -> list[str]:
    """Return the code cells, with IPython's own syntax (`%matplotlib inline`, `!ls`) as Python."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return [TransformerManager().transform_cell(source) for source in sources]


def code_meaning(notebook) -> str:
    """Return the meaning of the code cells, a line each."""
    return "\n".join(meaning(cell, documented=False) for cell in python_cells(notebook))


def meaning(source: str, documented: bool = True) -> str:
    """Return the syntax tree of Python source as text, without comments, layout and docstrings.

    `documented` is False for a notebook's cell, whose leading string is an output, no docstring.
    """
    return tree_meaning(parse(source, documented))


def parse(source: str, documented: bool = True) -> ast.Module:
    """Return the syntax tree of Python source without docstrings; see `meaning`."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        may_have_docstring = isinstance(node, DOCUMENTED) and (documented or node is not tree)
        if may_have_docstring and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
        if isinstance(node, ast.JoinedStr):  # Python 3.12.1 adds empty strings to format widths
            node.values = [part for part in node.values if getattr(part, "value", None) != ""]
    return tree


def tree_meaning(tree: ast.AST) -> str:
    """Return a syntax tree as text; `ast.dump` would write another one under another Python."""
    return json.dumps(_plain(tree))


def _plain(node):
    """Write a node as lists; fields that are empty count as absent (newer Pythons add some)."""
    if isinstance(node, ast.AST):
        fields = [[name, _plain(value)] for name, value in ast.iter_fields(node)]
        return [type(node).__name__, *(field for field in fields if field[1] not in ("None", []))]
    return [_plain(item) for item in node] if isinstance(node, list) else repr(node)


def import_closure(source: str, roots: list[Path]) -> list[Path]:
    """Return the files below `roots` that the code imports, and those that they import, and so on.

    Modules are looked for in the folders `roots` as in `sys.path`.
    """
    waiting, seen, files = imported_names(source), set(), set()
    while waiting:
        name = waiting.pop()
        file = None if name in seen else _module_file(name, roots)
        seen.add(name)
        if file:
            files.add(file)
            package = name if file.name == "__init__.py" else name.rpartition(".")[0]
            waiting += imported_names(file.read_text(encoding="utf-8"), package)
    return sorted(files)


def imported_names(source: str, package: str = "") -> list[str]:
    """Return the dotted names of everything that might be a module in the imports of `source`.

    `from a.b import c` gives a, a.b and a.b.c, because c can be a module or a function.
    """
    names = []
    for node in ast.walk(ast.parse(source)):
        names += [dotted for _, dotted in bindings(node, package)]
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    parts = [name.split(".") for name in names]
    return [".".join(part[:end]) for part in parts for end in range(1, len(part) + 1)]


def bindings(node: ast.AST, package: str) -> list[tuple[str, str]]:
    """Return the names that an import binds, each with the dotted name of what it stands for.

    Of a node that is not an import, nothing. `package` is that of the module which imports.
    """
    if isinstance(node, ast.Import):
        return [
            (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
            for alias in node.names
        ]
    if isinstance(node, ast.ImportFrom):
        base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
        return [(alias.asname or alias.name, f"{base}.{alias.name}") for alias in node.names]
    return []


def _module_file(name: str, roots: list[Path]) -> Path | None:
    path = name.replace(".", "/")
    files = [root / f"{path}{end}" for root in roots for end in (".py", "/__init__.py")]
    return next(filter(Path.is_file, files), None)
