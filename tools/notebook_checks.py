"""What must be true of a committed notebook. Each check yields (cell number or None, problem)."""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat

from tools import provenance

MOST_BYTES = 2_500_000
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:home|root|Users|work)/|\b[A-Z]:\\\w")
TEMPORARY_PATHS = re.compile(r"(?<![\w.])/(?:tmp|var)/")
START_LINES = re.compile(
    r"oneDNN custom operations|cpu_feature_guard|computation_placer|cuda_executor|cudart_stub"
    r"|TF-TRT Warning|Unable to register cu\w+ factory|before absl::InitializeLog"
    r"|^[IWEF]0000 00:00:\d",
    re.MULTILINE,
)
WIDGET = "application/vnd.jupyter.widget"

Problems = Iterator[tuple[int | None, str]]


def all_problems(notebook, script, folder: Path, root: Path) -> Problems:
    """Run every check.

    Args:
        notebook: the committed notebook.
        script: the notebook as built from its script, not executed.
        folder: where both lie.
        root: the repository.
    """
    yield from form(notebook)
    yield from pairing(notebook, script)
    yield from execution(notebook)
    yield from errors(notebook)
    yield from stderr(notebook)
    yield from widgets(notebook)
    yield from machine_paths(notebook, root)
    yield from start_lines(notebook)
    yield from size(notebook)
    yield from origin(notebook, provenance.digests(script, folder, root))


def form(notebook) -> Problems:
    """Format 4.5, kernel python3, each cell with an id of its own."""
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        yield None, f"has format {notebook.nbformat}.{notebook.nbformat_minor}, not 4.5"
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield None, "does not name the kernel python3"
    seen = set()
    for number, cell in enumerate(notebook.cells, 1):
        if cell.get("id") is None or cell.id in seen:
            yield number, "has no id of its own"
        seen.add(cell.get("id"))


def pairing(notebook, script) -> Problems:
    """The cells are those of the script."""
    if len(notebook.cells) != len(script.cells):
        yield None, f"has {len(notebook.cells)} cells, its script {len(script.cells)}"
        return
    for number, (cell, paired) in enumerate(zip(notebook.cells, script.cells, strict=True), 1):
        if cell.cell_type != paired.cell_type:
            yield number, f"is {cell.cell_type}, in the script {paired.cell_type}"
        elif cell.source != paired.source:
            yield number, "differs from the script"
        elif cell.metadata.get("tags", []) != paired.metadata.get("tags", []):
            yield number, "has other tags than in the script"


def execution(notebook) -> Problems:
    """Run once, from top to bottom."""
    expected = 0
    for number, cell in _code_cells(notebook):
        if not cell.source.strip():
            continue
        expected += 1
        if cell.execution_count is None:
            yield number, "was not executed"
        elif cell.execution_count != expected:
            yield number, f"was executed as number {cell.execution_count}, not {expected}"


def errors(notebook) -> Problems:
    """No tracebacks."""
    for number, output in _outputs(notebook):
        if output.output_type == "error":
            yield number, f"ended in {output.ename}: {output.evalue}"


def stderr(notebook) -> Problems:
    """Nothing on the error stream: warnings are either mended or explained in the text."""
    for number, output in _outputs(notebook):
        if output.output_type == "stream" and output.name == "stderr":
            yield number, f"wrote to stderr: {output.text.strip()[:80]!r}"


def widgets(notebook) -> Problems:
    """No widgets, which are dead in a committed notebook."""
    if any("widget" in key for key in notebook.metadata):
        yield None, "holds the state of widgets"
    for number, output in _outputs(notebook):
        if any(kind.startswith(WIDGET) for kind in output.get("data", {})):
            yield number, "shows a widget"


def machine_paths(notebook, root: Path) -> Problems:
    """No folders of the machine that it ran on."""
    for number, text in _texts(notebook):
        found = MACHINE_PATHS.search(text) or TEMPORARY_PATHS.search(text)
        if found or str(root) in text:
            shown = found.group() if found else str(root)
            yield number, f"shows a folder of the machine it ran on ({shown})"


def start_lines(notebook) -> Problems:
    """No start-up lines of TensorFlow."""
    for number, text in _texts(notebook):
        found = START_LINES.search(text)
        if found:
            yield number, f"shows TensorFlow's start-up lines ({found.group()!r})"


def size(notebook) -> Problems:
    """Small enough to be shown by code hosts and to be kept in a history."""
    count = len(nbformat.v4.writes(notebook).encode())
    if count > MOST_BYTES:
        yield None, f"has {count / 1e6:.1f} MB, more than {MOST_BYTES / 1e6:.1f} MB"


def origin(notebook, current: dict[str, str]) -> Problems:
    """The outputs come from the sources as they are now."""
    made = notebook.metadata.get("cnnlab")
    if made is None:
        yield None, "does not say what its outputs were made from"
        return
    if made["budget"] != "full":
        yield None, f"comes from a {made['budget']} run"
    for phrase in provenance.changes(made["provenance"], current):
        yield None, f"its outputs are older than their sources: {phrase}"


def _code_cells(notebook):
    return ((n, cell) for n, cell in enumerate(notebook.cells, 1) if cell.cell_type == "code")


def _outputs(notebook):
    return ((number, output) for number, cell in _code_cells(notebook) for output in cell.outputs)


def _texts(notebook) -> Iterator[tuple[int, str]]:
    """Yield every text in the outputs: streams, tracebacks and all that is no encoded image."""
    for number, output in _outputs(notebook):
        if "text" in output:
            yield number, output.text
        yield from ((number, line) for line in output.get("traceback", []))
        for kind, content in output.get("data", {}).items():
            if kind.startswith("text/") or kind.endswith(("json", "xml")):
                yield number, content if isinstance(content, str) else str(content)
