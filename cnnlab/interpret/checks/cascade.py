"""How alike heatmaps stay while a network becomes random: the numbers, and what they say."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from cnnlab.interpret.checks.statistics import known_interval, mean_known

KINDS = ("signed", "absolute")


class Cascade(NamedTuple):
    """Spearman's correlations of n heatmaps with the trained ones, while layers become random."""

    stages: tuple[str, ...]  # the layers in the order in which they became random, the head first
    signed: np.ndarray  # (draws, stages, n) float64, -1..1, of signed sums; NaN for empty maps
    absolute: np.ndarray  # the same of the sums without their signs
    changed: np.ndarray  # (stages,), the share 0..1 of a layer's numbers that became another
    reference: dict[str, float]  # {kind: mean for trained maps of different images}; NaN for one
    targets: np.ndarray  # (n,) int32, the classes explained
    head: str
    layer: str
    method: str

    @property
    def invalid(self):
        """(stages,) share 0..1 of comparisons that empty maps prevented: no evidence of change."""
        return np.isnan(self.signed).mean(axis=(0, 2))

    def similarity(self, kind="signed"):
        """Return (stages,), the mean of `kind` over what could be compared; NaN where nothing."""
        return mean_known(np.moveaxis(getattr(self, kind), 1, 0).reshape(len(self.stages), -1))

    def interval(self, stage, kind="signed"):
        """Return (mean, low, high) of a stage, 95 % by Student's t over the images; NaN if none."""
        return known_interval(mean_known(getattr(self, kind)[:, stage].T))

    def of_draws(self, kind="signed"):
        """Return (draws, stages), the same for each draw."""
        return mean_known(getattr(self, kind))


class Verdict(NamedTuple):
    """Whether heatmaps follow the weights."""

    sensitive: bool | None  # None where it cannot be told
    stage: str | None  # the layer with which the similarity first falls below the limit
    text: str  # the same as a sentence with its numbers


def verdict(cascade: Cascade) -> Verdict:
    """Say whether heatmaps follow the weights: whether they become as unlike as those of others.

    Maps of different images by the trained network have something in common, too, such as their
    middle: that is what maps of a random network may keep. They follow the weights if at some stage
    their similarity is not above that, with and without sign, as far as its 95 % interval can tell,
    and has come at least half of the way. A map that only turns its sign is the same map.
    """
    # Stages count where at least half of the comparisons were possible and the weights changed.
    counts = (cascade.invalid <= 0.5) & (cascade.changed > 0)
    unknown = "it cannot be told whether the maps follow the weights"
    if not counts.any():
        why = "the weights are all the same number, so that no shuffle changes them"
        if np.any(cascade.changed > 0):
            lost = f"at least {100 * cascade.invalid.min():.0f} % of the maps"
            why = f"at each stage {lost} are empty or the same everywhere"
        return Verdict(None, None, f"{unknown}: {why}")
    if any(np.isnan(cascade.reference[kind]) for kind in KINDS):
        return Verdict(None, None, f"{unknown}: there are no two images to compare")
    stages = np.flatnonzero(counts)
    fallen = [stage for stage in stages if all(_as_unlike(cascade, stage, k) for k in KINDS)]
    at = fallen[0] if fallen else stages[-1]
    stage, words = cascade.stages[at], []
    for kind in KINDS:
        mean, reference = cascade.similarity(kind)[at], cascade.reference[kind]
        words.append(f"{mean:.2f} ({reference:.2f} between different images)")
    numbers = f"{words[0]} with sign, {words[1]} without"
    if fallen:
        text = f"once {stage!r} is random, the similarity is {numbers}"
        return Verdict(True, stage, f"the maps follow the weights: {text}")
    text = f"when {stage!r} is random, the similarity is still {numbers}"
    return Verdict(False, None, f"the maps follow the weights only in part: {text}")


def _as_unlike(cascade, stage, kind):
    """Say whether a stage's maps are as unlike the trained ones as maps of different images."""
    mean, low, _ = cascade.interval(stage, kind)
    reference = cascade.reference[kind]
    return not low > reference and mean <= (1 + reference) / 2


def rank_sums(sums):
    """Return {kind: ranks of (n, positions) sums}; NaN where there is no map, nothing above 0."""
    drawn = np.isfinite(sums).all(axis=1) & (sums.max(axis=1) > 0)
    sums = np.where(drawn[:, None], sums, 0)
    return {"signed": standard_ranks(sums), "absolute": standard_ranks(np.abs(sums))}


def standard_ranks(values):
    """Return (n, positions) float64 ranks of each row, centered and of length 1, for products."""
    # Equal positions share their mean rank; a row that is the same everywhere is NaN.
    ranks = stats.rankdata(values, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(ranks, axis=1, keepdims=True)
    return np.divide(ranks, lengths, out=np.full_like(ranks, np.nan), where=lengths > 0)


def between_images(ranks):
    """Return the mean correlation of all pairs of different rows; NaN for fewer than two."""
    valid = ranks[~np.isnan(ranks[:, 0])]
    pairs = len(valid) * (len(valid) - 1)
    return float((np.sum(valid.sum(axis=0) ** 2) - len(valid)) / pairs) if pairs else float("nan")
