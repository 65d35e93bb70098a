"""What the checks of heatmaps share: heat as an array, means over what is known."""

import numpy as np

from cnnlab.interpret.gradcam import Heatmaps
from cnnlab.metrics import mean_interval


def heat_of(heatmaps):
    """Return ((n, h, w) float64 heat >= 0, (n,) bool, which maps are nonempty), or ValueError."""
    # An array's map is empty when it is 0 everywhere or holds NaN or infinity; its heat is then 0.
    heat = np.asarray(heatmaps.maps if isinstance(heatmaps, Heatmaps) else heatmaps)
    if heat.ndim != 3 or heat.size == 0 or heat.dtype.kind not in "buif":
        raise ValueError(
            f"heatmaps have the shape {heat.shape} ({heat.dtype}); "
            "numbers (n, height, width) are needed, one map for each image"
        )
    heat = heat.astype(np.float64)
    if np.any(heat < 0):
        raise ValueError(f"heat {heat[heat < 0][0]:.3g} is not allowed: it must be at least 0")
    nonempty = np.isfinite(heat).all(axis=(1, 2)) & (heat > 0).any(axis=(1, 2))
    if isinstance(heatmaps, Heatmaps):
        nonempty &= [not note.startswith("empty") for note in heatmaps.note]
    return np.where(nonempty[:, None, None], heat, 0), nonempty


def mean_known(values):
    """Return the mean over the last axis without NaN; NaN, without a warning, where all are."""
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def known_interval(values):
    """Return (mean, low, high) of (n,) values without NaN, 95 % by Student's t; NaN if unknown."""
    known = values[~np.isnan(values)]
    if len(known) < 2:
        return float(mean_known(values)), float("nan"), float("nan")
    return mean_interval(known)
