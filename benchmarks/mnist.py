"""How long until 99 % of MNIST's test digits are right, from random weights.

Ours is the quick recipe of Task 1, with ten seeds. The other is the given network under `fit`
as it is by default: arrays, batches of 32, Adam at its own learning rate. It trains for five
epochs; the seeds of ours are trained between them. Times include building and compiling the
network.
"""

import statistics

from benchmarks.timing import recipe_of_task, summary, timed

SEEDS, EPOCHS, GOAL = 10, 5, 0.99


def measure() -> dict:
    """Train both, in turns.

    Returns:
        {"ours": {"seconds": median, "seconds by seed", "accuracy": mean, "accuracy by seed"},
        "theirs": {"seconds": after each epoch, "accuracy": after each epoch, "until 99 %": seconds
        or None}}.
    """
    recipe = recipe_of_task(1)
    import keras

    from cnnlab import datasets
    from cnnlab.experiments import quick
    from cnnlab.training.classifier import predict

    dataset = datasets.digits_official()
    images, labels = dataset.train.images, keras.utils.to_categorical(dataset.train.labels, 10)

    def accuracy(network):
        return float((predict(network, dataset.test.images) == dataset.test.labels).mean())

    total, other = timed(_other_network, recipe, images.shape[1:])
    ours, theirs = [], []
    for epoch in range(EPOCHS):
        for seed in range(epoch, SEEDS, EPOCHS):
            seconds, (network, _) = timed(quick.train, dataset, seed)
            ours.append((seconds, accuracy(network)))
        total += timed(lambda: other.fit(images, labels, verbose=0))[0]
        theirs.append((total, accuracy(other)))
    return {
        "ours": summary(ours, accuracy=statistics.mean),
        "theirs": {
            "seconds": [seconds for seconds, _ in theirs],
            "accuracy": [accuracy for _, accuracy in theirs],
            "until 99 %": next((s for s, accuracy in theirs if accuracy >= GOAL), None),
        },
    }


def _other_network(recipe, shape):
    import keras

    keras.utils.set_random_seed(0)
    network = recipe["given_network"](shape, 10)
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return network


def rows(measured: dict) -> list[dict]:
    """Return the row of the common table."""
    ours, theirs = measured["ours"], measured["theirs"]
    reached = theirs["until 99 %"]
    until = "until 99 %" if reached else "99 % not reached"
    ends = f"{100 * theirs['accuracy'][-1]:.2f} % after {EPOCHS} epochs"
    who = f"given network, fit's defaults, {until}; {ends}"
    work = f"MNIST to 99 %: {100 * ours['accuracy']:.2f} % in the mean of {SEEDS} seeds"
    other = reached or theirs["seconds"][-1]
    return [{"work": work, "ours": ours["seconds"], "other": other, "who": who}]
