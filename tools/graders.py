"""Run the notebooks as graders do, each grader in a new environment and on a copy of the files.

python -m tools.graders [NAME ...]     all graders, or some
python -m tools.graders --keep         leave the environments and copies where they are

The notebooks run with CNNLAB_BUDGET=smoke. All of it takes more than half an hour, and up to 3 GB
of temporary files.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import nbformat

from cnnlab.runtime import repository_root
from tools import grader_checks, notebooks, tracked
from tools.grader_commands import GRADERS, Grader

LONGEST = 1800  # seconds for one command
LAST_LINES = 15  # of a failing command
KEPT_VARIABLES = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "TZ")


class GraderError(Exception):
    """A command that failed; the message has the command and its last lines."""


class Result(NamedTuple):
    """What came of one notebook under one grader.

    Attributes:
        seconds: from the first command's start to the last one's end.
        slowest: the seconds of the slowest cell and its number; None without an executed notebook.
        problems: what is wrong, a line or more each; empty when all is well.
    """

    grader: str
    task: str
    seconds: float
    slowest: tuple[float, int] | None
    problems: list[str]


class Place(NamedTuple):
    """The folders of one grader: its environment, its copy of the files, its user's home."""

    environment: Path
    copy: Path
    home: Path


@contextmanager
def place(root: Path, keep: bool) -> Iterator[Place]:
    """Make the folders of a grader; they go away at the end.

    Args:
        root: the repository.
        keep: leave them, and print where they are.
    """
    folder = Path(tempfile.mkdtemp(prefix="cnnlab-graders-"))
    try:
        made = Place(folder / "environment", folder / "a copy for Zoë", folder / "home")
        made.home.mkdir()
        for name in tracked.tracked_files(root):
            (made.copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, made.copy / name)
        yield made
    finally:
        if keep:
            print(f"kept: {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def installation(grader: Grader, python: str) -> list[str]:
    """Return the command that installs a grader beside what the notebooks need.

    No grader so far asks for anything that `constraints.txt` rules out.
    """
    own = [f"{grader.package}=={grader.version}"] if grader.version else []
    quiet = ["--quiet", "--disable-pip-version-check"]
    listed = ["-r", "requirements.txt", "-c", "constraints.txt"]
    return [python, "-m", "pip", "install", *quiet, *listed, *own]


def install(grader: Grader, where: Place) -> str:
    """Make the environment; returns the version of the grader in it.

    Raises:
        GraderError: a command failed.
    """
    python = str(where.environment / "bin" / "python")
    outside = {name: os.environ[name] for name in os.environ if name != "PYTHONPATH"}
    ask = f"import importlib.metadata as m; print(m.version({grader.package!r}))"
    execute([sys.executable, "-m", "venv", str(where.environment)], where.home, outside)
    execute(installation(grader, python), where.copy, outside)
    return execute([python, "-c", ask], where.home, outside).strip()


def user(where: Place) -> dict[str, str]:
    """Return the variables of a user who has just made the environment and has no settings."""
    path = os.pathsep.join([str(where.environment / "bin"), os.defpath])
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return kept | {"PATH": path, "HOME": str(where.home), "CNNLAB_BUDGET": "smoke"}


def execute(command: list[str], folder: Path, variables: dict[str, str]) -> str:
    """Run a command; returns what it printed.

    Raises:
        GraderError: it cannot be started, takes too long, or its exit code is not 0.
    """
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=LONGEST,
        )
    except OSError as error:
        raise GraderError(f"{shlex.join(command)}: {error}") from None
    except subprocess.TimeoutExpired:
        raise GraderError(f"{shlex.join(command)}: took more than {LONGEST} s") from None
    if done.returncode:
        lines = done.stdout.replace("\r", "\n").splitlines()[-LAST_LINES:]
        raise GraderError(
            "\n".join([f"{shlex.join(command)}: exit code {done.returncode}", *lines])
        )
    return done.stdout


