"""Time and memory at 1, 4 and 16 times the work, each in a process of its own."""

import functools
import math
import resource

from benchmarks.timing import in_a_process, medians

FACTORS = (1, 4, 16)
IMAGES, LINES_PER_CLASS, TRAINED = 64, 10, 1_024


def measure() -> list[dict]:
    """Run every job at every size.

    Returns:
        Rows with "work", "seconds" (the median of three) and "MiB" (the most memory that the
        process ever had), both lists with a number for each of FACTORS, and "exponent": seconds
        grow with the work to that power, between the last two sizes.
    """
    rows = []
    for work in JOBS:
        measured = [in_a_process(run_job, work, factor) for factor in FACTORS]
        seconds, mebibytes = map(list, zip(*measured, strict=True))
        exponent = math.log(seconds[-1] / seconds[-2]) / math.log(FACTORS[-1] / FACTORS[-2])
        rows.append({"work": work, "seconds": seconds, "MiB": mebibytes, "exponent": exponent})
    return rows


def run_job(work: str, factor: int) -> tuple[float, float]:
    """Do one of JOBS in this process: (seconds, the median of three; peak memory in MiB)."""
    if work != "lines drawn":
        from cnnlab.training import workers

        workers.start_process()
    # A first round does not count: it compiles, and takes memory that comes back.
    seconds = medians(3, job=JOBS[work](factor))["job"]
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _looking_inside(function, factor):
    from cnnlab import interpret, mnist

    model, images = interpret.load("task1-mnist"), mnist.load()[0][0][: IMAGES * factor]
    return functools.partial(getattr(interpret, function), model, images)


def _drawing(factor):
    from cnnlab import lines

    return functools.partial(lines.generate, per_class=LINES_PER_CLASS * factor)


def _training(factor):
    from cnnlab import interpret, mnist
    from cnnlab.training import batches

    images, labels = (part[: TRAINED * factor] for part in mnist.load()[0])
    model = interpret.load("task1-mnist")
    model.compile("adam", "sparse_categorical_crossentropy")
    served = batches.batches(images, labels, 128, shuffle_seed=0)
    return functools.partial(model.fit, served, shuffle=False, epochs=1, verbose=0)


JOBS = {  # each returns the function to be timed
    "Grad-CAM": functools.partial(_looking_inside, "grad_cam"),
    "activations of all layers": functools.partial(_looking_inside, "activations"),
    "lines drawn": _drawing,
    "one epoch": _training,
}
