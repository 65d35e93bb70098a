"""What a test of lines is worth: positions at whole pixels, look-alikes, and exact drawing."""

import keras
import numpy as np
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances_argmin

from cnnlab import datasets, lines, runtime, splits
from cnnlab.training.classifier import predict


def positions(label):
    """Return all centers (n, 2), x and y whole pixels apart, at which a line of a class fits."""
    length, width, angle, _ = lines.geometry(label)
    low, high = lines.center_limits(length, width, angle)  # (x, y) each
    columns, rows = (np.floor(high - low + 1e-9) + 1).astype(int)
    return low + np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2)


def whole_pixel_lines(per_class, seed):
    """Draw the dataset as it is usually made, each center one of the whole-pixel positions.

    Returns a `splits.Dataset`, split 60 : 40, in which test images do occur in training.
    """
    random, images = np.random.default_rng(seed), []
    for label in lines.decode(np.arange(lines.CLASSES)):
        centers = positions(label)
        length, width, angle, color = lines.geometry(label)
        different = lines.render(length, width, angle, centers, color)
        images.append(different[random.integers(len(centers), size=per_class)])
    images, classes = np.concatenate(images), np.repeat(np.arange(lines.CLASSES), per_class)
    split = splits.held_out(classes)
    return splits.Dataset(*(splits.Part(images[part], classes[part]) for part in split))


def seen_share(dataset):
    """Return the share, 0..1, of test images that occur, byte for byte, in training."""
    known = splits.duplicates(dataset.test.images, dataset.train.images)
    return len(known) / len(dataset.test.labels)


def neighbor_accuracy(dataset, most=1000):
    """Return the accuracy, 0..1, of the nearest training image (Euclidean) on `most` test images.

    They are spread evenly over the test part.
    """
    train, _, test = dataset
    chosen = np.linspace(0, len(test.labels) - 1, min(most, len(test.labels))).astype(int)
    flat = [
        images.reshape(len(images), -1) / np.float32(255)
        for images in (test.images[chosen], train.images)
    ]
    nearest = pairwise_distances_argmin(*flat)
    return float(np.mean(train.labels[nearest] == test.labels[chosen]))


def geometry_errors(drawn):
    """Return how far the geometry measured from pixels is off: {quantity: {"rms", "largest"}}.

    In pixels and degrees, of a `lines.Lines`.
    """
    length, width, angle, _ = lines.geometry(drawn.labels)
    measured = lines.measured(drawn.images)
    turn = (measured.angle - angle + 90) % 180 - 90
    off = {"angle": turn, "length": measured.length - length, "width": measured.width - width}
    return {
        name: {"rms": float(np.sqrt(np.mean(each**2))), "largest": float(np.abs(each).max())}
        for name, each in off.items()
    }


def distances_to_training(dataset):
    """Return for each test line by how much it differs from the nearest training line of its class.

    The distance of two images is that of the pixel most apart, in gray levels; (n,) float64.
    """
    distances = np.empty(len(dataset.test.labels))
    for each in np.unique(dataset.test.labels):
        new, known = (
            part.images[part.labels == each].max(axis=-1).reshape(-1, lines.SIZE**2)
            for part in (dataset.test, dataset.train)
        )
        distances[dataset.test.labels == each] = cdist(new, known, "chebyshev").min(axis=1)
    return distances


def train(build, fit, seed):
    """Train a network on lines at whole pixels, and test it on seen, unseen, and our lines.

    `build()` returns a network, and `fit(network, dataset)` trains it. Returns {test: {"errors",
    "n"}}.
    """
    keras.utils.set_random_seed(seed)
    dataset = whole_pixel_lines(30 if runtime.in_smoke() else 1000, seed)
    train, validation, test = dataset
    seen = np.isin(np.arange(len(test.labels)), splits.duplicates(test.images, train.images))
    network = build()
    nothing = splits.Part(*(column[:0] for column in validation))
    fit(network, splits.Dataset(train, nothing, None))
    own = predict(network, test.images) != test.labels
    ours = datasets.line_classes().test
    tests = {
        "seen in training": own[seen],
        "not seen": own[~seen],
        "between pixels": predict(network, ours.images) != ours.labels,
    }
    return {name: {"errors": int(wrong.sum()), "n": len(wrong)} for name, wrong in tests.items()}
