"""Run the notebooks as graders do, each grader in a new environment. From the root: make graders

.venv/bin/python -m nox                                  all, on all notebooks: most of an hour
.venv/bin/python -m nox -s nbmake papermill -- Task-3    some graders, on some notebooks

Each notebook runs with CNNLAB_BUDGET=smoke in a copy of the repository, whose folder has a space
and a letter beyond ASCII in its name, for a user who has no settings. An environment takes up to
3 GB, and goes away with its session.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import nbformat
import nox

from tools import documents, notebook_checks, notebooks

ROOT = Path(__file__).resolve().parent
LONGEST = "1800"  # seconds for one notebook
KEPT_VARIABLES = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "TZ")
CACHES = {"__pycache__", ".pytest_cache", ".ipynb_checkpoints"}
PROBE, PROBED = 'results["seed"]', "1"  # a cell that is added: no cell shows the seed it has used

nox.options.default_venv_backend = "venv"


@nox.session
def nbconvert(session):
    """From the repository's root, and from inside the task's folder."""
    convert = "jupyter nbconvert --to notebook --execute"
    from_root = f"{convert} {{task}}/{{task}}.ipynb --output out.ipynb"
    from_folder = f"cd {{task}} && {convert} {{task}}.ipynb --output out.ipynb"
    grade(session, [from_root, from_folder], "{task}/out.ipynb")


@nox.session
def nbmake(session):
    """A test by pytest, 300 seconds a cell; outputs are kept only with --overwrite."""
    session.install("-q", "nbmake==1.5.5", "-c", "constraints.txt")
    grade(session, ["pytest --nbmake --overwrite {task}/{task}.ipynb"], "{task}/{task}.ipynb")


@nox.session
def papermill(session):
    """With another value for one of the parameters."""
    session.install("-q", "papermill==2.7.0", "-c", "constraints.txt")
    grade(session, ["papermill -p SEED 1 {task}/{task}.ipynb out.ipynb"], "out.ipynb", probe=True)


@nox.session
def nbclient(session):
    """The command of nbclient itself."""
    grade(session, ["jupyter execute --output=out {task}/{task}.ipynb"], "{task}/out.ipynb")


@nox.session
def nbgrader(session):
    """A course below the repository, with the notebook handed in unchanged; 30 seconds a cell."""
    session.install("-q", "nbgrader==0.9.6", "-c", "constraints.txt")
    command = (
        "mkdir -p course/source/{task} course/submitted/student\n"
        "cp {task}/{task}.ipynb course/source/{task} && cd course\n"
        "nbgrader generate_assignment {task} && cp -r release/{task} submitted/student"
        " && nbgrader autograde {task}"
    )
    grade(session, [command], "course/autograded/student/{task}/{task}.ipynb")


def grade(session, commands, output, probe=False):
    """Let a grader execute every notebook, or those that nox was told; fail if anything is wrong.

    Each command is for bash. In it, and in the path of the executed notebook, is {task}. With
    `probe`, it sets the seed to 1.
    """
    try:
        session.install("-q", "-r", "requirements.txt", "-c", "constraints.txt")
        problems = [
            f"{folder.name}: {problem}"
            for command in commands
            for folder in notebooks.task_folders(ROOT, session.posargs)
            for problem in execute(session, command, folder.name, output, probe)
        ]
    finally:
        shutil.rmtree(session.virtualenv.location, ignore_errors=True)
    if problems:
        session.error("\n".join(["not as it should be", *problems]))


def execute(session, command, task, output, probe=False):
    """Let a grader execute one notebook in a copy of the repository; returns what is wrong."""
    command, output = command.format(task=task), output.format(task=task)
    with tempfile.TemporaryDirectory(prefix="cnnlab-grader-") as folder:
        home, copy = Path(folder) / "home", Path(folder) / "a copy for Zoë"
        home.mkdir()
        for name in documents.tracked_files(ROOT):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
        given = nbformat.read(copy / task / f"{task}.ipynb", as_version=4)
        if probe:
            given.cells.append(nbformat.v4.new_code_cell(PROBE))
            nbformat.write(given, copy / task / f"{task}.ipynb")
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        user = {"PATH": os.defpath, "HOME": str(home), "CNNLAB_BUDGET": "smoke"}
        options = {"env": kept | user, "include_outer_env": False, "external": True, "silent": True}
        before = digests(copy)
        try:
            with session.chdir(copy):
                session.run("timeout", LONGEST, "bash", "-ec", command, **options)
        except nox.command.CommandFailed as error:  # nox has shown what was printed
            return [f"the grader failed: {error}"]
        changed = {name for name, _ in before.items() ^ digests(copy).items()} - {output}
        problems = sorted(f"{each} changed" for each in changed if not each.startswith("course/"))
        if not (copy / output).exists():
            return [*problems, f"{output} was not written"]
        executed = nbformat.read(copy / output, as_version=4)
    return [*problems, *notebook_problems(given, executed, probe)]


def digests(folder):
    """Return a digest of each file below a folder, by name, without what programs cache."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not CACHES.intersection(path.parts)
    }


def notebook_problems(given, executed, probe=False):
    """Yield what is wrong with a notebook after its execution."""
    checks = [*notebook_checks.execution(executed), *notebook_checks.outputs(executed)]
    yield from (f"cell {number} {problem}" for number, problem in checks)
    cells = [(n, cell) for n, cell in enumerate(executed.cells, 1) if cell.cell_type == "code"]
    added = "injected-parameters"  # by papermill
    sources = [cell.source for _, cell in cells if added not in cell.metadata.get("tags", [])]
    before = [cell.source for cell in given.cells if cell.cell_type == "code"]
    if sources != before:
        yield f"does not hold the {len(before)} code cells that were given"
    for number, cell in cells:
        if "execution" not in cell.metadata:
            yield f"cell {number} does not say when it ran: its outputs are older ones"
    outputs = executed.cells[-1].get("outputs", [])
    shown = [output.get("data", {}).get("text/plain") for output in outputs]
    if probe and shown != [PROBED]:
        yield f"{PROBE} is {shown}, not {PROBED}"
