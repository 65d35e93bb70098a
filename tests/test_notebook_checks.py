"""Each check sees the defect that it is there for, and nothing else."""

from pathlib import Path

import nbformat
import pytest

from tools import notebook_checks, notebooks, provenance


def add(kind: str, **content):
    return lambda nb: nb.cells[1].outputs.append(nbformat.v4.new_output(kind, **content))


def add_stream(text: str, name: str = "stdout"):
    return add("stream", name=name, text=text)


def add_data(kind: str, content):
    return add("display_data", data={kind: content})


DEFECTS = {
    "other text": (lambda nb: nb.cells[3].update(source="double(5)"), "4 has not the text of"),
    "other tags": (lambda nb: nb.cells[1].metadata.clear(), "2 has not the tags of"),
    "cell missing": (lambda nb: nb.cells.pop(0), "has 3 cells, its script 4"),
    "not executed": (lambda nb: nb.cells[3].update(execution_count=None), "4 was not executed"),
    "out of order": (lambda nb: nb.cells[3].update(execution_count=5), "as number 5, not 2"),
    "traceback": (add("error", ename="ValueError", evalue="no"), "2 ended in ValueError: no"),
    "warning": (add_stream("UserWarning: x", "stderr"), "2 wrote to stderr: 'UserWarning: x'"),
    "widget": (add_data("application/vnd.jupyter.widget-view+json", {"id": 1}), "2 shows a widget"),
    "widget state": (lambda nb: nb.metadata.update(widgets={}), "holds the state of widgets"),
    "temporary": (add_stream("saved to /tmp/x/y.png"), "2 shows a folder of the machine"),
    "in HTML": (add_data("text/html", "<a href='/root/x'>"), "2 shows a folder of the machine"),
    "Windows": (add_stream("C:\\Temp"), "2 shows a folder of the machine"),
    "the repository": (add_stream("in /srv/a copy/data"), "the machine it ran on ('/srv/a copy')"),
    "start-up line": (add_stream("I0000 00:00:17.1 12 c.cc:2] x"), "2 shows TensorFlow's start-up"),
    "too large": (add_data("image/png", "A" * 2_600_000), "has 2.6 MB, more than 2.5 MB"),
    "old format": (lambda nb: nb.update(nbformat_minor=4), "has format 4.4, not 4.5"),
    "no kernel": (lambda nb: nb.metadata.pop("kernelspec"), "does not name the kernel python3"),
    "same ids": (lambda nb: nb.cells[2].update(id=nb.cells[0].id), "3 has no id of its own"),
    "no origin": (lambda nb: nb.metadata.pop("cnnlab"), "does not say what its outputs"),
    "quick run": (lambda nb: nb.metadata.cnnlab.update(budget="smoke"), "comes from a smoke run"),
    "other origin": (
        lambda nb: nb.metadata.cnnlab.provenance.update({"cnnlab/helper.py": "0"}),
        "older than their sources: cnnlab/helper.py has changed",
    ),
    "nothing": (add_stream("network/work/home ./root/x ratio 1:\\n a/Users/b"), None),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_check_catches(executed, defect):
    folder, (plant, expected) = executed / "Task-1", DEFECTS[defect]
    notebook = nbformat.read(folder / "Task-1.ipynb", as_version=4)
    script = notebooks.build(folder / "Task-1.py")
    plant(notebook)
    sources = provenance.digests(script, folder, executed)
    problems = notebook_checks.all_problems(notebook, script, sources, Path("/srv/a copy"))
    problems = [f"{cell or ''} {problem}" for cell, problem in problems]
    assert len(problems) == bool(expected) and all(expected in problem for problem in problems)
