"""Where a call moves the values of its input, asked of the call itself.

A flip, a crop, a reshape or a cut into windows only moves values about. Given the coordinates as if
they were pixels, it returns those of each cell that it makes, whatever it is and however it is set.
"""

import numpy as np
import tensorflow as tf

from cnnlab.interpret.model import kinds, places
from cnnlab.interpret.model.graph import call_alone

FEW = 3  # weights: a layer of the user's own that has more does not only move values
MOST = 2**23  # numbers of an input: bounds the memory


def moved(call, given, shapes) -> list[np.ndarray] | None:
    """Return the places of each value that a call makes, from those `given` of its inputs.

    Shapes are {number of a value: its shape}. None if the call is not computed, or is one of the
    user's own and does more than move values. Where the last axis are no channels, the places are
    those of each number.
    """
    own = kinds.is_own(call.operation)
    if own and len(getattr(call.operation, "weights", ())) > FEW:
        return None
    asked = [  # for each input a number for each cell, 0 for one that has no place
        [0 * part[..., 0] for part in given],
        [np.isfinite(part[..., 0]) * 1.0 for part in given],
        *([sign * part[..., axis] for part in given] for sign in (1, -1) for axis in (0, 1)),
    ]
    try:
        answers = [_answer(call, numbers, shapes, own) for numbers in asked]
    except Exception:  # whatever a layer of the user's own says of such numbers
        return None
    found = [_places(*of_output, own) for of_output in zip(*answers, strict=True)]
    return None if any(part is None for part in found) else found


def _answer(call, numbers, shapes, own):
    """Return what a call makes of inputs whose channels are all the same numbers."""
    operation = call.operation if own else call.operation.call  # which keeps float64
    if type(call.operation).__name__ == "Pad":  # what is put around lies around, mirrored or not
        operation = type(call.operation)(call.operation.pad_width).call
    values = {}
    for number, part in zip(call.inputs, numbers, strict=True):
        is_full = part.ndim == len(shapes[number])
        full = part if is_full else np.repeat(part[..., None], shapes[number][-1], axis=-1)
        if full.size > MOST:
            raise MemoryError
        values[number] = tf.constant(np.nan_to_num(full), tf.float32 if own else tf.float64)
    return [np.asarray(tensor, float) for tensor in call_alone(call, values, operation)]


def _places(nothing, there, y, x, minus_y, minus_x, own):
    """Return the places told by the answers for one output, or None if it is not a mere move."""
    weight = there - nothing
    has_place = np.isclose(weight, 1)
    answers = np.stack([y, x], axis=-1) - nothing[..., None]
    if own:
        opposite = np.stack([minus_y, minus_x], axis=-1) - nothing[..., None]
        is_move = has_place.any() and np.all(has_place | np.isclose(weight, 0))
        if not (is_move and np.allclose(answers, -opposite)):
            return None
    answers = np.where(has_place[..., None], answers, np.nan)
    middle = places.in_the_middle(answers)
    return middle if np.isfinite(middle).any() else answers
