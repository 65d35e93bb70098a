"""Documents are filled from the results; each check sees the defect that it is there for."""

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import small_repository
from small_repository import edit

from tools import blocks, documents

ROOT = Path(__file__).resolve().parents[1]
HOME = "/".join(["", "home", "ada"])  # in one piece, this file would be noticed


@pytest.fixture
def documented(repository, monkeypatch):
    """The small repository with documents, all filled, as a clone."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)  # in a hook of git they would lead to the real repository
    small_repository.add_documents(repository)
    assert documents.fill(repository)
    subprocess.run(["git", "init", "-q"], cwd=repository, check=True)
    subprocess.run(["git", "add", "."], cwd=repository, check=True)
    return repository


def test_fill_writes_what_the_results_say_and_check_notices_others(documented, capfd):
    assert documents.main(["check"], documented) == 0
    assert capfd.readouterr().out.splitlines()[1:] == []  # the first: what filling said
    readme = (documented / "README.md").read_text(encoding="utf-8")
    row = "| final, lines 60 : 40 | 99.500 % | 2 | 1,000 | 1,234 | ≤ 9 s |\n"
    assert row in readme and "this run" not in readme
    assert "| Task 1 | 1,234 | An Abacus | 2 |\n" in readme
    task = documented / "Task-1" / "README.md"
    assert "| final, lines 60 : 40, this run | 99.600 % |  | seed 0 |\n" in task.read_text("utf-8")
    edit(documented / "Task-1" / "results.json", "seed 0", "seed 7")
    assert documents.main(["check"], documented) == 1
    assert "Task-1/README.md  (changed)" in capfd.readouterr().out
    assert documents.main(["fill"], documented) == 0
    assert "| seed 7 |" in task.read_text(encoding="utf-8")
    assert (documented / "README.md").read_text(encoding="utf-8") == readme


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("<!-- [[[cog print(blocks.version()) ]]] -->\n<!-- [[[end]]] -->\n", "'version'"),
        ("<!-- [[[cog print(blocks.seconds()) ]]] -->\n", "README.md(11): Missing '[[[end]]]'"),
    ],
)
def test_a_wrong_block_is_an_error_and_its_file_stays(documented, capfd, block, message):
    task = documented / "Task-1" / "README.md"
    with task.open("a", encoding="utf-8") as file:
        file.write(block)
    before = task.read_bytes()
    for command in ("check", "fill"):
        assert documents.main([command], documented) == 1
        assert message in capfd.readouterr().err
    assert task.read_bytes() == before


def test_dead_links_and_anchors_are_noticed(documented, capfd):
    dead = [
        "[a](b.md)",
        "[a](readme.md)",  # names differ in capitals
        "[a][c]\n\n[c]: c.md",
        "![a](figures/b.png 'B')",
        '<img alt="e" src="e.png">',  # any HTML is: its links are not followed
        "[a](#here)",
        "[a](README.md#the-result)",
    ]
    with (documented / "CHANGELOG.md").open("a") as file:
        file.write("\n" + "\n\n".join(dead) + "\n")
    assert documents.main(["check"], documented) == 1
    lines = {line for line in capfd.readouterr().out.splitlines() if line.startswith("CHANGELOG")}
    assert len(lines) == len(dead), lines


def test_every_other_defect_is_noticed(documented):
    assert list(documents.problems(documented)) == []
    (documented / "Task-1" / "figures" / "old.svg").touch()
    edit(documented / "CITATION.cff", "\nversion: 1.2.0", "\nversion: 1.1.0")
    edit(documented / "CHANGELOG.md", "## 1.2.0", "## Next")
    (documented / "Makefile").write_text(f"all:\n\tls {HOME}/x\n")
    (documented / "data.bin").write_bytes(bytes(20_100_000))
    subprocess.run(["git", "add", "."], cwd=documented, check=True)
    (documented / "untracked.md").write_text(HOME + "/x")
    (documented / "pyproject.toml").unlink()
    assert [problem.split(" (")[0] for problem in documents.problems(documented)] == [
        "Task-1/figures/old.svg: is not made by Task-1/Task-1.py",
        "CITATION.cff: the version is 1.1.0, that of the package 1.2.0",
        "CHANGELOG.md: the version is none, that of the package 1.2.0",
        "Makefile:2: names a folder of somebody's machine",
        "data.bin: has 20.1 MB, more than 20 MB",
    ]
    with pytest.raises(FileNotFoundError, match="without .git"):  # the clone around is another one
        documents.tracked_files(documented / "Task-1")


def test_versions_that_differ_are_told_apart(documented, monkeypatch):
    monkeypatch.chdir(documented)
    same = "Python 3.11.7, TensorFlow 2.21.0, Keras 3.15.1"
    assert blocks.versions() == f"Versions: {same}; all others in `constraints.txt`."
    shutil.copytree("Task-1", "Task-2")
    edit(documented / "Task-2" / "results.json", "3.15.1", "3.16.0")
    assert f"\n* Task 1: {same}\n* Task 2: " in blocks.versions()


def shapeless(source: str) -> list[str]:
    """Return the public functions whose docstring does not say the shape of an array, or where."""
    arrays = {"image", "images", "labels", "heatmaps", "logits", "maps", "masks", "probabilities"}
    side = r"(?:\.\.\.|[a-z_]+|\d+)(?: (?:\+|or) \d+)?"
    said = re.compile(rf"\({side},(?: {side}(?:, {side})*)?\)|\b(?:as|as (?:in|for|from|of)|see) `")
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        if arrays & {each.arg for each in node.args.args + node.args.kwonlyargs}
        if (text := ast.get_docstring(node)) and not said.search(text)
    ]


def test_docstrings_say_the_shapes_of_arrays():
    assert shapeless('def f(images):\n    """Return (n, 3)."""') == []
    assert shapeless('def f(images):\n    """Return images (all)."""') == ["f"]
    for file in (ROOT / "cnnlab").rglob("*.py"):
        assert shapeless(file.read_text(encoding="utf-8")) == [], file


def test_the_repository_has_no_problems_and_tells_all_results():
    assert documents.check(ROOT)
    files = (*ROOT.glob("**/README.md"), *ROOT.glob("docs/*.md"))
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    tasks = [f'task_results("Task-{number}")' for number in (1, 2, 3)]
    for call in ["main_results()", "versions()", "seconds()", "benchmarks()", "faults()", *tasks]:
        assert f"print(blocks.{call})" in text
