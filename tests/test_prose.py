"""Numbers in the text of notebooks and documents: filled in from the studies, or decided."""

from pathlib import Path

import pytest

from tools import prose, typst_markup

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def told(monkeypatch):
    monkeypatch.setattr(prose, "facts", lambda task: {"errors of ours": "26", "all": "10,000"})


def test_names_are_filled_in_across_lines(told):
    text = "It misreads {{errors of\nours}} of {{all}}."
    assert prose.filled(text, "Task-1") == "It misreads 26 of 10,000."
    with pytest.raises(KeyError, match="none"):
        prose.filled("{{none}}", "Task-1")


@pytest.mark.parametrize("task", ["Task-1", "Task-2"])
def test_every_fact_is_told_and_every_name_is_known(task):
    text = (ROOT / task / f"{task}.py").read_text(encoding="utf-8")
    names = {" ".join(name.replace("#", " ").split()) for name in prose.NAME.findall(text)}
    assert names == prose.facts(task).keys()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("It reads 98.7 % of them.", ["98.7 %"]),
        ("It misreads 3,749 of {{all}} lines.", ["3,749"]),
        ("Two of 17 seeds, figure 3 and Task 2.", ["17"]),
        ("`range(17)`, $17$, [17](17.md), 96 classes, three of 4, 95 %, Keras 3.15.1.", ["17"]),
    ],
)
def test_a_number_that_nobody_filled_in_is_noticed(tmp_path, line, found):
    (tmp_path / "README.md").write_text(
        f"# Title 17\n\n{line}\n\n```\n17\n```\n<!-- [[[cog x ]]] -->\n17\n<!-- [[[end]]] -->\n"
    )
    script = tmp_path / "Task-1" / "Task-1.py"
    script.parent.mkdir()
    script.write_text(f"# %% [markdown]\n# {line}\n\n# %%\nx = 17  # 17 more\n")
    what = "the number {} in the text was not filled in by code"
    expected = [
        f"{file}: {what.format(each)}"
        for file in ("Task-1/Task-1.py", "README.md")
        for each in found
    ]
    assert list(prose.problems(tmp_path)) == expected


TYPST = """
#import "lib.typ": *
#let shown = fixed(12.5, digits: 2) // of 13
= Title <part14>

It reads #pct(results.at("a 15").share, digits: 2) of 16 lines, *#fixed(x)* with $17$ and `18`.
#figure(
  chart("x-19", width: 20%),
  caption: [Errors of #listed(study.errors) in 21 lines, see @part14.],
) <fig22>
#if a > 23 [
  - *Time.* 24 s (#fixed(goal).at(0) s).
]
Until #task.first().seeds. The 25th \\# 26
"""


def test_text_of_a_report_is_what_no_expression_has_filled_in():
    text = typst_markup.text_of(TYPST)
    numbers = [match[0] for match in prose.NUMBER.finditer(text)]
    assert numbers == ["16", "21", "24", "25", "26"]
    assert "It reads of 16 lines" in text and "Errors of in 21 lines" in text
