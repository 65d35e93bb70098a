"""Splits: shares, strata, no overlap, and a planted duplicate is seen."""

import hashlib

import numpy as np
import pytest

from cnnlab import mnist, splits


def test_shares_and_strata():
    labels = np.repeat(np.arange(96), 1000)
    split = splits.stratified(labels, test=0.4, validation=0.1, seed=0)
    assert [len(part) for part in split] == [51840, 5760, 38400]
    for part, each in zip(split, (540, 60, 400), strict=True):
        assert np.all(np.bincount(labels[part]) == each)
    assert np.array_equal(np.sort(np.concatenate(split)), np.arange(len(labels)))


# Of the indices of the test part; other ones would test the committed networks on training images.
HELD_OUT = {
    "lines": "d1a99dd908c71f19e14e1a5aa7c0759375376b24972e4fe190253db4943889c4",
    "mnist": "01a407b4e6edb084596ffee3196b62fa7076c131f488e1a9442cf45d144efb2b",
}


@pytest.mark.parametrize("dataset", HELD_OUT)
def test_the_one_split_of_each_dataset(dataset):
    classes = np.repeat(np.arange(96), 1000) if dataset == "lines" else mnist.pool()[1]
    split = splits.held_out(classes)
    assert hashlib.sha256(np.concatenate(split).astype("int64")).hexdigest() == HELD_OUT[dataset]


def test_the_seed_decides_and_validation_does_not_move_the_test_part():
    labels = np.arange(1000) % 10
    first, other = (splits.stratified(labels, seed=seed) for seed in (0, 1))
    without = splits.stratified(labels, validation=0, seed=0)
    assert np.array_equal(first.test, without.test) and len(without.validation) == 0
    assert not np.array_equal(first.test, other.test)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": np.zeros(9), "test": 1.0}, r"test 1.0 .* share in \[0, 1\)"),
        ({"labels": np.zeros(9), "validation": -0.1}, "validation -0.1"),
        ({"labels": np.array([0, 0, 0, 0, 1])}, "least populated"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        splits.stratified(**arguments)


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28, 3), dtype=np.uint8)


def test_a_planted_duplicate_is_seen():
    training, validation, tested = images(50), images(20, seed=1), images(30, seed=2)
    splits.assert_no_leak(tested, training, validation)
    validation[7] = tested[11]
    with pytest.raises(splits.LeakError, match=r"1 of 30 .* test index 11"):
        splits.assert_no_leak(tested, training, validation)
    tested[11, 27, 27, 2] ^= 1  # one bit makes it another image
    splits.assert_no_leak(tested, training, validation)
    with pytest.raises(ValueError, match=r"differ: uint8 \(14, 28, 3\), uint8"):
        splits.assert_no_leak(tested[:, :14], training)


def test_partition_checks_for_leaks():
    pictures, labels = images(40), np.arange(40) % 2
    split = splits.stratified(labels)
    parts = splits.partition(pictures, labels, split)
    assert np.array_equal(parts.test.images, pictures[split.test])
    assert parts.train.labels.dtype == np.int64
    pictures[split.test[0]] = pictures[split.train[0]]
    with pytest.raises(splits.LeakError):
        splits.partition(pictures, labels, split)
    with pytest.raises(ValueError, match="40 images but 39 labels"):
        splits.partition(pictures, labels[:-1], split)
