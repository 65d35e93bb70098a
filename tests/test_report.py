"""report.pdf is made from the results, holds them, and is not older than they are."""

import json
import shutil
from pathlib import Path

import pytest
import typst

from tools import report, report_charts

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("cnnlab", "report", "tools", *(f"Task-{number}" for number in (1, 2, 3)))


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of all that the report is made from, and of the report."""
    folder = tmp_path_factory.mktemp("a copy for Zoë")
    ignored = shutil.ignore_patterns("models", "*.ipynb", "__pycache__", "charts")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "report.pdf", folder)
    return folder


@pytest.fixture
def changed(copied, tmp_path):
    """A copy of the copy, to be spoiled."""
    return shutil.copytree(copied, tmp_path / "changed")


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_committed_report_is_right():
    assert list(report.problems(ROOT)) == []


def test_the_report_must_hold_every_headline(copied):
    values = [value for value, _ in report.headlines(copied)]
    assert len(values) == 8 and all(value.endswith(" %") for value in values)


def test_two_builds_are_the_same_bytes(copied):
    first = report.build(copied).read_bytes()
    assert list(report.problems(copied)) == []
    shutil.rmtree(copied / report.CHARTS)
    assert report.build(copied).read_bytes() == first


def test_another_result_makes_the_report_old_and_wrong(changed):
    results = changed / "Task-1" / "results.json"
    value = json.loads(results.read_text(encoding="utf-8"))["headline"][0]["value"]
    edit(results, f'"value": "{value}"', '"value": "12.345 %"')
    old, lacks = report.problems(changed)
    assert "older than its sources" in old and "12.345 %" in lacks


@pytest.mark.parametrize(
    "file, old, new",
    [
        ("report/data.typ", "Lines.", "Straight lines."),
        ("cnnlab/plots.py", "figsize=(9, 3.2)", "figsize=(9, 3.3)"),
        ("tools/report_charts.py", "figsize=(9, 4.2)", "figsize=(9, 4.3)"),
    ],
)
def test_another_source_makes_the_report_old(changed, file, old, new):
    edit(changed / file, old, new)
    (problem,) = report.problems(changed)
    assert "older than its sources" in problem


def test_a_comment_does_not_make_the_report_old(changed):
    edit(changed / "cnnlab" / "plots.py", "import math", "import math  # as ever")
    assert list(report.problems(changed)) == []


def test_a_missing_report_is_said(changed):
    (changed / "report.pdf").unlink()
    assert list(report.problems(changed)) == ["report.pdf is missing: make report"]


def test_a_report_that_does_not_compile_leaves_the_old_one(changed):
    before = (changed / "report.pdf").read_bytes()
    edit(changed / "report" / "data.typ", "= The data", "#nothing-of-this-name\n= The data")
    with pytest.raises(typst.TypstError, match="nothing-of-this-name"):
        report.build(changed)
    assert (changed / "report.pdf").read_bytes() == before


def test_every_figure_has_a_caption_and_is_mentioned(copied):
    report_charts.draw_all(copied, copied / report.CHARTS)
    found = typst.query(
        copied / "report" / "report.typ", "figure", root=copied, ignore_system_fonts=True
    )
    text = "".join(path.read_text(encoding="utf-8") for path in (copied / "report").glob("*.typ"))
    figures = json.loads(found)
    assert len(figures) > 30
    for figure in figures:
        label = figure["label"].strip("<>")
        assert figure["caption"], f"{label} has no caption"
        assert f"@{label}" in text, f"{label} is mentioned nowhere"


def test_a_confusion_matrix_counts_every_test_image():
    results = json.loads((ROOT / "Task-1" / "results.json").read_text(encoding="utf-8"))
    for name, tested in results["reports"].items():
        matrix = report_charts.confusion_matrix(results, name)
        assert matrix.sum() == tested["n"]
        assert matrix.sum() - matrix.trace() == tested["errors"]
        assert (matrix.sum(axis=1) == tested["support"]).all()
