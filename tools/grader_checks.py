"""What must be true after a grader has executed a notebook."""

import datetime
import hashlib
from collections.abc import Iterator
from pathlib import Path

import nbformat

from tools import notebook_checks
from tools.grader_commands import COURSE, PARAMETER, VALUE

CACHES = {"__pycache__", ".pytest_cache", ".ipynb_checkpoints"}
INJECTED = "injected-parameters"  # papermill's tag for the cell that it adds
PROBE = 'results["seed"]'  # tells which seed the notebook has used

Problems = notebook_checks.Problems


def notebook_problems(given, executed) -> Problems:
    """Run every check that holds for all graders.

    Args:
        given: the notebook before its execution.
        executed: what the grader has made of it.
    """
    yield from same_code(given, executed)
    yield from notebook_checks.execution(executed)
    yield from times(executed)
    yield from notebook_checks.outputs(executed)


def same_code(given, executed) -> Problems:
    """The code cells are those that were given, except for papermill's own."""
    expected = [cell.source for cell in code_cells(given)]
    found = [cell.source for cell in code_cells(executed) if INJECTED not in tags(cell)]
    if found != expected:
        yield None, f"does not hold the {len(expected)} code cells that were given"


def times(executed) -> Problems:
    """Each cell says when it ran, so its number is not left over from an earlier execution."""
    for number, cell in enumerate(executed.cells, 1):
        if cell.cell_type == "code" and seconds(cell) is None:
            yield number, "does not say when it ran"


def parameter(executed) -> Problems:
    """The parameter was injected after its default, and the notebook has used it."""
    cells = code_cells(executed)
    places = [place for place, cell in enumerate(cells) if INJECTED in tags(cell)]
    if len(places) != 1 or f"{PARAMETER} = {VALUE}" not in cells[places[0]].source:
        yield None, f"has no cell that sets {PARAMETER} = {VALUE}"
    elif places[0] == 0 or "parameters" not in tags(cells[places[0] - 1]):
        yield None, f"sets {PARAMETER} elsewhere than after its default"
    shown = [output.get("data", {}).get("text/plain") for output in cells[-1].outputs]
    if shown != [str(VALUE)]:
        yield len(executed.cells), f"{PROBE} is {shown}, not {VALUE}"


def add_probe(path: Path) -> None:
    """Add a cell that shows which seed was used; no cell of the notebooks does."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(PROBE))
    nbformat.write(notebook, path)


def slowest(executed) -> tuple[float, int]:
    """Return the most seconds that a cell took, and the cell's number."""
    numbered = enumerate(executed.cells, 1)
    return max(
        (seconds(cell) or 0.0, number) for number, cell in numbered if cell.cell_type == "code"
    )


def seconds(cell) -> float | None:
    """Return how long a cell says that it took; None when it does not say."""
    said = cell.metadata.get("execution", {})
    try:
        begin, end = said["iopub.execute_input"], said["shell.execute_reply"]
    except KeyError:
        return None
    parse = datetime.datetime.fromisoformat
    return (parse(end) - parse(begin)).total_seconds()


def code_cells(notebook) -> list:
    """Return the code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell) -> list[str]:
    """Return the tags of a cell."""
    return cell.metadata.get("tags", [])


def digests(folder: Path) -> dict[str, str]:
    """Return a digest for each file below a folder, by name, without what programs cache."""
    named = ((path.relative_to(folder), path) for path in folder.rglob("*") if path.is_file())
    return {
        name.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in named
        if not CACHES.intersection(name.parts)
    }


def file_problems(before: dict[str, str], after: dict[str, str], output: str) -> Iterator[str]:
    """Say which files differ, except for the grader's own: the output and nbgrader's course."""
    for name in sorted(before.keys() | after.keys()):
        own = name == output or name.startswith(f"{COURSE}/")
        if not own and before.get(name) != after.get(name):
            happened = "new" if name not in before else "changed" if name in after else "gone"
            yield f"{name} is {happened}"
