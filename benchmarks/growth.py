"""Time and memory at 1, 4 and 16 times the work, each in a process of its own. From the root:

.venv/bin/python -m benchmarks.growth
"""

import json
import math
import resource
import subprocess
import sys
import time

FACTORS = (1, 4, 16)
IMAGES = 64
LINES_PER_CLASS = 10
TRAINED = 1_024


def measure() -> list[dict]:
    """Run every job at every size.

    Returns:
        Rows with "work", "seconds" (the median of three) and "MiB" (the most memory that the
        process ever had), both lists with a number for each of FACTORS, and "exponent": seconds
        grow with the work to that power, between the last two sizes.
    """
    rows = []
    for work in JOBS:
        found = [_in_a_process(work, factor) for factor in FACTORS]
        seconds = [each["seconds"] for each in found]
        growth = math.log(seconds[-1] / seconds[-2]) / math.log(FACTORS[-1] / FACTORS[-2])
        mebibytes = [each["MiB"] for each in found]
        rows.append({"work": work, "seconds": seconds, "MiB": mebibytes, "exponent": growth})
    return rows


def _in_a_process(work, factor):
    command = [sys.executable, "-m", "benchmarks.growth", work, str(factor)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def _job_grad_cam(factor):
    from cnnlab.interpret import grad_cam, load

    model, images = load("task1-mnist"), _digits(IMAGES * factor)
    return lambda: grad_cam(model, images)


def _job_activations(factor):
    from cnnlab.interpret import activations, load

    model, images = load("task1-mnist"), _digits(IMAGES * factor)
    return lambda: activations(model, images)


def _job_generation(factor):
    from cnnlab import lines

    return lambda: lines.generate(per_class=LINES_PER_CLASS * factor)


def _job_training(factor):
    from cnnlab.interpret import load
    from cnnlab.training import batches

    images, classes = _digits(TRAINED * factor), _digit_classes(TRAINED * factor)
    model = load("task1-mnist")
    model.compile("adam", "sparse_categorical_crossentropy")
    served = batches.batches(images, classes, 128, shuffle_seed=0)
    return lambda: model.fit(served, epochs=1, verbose=0)


JOBS = {
    "Grad-CAM": _job_grad_cam,
    "activations of all layers": _job_activations,
    "lines drawn": _job_generation,
    "one epoch": _job_training,
}


def _digits(count):
    from cnnlab import mnist

    return mnist.load()[0][0][:count]


def _digit_classes(count):
    from cnnlab import mnist

    return mnist.load()[0][1][:count]


def _main(work, factor):
    from cnnlab import runtime

    if work != "lines drawn":
        runtime.start(seed=0)
    task = JOBS[work](int(factor))
    task()  # compiled, and memory taken that comes back
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        task()
        times.append(time.perf_counter() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": sorted(times)[1], "MiB": peak / 1024}))


def table(found: list[dict]) -> str:
    """Return what `measure` found as text."""
    times = " ".join(f"{f'{factor}x':>8}" for factor in FACTORS)
    lines = [f"{'seconds and MiB at':28}{times}{times}{'exponent':>10}"]
    for row in found:
        seconds = " ".join(f"{each:8.3g}" for each in row["seconds"])
        mebibytes = " ".join(f"{each:8,.0f}" for each in row["MiB"])
        lines.append(f"{row['work']:28}{seconds}{mebibytes}{row['exponent']:10.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:]:
        _main(*sys.argv[1:])
    else:
        print(table(measure()))
