"""How alike heatmaps stay while a network becomes random: the numbers, and what they say."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from cnnlab.interpret.checks.statistics import mean_known

KINDS = ("signed", "absolute")
UNRELATED = 0.5  # two maps whose ranks correlate less count as different ones


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

    def of_draws(self, kind="signed"):
        """Return (draws, stages), the same for each draw."""
        return mean_known(getattr(self, kind))


class Verdict(NamedTuple):
    """Whether heatmaps follow the weights."""

    sensitive: bool | None  # None where it cannot be told
    stage: str | None  # the layer with which the similarity first falls below the limit
    text: str  # the same as a sentence with its numbers


def verdict(cascade: Cascade) -> Verdict:
    """Say whether heatmaps follow the weights: whether their similarity falls below UNRELATED."""
    # The larger of the two must fall: a map that only turns its sign is the same map. Stages count
    # where at least half of the comparisons were possible and the weights changed.
    counts = (cascade.invalid <= 0.5) & (cascade.changed > 0)
    alike = np.fmax(*(cascade.similarity(kind) for kind in KINDS))
    if not counts.any():
        why = "the weights are all the same number, so that no shuffle changes them"
        if np.any(cascade.changed > 0):
            lost = f"at least {100 * cascade.invalid.min():.0f} % of the maps"
            why = f"at each stage {lost} are empty or the same everywhere"
        return Verdict(None, None, f"it cannot be told whether the maps follow the weights: {why}")
    fallen = np.flatnonzero(counts & (alike < UNRELATED))
    at = fallen[0] if len(fallen) else np.flatnonzero(counts)[-1]
    stage = cascade.stages[at]
    compared = f"between different images it is {max(cascade.reference.values()):.2f}"
    if len(fallen):
        text = f"the similarity falls to {alike[at]:.2f} once {stage!r} is random; {compared}"
        return Verdict(True, stage, f"the maps follow the weights: {text}")
    text = f"the similarity is still {alike[at]:.2f} when {stage!r} is random; {compared}"
    return Verdict(False, None, f"the maps hardly follow the weights: {text}")


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
