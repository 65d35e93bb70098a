"""How long until 99 % of MNIST's test digits are right, from random weights. From the root:

.venv/bin/python -m benchmarks.mnist

Ours is the quick recipe of Task 1, with ten seeds. The other is the network of Part 1 under `fit`
as it is by default: arrays, batches of 32, Adam at its own learning rate. It trains for five
epochs; the seeds of ours are trained between them. Times include building and compiling the
network.
"""

import statistics
import time

from benchmarks import recipes

SEEDS = 10
EPOCHS = 5
GOAL = 0.99


def measure() -> dict:
    """Train both, in turns.

    Returns:
        {"ours": {"seconds": median, "seconds by seed", "accuracy": mean, "accuracy by seed"},
        "theirs": {"seconds": after each epoch, "accuracy": after each epoch, "until 99 %": seconds
        or None}}.
    """
    recipe = recipes.of_task(1)
    dataset = recipe["mnist_official"]()
    ours, theirs, other = [], [], _Other(recipe, dataset.train)
    for round_number in range(EPOCHS):
        for seed in range(round_number, SEEDS, EPOCHS):
            begin = time.perf_counter()
            network, _ = recipe["train_quick_mnist"](dataset, seed)
            ours.append((time.perf_counter() - begin, _accuracy(recipe, network, dataset)))
        other.train_an_epoch()
        theirs.append((other.seconds, _accuracy(recipe, other.network, dataset)))
    return {
        "ours": {
            "seconds": statistics.median(seconds for seconds, _ in ours),
            "seconds by seed": [seconds for seconds, _ in ours],
            "accuracy": statistics.mean(accuracy for _, accuracy in ours),
            "accuracy by seed": [accuracy for _, accuracy in ours],
        },
        "theirs": {
            "seconds": [seconds for seconds, _ in theirs],
            "accuracy": [accuracy for _, accuracy in theirs],
            "until 99 %": next((s for s, accuracy in theirs if accuracy >= GOAL), None),
        },
    }


def _accuracy(recipe, network, dataset):
    answered = recipe["predict"](network, dataset.test.images)
    return float((answered == dataset.test.labels).mean())


class _Other:
    """The network of Part 1 and the time that its training has taken."""

    def __init__(self, recipe, part):
        import keras

        self.images, self.answers = part.images, recipe["one_hot"](part, 10)
        begin = time.perf_counter()
        keras.utils.set_random_seed(0)
        self.network = recipe["part1_network"](part.images.shape[1:], 10)
        self.network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        self.seconds = time.perf_counter() - begin

    def train_an_epoch(self):
        begin = time.perf_counter()
        self.network.fit(self.images, self.answers, verbose=0)
        self.seconds += time.perf_counter() - begin


def rows(found: dict) -> list[dict]:
    """Return the rows of the common table."""
    ours, theirs = found["ours"], found["theirs"]
    reached = theirs["until 99 %"]
    ends = f"{100 * theirs['accuracy'][-1]:.2f} % after {EPOCHS} epochs"
    return [
        {
            "work": f"MNIST to 99 %: {100 * ours['accuracy']:.2f} % in the mean of {SEEDS} seeds",
            "ours": ours["seconds"],
            "other": reached or theirs["seconds"][-1],
            "who": "Part 1 network, fit's defaults, "
            + ("until 99 %; " if reached else "99 % not reached; ")
            + ends,
        }
    ]


if __name__ == "__main__":
    print(measure())
