"""Metrics against hand-computed examples and published values."""

import numpy as np
import pytest

from cnnlab import metrics

TRUE = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 1, 0])


def test_confusion_by_hand():
    assert metrics.confusion(TRUE, PREDICTED, 3).tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_class_report_by_hand():
    report = metrics.class_report(TRUE, PREDICTED, 3)
    assert report["precision"] == pytest.approx([2 / 3, 2 / 3, 0])
    assert report["recall"] == pytest.approx([2 / 3, 1, 0])
    assert report["f_score"] == pytest.approx([2 / 3, 4 / 5, 0])
    assert report["support"].tolist() == [3, 2, 1]
    assert report["accuracy"] == pytest.approx(4 / 6)
    assert report["macro"]["recall"] == pytest.approx((2 / 3 + 1) / 3)
    assert report["weighted"]["recall"] == pytest.approx(4 / 6)


def test_joint_accuracy_by_hand():
    true = np.array([[0, 1, 5, 0], [1, 1, 3, 1], [0, 0, 0, 0]])
    predicted = np.array([[0, 1, 5, 0], [1, 0, 3, 1], [0, 0, 1, 1]])
    assert metrics.joint_accuracy(true, predicted) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        (9600, 9600, 0.9996, 1.0),  # no error seen is not "never wrong"
        (9975, 10000, 0.99631, 0.99831),
        (0, 10, 0.0, 0.27753),
        (81, 263, 0.2553, 0.3662),  # Newcombe (1998), Table I
    ],
)
def test_wilson_interval(correct, n, low, high):
    assert metrics.wilson_interval(correct, n) == pytest.approx((low, high), abs=1e-4)


def test_mean_interval_by_hand():
    mean, low, high = metrics.mean_interval([1, 2, 3, 4, 5])
    half = 2.776445 * np.sqrt(2.5) / np.sqrt(5)  # Student's t, 4 degrees of freedom
    assert (mean, low, high) == pytest.approx((3, 3 - half, 3 + half))


def test_mcnemar_by_hand():
    right_a = np.array([True] * 6 + [False] * 1 + [True] * 20)
    right_b = np.array([False] * 6 + [True] * 1 + [True] * 20)
    assert metrics.mcnemar(right_a, right_b) == pytest.approx(2 * (1 + 7) / 2**7)
    assert metrics.mcnemar(right_b, right_b) == 1.0


@pytest.mark.parametrize(
    ("call", "arguments", "message"),
    [
        (metrics.accuracy, ([0, 1], [0]), r"predicted labels has shape \(1,\), but \(2,\)"),
        (metrics.accuracy, ([], []), r"true labels has shape \(0,\), but \(n,\)"),
        (metrics.joint_accuracy, ([0, 1], [0, 1]), r"\(n, heads\) is needed"),
        (metrics.confusion, ([0, 3], [0, 1], 3), r"true label 3 .* in 0\.\.2"),
        (metrics.class_report, ([0, 1], [0, -1], 3), "predicted label -1"),
        (metrics.wilson_interval, (1, 0), "correct=1, n=0"),
        (metrics.wilson_interval, (11, 10), "correct=11, n=10"),
        (metrics.mean_interval, ([1.0],), "two finite values"),
        (metrics.mean_interval, ([1, np.nan],), "two finite values"),
        (metrics.expected_calibration_error, ([0.5], [True, False]), r"\(2,\), but \(1,\)"),
        (metrics.expected_calibration_error, ([np.nan], [True]), "confidence: nan"),
        (metrics.expected_calibration_error, ([0.5], [0.5]), "right: 0.5 .* boolean"),
    ],
)
def test_wrong_shapes_and_labels(call, arguments, message):
    with pytest.raises(ValueError, match=message):
        call(*arguments)


@pytest.mark.parametrize(
    ("confidence", "right", "bins", "expected"),
    [
        ([0.75, 0.75, 0.75, 0.75], [True, True, True, False], 15, 0),
        ([0.9, 0.6], [True, False], 4, 0.35),  # (|0.9 - 1| + |0.6 - 0|) / 2
        ([0.5, 0.4], [False, True], 2, 0.05),  # 0.5 belongs to the lower half: |0.9 - 1| / 2
        ([0, 0.2], [False, False], 5, 0.1),  # 0 belongs to the first bin
        ([0.3, 0.21], [True, False], 10, 0.245),  # 0.3 * 10 rounds to 3: (|0.51 - 1|) / 2
        ([np.nextafter(np.float32(1), np.float32(2))], [True], 15, 0),  # a rounded softmax is 1
    ],
)
def test_expected_calibration_error_by_hand(confidence, right, bins, expected):
    error = metrics.expected_calibration_error(confidence, right, bins)
    assert error == pytest.approx(expected)


def test_recipe_interval_covers_the_rate_of_the_recipe():
    """In simulation: a tenth of the images is hard, seeds differ by a sixth."""
    random, rate, n, covered = np.random.default_rng(0), 0.02, 2000, 0
    for _ in range(100):
        hard = random.random(n) < 0.1
        factors = np.clip(random.normal(1, 1 / 6, 5), 0, 5)
        wrong = [np.flatnonzero(hard & (random.random(n) < 0.2 * factor)) for factor in factors]
        mean, low, high = metrics.recipe_interval(wrong, n)
        assert mean == pytest.approx(sum(map(len, wrong)) / (5 * n))
        covered += low <= rate <= high
    assert covered >= 93


def test_recipe_interval_knows_that_no_error_is_not_none():
    none = metrics.recipe_interval([[], [], []], 38400)
    assert none == (0, 0, 1 - metrics.wilson_interval(38400, 38400)[0])
    apart = metrics.recipe_interval([[0, 1], [2, 3], [4, 5], [6, 7]], 1000)
    together = metrics.recipe_interval([[0, 1]] * 4, 1000)
    assert apart[0] == together[0] == 0.002 and together[2] > 0.005
    for wrong, message in (([[0]], "at least two seeds"), ([[0], [1000]], "index 1000")):
        with pytest.raises(ValueError, match=message):
            metrics.recipe_interval(wrong, 1000)


def test_paired_differences_are_corrected_for_their_number():
    random = np.random.default_rng(0)
    by_chance = missed = 0
    for _ in range(200):
        _, low, high, p = metrics.paired_differences(random.normal(size=(20, 8))).T
        by_chance += np.any(p < 0.05)
        missed += np.any((low > 0) | (high < 0))
    assert by_chance <= 20 and missed <= 20  # one in twenty, not one in two
    differences = random.normal(size=(20, 8))
    differences[:3] += 4
    mean, low, high, p = metrics.paired_differences(differences).T
    np.testing.assert_allclose(mean, differences.mean(axis=1))
    assert np.all(p[:3] < 0.05) and np.all(p[3:] >= 0.05)
    assert np.array_equal((low > 0) | (high < 0), p < 0.05)  # none is near
    alone = metrics.paired_differences(differences[:1])[0]
    np.testing.assert_allclose(alone[:3], metrics.mean_interval(differences[0]))
    assert metrics.paired_differences([[0, 0], [1, 1]])[:, 3].tolist() == [1, 0]
    with pytest.raises(ValueError, match="at least two seeds"):
        metrics.paired_differences([[1.0]])


def test_mistaken_by_hand():
    assert metrics.mistaken([0, 1, 1, 2, 1], [0, 2, 2, 2, 0]) == [[1, 0, 1], [1, 2, 2]]
    assert metrics.mistaken([0, 1], [0, 1]) == []
