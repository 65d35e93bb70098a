"""The notebook tools do what they should; the committed notebooks are as they should be."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from small_repository import SCRIPT, check, edit

import noxfile
from tools import notebook_checks, notebooks, provenance

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = sorted(ROOT.glob("Task-*/Task-*.ipynb"))
EXECUTE = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--output=out.ipynb"]


def test_ids_belong_to_the_content(repository):
    script = repository / "Task-1" / "Task-1.py"
    before = [cell.id for cell in notebooks.build(script).cells]
    script.write_text("# %%\ndouble(4)\n\n" + SCRIPT)
    after = [cell.id for cell in notebooks.build(script).cells]
    assert after[1:-1] == before[:-1] and after[0] == before[-1] and len(set(after)) == 5


def test_a_failing_run_leaves_the_notebook_alone(executed, capsys):
    path = executed / "Task-1" / "Task-1.ipynb"
    before = path.read_bytes()
    edit(path.with_suffix(".py"), "double(4)", "double(1 / 0)")
    assert notebooks.main(["renew"], executed) == 1
    printed = capsys.readouterr()
    assert "cell  2 of 4  A small task" in printed.out
    assert "Task-1/Task-1.py: cell 4 failed: ZeroDivisionError: division by zero" in printed.err
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["Task-1.ipynb", "Task-1.py"]


def test_a_quick_run_goes_elsewhere(executed, tmp_path):
    edit(executed / "Task-1" / "Task-1.py", "double(4)", "import os; os.environ['CNNLAB_BUDGET']")
    before = noxfile.digests(executed)
    assert notebooks.main(["run", "--smoke", str(tmp_path / "out")], executed) == 0
    notebook = nbformat.read(tmp_path / "out" / "Task-1.ipynb", as_version=4)
    assert notebook.cells[3].outputs[0].data["text/plain"] == "'smoke'"
    assert "version" not in notebook.metadata.language_info
    assert noxfile.digests(executed) == before


START = """\
# %%
import os
import sys
from pathlib import Path

root = next(folder for folder in Path.cwd().parents if (folder / "cnnlab").is_dir())
sys.path.insert(0, str(root))
from cnnlab import notebook

"""
TRAINS = """\
out, errors = notebook.outputs("Task-1"), int(os.environ.get("ERRORS", 20))
(out.folder / "models").mkdir(parents=True, exist_ok=True)
(out.folder / "models" / "net.keras").write_text(f"{errors} errors")
rows = []
for what, wrong, n in (("lines", errors, 1000), ("digits", 10 + (errors > 20), 100)):
    value = f"{100 - 100 * wrong / n:.3f} %"
    rows.append({"what": what, "value": value, "conditions": f"{wrong} errors in {n:,} unseen"})
out.json({"headline": rows})
print(rows)
"""
OPENS = """\
row = {"what": "parameters", "value": "1,234"}
notebook.outputs("Task-2").json({"headline": [row]})
(file,) = notebook.model_files([root / "Task-1" / "models" / "net.keras"])
print(file.read_text())
"""


@pytest.fixture
def two_tasks(repository):
    """Two tasks, one that trains a model and one that opens it, executed and committed."""
    shutil.copy(ROOT / ".gitignore", repository)
    for file in provenance.import_closure("import cnnlab.notebook", [ROOT]):
        copy = repository / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    (repository / "Task-2").mkdir()
    for task, cell in (("Task-1", TRAINS), ("Task-2", OPENS)):
        (repository / task / f"{task}.py").write_text(START + cell)
    assert notebooks.main(["renew"], repository) == 0
    who = ["-c", "user.name=A Reader", "-c", "user.email=reader@example.org"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "All"]):
        subprocess.run(["git", "-C", str(repository), *command], check=True)
    return repository


def test_run_leaves_the_checkout_clean_and_renew_replaces_it(two_tasks, monkeypatch, capsys):
    """With results that differ from the committed ones, as on a machine of another kind."""
    repository = two_tasks

    def text(path: str) -> str:
        return (repository / path).read_text(encoding="utf-8")

    def changed() -> list[str]:
        command = ["git", "-C", str(repository), "status", "--porcelain"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()

    assert check(repository, capsys)[0] == 0 and changed() == []
    before = text("Task-2/Task-2.ipynb")

    monkeypatch.setenv("ERRORS", "45")
    assert notebooks.main(["run"], repository) == 0
    table = capsys.readouterr().out
    assert "\nTask-1  lines       98.000 %   95.500 %  differs\n" in table
    assert "\nTask-1  digits      90.000 %   89.000 %  within the interval\n" in table
    assert "\nTask-2  parameters  1,234      1,234     same\n" in table
    assert check(repository, capsys)[0] == 0 and changed() == []
    assert "models: run/Task-1/models" in text("run/Task-2/Task-2.ipynb")

    command = [*EXECUTE, repository / "Task-2" / "Task-2.ipynb"]
    subprocess.run(command, check=True, capture_output=True)  # does not open what is in run/
    assert "models: Task-1/models" in text("Task-2/out.ipynb") and changed() == []

    left = [repository / folder / "Task-1" / "figures" / "old.png" for folder in (".", "run")]
    for file in left:
        file.parent.mkdir()
        file.touch()
    assert notebooks.main(["renew"], repository) == 0
    assert check(repository, capsys)[0] == 0
    assert text("Task-1/models/net.keras") == "45 errors"
    assert text("Task-2/Task-2.ipynb") != before
    assert "models: Task-1/models" in text("Task-2/Task-2.ipynb")
    assert not any(file.exists() for file in left)


def test_sync_keeps_outputs_and_refuses_new_code(executed, capsys):
    script = executed / "Task-1" / "Task-1.py"
    edit(script, "# # A small task", "# # A small task, explained\n#\n# In a sentence.")
    assert check(executed, capsys)[0] == 1
    assert notebooks.main(["sync"], executed) == 0
    assert check(executed, capsys) == (0, "notebooks: nothing wrong\n")
    edit(script, "double(4)", "double(5)")
    assert notebooks.main(["sync"], executed) == 1
    assert "make notebooks TASKS=Task-1" in capsys.readouterr().err


def test_unknown_tasks_and_missing_parts_are_said(executed, capsys):
    assert notebooks.main(["check", "Task-9"], executed) == 1
    assert "Task-9: no such task; there are: Task-1" in capsys.readouterr().err
    (executed / "Task-1" / "Task-1.py").unlink()
    assert "has no script Task-1.py next to it" in check(executed, capsys)[1]


def test_committed_notebooks():
    assert COMMITTED
    assert notebooks.problems(ROOT, []) == []


@pytest.mark.slow
@pytest.mark.parametrize("notebook", COMMITTED, ids=lambda path: path.stem)
def test_smoke_execution(notebook, tmp_path):
    """Anybody's copy runs: elsewhere, under an awkward name, started from another folder."""
    copy = tmp_path / "a copy for Zoë"
    ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "lines.npz", "run")
    shutil.copytree(ROOT, copy, ignore=ignored)
    before = noxfile.digests(copy)
    relative = notebook.relative_to(ROOT)
    command = [*EXECUTE, copy / relative]
    environment = {name: os.environ[name] for name in os.environ.keys() - {"HOME", "MPLBACKEND"}}
    environment["CNNLAB_BUDGET"] = "smoke"
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]

    after = noxfile.digests(copy)
    written = relative.with_name("out.ipynb")
    assert after.pop(written.as_posix())
    assert after == before
    assert list(notebook_checks.outputs(nbformat.read(copy / written, as_version=4))) == []
