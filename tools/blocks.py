"""Blocks of Markdown that are written from the results, so that no number is typed twice.

A block stands between two lines of its own, `<!-- fill: NAME -->` and `<!-- end -->`. What is
between them is replaced by what the function of that name makes of `Task-*/results.json` (with
`times.json` beside it), `benchmarks/results.json` and `tests/faults/outcomes.json`.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from cnnlab.notebook import percent_range
from tools.markdown import prose_lines, without_code

BEGIN = re.compile(r"<!-- fill: (\S+) -->")
END = re.compile(r"<!-- end -->")
MARKER = re.compile(r"<!--\s*(?:fill\b|end\s*-->)")
SHOWN_VERSIONS = {"python": "Python", "tensorflow": "TensorFlow", "keras": "Keras"}
INTERVAL = "95 % interval"
INTERVAL_MEANS = (
    "The 95 % interval (Wilson's, at the median of the errors) is for the accuracy of one such "
    "network on all images of this kind, of which the test set is a sample."
)
BENCHMARKS, FAULTS = "benchmarks", "faults"
TOTAL = "everything above"  # the name in times.json

Results = dict[str, dict]


class BlockError(Exception):
    """A block that cannot be filled.

    Attributes:
        line: where it is, from 1.
        problem: what is wrong with it.
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line, self.problem = line, problem


class Block(NamedTuple):
    """A block of a text: its name, and the numbers of its first and last line, from 1."""

    name: str
    begin: int
    end: int


def find(text: str) -> Iterator[Block]:
    """Yield the blocks of a Markdown text.

    Raises:
        BlockError: a block is not closed, stands in another one, or a marker is not alone on its
            line.
    """
    name, begin = None, 0
    for number, line in prose_lines(text):
        if not MARKER.search(without_code(line)):
            continue
        opens = BEGIN.fullmatch(line)
        if not opens and not END.fullmatch(line):
            raise BlockError(number, f"{line.strip()!r} is no marker of a block on its own line")
        if opens and name:
            raise BlockError(number, f"the block {opens[1]!r} begins inside {name!r}")
        if not opens and not name:
            raise BlockError(number, "a block ends here, but none has begun")
        if not opens:
            yield Block(name, begin, number)
        name, begin = (opens[1], number) if opens else (None, 0)
    if name:
        raise BlockError(begin, f"the block {name!r} is not closed by <!-- end -->")


def contents(text: str, results: Results) -> Iterator[tuple[Block, str]]:
    """Yield the blocks of a Markdown text, each with what it should hold.

    Args:
        text: of a Markdown file.
        results: as from `load`.

    Raises:
        BlockError: as in `find`; or nothing has the block's name, or the results lack something.
    """
    known = renderers(results)
    for block in find(text):
        if block.name not in known:
            there = ", ".join(known) or "none without results"
            raise BlockError(block.begin, f"no block is called {block.name!r}; there are: {there}")
        try:
            yield block, known[block.name]() + "\n"
        except KeyError as error:
            raise BlockError(block.begin, f"the results lack {error}") from error


def filled(text: str, results: Results) -> str:
    """Return a Markdown text with all its blocks filled.

    Raises:
        BlockError: as in `contents`.
    """
    lines = text.splitlines(keepends=True)
    for block, content in reversed(list(contents(text, results))):
        lines[block.begin : block.end - 1] = [content]
    return "".join(lines)


def load(root: Path) -> Results:
    """Return each task's results and those of the benchmarks, by the folder's name."""
    files = sorted(root.glob("Task-*/results.json"), key=lambda path: (len(str(path)), path))
    files += root.glob(f"{BENCHMARKS}/results.json")
    files += root.glob(f"tests/{FAULTS}/outcomes.json")
    return {file.parent.name: _measured(file) for file in files}


def _measured(results: Path) -> dict:
    """Read results, with the times of their run as "seconds"."""
    found, times = json.loads(results.read_text(encoding="utf-8")), results.with_name("times.json")
    if times.exists():
        found["seconds"] = json.loads(times.read_text(encoding="utf-8"))
    return found


def renderers(results: Results) -> dict[str, Callable[[], str]]:
    """Return the functions that write the blocks, by name; none when no task has results."""
    others = {BENCHMARKS: benchmarks, FAULTS: faults}
    measured = {name: found for name, found in results.items() if name in others}
    results = {task: found for task, found in results.items() if task not in others}
    if not results:
        return {}
    functions = {
        "results": lambda: overview(results),
        "versions": lambda: versions(results),
        "seconds": lambda: seconds(results),
    }
    for name, found in measured.items():
        functions[name] = lambda name=name, found=found: others[name](found)
    for task in results:
        functions[f"results-{task.lower()}"] = lambda task=task: task_results(results[task])
    return functions


