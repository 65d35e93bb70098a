"""Occlusion (Zeiler and Fergus, 2014): what a black square takes from the score."""

import numpy as np

SQUARES = 7  # along the longer side, next to each other
STRIDE = 2  # squares are moved by their side divided by this


def occlusion(scorer, images, targets):
    """Return (n, height, width), how much the score falls: the mean of the squares over a pixel."""
    count, height, width, _ = images.shape
    side = max(1, round(max(height, width) / SQUARES))
    step = max(1, side // STRIDE)
    fallen, covered = np.zeros((2, count, height, width), np.float32)
    before, black = scorer.scores(images, targets), scorer.blank(images)
    for top in _starts(height, side, step):
        for left in _starts(width, side, step):
            square = np.s_[:, top : top + side, left : left + side]
            changed = images.copy()
            changed[square] = black[square]
            fallen[square] += (before - scorer.scores(changed, targets))[:, None, None]
            covered[square] += 1
    return fallen / covered, [""] * count


def _starts(length, side, step):
    """Return where squares start that cover all of a length."""
    last = max(0, length - side)
    return sorted({*range(0, last + 1, step), last})
