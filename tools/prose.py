"""Numbers in the notebooks' text: {{name}} in a script becomes what the studies say.

What a study stored is the same on every machine, so text may quote it. Of a run's own outputs the
text speaks in words, and a statement in the code next to it says whether they hold in that run.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cnnlab import lines
from cnnlab.experiments import stored, variations, weighting
from tools import typst_markup

NUMBER = re.compile(r"(?<![\w.])\d[\d,.]*\d(?:\s?%)?|(?<![\w.])\d(?:\s?%)?")
NOT_PROSE = (
    re.compile(  # of Markdown: filled blocks, code, formulas, links, names, headings, tables
        r"<!-- \[\[\[cog.*?\[\[\[end\]\]\] -->|```.*?```|`[^`]*`|\$[^$]+\$|<[^>]*>|\]\([^)]*\)"
        r"|\{\{.*?\}\}|https?://\S+|^#+ .*?$|^\| .*?\|$"
        r"|(?:Figures?|Tasks?|Part|[Ss]ections?|Python|step) \d+(?:–\d+)?",
        re.DOTALL | re.MULTILINE,
    )
)
TRAINING_LINES = 51_840
WORDS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
# Numbers that somebody has decided, not measured, so that text may say them.
DECIDED = {
    *("28", "255", "0..255", "96", "40", "60", "15", "16", "32", "165", "180", "45", "7.5"),  # data
    *("1,000", "10,000", "60,000", "70,000", "96,000"),  # images
    *("38,400", "1,797"),  # test images
    *("48", "75", "20", "50", "64", "128", "256", "1,024"),  # epochs, JPEG, largest weight, layers
    *("0.97", "0.99", "0.3", "0.01", "0.004", "0.001"),  # momentum, dropout, rates, decay
    *("1 %", "40 %", "95 %", "99 %"),  # of errors, of brightness, intervals, goals
    *("2.0", "2.15", "2.20", "2.21", "3.0", "3.12", "3.13", "100"),  # versions, letters of a line
    *("1992", "1998", "2009", "2015", "2016", "2017", "2018"),  # years of papers
}
NAME = re.compile(r"\{\{(.+?)\}\}", re.DOTALL)


def filled(text: str, task: str) -> str:
    """Fill in all {{names}} of a text.

    Raises:
        KeyError: the task has no fact of that name.
    """
    return NAME.sub(lambda match: facts(task)[" ".join(match[1].split())], text)


@functools.cache
def facts(task: str) -> dict[str, str]:
    """Return {name: text} of all facts of a task, such as "Task-1"."""
    return {"Task-1": _task_1, "Task-2": _task_2}[task]()


def problems(root: Path) -> Iterator[str]:
    """Yield the numbers in text that no code has filled in, and that nobody has decided."""
    for script in sorted(root.glob("Task-*/Task-*.py")):
        text = "\n".join(re.findall(r"^# ?(.*)$", script.read_text("utf-8"), re.MULTILINE))
        yield from _unfilled(text, script.relative_to(root))
    for file in (*sorted(root.glob("*.md")), *sorted(root.glob("[!.]*/*.md"))):
        yield from _unfilled(file.read_text("utf-8"), file.relative_to(root))
    for file in sorted(root.glob("report/*.typ")):
        yield from _unfilled(typst_markup.text_of(file.read_text("utf-8")), file.relative_to(root))


def _unfilled(text: str, file: Path) -> Iterator[str]:
    for match in NUMBER.finditer(NOT_PROSE.sub(" ", text)):
        number = match[0].rstrip(".,")
        small = number.isdecimal() and int(number) <= len(WORDS)
        if not small and number not in DECIDED and number.count(".") < 2:  # two: a version
            yield f"{file}: the number {number} in the text was not filled in by code"


def _task_1() -> dict[str, str]:
    def errors(name, test=None):
        runs = stored.runs("Task-1", name)
        return [(run["tests"][test] if test else run)["errors"] for run in runs]

    def share(name, test=None, decimals=1):
        runs = stored.runs("Task-1", name)
        of = [run["tests"][test] if test else run for run in runs]
        return _percent(np.median([each["errors"] / each["n"] for each in of]), decimals)

    measured = stored.study("Task-1")["dataset"]
    geometry = measured["measured geometry"]
    effects = [row["effects"] for row in variations.effects() if row["effects"]]
    rows = stored.accuracies("Task-1", ("given-mnist-official", "final-mnist-official"), {})
    opencv, gray = "OpenCV line, matched", "background 1"
    return {
        "leak given": share("leak/Part 1", "between pixels", 0),
        "leak final": share("leak/final", "between pixels", 0),
        "largest length": f"{max(geometry[k]['largest'] for k in ('length', 'width')):.2g}",
        "largest angle": f"{geometry['angle']['largest']:.2g}",
        "nearest": f"{measured['nearest training line, gray levels']['median']:.0f}",
        "comparisons": str(sum(len(each) for each in effects)),
        "certain on digits": _word(sum(each["MNIST"][3] < 0.05 for each in effects)),
        "certain on lines": _word(sum(each["lines"][3] < 0.05 for each in effects)),
        "digits as given": _count(np.mean(errors("ladder/MNIST/as given"))),
        "digits deep": _count(np.mean(errors("ladder/MNIST/depth"))),
        "lines as given": _count(np.mean(errors("ladder/lines/as given"))),
        "lines deep": _count(np.mean(errors("ladder/lines/depth"))),
        "lines tested": _count(stored.runs("Task-1", "ladder/lines/depth")[0]["n"]),
        "lines deep on gray": _count(np.mean(errors("ladder/lines/depth", gray))),
        "digits new shapes": _count(np.mean(errors("ladder/MNIST/new shapes"))),
        "digits final": _count(np.mean(errors("ladder/MNIST/new appearance"))),
        "lines redrawn": _count(np.mean(errors("ladder/lines/lines drawn otherwise"))),
        "lines final": _count(np.mean(errors("ladder/lines/new appearance"))),
        "lines as given on gray": _count(np.mean(errors("ladder/lines/as given", gray))),
        "lines redrawn on gray": _count(
            np.mean(errors("ladder/lines/lines drawn otherwise", gray))
        ),
        "given OpenCV": share("given-lines", opencv),
        "given gray": share("given-lines", gray),
        "final OpenCV": share("final-lines", opencv),
        "given brush": share("given-lines", "round brush, same numbers"),
        "final brush": share("final-lines", "round brush, same numbers"),
        "lines of variations": _count(variations.DATA["lines"][2]),
        "final gray": _count(np.median(errors("final-lines", gray))),
        "digits ahead": str(
            sum(row["final-mnist-official"] > row["given-mnist-official"] for row in rows)
        ),
        "digit rows": str(len(rows)),
    }


def _task_2() -> dict[str, str]:
    def ceiling(drawing):
        runs = stored.runs("Task-2", f"ceiling/{drawing}")
        return _percent(1 - np.median([run["errors"]["joint"] / run["n"] for run in runs]))

    def green(variant):
        of_heads = {
            h: stored.runs("Task-2", f"variant/{variant}") for h in ("length", "width", "angle")
        }
        errors = {
            head: np.mean([run["drawn otherwise"]["green"][head] / run["n"] for run in runs])
            for head, runs in of_heads.items()
        }
        return {head: 1 - error for head, error in errors.items()}

    def errors(setting, way):
        return [run["errors"]["joint"] for run in weighting.runs(setting, way)]

    few = weighting.stored_by_size()
    noisy = [run["learned weights"] for run in weighting.runs("small, noisy labels", "learned")]
    learned = {head: np.mean([weights[head] for weights in noisy]) for head in noisy[0]}
    final = {row["test"]: row["final"] for row in stored.accuracies("Task-2", ["final"], {})}
    ways = {"equal": "equal", "hand": "5, 2, 1, 50", "learned": "learned"}
    settings = {"small": "small", "12": "small, 12 epochs", "noisy": "small, noisy labels"}
    settings |= {"final": "final"}
    return {
        "few": _count(round(min(weighting.SIZES) * TRAINING_LINES)),
        **{
            f"few {head} {how}": _percent(np.mean(few[how][head][0]))
            for head in ("length", "angle")
            for how in ("alone", "together")
        },
        "tested": _count(weighting.runs("small", "equal")[0]["n"]),
        "green recolored": _percent(min(green("10 % recolored").values())),
        "green white": _percent(green("10 % white")["angle"]),
        **{
            f"wrong {head}": _percent(share * (1 - 1 / lines.NUM_CLASSES[head]), 0)
            for head, share in weighting.DRAWN_ANEW.items()
            if share
        },
        **{f"weight of {head}": f"{weight:.2g}" for head, weight in learned.items()},
        "Pillow ceiling": ceiling("Pillow line"),
        "OpenCV ceiling": ceiling("OpenCV line"),
        "JPEG ceiling": ceiling("JPEG 75"),
        "Pillow final": _percent(final["Pillow line"]),
        "OpenCV final": _percent(final["OpenCV line"]),
        "JPEG final": _percent(final["jpeg 75"]),
    } | {
        f"{short} {way}": _count(round(np.mean(errors(setting, name)), 1))
        for short, setting in settings.items()
        for way, name in ways.items()
    }


def _percent(share: float, decimals: int = 1) -> str:
    return f"{100 * share:.{decimals}f} %"


def _count(number: float) -> str:
    """Write a mean count: whole from 10 on, with one decimal below."""
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.1f}"


def _word(number: int) -> str:
    return WORDS[number] if number < len(WORDS) else str(number)
