"""What the documents say of the results, so that no number is typed twice.

Each block of a Markdown file prints what one of these functions returns; see `tools.documents`.
"""

import json
import math
import tomllib
from pathlib import Path

from cnnlab.notebook import percent, percent_range, table

INTERVAL_MEANS = (
    "\n\nThe 95 % interval is for the recipe: a bootstrap draws seeds and test images again; it is "
    "at least as wide as Wilson's for a single network."
)


def studies(results: dict) -> dict[str, dict]:
    """Return {title: summary} of the networks trained with several seeds, from a results.json."""
    return {summary["title"]: summary for summary in results.get("study", {}).values()}


def architecture() -> str:
    """Write the rooms of `cnnlab`, from the top down, as the contract of imports has them."""
    contracts = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    layers = contracts["contracts"][0]["layers"]
    return "\n".join(["```", *(layer.replace("cnnlab.", "") for layer in layers), "```"])


def main_results() -> str:
    """Write the results of all studies: the means of several seeds."""
    rows = [
        {
            "network, test": title,
            "accuracy": percent(summary["mean accuracy"], 3),
            "seeds": summary["seeds"],
            "unseen images": f"{summary['n']:,}",
            "weights": f"{summary['parameters']:,}",
            "training": f"≤ {math.ceil(max(summary['seconds'])):,} s",
        }
        for results in tasks().values()
        for title, summary in studies(results).items()
    ]
    return table(rows).data


def task_results(task: str) -> str:
    """Write all headline results of one task, such as "Task-1"."""
    results, rows = tasks()[task], []
    summaries = studies(results)
    for headline in results["headline"]:
        summary = summaries.get(headline["what"])
        row = {"result": headline["what"], "value": headline["value"]}
        if summaries:
            row["95 % interval"] = _interval(summary) if summary else ""
        rows.append(row | {"conditions": headline["conditions"]})
    return table(rows).data + (INTERVAL_MEANS if summaries else "")


def versions() -> str:
    """Write the versions that the results were made with; one line when all tasks agree."""
    words = "Python {python}, TensorFlow {tensorflow}, Keras {keras}"
    made_with = {task: words.format(**each["versions"]) for task, each in tasks().items()}
    if len({*made_with.values()}) == 1:
        return f"Versions: {made_with['Task-1']}; all others in `constraints.txt`."
    lines = "".join(f"\n* {task.replace('-', ' ')}: {each}" for task, each in made_with.items())
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
        for task, results in tasks().items()
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
    speeds = [each["peak GFLOP/s"] for each in measured["benchmarks"].values()]
    speeds = sorted(filter(None, speeds))
    cores = "{processor}, {cores} cores".format(**measured["machine"])
    speed = f"a matrix product ran at {speeds[0]:.0f} to {speeds[-1]:.0f} GFLOP/s"
    return f"{cores}; {speed} before the benchmarks.\n\n{table(rows).data}"


def faults() -> str:
    """Write how many cases of faults are tested, and how they ended."""
    files = [*_read("tests/faults/outcomes.json")["files"].values()]
    columns = {
        "cases in `make test`": "quick",
        "only in `make test-faults`": "slow",
        "passed": "passed",
        "not possible there": "skipped",
        "failed": "failed",
    }
    together = {key: sum(file[key] for file in files) for key in columns.values()}
    rows = [
        {"what is tried": row["topic"]} | {name: f"{row[key]:,}" for name, key in columns.items()}
        for row in [*files, {"topic": "together"} | together]
    ]
    return table(rows).data


def supported() -> str:
    """Write what kinds of models can be looked into, as a test has found it."""
    return table(_read("tests/data/supported.json")).data


def short_time(seconds: float) -> str:
    """Write a time with three digits, in ms below a second."""
    return f"{1000 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def tasks(root: Path = Path()) -> dict[str, dict]:
    """Return the results of each task of the repository, by its folder."""
    return {file.parent.name: _read(file) for file in sorted(root.glob("Task-*/results.json"))}


def _read(file) -> dict:
    return json.loads(Path(file).read_bytes())


def _interval(summary: dict) -> str:
    low, high = summary["interval of the errors"]
    return percent_range(1 - high, 1 - low, 3)
