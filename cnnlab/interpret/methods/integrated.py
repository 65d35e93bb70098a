"""Integrated Gradients (Sundararajan et al., 2017): the score's way from black to the image."""

import numpy as np

FEWEST, MOST = 32, 1024  # parts of the way
GAP = 0.01  # of the difference of the scores: more parts are taken until the sum is so close


def integrated_gradients(scorer, images, targets):
    """Return (n, height, width), each pixel's part of the score's difference to that of black.

    The parts add up to that difference, but for what is left out between the points at which the
    integral is computed, by the trapezoidal rule; the remarks say both. The points are the squares
    of even ones: near black, where a network leaves what it was trained on, scores change fast.
    """
    black = scorer.blank(images)
    way = images - black
    differences = scorer.scores(images, targets) - scorer.scores(black, targets)

    def summed(places):
        return sum(
            2 * place * scorer.gradients(black + place**2 * way, targets) for place in places
        )

    end = summed([1]) / 2  # at black the derivative of the square is 0
    inner = summed(np.arange(1, FEWEST) / FEWEST)
    count = FEWEST
    while True:
        parts = (way * (end + inner) / count).sum(axis=-1)
        wholes = parts.sum(axis=(1, 2))
        close = np.abs(wholes - differences) <= GAP * np.abs(differences) + 1e-6
        if close.all() or count == MOST:
            break
        inner = inner + summed((np.arange(count) + 0.5) / count)
        count *= 2
    return parts, list(map(_remark, wholes, differences, close))


def _remark(whole, difference, is_close):
    above = "above" if difference >= 0 else "below"
    text = f"the pixels add up to {whole:.4g}; "
    text += f"the score is {abs(difference):.4g} {above} that of black"
    return text if is_close else f"{text}: the sum is not exact, after {MOST:,} parts"
