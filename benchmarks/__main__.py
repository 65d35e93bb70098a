"""Measure speed next to other programs. From the root: make bench, or make benchmarks

Each benchmark runs in a process of its own, one after the other. Within it, ours and the other take
turns; a time is a median of at least five, unless its row says otherwise. Nothing else should run
on the machine meanwhile. The first lines of each file say what it measures.
"""

import argparse
import json
import sys

from benchmarks import timing
from cnnlab import runtime, saving
from tools import blocks, headlines
from tools.blocks import short_time

BENCHMARKS = {  # name: is a matrix product measured before it? Its threads and memory stay
    "mnist": True,
    "lines_to_zero": True,
    "throughput": False,
    "generation": False,
    "interpret": True,
    "imports": False,
    "explorer": False,
    "growth": False,
    "notebooks": False,
}
COMMITTED, MEASURED = "benchmarks/results.json", "run/benchmarks.json"


def measure(name: str) -> dict:
    """Run a benchmark in a process of its own.

    Returns:
        {"seconds": how long it ran, "peak GFLOP/s": of a matrix product before it, "found": what
        its `measure` returned}.
    """
    print(f"{name} ...", file=sys.stderr, flush=True)
    work = (timing.measure, name, BENCHMARKS[name])
    seconds, (peak, measured) = timing.timed(timing.in_a_process, *work)
    return {"seconds": seconds, "peak GFLOP/s": peak, "found": measured}


def rows(benchmarks: dict) -> list[dict]:
    """Return the rows of the common table: {"work", "ours": s, "other": s, "who", "ratio"}."""
    return [
        row | {"ratio": row["other"] / row["ours"]}
        for name in BENCHMARKS
        if hasattr(timing.module(name), "rows")
        for row in timing.module(name).rows(benchmarks[name]["found"])
    ]


def tables(benchmarks: dict, committed: dict) -> str:
    """Return the common table (ours, the other, their ratio; here and as committed), and others."""
    compared = [
        {"work": row["work"], "here": _times(row), "committed": _times(before), "other": row["who"]}
        for row, before in zip(rows(benchmarks), rows(committed), strict=True)
    ]
    others = [one["found"] for one in benchmarks.values() if isinstance(one["found"], list)]
    return "\n\n".join(map(aligned, [compared, *others]))


def _times(row):
    return [short_time(row["ours"]), short_time(row["other"]), f"{row['ratio']:.1f}x"]


def aligned(table: list[dict]) -> str:
    """Write rows as text, with the names of the columns above them."""
    columns = list(dict.fromkeys(name for row in table for name in row))
    lines = [[_text(row.get(name, "")) for name in columns] for row in table]
    return headlines.aligned([columns, *lines])


def _text(value):
    if isinstance(value, list):
        return " ".join(_text(each).rjust(7) for each in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main(arguments: list[str] | None = None) -> None:
    """Measure, write the file, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--commit", action="store_true", help=f"into {COMMITTED}")
    file = COMMITTED if parser.parse_args(arguments).commit else MEASURED
    root = runtime.repository_root()
    committed = json.loads((root / COMMITTED).read_bytes())
    benchmarks = {name: measure(name) for name in BENCHMARKS}
    accuracies = {  # what speed must not cost
        f"{task}: {row['what']}": row["value"]
        for task, each in blocks.tasks(root).items()
        for row in each["headline"]
    }
    results = {"machine": runtime.machine(), "versions": runtime.versions()}
    results |= {"benchmarks": benchmarks, "rows": rows(benchmarks), "accuracies": accuracies}
    saving.save_json(results, root / file)
    print(tables(benchmarks, committed["benchmarks"]))
    print(json.dumps(accuracies, indent=1, ensure_ascii=False))
    print(f"\nMeasured on: {computer(results)}\nCommitted:   {computer(committed)}\nIn {file}")


def computer(results: dict) -> str:
    """Describe the computer that something was measured on, and how fast it was."""
    machine, each = results["machine"], results["benchmarks"].values()
    peaks = [f"{one['peak GFLOP/s']:.0f}" for one in each if one["peak GFLOP/s"]]
    speed = f"; a matrix product ran at {', '.join(peaks)} GFLOP/s" if peaks else ""
    return f"{machine['processor']}, {machine['cores']} cores{speed}"


if __name__ == "__main__":
    main()
