"""A repository in miniature, for the tests of the tools."""

import json
from pathlib import Path

import nbformat

from tools import notebooks, provenance

SCRIPT = """\
# %% [markdown]
# # A small task

# %% tags=["parameters"]
import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd().parent))
from cnnlab.parts import double  # twice

print(double(21))

# %% [markdown]
# ## Its end

# %%
double(4)
"""


def make(root: Path) -> Path:
    """Write a repository with one task that was not executed yet."""
    files = {
        "pyproject.toml": "",
        "requirements.txt": "numpy>=2,<3  # arrays\n",
        "constraints.txt": "numpy==2.1.0\n",
        "cnnlab/__init__.py": '"""Package."""\n',
        "cnnlab/parts.py": "from . import helper\n\ndef double(x):\n    return helper.FACTOR * x\n",
        "cnnlab/helper.py": "FACTOR = 2\n",
        "cnnlab/unused.py": "X = 1\n",
        "Task-1/Task-1.py": SCRIPT,
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def add_notebook(root: Path) -> Path:
    """Add a notebook that looks executed; a kernel would cost a second for each test."""
    folder = root / "Task-1"
    notebook = notebooks.build(folder / "Task-1.py")
    sources = provenance.digests(notebook, folder, root)
    notebook.metadata["cnnlab"] = {"budget": "full", "provenance": sources}
    first, second = (cell for cell in notebook.cells if cell.cell_type == "code")
    first.execution_count, second.execution_count = 1, 2
    first.outputs = [nbformat.v4.new_output("stream", text="42\n")]
    second.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "8"})]
    notebooks.write(notebook, folder / "Task-1.ipynb")
    return root


def block(call: str) -> str:
    return f"<!-- [[[cog print(blocks.{call}) ]]] -->\n<!-- [[[end]]] -->\n"


DOCUMENTED = {
    "cnnlab/__init__.py": '"""Package."""\n\n__version__ = "1.2.0"\n',
    "pyproject.toml": '[tool.rumdl]\ndisable = ["MD013"]\n',
    "CITATION.cff": "cff-version: 1.2.0\nversion: 1.2.0\n",
    "CHANGELOG.md": "# Changes\n\n## 1.2.0 – unreleased\n\n* All of it.\n",
    "Task-1/figures/curve.png": "",
    "Task-1/README.md": "# Task 1\n\n" + block('task_results("Task-1")'),
    "README.md": """\
# A repository

[Below](#the-results), [the task](Task-1/README.md#task-1), [a folder](Task-1/figures/), ![a
curve](Task-1/figures/curve.png), [elsewhere](https://example.org/none.md), `[code](none.md)`

## The *results*

"""
    + "\n".join(map(block, ("main_results()", "versions()", "seconds()"))),
}
RESULTS = {
    "headline": [
        {"what": "final, lines 60 : 40", "value": "99.500 %", "conditions": "mean of 2 seeds"},
        {"what": "final, lines 60 : 40, this run", "value": "99.600 %", "conditions": "seed 0"},
    ],
    "study": {
        "final-lines": {
            "title": "final, lines 60 : 40",
            "seeds": 2,
            "mean accuracy": 0.995,
            "errors": [4, 6],
            "n": 1000,
            "parameters": 1234,
            "interval of the errors": [0.002, 0.012],
            "seconds": [8.2, 8.6],
        }
    },
    "versions": {"python": "3.11.7", "tensorflow": "2.21.0", "keras": "3.15.1"},
    "machine": {"processor": "An Abacus", "cores": 2},
}


def add_documents(root: Path) -> Path:
    """Add documents, a figure and results; the blocks are not filled yet."""
    for name, text in DOCUMENTED.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    for name, data in (("results", RESULTS), ("times", {"everything above": 1233.7})):
        (root / "Task-1" / f"{name}.json").write_text(json.dumps(data), encoding="utf-8")
    edit(root / "Task-1" / "Task-1.py", "double(4)", 'out.figure(double(4), "curve")')
    return root


FAKE = "import sys, unittest.mock\nsys.modules[__name__] = unittest.mock.MagicMock()\n"


def fake_modules(folder: Path) -> Path:
    """Add a folder of modules, so that fake runs of a study need not wait for the true ones."""
    modules = folder / "modules"
    modules.mkdir(exist_ok=True)
    for name in ("tensorflow", "keras", "jupytext"):
        (modules / f"{name}.py").write_text(FAKE)
    return modules


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def check(repository: Path, capsys) -> tuple[int, str]:
    status = notebooks.main(["check"], repository)
    return status, capsys.readouterr().out
