"""Between which bounds the numbers of a value lie, whatever the image: are they probabilities?

A softmax, sigmoid or the like has limits. What is then done with it is followed by the arithmetic
of intervals (Moore, 1966); nothing is known of what comes from anything else.
"""

import functools
import itertools
import operator
from typing import NamedTuple

import keras
import numpy as np

from cnnlab.interpret.model.graph import Graph, TensorRef
from cnnlab.interpret.model.kinds import EXCLUSIVE, LIMITS, activation_name, kind_of, within

NEAR = 0.01  # how far from 0 and 1 the bounds may be, as after a clip to 1e-7 .. 1 - 1e-7
ARITHMETIC = {
    "Add": operator.add,
    "Divide": operator.truediv,
    "Maximum": max,
    "Minimum": min,
    "Multiply": operator.mul,
    "Subtract": operator.sub,
}
TURNING = ("Rescaling", "Subtract")  # they may make the least likely the most likely


class Bounds(NamedTuple):
    """Between which numbers every number of a value lies."""

    low: float
    high: float
    exclusive: int = 0  # how many numbers of a row exclude each other, as those of a softmax do

    def are_probabilities(self):
        """Say whether they go from 0 to 1: the half of a sigmoid is no probability."""
        return abs(self.low) <= NEAR and abs(self.high - 1) <= NEAR


UNKNOWN = Bounds(-np.inf, np.inf)


def bounds(graph: Graph, value: int) -> Bounds:
    """Return the bounds of a value of a graph, or UNKNOWN."""
    known = {0: UNKNOWN}
    for call in graph.ancestors(value):
        known.update(dict.fromkeys(call.outputs, _after(call, known)))
    return known[value]


def _after(call, known):
    name, given = activation_name(call.operation), [known[value] for value in call.inputs]
    if name in LIMITS:
        is_row = getattr(call.operation, "axis", -1) in (-1, len(call.shape))
        return Bounds(*LIMITS[name], call.shape[-1] if name in EXCLUSIVE and is_row else 0)
    if not given or UNKNOWN in given:
        return UNKNOWN
    low, high = _hull(given) if within(call) else _computed(call, known)
    sizes = {one.exclusive for one in given}
    is_kept = len(sizes) == 1 and low >= 0 and kind_of(call) not in TURNING
    return Bounds(low, high, sizes.pop() if is_kept else 0)


def _hull(given):
    return min(one.low for one in given), max(one.high for one in given)


def _computed(call, known):
    """Return (low, high) of what a call computes of bounded tensors and constants."""
    operation, kind = call.operation, kind_of(call)
    if kind == "Clip":
        ends = np.min(operation.x_min), np.max(operation.x_max)
        return tuple(np.clip(known[call.inputs[0]][:2], *ends))
    if kind == "Rescaling":
        scaled = _corners(operator.mul, known[call.inputs[0]][:2], _constant(operation.scale))
        return _corners(operator.add, scaled, _constant(operation.offset))
    if kind not in ARITHMETIC:
        return UNKNOWN[:2]
    parts = [
        known[part.index][:2] if isinstance(part, TensorRef) else _constant(part)
        for part in keras.tree.flatten(call.args)
    ]
    if kind == "Divide" and parts[1][0] <= 0:
        return UNKNOWN[:2]
    return functools.reduce(functools.partial(_corners, ARITHMETIC[kind]), parts)


def _constant(part):
    numbers = np.asarray(keras.ops.convert_to_numpy(part), float)
    return numbers.min(), numbers.max()


def _corners(function, left, right):
    values = [function(*pair) for pair in itertools.product(left, right)]
    return min(values), max(values)
