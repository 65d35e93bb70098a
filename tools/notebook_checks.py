"""What must be true of a committed notebook. Each check yields (cell number or None, problem)."""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat

from tools import provenance

MOST_BYTES = 2_500_000
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:home|root|Users|work)/|\b[A-Z]:\\\w")
TEMPORARY_PATHS = r"(?<![\w.])/(?:tmp|var)/"
START_LINES = re.compile(
    r"oneDNN custom operations|cpu_feature_guard|computation_placer|cuda_executor|cudart_stub"
    r"|TF-TRT Warning|Unable to register cu\w+ factory|before absl::InitializeLog"
    r"|^[IWEF]0000 00:00:\d",
    re.MULTILINE,
)

Problems = Iterator[tuple[int | None, str]]


def all_problems(notebook, script, sources: dict[str, str], root: Path) -> Problems:
    """Run every check.

    Args:
        notebook: the committed notebook.
        script: the notebook as built from its script, not executed.
        sources: the digests of its sources as they are now, from `provenance.digests`.
        root: of the repository that it was executed in.
    """
    yield from form(notebook)
    yield from pairing(notebook, script)
    yield from execution(notebook)
    yield from outputs(notebook, root)
    yield from origin(notebook, sources)


def form(notebook) -> Problems:
    """Format 4.5, kernel python3, each cell with an id of its own; not too large for code hosts."""
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        yield None, f"has format {notebook.nbformat}.{notebook.nbformat_minor}, not 4.5"
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield None, "does not name the kernel python3"
    count = len(nbformat.v4.writes(notebook).encode())
    if count > MOST_BYTES:
        yield None, f"has {count / 1e6:.1f} MB, more than {MOST_BYTES / 1e6:.1f} MB"
    seen = {None}
    for number, cell in enumerate(notebook.cells, 1):
        if cell.get("id") in seen:
            yield number, "has no id of its own"
        seen.add(cell.get("id"))


def pairing(notebook, script) -> Problems:
    """The cells are those of the script."""
    if len(notebook.cells) != len(script.cells):
        yield None, f"has {len(notebook.cells)} cells, its script {len(script.cells)}"
        return
    for number, pair in enumerate(zip(notebook.cells, script.cells, strict=True), 1):
        parts = [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in pair]
        for name, own, of_script in zip(("kind", "text", "tags"), *parts, strict=True):
            if own != of_script:
                yield number, f"has not the {name} of the script"


def execution(notebook) -> Problems:
    """Run once, from top to bottom."""
    executed = [(n, cell) for n, cell in _code_cells(notebook) if cell.source.strip()]
    for expected, (number, cell) in enumerate(executed, 1):
        if cell.execution_count is None:
            yield number, "was not executed"
        elif cell.execution_count != expected:
            yield number, f"was executed as number {cell.execution_count}, not {expected}"


def outputs(notebook, root: Path | None = None) -> Problems:
    """No tracebacks, warnings, widgets, start-up lines of TensorFlow, folders of the machine.

    Nor the name of `root`, the repository that it was executed in.
    """
    if any("widget" in key for key in notebook.metadata):
        yield None, "holds the state of widgets"
    paths = [MACHINE_PATHS.pattern, TEMPORARY_PATHS, *([re.escape(str(root))] if root else [])]
    unwanted = {"TensorFlow's start-up lines": START_LINES}
    unwanted |= {"a folder of the machine it ran on": re.compile("|".join(paths))}
    for number, output in ((n, each) for n, cell in _code_cells(notebook) for each in cell.outputs):
        if output.output_type == "error":
            yield number, f"ended in {output.ename}: {output.evalue}"
        if output.get("name") == "stderr":  # warnings are mended, or explained in the text
            yield number, f"wrote to stderr: {output.text.strip()[:80]!r}"
        data = output.get("data", {})
        if any(kind.startswith("application/vnd.jupyter.widget") for kind in data):
            yield number, "shows a widget"  # which is dead in a committed notebook
        written = [str(data[kind]) for kind in data if re.search("^text/|json$|xml$", kind)]
        text = "\n".join([output.get("text", ""), *output.get("traceback", []), *written])
        for what, pattern in unwanted.items():
            if match := pattern.search(text):
                yield number, f"shows {what} ({match.group()!r})"


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
