"""What the documents say of the results, so that no number is typed twice.

Each block of a Markdown file prints what one of these functions returns; cog runs them (see
`tools.documents`). Paths are relative to the current folder, the repository's root.
"""

import json
import math
from pathlib import Path

from cnnlab.notebook import percent, percent_range, table

# The studies of results.json: the networks that were trained with several seeds, by their key.
TITLES = {
    "part1-mnist-official": "Part 1, MNIST 60,000 : 10,000",
    "final-mnist-official": "final, MNIST 60,000 : 10,000",
    "quick-mnist-official": "quick, MNIST 60,000 : 10,000",
    "part1-lines": "Part 1, lines 60 : 40",
    "final-lines": "final, lines 60 : 40",
    "final": "four heads, lines, joint",
}
INTERVAL_MEANS = (
    "\n\nThe 95 % interval (Wilson's, at the median of the errors) is for the accuracy of one such "
    "network on all images of this kind, of which the test set is a sample."
)


def studies(results: dict) -> dict[str, dict]:
    """Return {title: summary} of the studies in a task's results.json, in the order of TITLES.

    Raises:
        KeyError: a study without a title.
    """
    summaries = results.get("study", {})
    if "errors" in summaries:  # Task 2 has only one
        summaries = {"final": summaries | {"longest seconds": max(summaries["seconds"])}}
    titled = {TITLES[key]: summary for key, summary in summaries.items()}
    return {title: titled[title] for title in TITLES.values() if title in titled}


def main_results() -> str:
    """Write the results of all studies: the means of several seeds."""
    rows = [
        {
            "result": title,
            "mean accuracy": percent(summary["mean accuracy"], 3),
            "95 % interval": _interval(summary),
            "errors by seed": ", ".join(map(str, summary["errors"])),
            "unseen images": f"{summary['n']:,}",
            "weights": f"{summary['parameters']:,}",
            "training": f"≤ {summary['longest seconds']:.0f} s",
        }
        for results in _tasks().values()
        for title, summary in studies(results).items()
    ]
    return table(rows).data + INTERVAL_MEANS


def task_results(task: str) -> str:
    """Write all headline results of one task, such as "Task-1"."""
    results, rows = _tasks()[task], []
    summaries = studies(results)
    for row in results["headline"]:
        conditions, interval = row["conditions"], ""
        if summary := summaries.get(row["what"]):
            interval = _interval(summary)
            if "parameters" not in conditions:
                conditions += f"; {summary['parameters']:,} parameters"
        intervals = {"95 % interval": interval} if summaries else {}
        rows.append(
            {"result": row["what"], "value": row["value"], **intervals, "conditions": conditions}
        )
    return table(rows).data + (INTERVAL_MEANS if summaries else "")


def versions() -> str:
    """Write the versions that the results were made with; one line when all tasks agree."""
    tasks: dict[str, list[str]] = {}
    for task, results in _tasks().items():
        made_with = "Python {python}, TensorFlow {tensorflow}, Keras {keras}"
        tasks.setdefault(made_with.format(**results["versions"]), []).append(task.replace("-", " "))
    if len(tasks) == 1:
        return f"Versions: {next(iter(tasks))}; all others in `constraints.txt`."
    lines = "".join(f"\n* {', '.join(names)}: {made_with}" for made_with, names in tasks.items())
    return f"Versions (all others in `constraints.txt`):\n{lines}"


def seconds() -> str:
    """Write how long each notebook took, and on what machine."""
    rows = [
        {
            "notebook": task.replace("-", " "),
            # Rounded as in the report, halves upwards.
            "seconds": f"{math.floor(_read(f'{task}/times.json')['everything above'] + 0.5):,}",
            "processor": results["machine"]["processor"],
            "cores": results["machine"]["cores"],
        }
        for task, results in _tasks().items()
    ]
    return table(rows).data


def benchmarks() -> str:
    """Write the times of the benchmarks next to those of others."""
    measured = _read("benchmarks/results.json")
    rows = [
        {
            "work": row["work"],
            "ours": short_time(row["ours"]),
            "other": short_time(row["other"]),
            "ratio": f"{row['ratio']:.1f}",
            "the other": row["who"],
        }
        for row in measured["rows"]
    ]
    machine = measured["machine"]
    speeds = [*filter(None, (each["peak GFLOP/s"] for each in measured["benchmarks"].values()))]
    return (
        f"{machine['processor']}, {machine['cores']} cores; a matrix product ran at "
        f"{min(speeds):.0f} to {max(speeds):.0f} GFLOP/s before the benchmarks.\n\n"
        f"{table(rows).data}"
    )


def faults() -> str:
    """Write how many cases of faults are tested, and how they ended."""
    files = list(_read("tests/faults/outcomes.json")["files"].values())
    columns = {
        "cases in `make test`": "quick",
        "only in `make test-faults`": "slow",
        "passed": "passed",
        "not possible there": "skipped",
        "failed": "failed",
    }
    together = {key: sum(file[key] for file in files) for key in columns.values()}
    rows = [
        {"what is tried": file["topic"]} | {name: f"{file[key]:,}" for name, key in columns.items()}
        for file in [*files, {"topic": "together"} | together]
    ]
    return table(rows).data


def short_time(seconds: float) -> str:
    """Write a time with three digits, in ms below a second."""
    return f"{1000 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def _tasks() -> dict[str, dict]:
    """Return the results of each task, by its folder."""
    files = sorted(Path().glob("Task-*/results.json"))
    return {file.parent.name: _read(file) for file in files}


def _read(file) -> dict:
    return json.loads(Path(file).read_text(encoding="utf-8"))


def _interval(summary: dict) -> str:
    """Write the interval of the accuracy on another test set, at the median of the errors."""
    low, high = summary["interval of the errors"]
    return percent_range(1 - high, 1 - low, 3)
