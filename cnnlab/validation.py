"""Checks of arguments: each raises ValueError with the value and what is allowed."""

import numpy as np

FARTHEST, CLOSEST = 1e9, 1e-9  # black or white of a model from 0, and from each other
HEATMAP_METHODS = ("grad-cam", "grad-cam++", "layercam")  # here, to be known without TensorFlow


def require(valid, values, name, allowed):
    """Raise ValueError for the first of `values` that is not valid."""
    if not np.all(valid):
        wrong = np.asarray(values)[~np.asarray(valid)].ravel()[0]
        raise ValueError(f"{name} {wrong} is not allowed: it must be {allowed}")


def require_whole(name, value, least):
    """Raise ValueError unless the value is a whole number of at least `least`."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(f"{name} {value!r} is not allowed: it must be a whole number >= {least}")


def require_method(method):
    """Raise ValueError unless it is the name of a method to make heatmaps."""
    if not isinstance(method, str) or method not in HEATMAP_METHODS:
        raise ValueError(f"no method {method!r}; there are {', '.join(HEATMAP_METHODS)}")


def require_shape(name, array, shape):
    """Raise ValueError for another shape; a word, as in (7, "seeds"), is any length but 0."""
    fits = array.ndim == len(shape)
    for wanted, length in zip(shape, array.shape, strict=False):
        fits = fits and (length > 0 if isinstance(wanted, str) else length == wanted)
    if not fits:
        wanted = str(tuple(shape)).replace("'", "")
        raise ValueError(f"{name} has shape {array.shape}, but {wanted} is needed")


def require_integers(name, values, top=None) -> np.ndarray:
    """Return an array; ValueError unless its type is an integer and, with a top, all in 0..top."""
    values = np.asarray(values)
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"{name} must be integers, not {values.dtype}: {values.ravel()[:4]}")
    if top is not None:
        require((values >= 0) & (values <= top), values, name, f"in 0..{top}")
    return values


def numbers(name, values, shape, top=1):
    """Return float64 in 0..top, of a shape as in `require_shape`; else raise ValueError."""
    values = np.asarray(values, float)
    require_shape(name, values, shape)
    require((values >= 0) & (values <= top * (1 + 1e-6)), values, f"{name}:", f"in 0..{top}")
    return np.minimum(values, top)  # what float32 rounds above the top


def checked_range(value_range, name="value_range") -> tuple[float, float]:
    """Return black < white of a model as floats; ValueError unless float32 tells them apart."""
    try:
        ends = np.asarray(value_range)
    except ValueError:  # a list of lists that differ in length
        ends = np.empty(0)
    are_two = ends.shape == (2,) and ends.dtype.kind in "iuf"
    low, high = map(float, ends) if are_two else (np.nan, np.nan)
    fits = -FARTHEST <= low < high <= FARTHEST
    if not fits or np.float32(high) - np.float32(low) < CLOSEST:
        raise ValueError(
            f"{name} must be two numbers, low < high, from {-FARTHEST:g} to {FARTHEST:g} and not "
            f"nearly the same, not {value_range!r}"
        )
    return low, high
