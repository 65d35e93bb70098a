"""Build, execute and check the notebooks. Run from the repository's root:

python -m tools.notebooks run [Task-1 ...]     execute Task-N.py, write Task-N.ipynb
python -m tools.notebooks sync [Task-1 ...]    bring changed prose and comments over; outputs stay
python -m tools.notebooks check [Task-1 ...]   say what is wrong with the committed notebooks
python -m tools.notebooks table                print the results of all tasks
"""

import argparse
import contextlib
import hashlib
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

import jupytext
import nbformat

from cnnlab.command_line import console
from cnnlab.runtime import atomic_path, machine, repository_root, save_json
from tools import notebook_checks, provenance
from tools.memory import PeakMemory
from tools.notebook_execution import LANGUAGE, NotebookError, execute

METADATA = {
    "jupytext": {"formats": "ipynb,py:percent"},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": LANGUAGE,
}


def task_folders(root: Path, names: list[str]) -> list[Path]:
    """Return the folders that hold a notebook's script or a notebook, in order.

    Raises:
        NotebookError: one of `names` is no such folder.
    """
    found = {
        folder.name: folder
        for folder in sorted(root.glob("Task-*"), key=lambda path: (len(path.name), path.name))
        if any((folder / f"{folder.name}{suffix}").is_file() for suffix in (".py", ".ipynb"))
    }
    names = [name.strip("/") for name in names] or list(found)
    unknown = [name for name in names if name not in found]
    if unknown:
        raise NotebookError(
            f"{unknown[0]}: no such task; there are: {', '.join(found) or 'none yet'}"
        )
    return [found[name] for name in names]


def build(script: Path):
    """Return the notebook that a percent script describes, with the same ids at each build.

    An id comes from the cell's content, so a cell that moves or has new neighbors keeps its own.
    """
    notebook = jupytext.read(script, fmt="py:percent")
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict(METADATA)
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        name = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        cell.id = f"{name}-{seen[name]}" if seen[name] else name
        seen[name] += 1
    return notebook


def run(root: Path, names: list[str], smoke: bool = False, output: Path | None = None) -> None:
    """Execute tasks in order; each notebook is replaced when its execution has succeeded.

    What it took goes into `execution.json` beside it.

    Args:
        root: the repository.
        names: folders such as "Task-1"; none means all that have a script.
        smoke: lower all budgets, to see whether everything works.
        output: write the notebooks there, leave the committed ones alone.

    Raises:
        NotebookError: a notebook failed, or its folder cannot be written; said before the work.
    """
    for folder in task_folders(root, names):
        _require_writable(output or folder)
        script = folder / f"{folder.name}.py"
        notebook = build(script)
        sources = provenance.digests(notebook, folder, root)
        begin = time.monotonic()
        with PeakMemory() as memory:
            execute(notebook, folder, smoke)
        seconds = time.monotonic() - begin
        budget = "smoke" if smoke else "full"
        notebook.metadata["cnnlab"] = {"budget": budget, "provenance": sources}
        write(notebook, (output or folder) / f"{folder.name}.ipynb")
        print(f"{folder.name}  {seconds:.0f} s, at most {memory.mebibytes:,.0f} MiB", flush=True)
        if not output:
            cost = {"seconds": round(seconds, 1), "peak_mebibytes": round(memory.mebibytes)}
            save_json(cost | {"machine": machine()}, folder / "execution.json")
    print(results_table(root))


def _require_writable(folder: Path) -> None:
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise NotebookError(f"{nearest} cannot be written, so the notebook was not executed")


def sync(root: Path, names: list[str]) -> None:
    """Bring changed prose and comments from the scripts into the notebooks; outputs stay.

    Raises:
        NotebookError: code has changed too, so the notebook must be executed.
    """
    for folder in task_folders(root, names):
        path = folder / f"{folder.name}.ipynb"
        old, new = nbformat.read(path, as_version=4), build(path.with_suffix(".py"))
        old_code, new_code = ([c for c in nb.cells if c.cell_type == "code"] for nb in (old, new))
        if _meanings(old_code) != _meanings(new_code):
            raise NotebookError(
                f"{folder.name}: code has changed; run `make run TASKS={folder.name}`"
            )
        for cell, executed in zip(new_code, old_code, strict=True):
            cell.outputs, cell.execution_count = executed.outputs, executed.execution_count
        new.metadata["cnnlab"] = old.metadata.get("cnnlab", {})
        write(new, path)


def _meanings(cells) -> list[str]:
    return [provenance.meaning(provenance.python_code(c.source), documented=False) for c in cells]


def write(notebook, path: Path) -> None:
    """Write a notebook whole or not at all."""
    nbformat.validate(notebook)
    with atomic_path(path) as temporary:
        nbformat.write(notebook, temporary)


def problems(root: Path, names: list[str]) -> list[str]:
    """Return what is wrong with the committed notebooks: file, cell, what."""
    lines = []
    for folder in task_folders(root, names):
        path = folder / f"{folder.name}.ipynb"
        place = f"{folder.name}/{path.name}"
        if not path.is_file():
            lines.append(f"{place}: has not been executed yet: make run TASKS={folder.name}")
        elif not path.with_suffix(".py").is_file():
            lines.append(f"{place}: has no script {folder.name}.py beside it")
        else:
            notebook, script = nbformat.read(path, as_version=4), build(path.with_suffix(".py"))
            for cell, problem in notebook_checks.all_problems(notebook, script, folder, root):
                lines.append(f"{place}: {f'cell {cell} ' if cell else ''}{problem}")
    return lines


def results_table(root: Path) -> str:
    """Return the headline results of all tasks as aligned text."""
    rows = []
    for path in sorted(root.glob("Task-*/results.json")):
        headline = json.loads(path.read_text(encoding="utf-8")).get("headline", [])
        rows += [[path.parent.name, *map(str, _columns(row))] for row in headline]
    if not rows:
        return "No task has results yet."
    rows.insert(0, ["task", "result", "value", "conditions"])
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join([*map(str.ljust, row[:3], widths), row[3]]).rstrip() for row in rows]
    return "\n".join(["", *lines])


def _columns(row: dict) -> tuple:
    return row["what"], row["value"], row.get("conditions", "")


def main(arguments: list[str] | None = None, root: Path | None = None) -> int:
    """Run a command; returns the exit status, 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", choices=["run", "sync", "check", "table"])
    parser.add_argument("tasks", nargs="*", help="such as Task-1; all when left out")
    parser.add_argument("--smoke", action="store_true", help="a quick run, needs --output")
    parser.add_argument("--output", type=Path, help="folder for the notebooks of a quick run")
    options = parser.parse_args(arguments)
    if options.smoke != bool(options.output):
        parser.error("--smoke and --output belong together: a quick run is not to be committed")
    root = (root or repository_root()).resolve()
    try:
        if options.command == "run":
            run(root, options.tasks, options.smoke, options.output)
        elif options.command == "sync":
            sync(root, options.tasks)
        elif options.command == "table":
            print(results_table(root))
        else:
            found = problems(root, options.tasks)
            print("\n".join(found) or "notebooks: nothing wrong")
            return bool(found)
        console.flush()
    except NotebookError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        with contextlib.suppress(OSError):
            console.flush()
        place = error.filename or "not everything was written"
        print(f"{place}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    console.use_utf8()
    sys.exit(main())
