"""Outputs go stale with what shapes them, and with nothing else."""

import nbformat
import pytest
from small_repository import check, edit

from tools import notebooks, provenance


def test_documentation_does_not_make_outputs_stale(executed, capsys):
    edit(executed / "cnnlab" / "parts.py", "def double(x):\n", 'def double(x):\n    """Twice."""\n')
    edit(executed / "cnnlab" / "helper.py", "FACTOR = 2", "# The factor.\nFACTOR  =  2")
    edit(executed / "cnnlab" / "unused.py", "1", "2")
    edit(executed / "requirements.txt", "# arrays", "# for arrays\n")
    assert check(executed, capsys) == (0, "notebooks: nothing wrong\n")


@pytest.mark.parametrize(
    ("file", "old", "new", "phrase"),
    [
        ("Task-1/Task-1.py", "double(4)", "double(3)", "code cells has changed"),
        ("cnnlab/helper.py", "2", "3", "cnnlab/helper.py has changed"),
        ("cnnlab/helper.py", "FACTOR", "from cnnlab import unused\nFACTOR", "unused.py is new"),
        ("requirements.txt", "<3", "<4", "requirements.txt has changed"),
    ],
)
def test_what_shapes_the_outputs_makes_them_stale(executed, capsys, file, old, new, phrase):
    edit(executed / file, old, new)
    status, printed = check(executed, capsys)
    assert status == 1 and phrase in printed
    assert all(line.startswith("Task-1/Task-1.ipynb: ") for line in printed.splitlines())


@pytest.mark.parametrize(
    ("code", "file"),
    [
        ("load('mnist.npz')", "data/mnist.npz"),
        ("open('study.json')", "Task-1/study.json"),
        ("style.use('cnnlab.mplstyle')", "cnnlab/cnnlab.mplstyle"),
        ("root / 'Task-2' / 'models'", "Task-2/models/a.keras"),
    ],
)
def test_files_that_the_code_names_are_sources(repository, code, file):
    path = repository / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"1")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    assert file not in provenance.digests(notebook, repository / "Task-1", repository)
    notebook.cells[0].source = code
    assert file in provenance.digests(notebook, repository / "Task-1", repository)


def test_a_shown_docstring_is_an_output(repository):
    notebook = notebooks.build(repository / "Task-1" / "Task-1.py")
    notebook.cells.append(nbformat.v4.new_code_cell("print(inspect.getsource(double))"))
    before = provenance.digests(notebook, repository / "Task-1", repository)
    edit(repository / "cnnlab" / "helper.py", "FACTOR", "# The factor.\nFACTOR")
    after = provenance.digests(notebook, repository / "Task-1", repository)
    assert provenance.changes(before, after) == ["cnnlab/helper.py has changed"]


def test_imports_are_followed_by_every_road(repository):
    package = repository / "cnnlab" / "deep"
    package.mkdir()
    (package / "__init__.py").write_text("from .one import f\n")
    (package / "one.py").write_text("def f():\n    from ..helper import FACTOR\n")
    (repository / "Task-1" / "local.py").write_text("import cnnlab.unused as u\n")
    code = "import local, numpy\nfrom cnnlab import deep\n"
    files = provenance.import_closure(code, [repository, repository / "Task-1"])
    names = [file.relative_to(repository).as_posix() for file in files]
    modules = ["__init__", "deep/__init__", "deep/one", "helper", "unused"]
    assert names == ["Task-1/local.py", *(f"cnnlab/{module}.py" for module in modules)]


def test_meaning_keeps_what_runs():
    assert provenance.meaning("x = 'a'") != provenance.meaning("x = b'a'")
    assert provenance.meaning('"""A."""\nx = 1') == provenance.meaning("x = 1  # one")
    shown = provenance.meaning('"a value that a cell shows"', documented=False)
    assert shown != provenance.meaning("", documented=False)
    # The same under every Python.
    meaning = provenance.meaning("def f(x, *, w=None):\n    return f'{x:>{len(w)}}', {**x}, x[1:]")
    assert provenance.digest(meaning).startswith("149ab8da736ca8b87fa3c000c8ef787bab3867de")
