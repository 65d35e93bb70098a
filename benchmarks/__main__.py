"""All benchmarks, a table of them, and `benchmarks/results.json`. From the root: make bench

Each one runs in a process of its own, one after the other. Within it, ours and the other take
turns; a time is a median of at least five, unless its row says otherwise. Nothing else should run
on the machine meanwhile. `python -m benchmarks.NAME` runs one of them alone, and says more.
"""

import argparse
import importlib
import json
import subprocess
import sys
import time
from pathlib import Path

from cnnlab import runtime
from tools.blocks import short_time

BENCHMARKS = (
    "mnist",
    "lines_to_zero",
    "throughput",
    "generation",
    "interpret",
    "imports",
    "growth",
    "notebooks",
)
RESULTS = "benchmarks/results.json"


def measure(names: tuple[str, ...], say=print) -> dict:
    """Run benchmarks, each in a process of its own.

    Args:
        names: of the modules.
        say: called with the name of each, before it runs.

    Returns:
        {name: {"seconds": how long it ran, "peak GFLOP/s": of a matrix product before it, "found":
        what its `measure` returned}}.

    Raises:
        RuntimeError: one failed; the message ends with what it said.
    """
    found = {}
    for name in names:
        say(name)
        begin = time.perf_counter()
        command = [sys.executable, "-m", "benchmarks", "--only-measure", name]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=runtime.repository_root()
        )
        if done.returncode:
            raise RuntimeError(f"the benchmark {name} failed:\n{done.stderr[-2000:]}")
        measured = json.loads(done.stdout.splitlines()[-1])
        found[name] = {"seconds": time.perf_counter() - begin} | measured
    return found


def rows(found: dict) -> list[dict]:
    """Return the rows of the common table: {"work", "ours": s, "other": s, "who"}."""
    return [
        row
        for name, module in _modules(found)
        if hasattr(module, "rows")
        for row in module.rows(found[name]["found"])
    ]


def _modules(found):
    """Yield the names and modules of the benchmarks that were run, in their order."""
    for name in BENCHMARKS:
        if name in found:
            yield name, importlib.import_module(f"benchmarks.{name}")


def table(found: list[dict]) -> str:
    """Return rows as aligned text, with the ratio of the two times."""
    lines = [f"{'work':74}{'ours':>9}{'other':>9}{'ratio':>8}  other"]
    for row in found:
        ours, other = (short_time(row[key]) for key in ("ours", "other"))
        ratio = f"{row['other'] / row['ours']:.1f}x"
        lines.append(f"{row['work']:74}{ours:>9}{other:>9}{ratio:>8}  {row['who']}")
    return "\n".join(lines)


def further_tables(found: dict) -> str:
    """Return what is no comparison of two times: each module's own table."""
    return "\n\n".join(
        module.table(found[name]["found"])
        for name, module in _modules(found)
        if hasattr(module, "table")
    )


def accuracies(root: Path) -> dict[str, str]:
    """Return the headline of each notebook's results: what speed must not cost."""
    return {
        f"{path.parent.name}: {row['what']}": row["value"]
        for path in sorted(root.glob("Task-*/results.json"))
        for row in json.loads(path.read_text(encoding="utf-8"))["headline"]
    }


def before(root: Path, computer: dict) -> dict:
    """Return what was measured before, on a computer like this one.

    Raises:
        ValueError: it was another computer, whose times say nothing beside these.
    """
    stored = json.loads((root / RESULTS).read_text(encoding="utf-8"))
    if stored["machine"] != computer:
        raise ValueError(f"{RESULTS} is from another computer, {stored['machine']}: run them all")
    return stored["benchmarks"]


def main() -> None:
    """Measure all, or those of `--only`, and write results.json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--only",
        nargs="+",
        choices=BENCHMARKS,
        help="measure these anew, and keep what was measured before of the others",
    )
    parser.add_argument("--only-measure", choices=BENCHMARKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if name := options.only_measure:
        module = importlib.import_module(f"benchmarks.{name}")
        from benchmarks.timing import matrix_peak

        peak = None if name in WITHOUT_TENSORFLOW else matrix_peak()
        print(json.dumps({"peak GFLOP/s": peak, "found": module.measure()}))
        return
    root, computer = runtime.repository_root(), runtime.machine()
    chosen = tuple(options.only or BENCHMARKS)
    found = measure(chosen, lambda name: print(f"{name} ...", file=sys.stderr, flush=True))
    if options.only:
        found = before(root, computer) | found
    compared, results = rows(found), accuracies(root)
    runtime.save_json(
        {
            "machine": computer,
            "versions": runtime.versions(),
            "benchmarks": found,
            "rows": [row | {"ratio": row["other"] / row["ours"]} for row in compared],
            "accuracies": results,
        },
        root / RESULTS,
    )
    peaks = [each["peak GFLOP/s"] for each in found.values() if each["peak GFLOP/s"]]
    print(
        f"{computer['processor']}, {computer['cores']} cores; matrix product "
        f"{min(peaks):.0f} to {max(peaks):.0f} GFLOP/s before the benchmarks\n"
    )
    print(table(compared), further_tables(found), sep="\n\n")
    print("\nTest accuracies of the notebooks:")
    for what, value in results.items():
        print(f"{what:66}{value}")


# The peak is measured before a benchmark, and TensorFlow's threads and memory would be in its way.
WITHOUT_TENSORFLOW = ("throughput", "generation", "imports", "growth", "notebooks")

if __name__ == "__main__":
    main()
