"""The notebook tools catch what they should; the committed notebooks are as they should be."""

import datetime
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from small_repository import SCRIPT, check, edit

from tools import notebooks

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = sorted(ROOT.glob("Task-*/Task-*.ipynb"))
SECONDS_PER_CELL = 30


def test_ids_belong_to_the_content(repository):
    script = repository / "Task-1" / "Task-1.py"
    before = [cell.id for cell in notebooks.build(script).cells]
    script.write_text("# %%\ndouble(4)\n\n" + SCRIPT)
    after = [cell.id for cell in notebooks.build(script).cells]
    assert after[1:-1] == before[:-1] and after[0] == before[-1] and len(set(after)) == 5


def test_run_executes_and_prints_the_table(repository, capsys):
    row = {"what": "accuracy", "value": "99.1 %", "conditions": "3 seeds"}
    results = notebooks.json.dumps({"headline": [row]})
    (repository / "Task-1" / "results.json").write_text(results)
    path = repository / "Task-1" / "Task-1.ipynb"
    assert notebooks.main(["run", "Task-1"], repository) == 0
    printed = capsys.readouterr().out
    assert "cell  2 of 4  A small task" in printed
    assert printed.endswith("Task-1  accuracy  99.1 %  3 seeds\n")
    assert check(repository, capsys)[0] == 0
    first = path.read_bytes()
    assert notebooks.main(["run"], repository) == 0
    assert path.read_bytes() == first
    notebook = nbformat.read(path, as_version=4)
    assert notebook.cells[1].outputs[0].text == "42\n"
    assert notebook.cells[3].outputs[0].data["text/plain"] == "8"
    assert "version" not in notebook.metadata.language_info


def test_a_failing_run_leaves_the_notebook_alone(executed, capsys):
    path = executed / "Task-1" / "Task-1.ipynb"
    before = path.read_bytes()
    edit(path.with_suffix(".py"), "double(4)", "double(1 / 0)")
    assert notebooks.main(["run"], executed) == 1
    printed = capsys.readouterr().err
    assert "Task-1/Task-1.py: cell 4 failed: ZeroDivisionError: division by zero" in printed
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["Task-1.ipynb", "Task-1.py"]


def test_a_quick_run_goes_elsewhere(executed, tmp_path):
    edit(executed / "Task-1" / "Task-1.py", "double(4)", "import os; os.environ['CNNLAB_BUDGET']")
    before = (executed / "Task-1" / "Task-1.ipynb").read_bytes()
    assert notebooks.main(["run", "--smoke", "--output", str(tmp_path / "out")], executed) == 0
    notebook = nbformat.read(tmp_path / "out" / "Task-1.ipynb", as_version=4)
    assert notebook.cells[3].outputs[0].data["text/plain"] == "'smoke'"
    assert (executed / "Task-1" / "Task-1.ipynb").read_bytes() == before
    with pytest.raises(SystemExit):
        notebooks.main(["run", "--smoke"], executed)


def test_sync_keeps_outputs_and_refuses_new_code(executed, capsys):
    script = executed / "Task-1" / "Task-1.py"
    edit(script, "# # A small task", "# # A small task, explained\n#\n# In a sentence.")
    edit(script, "# twice", "# two times")
    assert check(executed, capsys)[0] == 1
    assert notebooks.main(["sync"], executed) == 0
    assert check(executed, capsys) == (0, "notebooks: nothing wrong\n")
    edit(script, "double(4)", "double(5)")
    assert notebooks.main(["sync"], executed) == 1
    assert "make run TASKS=Task-1" in capsys.readouterr().err


def test_unknown_tasks_and_missing_parts_are_said(executed, capsys):
    assert notebooks.main(["check", "Task-9"], executed) == 1
    assert "Task-9: no such task; there are: Task-1" in capsys.readouterr().err
    assert notebooks.main(["table"], executed) == 0
    assert capsys.readouterr().out == "No task has results yet.\n"
    (executed / "Task-1" / "Task-1.py").unlink()
    assert "has no script Task-1.py beside it" in check(executed, capsys)[1]


def test_committed_notebooks():
    assert COMMITTED
    assert notebooks.problems(ROOT, []) == []


def working_tree(folder: Path) -> dict[str, str]:
    """Return a digest for each file of a folder, by name."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def seconds(cell) -> float:
    """Return how long nbconvert says that a cell took."""
    times = cell.metadata["execution"]
    begin, end = times["iopub.execute_input"], times["shell.execute_reply"]
    return (
        datetime.datetime.fromisoformat(end) - datetime.datetime.fromisoformat(begin)
    ).total_seconds()


@pytest.mark.slow
@pytest.mark.parametrize("notebook", COMMITTED, ids=lambda path: path.stem)
def test_smoke_execution(notebook, tmp_path):
    """Anybody's copy runs: elsewhere, under an awkward name, started from another folder."""
    copy = tmp_path / "a copy for Zoë"
    ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "lines.npz")
    shutil.copytree(ROOT, copy, ignore=ignored)
    before = working_tree(copy)
    relative = notebook.relative_to(ROOT)
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute"]
    command += [str(copy / relative), "--output", "out.ipynb"]
    environment = {name: os.environ[name] for name in os.environ.keys() - {"HOME", "MPLBACKEND"}}
    environment["CNNLAB_BUDGET"] = "smoke"
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]

    after = working_tree(copy)
    written = relative.with_name("out.ipynb")
    assert after.pop(written.as_posix())
    assert after == before
    cells = [c for c in nbformat.read(copy / written, as_version=4).cells if c.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    slow = {cell.source[:60]: seconds(cell) for cell in cells if cell.source.strip()}
    assert {source: s for source, s in slow.items() if s > SECONDS_PER_CELL} == {}
