"""report.pdf is made from the results, holds them, and is not older than they are."""

import json
import shutil
from pathlib import Path

import pytest
import typst
from small_repository import edit

from tools import report

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def copied(tmp_path):
    """A copy of all that the report is made from, and of the report, to be spoiled."""
    folder = tmp_path / "a copy for Zoë"
    ignored = shutil.ignore_patterns("models", "*.ipynb", "__pycache__")
    for name in ("cnnlab", "report", "tools", "Task-1", "Task-2", "Task-3"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "report.pdf", folder)
    return folder


def test_the_committed_report_is_right():
    assert list(report.problems(ROOT)) == []


def test_two_builds_are_the_same_bytes_and_every_figure_is_mentioned(copied):
    first = report.build(copied).read_bytes()
    assert list(report.problems(copied)) == []
    assert report.build(copied).read_bytes() == first

    source = copied / "report" / "report.typ"
    figures = json.loads(typst.query(source, "figure", root=copied, ignore_system_fonts=True))
    text = "".join(path.read_text(encoding="utf-8") for path in source.parent.glob("*.typ"))
    assert len(figures) > 25
    for figure in figures:
        assert figure["caption"] and figure["label"].replace("<", "@").strip(">") in text, figure


def test_another_result_makes_the_report_old_and_wrong(copied):
    value = next(value for value, _ in report.headlines(copied))
    edit(copied / "Task-1" / "results.json", f'"value": "{value}"', '"value": "12.345 %"')
    old, lacks = report.problems(copied)
    assert "older than its sources" in old and "12.345 %" in lacks


def test_another_source_makes_the_report_old(copied):
    digests = [report.digest(copied)]
    for file, old, new in (
        ("report/data.typ", "Lines.", "Straight lines."),
        ("Task-1/figures/ladder.svg", "<svg", "<svg "),
    ):
        edit(copied / file, old, new)
        digests.append(report.digest(copied))
    assert len(set(digests)) == len(digests)


def test_a_report_that_does_not_compile_leaves_the_old_one_and_a_missing_one_is_said(copied):
    before = (copied / "report.pdf").read_bytes()
    edit(copied / "report" / "data.typ", "= The data", "#nothing-of-this-name\n= The data")
    with pytest.raises(typst.TypstError, match="nothing-of-this-name"):
        report.build(copied)
    assert (copied / "report.pdf").read_bytes() == before
    (copied / "report.pdf").unlink()
    assert list(report.problems(copied)) == ["report.pdf is missing: make report"]
