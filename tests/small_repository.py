"""A repository in miniature, for the tests of the notebook tools."""

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


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def check(repository: Path, capsys) -> tuple[int, str]:
    status = notebooks.main(["check"], repository)
    return status, capsys.readouterr().out
