"""Images and class names that belong to the models of this repository."""

import numpy as np

from cnnlab import lines, mnist, splits
from cnnlab.head_plots import ANSWERS
from cnnlab.interpret.network import network_of

COUNT = 960  # images to look for the best one of each filter
SEED = 1  # of the lines: other centres than those of the dataset, which has seed 0


def class_names(name, model) -> dict[str, list[str]]:
    """Return {head: names of its classes} for a model's short name; {} for any other model.

    Args:
        name: as in `model_files.MODELS`, or the path of a file.
        model: what was loaded under that name.
    """
    heads = list(network_of(model).heads)
    if name in ("task2", "task2-plain"):
        return {head: [str(answer) for answer in ANSWERS[head]] for head in heads}
    if name in ("task1-mnist", "task1-part1-mnist"):
        return {heads[0]: list("0123456789")}
    if name in ("task1-lines", "task1-part1-lines"):
        return {heads[0]: [lines.class_name(number) for number in range(lines.CLASSES)]}
    return {}


def images_for(name):
    """Return images that the model of a short name never saw, (960, 28, 28[, 3]) uint8, or None.

    Of MNIST they come from the test part of Task 1's split, in which official test images may be on
    either side; lines are drawn afresh.
    """
    if name in ("task1-mnist", "task1-part1-mnist"):
        (train_images, train_classes), (test_images, test_classes) = mnist.load()
        classes = np.concatenate([train_classes, test_classes])
        unseen = splits.stratified(classes, test=0.4, seed=0).test
        unseen = unseen[:: len(unseen) // COUNT][:COUNT]  # they are in the order of the pool
        return np.concatenate([train_images, test_images])[unseen]
    if name in ("task1-lines", "task1-part1-lines", "task2", "task2-plain"):
        return lines.generate(per_class=COUNT // lines.CLASSES, seed=SEED).images
    return None
