"""Linear probes: what a layer knows, read off by the simplest possible classifier.

Alain & Bengio, "Understanding intermediate layers using linear classifier probes", 2016: if a
linear classifier can tell the classes from a layer's activations, the layer has made them easy to
tell. Position is taken out first, by the mean and the maximum over positions of each channel,
because otherwise the many numbers of a large map could tell almost everything.
"""

import numpy as np
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cnnlab.interpret.activations import BATCH, activations
from cnnlab.interpret.model.network import as_batch, inspect_model

IMAGE = "image"  # the name of the row for the pixels themselves


def pooled(maps) -> np.ndarray:
    """Return mean and maximum over positions, (n, 2 * channels), of maps (n, ..., channels)."""
    positions = tuple(range(1, maps.ndim - 1))
    return np.concatenate([maps.mean(axis=positions), maps.max(axis=positions)], axis=1)


def linear_probes(model, images, labels, layers=None) -> dict[str, dict[str, float]]:
    """Return how often a linear classifier on each layer is right, {layer: {question: 0..1}}.

    A random half of the images trains it, the other half tests it; labels are {question: (n,)
    integers}. The first row, IMAGE, is for the pixels themselves.

    Raises:
        ValueError: fewer than 2 images, or labels that do not match; else as `activations`.
    """
    images = as_batch(inspect_model(model, images), images)
    for question, of_question in labels.items():
        if len(of_question) != len(images) or len(images) < 2:
            raise ValueError(
                f"{len(of_question)} labels of {question!r} for {len(images)} images; "
                "each image needs one, and there must be 2 at least"
            )
    features = {IMAGE: [pooled(images.astype(np.float32))]}
    for start in range(0, len(images), BATCH):
        for name, maps in activations(model, images[start : start + BATCH], layers).items():
            features.setdefault(name, []).append(pooled(maps))
    return {
        name: {
            question: _accuracy(np.concatenate(parts), of_question)
            for question, of_question in labels.items()
        }
        for name, parts in features.items()
    }


def _accuracy(features, labels):
    shuffled = np.random.default_rng(0).permutation(len(features))
    train, test = np.array_split(shuffled, 2)
    classifier = make_pipeline(StandardScaler(), RidgeClassifier())
    classifier.fit(features[train], labels[train])
    return float(classifier.score(features[test], labels[test]))
