"""What is wrong with a notebook that a grader has executed, and with the files that it leaves."""

import contextlib
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

import noxfile

WARNING = nbformat.v4.new_output("stream", name="stderr", text="a warning\n")


def notebook(executed=True):
    cells = [nbformat.v4.new_code_cell(source) for source in ("SEED = 0", "SEED = 1", "SEED")]
    cells[1].metadata["tags"] = ["injected-parameters"]
    cells[2].outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "1"})]
    for number, cell in enumerate(cells, 1):
        if executed:
            cell.metadata["execution"] = {"shell.execute_reply": "2026-01-01T10:00:00Z"}
            cell.execution_count = number
    return nbformat.v4.new_notebook(cells=cells if executed else cells[::2])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"execution_count": 5}, "cell 1 was executed as number 5, not 1"),
        ({"outputs": [WARNING]}, "cell 1 wrote to stderr: 'a warning'"),
        ({"source": "SEED = 2"}, "does not hold the 2 code cells that were given"),
        ({"metadata": {}}, "cell 1 does not say when it ran: its outputs are older ones"),
    ],
)
def test_a_problem_is_named(change, problem):
    made = notebook()
    made.cells[0].update(change)
    problems = list(noxfile.notebook_problems(notebook(executed=False), made, probe=True))
    assert problems == ([problem] if problem else [])
    made.cells[2].outputs[0].data["text/plain"] = "0"  # the parameter was not used
    problems = list(noxfile.notebook_problems(notebook(executed=False), made, probe=True))
    assert problems[-1] == f"{noxfile.PROBE} is ['0'], not 1"


def test_files_are_compared_and_old_outputs_are_noticed(repository, monkeypatch):
    def run(*command, env, **_):
        assert set(env) <= {"PATH", "HOME", "CNNLAB_BUDGET", *noxfile.KEPT_VARIABLES}
        if subprocess.run(command, env=env).returncode:
            raise noxfile.nox.command.CommandFailed("Returned code 1")

    session = SimpleNamespace(chdir=contextlib.chdir, run=run)
    monkeypatch.setattr(noxfile, "ROOT", repository)
    nbformat.write(notebook(executed=False), repository / "Task-1" / "Task-1.ipynb")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    command = "cp {task}/{task}.ipynb out.ipynb; echo >> pyproject.toml; rm cnnlab/unused.py; >new"
    problems = noxfile.execute(session, command, "Task-1", "out.ipynb")
    changed = ["cnnlab/unused.py changed", "new changed", "pyproject.toml changed"]
    assert problems[:4] == [*changed, "cell 1 was not executed"]
    failed = noxfile.execute(session, "exit 1", "Task-1", "out.ipynb")
    assert failed == ["the grader failed: Returned code 1"]
    assert noxfile.execute(session, ":", "Task-1", "out.ipynb") == ["out.ipynb was not written"]


def test_the_documents_show_these_commands(monkeypatch):
    file = Path(__file__).resolve().parents[1] / "docs" / "grading.md"
    readme = file.read_text(encoding="utf-8")
    versions, commands = [], []
    session = SimpleNamespace(install=lambda *packages: versions.append(packages[1]))
    monkeypatch.setattr(noxfile, "grade", lambda _, each, *rest, **more: commands.append(each[0]))
    for name in ("nbconvert", "nbmake", "papermill", "nbclient", "nbgrader"):
        getattr(noxfile, name)(session)
    assert [each for each in versions if each.replace("==", " ") not in readme] == []
    shown = re.sub(" +#.*", "", readme)
    assert [each for each in commands if each.format(task="Task-1") not in shown] == []
