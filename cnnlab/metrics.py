"""Figures of merit of a classifier: per class, over all heads, and how sure one can be of them."""

import math

import numpy as np
from scipy import stats
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from cnnlab.validation import numbers, require, require_integers, require_shape


def _same_shape(true, predicted, *shape):
    true, predicted = np.asarray(true), np.asarray(predicted)
    require_shape("array of true labels", true, shape)
    require_shape("array of predicted labels", predicted, true.shape)
    return true, predicted


def accuracy(true, predicted):
    """Share of right predictions, 0..1, of two (n,) label arrays; ValueError if shapes differ."""
    true, predicted = _same_shape(true, predicted, "n")
    return float(np.mean(true == predicted))


def joint_accuracy(true, predicted):
    """Share of images, 0..1, for which *all* heads are right: (n, heads) labels."""
    true, predicted = _same_shape(true, predicted, "n", "heads")
    return float(np.mean(np.all(true == predicted, axis=1)))


def mistaken(true, predicted) -> list[list[int]]:
    """Return [[true class, predicted class, images], ...] of labels (n,), where they differ."""
    true, predicted = np.asarray(true), np.asarray(predicted)
    wrong = true != predicted
    pairs = np.stack([true[wrong], predicted[wrong]], axis=-1)
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    return np.column_stack([found, counts]).tolist()


def confusion(true, predicted, classes):
    """Count labels (n,) of 0..classes-1, else ValueError: (true class, predicted class) int64."""
    true, predicted = _same_shape(true, predicted, "n")
    for name, labels in (("true", true), ("predicted", predicted)):
        require_integers(f"{name} label", labels, classes - 1)
    return confusion_matrix(true, predicted, labels=np.arange(classes))


def class_report(true, predicted, classes):
    """Precision, recall and F-score of each class and their averages (scikit-learn).

    Takes what `confusion` takes. Returns a dict of `precision`, `recall`, `f_score` ((classes,)
    float64, 0..1; 0 for a class never predicted), `support` (images of each class), `accuracy`,
    and `macro` (mean over classes) and `weighted` (mean over images), each a dict of the three.
    """
    confusion(true, predicted, classes)  # validates both
    names = ("precision", "recall", "f_score")
    options = {"labels": np.arange(classes), "zero_division": 0.0}
    *figures, support = precision_recall_fscore_support(true, predicted, **options)
    report = dict(zip(names, figures, strict=True), support=support)
    for average in ("macro", "weighted"):
        *figures, _ = precision_recall_fscore_support(true, predicted, average=average, **options)
        report[average] = dict(zip(names, map(float, figures), strict=True))
    return report | {"accuracy": accuracy(true, predicted)}


def wilson_interval(correct, n):
    """95 % interval for a true share, given `correct` successes in `n` trials: low, high in 0..1.

    Unlike the normal approximation it holds near 0 and 1: 0 errors in 9,600 means "at least
    99.96 %", not "100 %". Source: E. B. Wilson, "Probable inference, the law of succession, and
    statistical inference" (1927).

    Raises:
        ValueError: n < 1, or correct outside 0..n.
    """
    if n < 1 or not 0 <= correct <= n:
        raise ValueError(f"need 0 <= correct <= n and n >= 1, not correct={correct}, n={n}")
    z = stats.norm.ppf(0.975)
    share, scale = correct / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / scale
    # At the ends the bound is exactly 0 or 1; rounding must not move it.
    low = 0.0 if correct == 0 else middle - half
    high = 1.0 if correct == n else middle + half
    return float(low), float(high)


