"""Build, execute and check the notebooks. Run from the repository's root:

python -m tools.notebooks run [Task-1 ...]     execute Task-N.py into run/Task-N
python -m tools.notebooks renew [Task-1 ...]   the same, and replace what is committed in Task-N
python -m tools.notebooks sync [Task-1 ...]    bring changed prose and comments over; outputs stay
python -m tools.notebooks check [Task-1 ...]   say what is wrong with the committed notebooks
"""

import argparse
import contextlib
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import jupytext
import nbformat

from cnnlab.command_line import console
from cnnlab.command_line.options import sentence
from cnnlab.notebook import OF_RUN, RUN, can_be_made
from cnnlab.runtime import machine, repository_root
from cnnlab.saving import atomic_path, save_json
from tools import headlines, notebook_checks, prose, provenance
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
        NotebookError: one of `names` is not such a folder.
    """
    files = sorted([*root.glob("Task-*/Task-*.py"), *root.glob("Task-*/Task-*.ipynb")])
    folders = {file.parent.name: file.parent for file in files if file.stem == file.parent.name}
    names = [name.strip("/") for name in names] or list(folders)
    for name in names:
        if name not in folders:
            there = ", ".join(folders) or "none yet"
            raise NotebookError(f"{name}: no such task; there are: {there}")
    return [folders[name] for name in names]


def build(script: Path):
    """Return the notebook that a percent script describes, with all numbers of its text filled in.

    Ids come from the cells' content.
    """
    notebook = jupytext.read(script, fmt="py:percent")
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict(METADATA)
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = prose.filled(cell.source, script.stem)
        name = provenance.digest(f"{cell.cell_type}\n{cell.source}")[:12]
        cell.id = f"{name}-{seen[name]}" if seen[name] else name
        seen[name] += 1
    return notebook


def run(root: Path, names: list[str], renew: bool = False) -> None:
    """Execute tasks in order, each into `run/Task-N`, and compare their headline results.

    A task opens the models of those before it, as this run has made them. With `renew`, what a task
    has made replaces what is committed as soon as it is done, unless a notebook fails.

    Raises:
        NotebookError: a notebook failed, or a folder cannot be written; said before the work.
    """
    folders = task_folders(root, names)
    _require_writable(root / RUN, *(folders if renew else []))
    before = {folder.name: headlines.of(folder) for folder in folders}
    done: list[str] = []
    for folder in folders:
        made, begin = root / RUN / folder.name, time.time()
        notebook, cost = _executed(folder, root, "full", done)
        write(notebook, made / f"{folder.name}.ipynb")
        save_json(cost, made / "execution.json")
        for file in filter(Path.is_file, made.rglob("*")):
            if file.stat().st_mtime < begin:  # an earlier run has left it
                file.unlink()
        done.append(folder.name)
        if renew:
            replace(made, folder)
    print(headlines.comparison(before, {task: headlines.of(root / RUN / task) for task in done}))
    print("What is committed was replaced." if renew else f"All of this run is in {RUN}/.")


def run_quickly(root: Path, names: list[str], target: Path) -> None:
    """Execute tasks with all budgets lowered; only their notebooks are written, into `target`."""
    _require_writable(target.absolute())
    for folder in task_folders(root, names):
        write(_executed(folder, root, "smoke")[0], target / f"{folder.name}.ipynb")


def _require_writable(*folders: Path) -> None:
    for folder in folders:
        if not can_be_made(folder):
            raise NotebookError(f"{folder} cannot be written, so no notebook was executed")


def _executed(folder: Path, root: Path, budget: str, done: Sequence[str] = ()) -> tuple:
    """Execute a task, with the models of the tasks `done`; return its notebook and its cost."""
    notebook = build(folder / f"{folder.name}.py")
    sources = provenance.digests(notebook, folder, root)
    for name in sources:  # models of other tasks are those that this run has made
        made = root / RUN / name
        if name.split("/")[0] in done and made.is_file():
            sources[name] = provenance.digest(made.read_bytes())
    begin = time.monotonic()
    with PeakMemory() as memory:
        execute(notebook, folder, {"CNNLAB_BUDGET": budget, OF_RUN: " ".join(done)})
    seconds = time.monotonic() - begin
    notebook.metadata["cnnlab"] = {"budget": budget, "provenance": sources}
    print(f"{folder.name}  {seconds:.0f} s, at most {memory.mebibytes:,.0f} MiB", flush=True)
    cost = {"seconds": round(seconds, 1), "peak_mebibytes": round(memory.mebibytes)}
    return notebook, cost | {"machine": machine()}


def replace(made: Path, folder: Path) -> None:
    """Put the files of a run in place of the committed ones, the notebook last.

    Committed figures and models that the run has not made go.
    """
    for old in [*folder.glob("figures/*"), *folder.glob("models/*")]:
        if not (made / old.relative_to(folder)).exists():
            old.unlink()
    files = [file for file in made.rglob("*") if file.is_file()]
    for file in sorted(files, key=lambda file: file.suffix == ".ipynb"):
        with atomic_path(folder / file.relative_to(made)) as temporary:
            shutil.copyfile(file, temporary)


def sync(root: Path, names: list[str]) -> None:
    """Bring changed prose and comments from the scripts into the notebooks; outputs stay.

    Raises:
        NotebookError: code has changed too, so the notebook must be executed.
    """
    for folder in task_folders(root, names):
        path = folder / f"{folder.name}.ipynb"
        old, new = nbformat.read(path, as_version=4), build(path.with_suffix(".py"))
        if provenance.code_meaning(old) != provenance.code_meaning(new):
            again = f"make notebooks TASKS={folder.name}"
            raise NotebookError(f"{folder.name}: code has changed; run `{again}`")
        executed, changed = ([c for c in nb.cells if c.cell_type == "code"] for nb in (old, new))
        for cell, before in zip(changed, executed, strict=True):
            cell.outputs, cell.execution_count = before.outputs, before.execution_count
        new.metadata["cnnlab"] = old.metadata.get("cnnlab", {})
        write(new, path)


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
        if not path.is_file():
            wrong = [(None, f"has not been executed yet: make notebooks TASKS={folder.name}")]
        elif not path.with_suffix(".py").is_file():
            wrong = [(None, f"has no script {folder.name}.py next to it")]
        else:
            notebook, script = nbformat.read(path, as_version=4), build(path.with_suffix(".py"))
            sources = provenance.digests(script, folder, root)
            wrong = notebook_checks.all_problems(notebook, script, sources, root)
        for cell, problem in wrong:
            lines.append(f"{folder.name}/{path.name}: {f'cell {cell} ' if cell else ''}{problem}")
    return lines


def main(arguments: list[str] | None = None, root: Path | None = None) -> int:
    """Run a command; returns the exit status, 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", choices=["run", "renew", "sync", "check"])
    parser.add_argument("tasks", nargs="*", help="such as Task-1; all when left out")
    parser.add_argument("--smoke", type=Path, metavar="FOLDER", help="run quickly, into a folder")
    options = parser.parse_args(arguments)
    root = (root or repository_root()).resolve()
    wrong: list[str] = []
    try:
        if options.smoke:
            run_quickly(root, options.tasks, options.smoke)
        elif options.command == "sync":
            sync(root, options.tasks)
        elif options.command == "check":
            wrong = problems(root, options.tasks)
            print("\n".join(wrong) or "notebooks: nothing wrong")
        else:
            run(root, options.tasks, renew=options.command == "renew")
        console.flush()
    except (NotebookError, OSError) as error:
        with contextlib.suppress(OSError):
            console.flush()
        print(sentence(error), file=sys.stderr)
        return 1
    return int(bool(wrong))


if __name__ == "__main__":
    console.use_utf8()
    sys.exit(main())
