"""The commands that graders run, one entry for each grader. Nothing is run here."""

from collections.abc import Callable
from typing import NamedTuple

PARAMETER, VALUE = "SEED", 1  # what papermill is told to change
COURSE = "course"  # where nbgrader's folders are made, below the repository: the notebooks look up


class Step(NamedTuple):
    """One command and the folder that it runs in, named from the repository's root."""

    folder: str
    command: list[str]


class Grader(NamedTuple):
    """One way to execute a notebook.

    Attributes:
        package: what is installed for it.
        version: the version to install; "" where `requirements.txt` brings the package along, and
            `constraints.txt` says which version.
        steps: called with a task; returns its commands, in order.
        output: where the executed notebook goes, with {task} for the task.
    """

    package: str
    version: str
    steps: Callable[[str], list[Step]]
    output: str


def nbconvert_from_root(task: str) -> list[Step]:
    """As in the README."""
    return [Step(".", _nbconvert(f"{task}/{task}.ipynb"))]


def nbconvert_from_folder(task: str) -> list[Step]:
    """The same from inside the task's folder."""
    return [Step(task, _nbconvert(f"{task}.ipynb"))]


def _nbconvert(notebook: str) -> list[str]:
    command = ["jupyter", "nbconvert", "--to", "notebook", "--execute", notebook]
    return [*command, "--output", "out.ipynb"]


def nbmake(task: str) -> list[Step]:
    """A test by pytest, 300 seconds for each cell; outputs are kept only with --overwrite."""
    return [Step(".", ["pytest", "--nbmake", "--overwrite", f"{task}/{task}.ipynb"])]


def papermill(task: str) -> list[Step]:
    """With another value for one of the parameters."""
    parameter = ["-p", PARAMETER, str(VALUE)]
    return [Step(".", ["papermill", *parameter, f"{task}/{task}.ipynb", "out.ipynb"])]


def nbclient(task: str) -> list[Step]:
    """The command of nbclient itself."""
    return [Step(".", ["jupyter", "execute", "--output=out", f"{task}/{task}.ipynb"])]


def nbgrader(task: str) -> list[Step]:
    """A course whose assignment is the notebook, handed in unchanged by one student.

    The autograder stops a cell after 30 seconds.
    """
    source, submitted = f"{COURSE}/source/{task}", "submitted/student"
    return [
        Step(".", ["mkdir", "-p", source, f"{COURSE}/{submitted}"]),
        Step(".", ["cp", f"{task}/{task}.ipynb", source]),
        Step(COURSE, ["nbgrader", "generate_assignment", task]),
        Step(COURSE, ["cp", "-r", f"release/{task}", submitted]),
        Step(COURSE, ["nbgrader", "autograde", task]),
    ]


GRADERS = {
    "nbconvert-root": Grader("nbconvert", "", nbconvert_from_root, "{task}/out.ipynb"),
    "nbconvert-folder": Grader("nbconvert", "", nbconvert_from_folder, "{task}/out.ipynb"),
    "nbmake": Grader("nbmake", "1.5.5", nbmake, "{task}/{task}.ipynb"),
    "papermill": Grader("papermill", "2.7.0", papermill, "out.ipynb"),
    "nbclient": Grader("nbclient", "", nbclient, "{task}/out.ipynb"),
    "nbgrader": Grader(
        "nbgrader", "0.9.6", nbgrader, COURSE + "/autograded/student/{task}/{task}.ipynb"
    ),
}
