"""What the graders are told to do, and what is found in a notebook that they have executed."""

import re
import sys
from pathlib import Path

import nbformat
import pytest

from tools import grader_checks, grader_commands, graders
from tools.grader_commands import GRADERS

ROOT = Path(__file__).resolve().parents[1]
TIMES = {
    "iopub.execute_input": "2026-01-01T10:00:00.000000Z",
    "shell.execute_reply": "2026-01-01T10:00:02.500000Z",
}


def cell(source: str, count: int | None = None, *tags: str):
    """Return a code cell; with a count it looks executed."""
    made = nbformat.v4.new_code_cell(source, execution_count=count)
    made.metadata["tags"] = list(tags)
    if count:
        made.metadata["execution"] = dict(TIMES)
    return made


def given():
    sources = [cell("SEED = 0", None, "parameters"), cell('results = {"seed": SEED}')]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A task"), *sources])


def executed():
    notebook = given()
    first, second = grader_checks.code_cells(notebook)
    notebook.cells[1:] = [cell(first.source, 1, "parameters"), cell(second.source, 2)]
    notebook.cells[2].metadata["execution"]["shell.execute_reply"] = "2026-01-01T10:00:04Z"
    return notebook


def injected():
    """The notebook as papermill leaves it, with the cell that shows the seed."""
    notebook = executed()
    notebook.cells.insert(2, cell("# Parameters\nSEED = 1\n", 2, "injected-parameters"))
    notebook.cells[3].execution_count = 3
    shown = nbformat.v4.new_output("execute_result", data={"text/plain": "1"}, execution_count=4)
    notebook.cells.append(cell(grader_checks.PROBE, 4))
    notebook.cells[-1].outputs = [shown]
    return notebook


def problems(notebook) -> list[tuple]:
    return list(grader_checks.notebook_problems(given(), notebook))


@pytest.mark.parametrize(
    ("name", "folder", "last"),
    [
        (
            "nbconvert-root",
            ".",
            "jupyter nbconvert --to notebook --execute Task-1/Task-1.ipynb --output out.ipynb",
        ),
        (
            "nbconvert-folder",
            "Task-1",
            "jupyter nbconvert --to notebook --execute Task-1.ipynb --output out.ipynb",
        ),
        ("nbmake", ".", "pytest --nbmake --overwrite Task-1/Task-1.ipynb"),
        ("papermill", ".", "papermill -p SEED 1 Task-1/Task-1.ipynb out.ipynb"),
        ("nbclient", ".", "jupyter execute --output=out Task-1/Task-1.ipynb"),
        ("nbgrader", "course", "nbgrader autograde Task-1"),
    ],
)
def test_commands(name, folder, last):
    step = GRADERS[name].steps("Task-1")[-1]
    assert (step.folder, " ".join(step.command)) == (folder, last)


def test_every_grader_has_a_fixed_version():
    listed = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    constrained = dict(re.findall(r"^([\w.-]+)==([\w.]+)", listed, re.MULTILINE))
    for grader in GRADERS.values():
        assert bool(grader.version) != (grader.package in constrained)
    command = graders.installation(GRADERS["nbmake"], "python")
    assert command[:4] == ["python", "-m", "pip", "install"]
    assert command[-5:] == [
        *["-r", "requirements.txt", "-c", "constraints.txt"],
        f"nbmake=={GRADERS['nbmake'].version}",
    ]
    assert graders.installation(GRADERS["nbclient"], "python")[-1] == "constraints.txt"


def test_the_environment_has_no_settings_of_its_user(monkeypatch, tmp_path):
    for name in ("MPLBACKEND", "PYTHONPATH", "VIRTUAL_ENV", "JUPYTER_PATH"):
        monkeypatch.setenv(name, "something")
    where = graders.TensorRef(tmp_path / "environment", tmp_path / "copy", tmp_path / "home")
    variables = graders.user(where)
    assert set(variables) <= {"PATH", "HOME", "CNNLAB_BUDGET", *graders.KEPT_VARIABLES}
    assert variables["CNNLAB_BUDGET"] == "smoke"
    assert variables["PATH"].startswith(f"{tmp_path}/environment/bin:")


def test_a_notebook_as_it_should_be():
    assert problems(executed()) == []
    assert grader_checks.slowest(executed()) == (4.0, 3)


def test_papermill_has_set_the_parameter_and_the_notebook_has_used_it():
    expected = given()
    expected.cells.append(cell(grader_checks.PROBE))
    assert list(grader_checks.notebook_problems(expected, injected())) == []
    assert list(grader_checks.parameter(injected())) == []


def test_a_missing_count_is_found():
    notebook = executed()
    notebook.cells[2].execution_count = None
    assert problems(notebook) == [(3, "was not executed")]
    notebook.cells[2].execution_count = 3
    assert problems(notebook) == [(3, "was executed as number 3, not 2")]


def test_an_older_execution_is_found():
    notebook = executed()
    del notebook.cells[1].metadata["execution"]
    assert problems(notebook) == [(2, "does not say when it ran")]


def test_an_error_is_found():
    notebook = executed()
    notebook.cells[2].outputs = [nbformat.v4.new_output("error", ename="CellTimeoutError")]
    notebook.cells[2].outputs[0].evalue = ""
    assert problems(notebook) == [(3, "ended in CellTimeoutError: ")]


