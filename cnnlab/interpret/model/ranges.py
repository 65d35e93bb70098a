"""What an image is to a model: the range of its numbers, read off the calls after the input."""

import keras
import numpy as np

from cnnlab.interpret.model.channels import affine, first_use, normalizes, of_channels
from cnnlab.interpret.model.kinds import NORMALIZING, same_values
from cnnlab.preprocessing import Preprocessing, named

GUESS = (0.0, 1.0)  # the range of a model that does not tell it
MOST_OF_UNIT = 0.51  # the highest deviation of numbers of 0..1, half of them 1, and some rounding


def preprocessing_of(view, asked=None, bgr=False) -> Preprocessing:
    """Return how a picture becomes what a model takes: as asked, as the model tells, or as GUESS.

    `asked` is as in `preprocessing.named`, `bgr` whether the model takes blue first.

    Raises:
        ValueError: as there, or three colors for a model that does not take three channels.
    """
    if asked is None:
        ends = input_range(view)
        found = Preprocessing(*(ends or GUESS), guessed=ends is None)
    else:
        found = named(asked)
    found = found._replace(bgr=bool(found.bgr or bgr))
    channels = view.graph.input_shape[2]
    if channels != 3 and (found.bgr or np.ndim(found.low)):
        name = "bgr" if bgr else asked
        raise ValueError(f"{name} is for three color channels, and the model takes {channels}")
    return found


def input_range(view) -> tuple[float, float] | None:
    """Return (low, high), black and white for a model, or None where it does not tell.

    They are read from what it first does to the channels of an image x, wherever it puts them:

    * scale * x + offset, by a `Rescaling` or by operations with constants: what becomes 0..1, or
      -1..1 if the offset is negative. Where -1..1 would not begin at black, as after the usual
      (x - mean) / deviation, these decide, as below.
    * `Normalization` or `BatchNormalization`: (0, 255) if the highest mean or deviation of a
      channel is above 2, which none of 0..1 can be; (-1, 1) if a mean is clearly below 0; (0, 1)
      if the means are above it, and no deviation above 0.5, the most that numbers of 0..1 have.
    * anything else: (0, 255) for an input of whole numbers.
    """
    use, channels = first_use(view)
    seen = channels.scale != 0
    ends = None
    if seen.any():
        ends = _becoming_unit(channels.scale[seen], channels.offset[seen])
        ends = ends or _of_statistics(*(part[seen] for part in _statistics(use, channels)))
    return ends or (None if "float" in view.graph.dtype else (0.0, 255.0))


def sees_pixels(view, value: int) -> bool:
    """Say whether a value is the image itself, each channel at most scaled, shifted or padded."""
    return all(
        affine(call) or same_values(call) or isinstance(call.operation, NORMALIZING)
        for call in view.graph.ancestors(value)
    )


def _becoming_unit(scale, offset):
    """Return which x of one range 0..1 or -1..1 makes of scale * x + offset, or None."""
    if np.ptp(scale) or np.ptp(offset) or (scale[0], offset[0]) == (1, 0):
        return None
    begin = -1 if offset[0] < 0 else 0
    low, high = sorted(((begin - offset[0]) / scale[0], (1 - offset[0]) / scale[0]))
    if abs(low) <= 1 and abs(high - 255) <= 1:  # as (x - 127.5) / 128, or x / 256
        return 0.0, 255.0
    usual = min(abs(low), abs(low + high)) < 0.01 * high  # it begins at 0, or is symmetric
    return (float(low), float(high)) if usual and high > 0.1 else None


def _statistics(use, channels):
    """Return (channels,) the mean and deviation of an image of which the model makes 0 and 1."""
    mean, variance = np.zeros(1), np.ones(1)
    if normalizes(use) and (found := _learned(use.operation)):
        mean, variance = found
    elif np.all(channels.scale == 1):  # nothing is divided by a deviation
        variance = np.zeros(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = np.sqrt(variance) / np.abs(channels.scale)
        return (mean - channels.offset) / channels.scale, deviation


def _learned(layer):
    """Return mean and variance of a normalization, (channels,) or (1,), or None if it has none."""
    moving = "moving_" if isinstance(layer, keras.layers.BatchNormalization) else ""
    found = [getattr(layer, moving + name) for name in ("mean", "variance")]
    if any(array is None for array in found):
        return None
    return [of_channels(keras.ops.convert_to_numpy(array)) for array in found]


def _of_statistics(mean, deviation):
    """Return the range of an image of this mean and deviation, or None where they tell nothing."""
    if max(mean.max(), deviation.max()) > 2:
        return 0.0, 255.0
    if mean.min() < -0.1:
        return -1.0, 1.0
    is_unit = mean.min() >= 0 and mean.any() and deviation.max() <= MOST_OF_UNIT
    return (0.0, 1.0) if is_unit else None
