"""The one split of each dataset into training, validation and test, and the check against leaks."""

from typing import NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from cnnlab.validation import require


class Split(NamedTuple):
    """Indices (int64, sorted) of the images of each part; every image is in exactly one part."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def held_out(classes) -> Split:
    """Split a whole dataset's classes (n,) into 54 % training, 6 % validation and 40 % test."""
    return stratified(classes, test=0.4, validation=0.1, seed=0)


def stratified(labels, test=0.4, validation=0.1, seed=0):
    """Return a `Split` in which every class, of labels (n,), has the same share in every part.

    `test` is a share of all images, `validation` of the *remaining* ones, both in [0, 1); the test
    part is the same for any `validation`. Raises ValueError for another share, or a class that has
    too few images to be in every part.
    """
    labels = np.asarray(labels)
    for name, share in (("test", test), ("validation", validation)):
        require(0 <= share < 1, share, name, "a share in [0, 1)")
    rest, tested = _cut(np.arange(len(labels)), labels, test, seed)
    trained, validated = _cut(rest, labels, validation, seed)
    return Split(trained, validated, tested)


def _cut(indices, labels, share, seed):
    if share == 0:
        return indices, indices[:0]
    kept, held_out = train_test_split(
        indices, test_size=share, stratify=labels[indices], random_state=seed
    )
    return np.sort(kept), np.sort(held_out)


class LeakError(ValueError):
    """A test image occurs, byte for byte, among the training images."""


def duplicates(test_images, training_images):
    """Return indices (k,) int64 of test images that are, byte for byte, in training.

    Raises:
        ValueError: dtypes or image shapes differ, so that equal images could not be seen.
    """
    kinds = [f"{part.dtype} {part.shape[1:]}" for part in (test_images, training_images)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"test and training images differ: {kinds[0]}, {kinds[1]}")
    seen = {image.tobytes() for image in training_images}
    return np.flatnonzero([image.tobytes() in seen for image in test_images])


def assert_no_leak(test_images, *training_parts):
    """Raise LeakError if a test image (n, ...) occurs, byte for byte, in any training part."""
    for part in training_parts:
        leaked = duplicates(test_images, part)
        if len(leaked):
            raise LeakError(
                f"{len(leaked)} of {len(test_images)} test images occur in training, "
                f"the first at test index {leaked[0]}"
            )


class Part(NamedTuple):
    """Images (n, ...) and their classes (n,) int64."""

    images: np.ndarray
    labels: np.ndarray


class Dataset(NamedTuple):
    """A dataset that has been divided; no test image occurs in training or validation."""

    train: Part
    validation: Part
    test: Part


def partition(images, labels, split) -> Dataset:
    """Divide images (n, ...) by a `Split`; LeakError, or ValueError if not each has a label."""
    if len(images) != len(labels):
        raise ValueError(f"there are {len(images)} images but {len(labels)} labels")
    labels = np.asarray(labels, np.int64)
    parts = Dataset(*(Part(images[indices], labels[indices]) for indices in split))
    assert_no_leak(parts.test.images, parts.train.images, parts.validation.images)
    return parts