def mean_interval(values):
    """Return (mean, low, high) of n >= 2 finite values, or ValueError; 95 % by Student's t."""
    values = np.asarray(values, float)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"need at least two finite values, not {values.tolist()}")
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def recipe_interval(wrong, n):
    """Error rate of a recipe, from several networks trained by it: mean, low, high in 0..1 (95 %).

    `wrong` has, for each seed, the indices of the test images, of `n`, that its network misread.
    Another time both the seeds and the images would be others, so both are drawn again, 4,000
    times (A. B. Owen, "The pigeonhole bootstrap", 2007). Where errors are few, what was not seen
    cannot be drawn: the interval is at least that of Wilson for a single network.

    Raises:
        ValueError: fewer than two seeds, or an index outside 0..n-1.
    """
    if len(wrong) < 2:
        raise ValueError(f"need at least two seeds, not {len(wrong)}")
    indices = [require_integers("index", np.asarray(seed, int), n - 1) for seed in wrong]
    images = np.unique(np.concatenate(indices))  # the others are right whoever is asked
    table = np.array([np.isin(images, seed) for seed in indices], float)
    random, times = np.random.default_rng(0), 4000
    seeds = random.multinomial(len(wrong), np.full(len(wrong), 1 / len(wrong)), times)
    shares = [*np.full(len(images), 1 / n), 1 - len(images) / n]
    drawn = random.multinomial(n, shares, times)[:, :-1]
    rates = np.sum(seeds @ table * drawn, axis=1) / (len(wrong) * n)
    low, high = np.quantile(rates, (0.025, 0.975))
    mean = table.sum() / (len(wrong) * n)
    right_low, right_high = wilson_interval(n - mean * n, n)
    return float(mean), float(min(low, 1 - right_high)), float(max(high, 1 - right_low))


def paired_differences(differences):
    """Test a family of paired differences, (m, seeds): one row for each comparison.

    Returns float64 (m, 4): mean; low and high of intervals that hold together, at 95 %; and the
    p-value of "no difference", both corrected for their number. Student's t; intervals by
    Bonferroni, p-values by S. Holm, "A simple sequentially rejective multiple test procedure"
    (1979), which finds a little more: p may be below 0.05 where the interval just includes 0.

    Raises:
        ValueError: fewer than two seeds.
    """
    differences = np.asarray(differences, float)
    require_shape("array of differences", differences, ("m", "seeds"))
    count, seeds = differences.shape
    if seeds < 2:
        raise ValueError(f"need at least two seeds, not {seeds}")
    mean, error = differences.mean(axis=1), stats.sem(differences, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(mean == 0, 1.0, 2 * stats.t.sf(np.abs(mean / error), seeds - 1))
    order = np.argsort(p, kind="stable")
    family = np.arange(count, 0, -1)  # of how many each is the most extreme
    corrected = np.empty(count)
    corrected[order] = np.maximum.accumulate(np.minimum(1, p[order] * family))
    half = stats.t.isf(0.025 / count, seeds - 1) * error
    return np.stack([mean, mean - half, mean + half, corrected], axis=1)


def mcnemar(right_a, right_b):
    """Exact McNemar test of two classifiers on the same images, right or not, (n,) booleans each.

    It compares two trained networks, not the recipes that they were trained by. Returns the p-value
    of "both err equally often", 0..1; 1.0 when they never disagree. Source:
    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages" (1947), in its exact binomial form.
    """
    right_a, right_b = _same_shape(right_a, right_b, "n")
    only_a = int(np.sum(right_a & ~right_b))
    only_b = int(np.sum(~right_a & right_b))
    if only_a + only_b == 0:
        return 1.0
    return float(stats.binomtest(only_a, only_a + only_b).pvalue)


def expected_calibration_error(confidence, right, bins=15):
    """Mean gap, 0..1, between stated confidence and accuracy, over bins of equal width, by images.

    Takes (n,) probabilities 0..1 and (n,) booleans; of at least one bin, bin k holds those above
    (k - 1) / bins and up to k / bins. Sources: M. P. Naeini et al., "Obtaining well calibrated
    probabilities using Bayesian binning" (2015); C. Guo et al., "On calibration of modern neural
    networks" (2017).
    """
    confidence, right = check_confidence("predictions", confidence, right)
    # Rounded, since the upper edge of a bin must not fall into the next one.
    index = np.maximum(np.ceil(np.round(confidence * bins, 9)).astype(int) - 1, 0)
    gaps = np.bincount(index, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))


def check_confidence(name, confidence, right):
    """Return (n,) confidence, float64 in 0..1, and (n,) bool, or raise ValueError."""
    confidence = numbers(f"{name}, confidence", confidence, ("n",))
    right = numbers(f"{name}, right", right, confidence.shape)
    require(np.isin(right, (0, 1)), right, f"{name}, right:", "a boolean")
    return confidence, right.astype(bool)
