"""Documents are filled from the results; each check sees the defect that it is there for."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import small_repository
from small_repository import edit

from tools import blocks, documents, markdown, tracked

ROOT = Path(__file__).resolve().parents[1]
HOME = "/".join(["", "home", "ada"])  # in one piece, this file would be found


@pytest.fixture
def documented(repository):
    """The small repository with documents, all filled."""
    small_repository.add_documents(repository)
    documents.fill(repository)
    return repository


def replaced(file: str, old: str, new: str):
    return lambda root: edit(root / file, old, new)


def added(file: str, text: str):
    def add(root):
        path = root / file
        path.parent.mkdir(exist_ok=True)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(before + text, encoding="utf-8")

    return add


DEFECTS = {
    "typed number": (
        replaced("README.md", "99.500", "99.900"),
        "README.md:13: the block 'results' is old",
    ),
    "new results": (
        replaced("Task-1/results.json", "seed 0", "seed 1"),
        "Task-1/README.md:3: the block 'results-task-1' is old",
    ),
    "emptied block": (
        added("data/README.md", "<!-- fill: seconds -->\n<!-- end -->\n"),
        "data/README.md:1: the block 'seconds' is old",
    ),
    "unknown block": (
        replaced("README.md", "fill: versions", "fill: version"),
        "README.md:21: no block is called 'version'; there are: results, versions, seconds,",
    ),
    "open block": (
        added("CHANGELOG.md", "<!-- fill: seconds -->\n"),
        "CHANGELOG.md:6: the block 'seconds' is not closed",
    ),
    "nested block": (
        added("CHANGELOG.md", "<!-- fill: seconds -->\n<!-- fill: results -->\n<!-- end -->\n"),
        "CHANGELOG.md:7: the block 'results' begins inside 'seconds'",
    ),
    "lonely end": (
        added("CHANGELOG.md", "<!-- end -->\n"),
        "CHANGELOG.md:6: a block ends here, but none has begun",
    ),
    "marker in a line": (
        added("CHANGELOG.md", "* <!-- fill: seconds -->\n"),
        "CHANGELOG.md:6: '* <!-- fill: seconds -->' is no marker",
    ),
    "result lost": (
        replaced("Task-1/results.json", '"keras"', '"kears"'),
        "README.md:21: the results lack 'keras'",
    ),
    "link": (
        added("CHANGELOG.md", "[a](b.md)\n"),
        "CHANGELOG.md:6: links to b.md, which is no tracked",
    ),
    "link out of the repository": (
        added("Task-1/README.md", "[a](../../x)\n"),
        "links to ../../x, which",
    ),
    "link in capitals": (
        added("CHANGELOG.md", "[a](readme.md)\n"),
        "CHANGELOG.md:6: links to readme.md, which",
    ),
    "link by reference": (
        added("CHANGELOG.md", "\n[a]\n\n[a]: b.md\n"),
        "CHANGELOG.md:9: links to b.md, which",
    ),
    "image": (
        added("Task-1/README.md", "![a](figures/b.png 'B')\n"),
        "links to figures/b.png, which is no",
    ),
    "image in HTML": (
        added("CHANGELOG.md", '<img width="9" src="b.png">\n'),
        "CHANGELOG.md:6: links to b.png, which",
    ),
    "image in a link": (
        added("CHANGELOG.md", "[![a](b.png)](README.md)\n"),
        "CHANGELOG.md:6: links to b.png, which",
    ),
    "anchor": (
        added("CHANGELOG.md", "[a](#here)\n"),
        "CHANGELOG.md:6: links to #here, which is no heading of CHANGELOG.md",
    ),
    "anchor elsewhere": (
        replaced("README.md", "## The *results*!", "## All results"),
        "README.md:3: links to #the-results, which is no heading of README.md",
    ),
    "anchor of a file": (
        added("CHANGELOG.md", "[a](README.md#the-result)\n"),
        "CHANGELOG.md:6: links to #the-result, which is no heading of README.md",
    ),
    "figure not made": (
        added("Task-1/figures/old.svg", ""),
        "Task-1/figures/old.svg: is not made by Task-1/Task-1.py",
    ),
    "figure of the report": (
        added("report/report.typ", '\n#image("../Task-1/figures/b.png")\n'),
        "report/report.typ:4: shows ../Task-1/figures/b.png, which is no tracked figure",
    ),
    "named figure of the report": (
        added("report/report.typ", '#shown("Task-1", "b")\n'),
        "report/report.typ:3: shows b, which is no tracked figure",
    ),
    "module without docstring": (
        added("cnnlab/new.py", "X = 1\n"),
        "cnnlab/new.py:1: the module has no docstring",
    ),
    "tool without docstring": (
        added("tools/program.py", "def run():\n    def inner(): pass\n"),
        "tools/program.py:2: run has no docstring",
    ),
    "class without docstring": (
        replaced("cnnlab/parts.py", '    """A part."""\n\n', ""),
        "cnnlab/parts.py:17: Part has no docstring",
    ),
    "method without docstring": (
        replaced("cnnlab/parts.py", '        """Return it whole."""\n', ""),
        "cnnlab/parts.py:20: Part.whole has no docstring",
    ),
    "error not said": (
        replaced("cnnlab/parts.py", "        ValueError: no images", "        Never"),
        "cnnlab/parts.py:13: double raises ValueError, which its docstring does not say",
    ),
    "shape not said": (
        replaced("cnnlab/parts.py", "images (n, h, w)", "images (all)"),
        "cnnlab/parts.py:6: double does not say the shape of images",
    ),
    "home": (
        added("Makefile", f"all:\n\tls {HOME}/x\n"),
        "Makefile:2: names a folder of somebody's machine (",
    ),
    "drive": (
        added("Makefile", "# C:" + "\\Temp\n"),
        "Makefile:1: names a folder of somebody's machine (C:",
    ),
    "too large": (
        lambda root: (root / "data.bin").write_bytes(bytes(20_100_000)),
        "data.bin: has 20.1 MB, more than 20 MB",
    ),
    "other version cited": (
        replaced("CITATION.cff", "version: 1.2.0\n", "version: 1.1.0\n"),
        "CITATION.cff: names version ",
    ),
    "version without changes": (
        replaced("CHANGELOG.md", "## 1.2.0", "## Next"),
        "CHANGELOG.md: names no version, the package is 1.2.0",
    ),
}


def test_clean_repository_has_no_problems(documented, capsys):
    assert documents.main(["check"], documented) == 0
    assert capsys.readouterr().out == "documents: nothing wrong\n"


@pytest.mark.parametrize("defect", DEFECTS)
def test_check_catches(documented, capsys, defect):
    plant, expected = DEFECTS[defect]
    plant(documented)
    assert documents.main(["check"], documented) == 1
    found = capsys.readouterr().out.splitlines()
    assert len(found) == 1 and expected in found[0]


def test_fill_writes_what_the_results_say(documented, capsys):
    readme = (documented / "README.md").read_text(encoding="utf-8")
    assert "| lines | 99.500 % | 98.800–99.800 % | 4, 6 | 1,000 | 1,234 | ≤ 9 s |\n" in readme
    assert "this run" not in readme
    assert "\nVersions: Python 3.11.7, TensorFlow 2.21.0, Keras 3.15.1; all others in" in readme
    assert "| Task 1 | 1,234 | An Abacus | 2 |\n" in readme
    task = (documented / "Task-1" / "README.md").read_text(encoding="utf-8")
    assert "| lines, this run | 99.600 % |  | seed 0 |\n" in task

    assert documents.main(["fill"], documented) == 0
    assert capsys.readouterr().out == "documents: nothing to fill\n"
    edit(documented / "Task-1" / "results.json", "seed 0", "seed 7")
    assert documents.main(["fill"], documented) == 0
    assert capsys.readouterr().out == "filled Task-1/README.md\n"
    assert "| seed 7 |" in (documented / "Task-1" / "README.md").read_text(encoding="utf-8")
    assert (documented / "README.md").read_text(encoding="utf-8") == readme


@pytest.mark.parametrize(
    "text", ["<!-- fill: nothing -->\n<!-- end -->\n", "<!-- fill: results -->\n", "<!-- end -->"]
)
def test_fill_writes_nothing_when_a_block_is_wrong(documented, capsys, text):
    edit(documented / "Task-1" / "results.json", "99.500", "98.000")
    added("Task-1/zuletzt.md", text)(documented)
    before = {path: path.read_bytes() for path in documented.rglob("*") if path.is_file()}
    assert documents.main(["fill"], documented) == 1
    assert capsys.readouterr().err.startswith("Task-1/zuletzt.md:1: ")
    after = {path: path.read_bytes() for path in documented.rglob("*") if path.is_file()}
    assert after == before


def test_tasks_with_other_versions_are_told_apart(documented):
    results = json.loads((documented / "Task-1" / "results.json").read_text())
    newer = results | {"versions": results["versions"] | {"keras": "3.16.0"}}
    text = blocks.versions({"Task-1": results, "Task-2": newer, "Task-3": results})
    assert "\n* Task 1, Task 3: Python 3.11.7, TensorFlow 2.21.0, Keras 3.15.1\n* Task 2: " in text


def test_a_task_without_seeds_stays_out_of_the_main_table():
    row = {"what": "a", "value": "1 %", "conditions": "seed 0"}
    results = {"Task-1": {"headline": [row, row]}}
    assert blocks.overview(results) == "None yet."
    text = blocks.task_results(results["Task-1"])
    assert text.count("| a | 1 % | seed 0 |") == 2 and "interval" not in text


def test_line_ends_of_another_system_stay(documented):
    path = documented / "CHANGELOG.md"
    path.write_bytes(b"# A\r\n<!-- fill: versions -->\r\n<!-- end -->\r\nb\r\n")
    assert documents.fill(documented) == ["CHANGELOG.md"]
    assert b"# A\r\n" in path.read_bytes() and b"Python 3.11.7" in path.read_bytes()
    assert documents.fill(documented) == []


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Run it", "run-it"),
        ("Task 1 · Foundations", "task-1--foundations"),
        ("What's `cnnlab.lines`, really?", "whats-cnnlablines-really"),
        ("A [link](x.md) and *more* of_it", "a-link-and-more-of_it"),
        ("_So_ – Änderung", "so--änderung"),
    ],
)
def test_headings_get_the_anchors_of_github(heading, anchor):
    assert markdown.slug(heading) == anchor


def test_anchors_of_a_text():
    text = "# A\n\n## A ##\n\nB\n---\n\n```\n# C\n```\n\n---\n<a id='d'></a>\n"
    assert markdown.anchors(text) == {"a", "a-1", "b", "d"}


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("[a](b.md#c) ![d](e.png)", [(1, "b.md", "c"), (1, "e.png", "")]),
        ("[a\nb](c%20d.md)\n[e](<f g.md>)", [(2, "c d.md", ""), (3, "f g.md", "")]),
        ("[a](https://b/c) [d](mailto:e@f) <https://g>", []),
        ("`[a](b)` ``[c`](d)`` <!-- [e](f) -->", []),
        ("~~~~\n[a](b)\n~~~\n[c](d)\n~~~~\n[e](#f)", [(6, "", "f")]),
    ],
)
def test_links_of_a_text(text, links):
    assert [tuple(link) for link in markdown.links(text)] == links


def test_files_are_those_that_git_knows(documented, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)  # in a hook of git they would lead to the real repository

    def git(*arguments):
        subprocess.run(["git", *arguments], cwd=documented, check=True, capture_output=True)

    git("init")
    git("add", ".")
    added("notes.md", f"[a](none) {HOME}/b\n")(documented)
    (documented / "CITATION.cff").unlink()
    files = tracked.tracked_files(documented)
    assert {"README.md", "cnnlab/parts.py"} <= {*files}
    assert not {"notes.md", "CITATION.cff"} & {*files}
    assert documents.problems(documented) == []
    added("README.md", "[my notes](notes.md)\n")(documented)
    assert "links to notes.md, which is no tracked file" in documents.problems(documented)[0]


def test_files_without_git_are_those_not_ignored(tmp_path):
    ignored = ["/.venv/", "__pycache__/", "# caches", "*.swp", "/data/.*-x.npz", "out.ipynb"]
    (tmp_path / ".gitignore").write_text("\n".join(ignored))
    unwanted = [".venv/a", "b/__pycache__/c", "d.swp", "data/.1-x.npz", "b/out.ipynb", ".git/e"]
    for name in [*unwanted, "b/.venv/a", "data/x.npz", ".ci/run"]:
        added_file = tmp_path / name
        added_file.parent.mkdir(parents=True, exist_ok=True)
        added_file.touch()
    found = tracked.tracked_files(tmp_path)
    assert found == [".ci/run", ".gitignore", "b/.venv/a", "data/x.npz"]


def test_real_repository_has_no_problems():
    assert documents.problems(ROOT) == []


def test_real_documents_tell_the_results():
    results = blocks.load(ROOT)
    assert blocks.benchmarks(results.pop("benchmarks")) in _text("benchmarks/README.md")
    assert blocks.faults(results.pop("faults")) in _text("README.md")
    for task in results:
        assert any((ROOT / task / "figures").glob("*.png"))
        assert f"<!-- fill: results-{task.lower()} -->" in _text(f"{task}/README.md")
    for name in ("results", "versions", "seconds"):
        assert f"<!-- fill: {name} -->" in _text("README.md")
    for row in (row for found in results.values() for row in found["headline"]):
        if "mean of" in row["conditions"]:
            assert row["value"] in _text("README.md")


def _text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")