def run(name: str, task: str, where: Place) -> Result:
    """Let a grader execute one notebook, and check what it leaves."""
    grader = GRADERS[name]
    path, output = f"{task}/{task}.ipynb", grader.output.format(task=task)
    if name == "papermill":
        grader_checks.add_probe(where.copy / path)
    if output != path:
        (where.copy / output).unlink(missing_ok=True)  # of the task before
    given = nbformat.read(where.copy / path, as_version=4)
    before, begin = grader_checks.digests(where.copy), time.monotonic()
    try:
        for step in grader.steps(task):
            execute(step.command, where.copy / step.folder, user(where))
    except GraderError as error:
        return Result(name, task, time.monotonic() - begin, None, [str(error)])
    seconds, after = time.monotonic() - begin, grader_checks.digests(where.copy)
    problems = list(grader_checks.file_problems(before, after, output))
    if output not in after:
        return Result(name, task, seconds, None, [*problems, f"{output} was not written"])
    executed = nbformat.read(where.copy / output, as_version=4)
    problems += _described(name, given, executed)
    return Result(name, task, seconds, grader_checks.slowest(executed), problems)


def _described(name: str, given, executed) -> Iterator[str]:
    found = list(grader_checks.notebook_problems(given, executed))
    if name == "papermill":
        found += grader_checks.parameter(executed)
    yield from (f"{f'cell {cell} ' if cell else ''}{problem}" for cell, problem in found)


def grade(name: str, root: Path, keep: bool = False) -> tuple[str, list[Result]]:
    """Install one grader and run all notebooks under it; prints a line for each.

    Returns:
        The grader's version, "" when it could not be installed, and the results.
    """
    tasks = [folder.name for folder in notebooks.task_folders(root, [])]
    with place(root, keep) as where:
        begin = time.monotonic()
        try:
            version = install(GRADERS[name], where)
        except GraderError as error:
            results = [Result(name, task, 0.0, None, [f"not installed: {error}"]) for task in tasks]
            print(line(results[0]), flush=True)
            return "", results
        taken = f"{time.monotonic() - begin:4.0f} s"
        print(f"{name:16}  {GRADERS[name].package} {version} installed in {taken}", flush=True)
        results = []
        for task in tasks:
            results.append(run(name, task, where))
            print(line(results[-1]), flush=True)
    return version, results


def line(result: Result) -> str:
    """Describe a result in one line, and its problems in lines below."""
    verdict = "failed" if result.problems else "passed"
    first = f"{result.grader:16}  {result.task}  {verdict}  {_times(result)}"
    below = [text for problem in result.problems for text in problem.splitlines()]
    return "\n    ".join([first, *below])


def _times(result: Result) -> str:
    if result.slowest is None:
        return f"{result.seconds:.0f} s"
    seconds, cell = result.slowest
    return f"{result.seconds:.0f} s, at most {seconds:.1f} s for a cell ({cell})"


def table(versions: dict[str, str], results: list[Result]) -> str:
    """Return a Markdown table: a row for each grader, a column for each notebook."""
    tasks = sorted({result.task for result in results})
    rows = [["grader", "version", *tasks], ["---"] * (len(tasks) + 2)]
    for name, version in versions.items():
        own = (result for result in results if result.grader == name)
        cells = {result.task: "failed" if result.problems else _times(result) for result in own}
        rows.append([name, version, *(cells.get(task, "") for task in tasks)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(arguments: list[str] | None = None, root: Path | None = None) -> int:
    """Run the graders; returns the exit status, 1 when a notebook failed under one of them."""
    parser = argparse.ArgumentParser(prog="python -m tools.graders", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(GRADERS)}")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folders")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in GRADERS]
    if unknown:
        parser.error(f"{unknown[0]}: no such grader; there are: {', '.join(GRADERS)}")
    root = (root or repository_root()).resolve()
    versions, results = {}, []
    for name in options.names or GRADERS:
        versions[name], found = grade(name, root, options.keep)
        results += found
    print(f"\n{table(versions, results)}")
    return int(any(result.problems for result in results))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the folders go away
    sys.exit(main())