def test_stderr_is_found():
    notebook = executed()
    warning = nbformat.v4.new_output("stream", name="stderr", text="a warning\n")
    notebook.cells[1].outputs = [warning]
    assert problems(notebook) == [(2, "wrote to stderr: 'a warning'")]


def test_other_code_is_found():
    notebook = executed()
    notebook.cells[2].source += "  # changed"
    assert problems(notebook) == [(None, "does not hold the 2 code cells that were given")]


def test_a_parameter_that_was_not_injected_or_not_used_is_found():
    notebook = injected()
    notebook.cells[-1].outputs[0].data["text/plain"] = "0"
    assert list(grader_checks.parameter(notebook)) == [
        (5, f"{grader_checks.PROBE} is ['0'], not 1")
    ]
    notebook = injected()
    del notebook.cells[2]
    assert list(grader_checks.parameter(notebook)) == [(None, "has no cell that sets SEED = 1")]
    notebook = injected()
    notebook.cells[2:4] = reversed(notebook.cells[2:4])
    assert list(grader_checks.parameter(notebook)) == [
        (None, "sets SEED elsewhere than after its default")
    ]


def test_the_probe_is_the_last_cell(tmp_path):
    path = tmp_path / "Task-1.ipynb"
    nbformat.write(given(), path)
    grader_checks.add_probe(path)
    assert nbformat.read(path, as_version=4).cells[-1].source == grader_checks.PROBE


def test_changed_files_are_found(tmp_path):
    for name in ("kept.txt", "changed.txt", "gone.txt"):
        (tmp_path / name).write_text("before")
    before = grader_checks.digests(tmp_path)
    (tmp_path / "changed.txt").write_text("after")
    (tmp_path / "gone.txt").unlink()
    for name in ("new.txt", "out.ipynb", "course/gradebook.db", "tools/__pycache__/a.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("new")
    found = grader_checks.file_problems(before, grader_checks.digests(tmp_path), "out.ipynb")
    assert list(found) == ["changed.txt is changed", "gone.txt is gone", "new.txt is new"]


def test_a_failing_command_shows_its_last_lines(tmp_path):
    code = "import sys; print(*range(100), sep='\\n'); sys.exit(3)"
    with pytest.raises(graders.GraderError) as raised:
        graders.execute([sys.executable, "-c", code], tmp_path, {})
    lines = str(raised.value).splitlines()
    assert lines[0].endswith("exit code 3") and lines[1:] == [str(n) for n in range(85, 100)]
    with pytest.raises(graders.GraderError, match="no-such-program: .*No such file"):
        graders.execute(["no-such-program"], tmp_path, {})


def test_the_copy_goes_away_also_after_a_failure(repository, capsys):
    with pytest.raises(ZeroDivisionError), graders.place(repository, keep=False) as where:
        assert (where.copy / "Task-1" / "Task-1.py").is_file()
        assert " " in where.copy.name and not where.copy.name.isascii()
        raise ZeroDivisionError
    assert not where.copy.parent.exists()


def test_run_judges_what_a_grader_leaves(executed, monkeypatch):
    """A program that succeeds without executing anything does not pass."""
    where = graders.TensorRef(executed.parent / "environment", executed, executed.parent)
    step = grader_commands.Step(".", ["cp", "Task-1/Task-1.ipynb", "out.ipynb"])
    fake = grader_commands.Grader("fake", "1", lambda task: [step], "out.ipynb")
    monkeypatch.setitem(GRADERS, "fake", fake)
    found = graders.run("fake", "Task-1", where)
    assert found.problems == ["cell 2 does not say when it ran", "cell 4 does not say when it ran"]
    step.command[2] = "elsewhere.ipynb"
    found = graders.run("fake", "Task-1", where)
    assert found.problems == ["elsewhere.ipynb is new", "out.ipynb was not written"]


def test_main_prints_a_table_and_fails_with_one(monkeypatch, tmp_path, capsys):
    def grade(name, root, keep):
        problems = ["it failed"] if name == "papermill" else []
        return "1.0", [graders.Result(name, "Task-1", 61.4, (5.25, 7), problems)]

    monkeypatch.setattr(graders, "grade", grade)
    assert graders.main(["nbmake"], tmp_path) == 0
    assert "| nbmake | 1.0 | 61 s, at most 5.2 s for a cell (7) |" in capsys.readouterr().out
    assert graders.main(["nbmake", "papermill"], tmp_path) == 1
    assert "| papermill | 1.0 | failed |" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        graders.main(["jupyter"], tmp_path)
    assert "jupyter: no such grader; there are: nbconvert-root" in capsys.readouterr().err


def test_a_grader_that_cannot_be_installed_has_failed(repository, monkeypatch, capsys):
    def install(grader, where):
        raise graders.GraderError("pip: exit code 1\nNo matching distribution")

    monkeypatch.setattr(graders, "install", install)
    assert graders.main(["nbmake"], repository) == 1
    printed = capsys.readouterr().out
    assert "nbmake            Task-1  failed  0 s\n" in printed
    assert "not installed: pip: exit code 1\n    No matching distribution" in printed
    assert "| nbmake |  | failed |" in printed