def overview(results: Results) -> str:
    """Write the main results of all tasks: the means of several seeds."""
    return _explained(
        [
            {
                "result": row["what"],
                "mean accuracy": row["value"],
                INTERVAL: _interval(summary),
                "errors by seed": ", ".join(map(str, summary["errors"])),
                "unseen images": f"{summary['n']:,}",
                "weights": f"{summary['parameters']:,}",
                "training": f"≤ {_longest(summary):.0f} s",
            }
            for found in results.values()
            for row in found["headline"]
            if (summary := _summary(row, found))
        ]
    )


def task_results(found: dict) -> str:
    """Write all headline results of one task."""
    return _explained([_columns(row, found) for row in found["headline"]])


def versions(results: Results) -> str:
    """Write the versions that the results were made with; one line when all tasks agree."""
    tasks: dict[str, list[str]] = {}
    for task, found in results.items():
        used = ", ".join(
            f"{shown} {found['versions'][key]}" for key, shown in SHOWN_VERSIONS.items()
        )
        tasks.setdefault(used, []).append(_spoken(task))
    if len(tasks) == 1:
        return f"Versions: {next(iter(tasks))}; all others in `constraints.txt`."
    lines = [f"* {', '.join(names)}: {used}" for used, names in tasks.items()]
    return "\n".join(["Versions (all others in `constraints.txt`):", "", *lines])


def seconds(results: Results) -> str:
    """Write how long each notebook took, and on what machine."""
    return _table(
        [
            {
                "notebook": _spoken(task),
                "seconds": f"{math.floor(found['seconds'][TOTAL] + 0.5):,}",  # as the report rounds
                "processor": found["machine"]["processor"],
                "cores": found["machine"]["cores"],
            }
            for task, found in results.items()
        ]
    )


def benchmarks(measured: dict) -> str:
    """Write the times of the benchmarks beside those of others."""
    rows = _table(
        [
            {
                "work": row["work"],
                "ours": short_time(row["ours"]),
                "other": short_time(row["other"]),
                "ratio": f"{row['ratio']:.1f}",
                "the other": row["who"],
            }
            for row in measured["rows"]
        ]
    )
    machine, peaks = (
        measured["machine"],
        [each["peak GFLOP/s"] for each in measured["benchmarks"].values() if each["peak GFLOP/s"]],
    )
    return (
        f"{machine['processor']}, {machine['cores']} cores; a matrix product ran at "
        f"{min(peaks):.0f} to {max(peaks):.0f} GFLOP/s before the benchmarks.\n\n{rows}"
    )


def faults(measured: dict) -> str:
    """Write how many cases of faults are tested, and how they ended."""
    files = list(measured["files"].values())
    every = {key: sum(row[key] for row in files) for key in files[0] if key != "topic"}
    rows = [
        {
            "what is tried": row["topic"],
            "cases in `make test`": f"{row['quick']:,}",
            "only in `make test-faults`": f"{row['slow']:,}",
            "passed": f"{row['passed']:,}",
            "not possible there": f"{row['skipped']:,}",
            "failed": f"{row['failed']:,}",
        }
        for row in [*files, {"topic": "together"} | every]
    ]
    return _table(rows)


def short_time(seconds: float) -> str:
    """Write a time with three digits, in ms below a second."""
    return f"{1000 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def _columns(row: dict, found: dict) -> dict[str, str]:
    summary = _summary(row, found)
    conditions = row["conditions"]
    if summary and "parameters" not in conditions:
        conditions += f"; {summary['parameters']:,} parameters"
    return {
        "result": row["what"],
        "value": row["value"],
        INTERVAL: _interval(summary) if summary else "",
        "conditions": conditions,
    }


def _summary(row: dict, found: dict) -> dict | None:
    """Return what the study says of a headline row: same errors in as many images."""
    study = found.get("study", {})
    for summary in [study] if "errors" in study else study.values():
        errors = ", ".join(map(str, summary["errors"]))
        if f"errors {errors} in {summary['n']:,} " in row["conditions"]:
            return summary
    return None


def _longest(summary: dict) -> float:
    """Return the seconds of the longest training of a study."""
    return summary["longest seconds"] if "longest seconds" in summary else max(summary["seconds"])


def _interval(summary: dict) -> str:
    """Write the interval of the accuracy on another test set, at the median of the errors."""
    low, high = summary["interval of the errors"]
    return percent_range(1 - high, 1 - low, 3)


def _explained(rows: list[dict]) -> str:
    """Write rows as a table, and below it what the interval is if there is one."""
    shows_interval = any(row[INTERVAL] for row in rows)
    return _table(rows) + (f"\n\n{INTERVAL_MEANS}" if shows_interval else "")


def _table(rows: list[dict]) -> str:
    """Write rows as a Markdown table; columns without any content are left out."""
    if not rows:
        return "None yet."
    columns = [name for name in rows[0] if any(row[name] for row in rows)]
    lines = [columns, ["---"] * len(columns), *([row[name] for name in columns] for row in rows)]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value) -> str:
    return str(value).replace("|", "\\|")


def _spoken(task: str) -> str:
    return task.replace("-", " ")
