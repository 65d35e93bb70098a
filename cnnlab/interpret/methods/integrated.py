"""Integrated Gradients (Sundararajan et al., 2017): the score's way from black to the image."""

import numpy as np

FEWEST, MOST = 32, 1024  # parts of the way
GAP = 0.01  # of the difference of the scores: more parts are taken until the sum is so close


def integrated_gradients(scorer, images, targets):
    """Return (n, height, width), each pixel's part of the score's difference to that of black.

    The parts add up to that difference, but for what is left out between the points at which the
    integral is computed, by the trapezoidal rule; the remarks say both.
    """
    black = scorer.blank(images)
    way = images - black
    differences = scorer.scores(images, targets) - scorer.scores(black, targets)

    def summed(places):
        return sum(scorer.gradients(black + place * way, targets) for place in places)

    ends = summed([0, 1]) / 2
    inner = summed(np.arange(1, FEWEST) / FEWEST)
    count = FEWEST
    while True:
        parts = (way * (ends + inner) / count).sum(axis=-1)
        wholes = parts.sum(axis=(1, 2))
        close = np.abs(wholes - differences) <= GAP * np.abs(differences) + 1e-6
        if close.all() or count == MOST:
            break
        inner = inner + summed((np.arange(count) + 0.5) / count)
        count *= 2
    remarks = [
        f"the pixels add up to {whole:.4g}; the score is {difference:.4g} above that of black"
        for whole, difference in zip(wholes, differences, strict=True)
    ]
    return parts, remarks
