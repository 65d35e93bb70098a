"""The heads of a model: its outputs that are one row of numbers for an image, or a map of such.

A map, as of a segmentation, has a row for each position: its score is the mean over a region, and
what it gives is said of its area.

A head gives one of three kinds of OUTPUTS:

* "probabilities", if it ends on a softmax, a sigmoid or the like, or on a mean, a product or other
  arithmetic of such that goes from 0 to 1, see `bounds`. A single unit has two classes.
* "numbers", if it ends on anything else: an age, a box, a count. Linear units are numbers, too:
  nothing in a model tells whether they are the logits of classes.
* "logits", only if the user says so: numbers whose softmax, or sigmoid for a single one, is meant.
"""

from typing import NamedTuple

import numpy as np

from cnnlab.interpret.model.bounds import bounds
from cnnlab.interpret.model.graph import Call, Graph
from cnnlab.interpret.model.kinds import (
    EXCLUSIVE,
    SQUEEZING,
    activation_name,
    has_inner_activation,
    keeps_order,
)
from cnnlab.preprocessing import require_outputs
from cnnlab.validation import require

ROUNDED = 1e-3  # how far a computed probability may lie outside of 0..1


class Entering(NamedTuple):
    """What enters an ending: the logits."""

    value: int  # its number in the graph
    maker: Call  # that gives it
    is_inside: bool  # whether the ending is the maker's own activation, which is left out


class Head(NamedTuple):
    """One output of a model."""

    name: str  # the key of a dict of outputs, else the name of the layer that makes it
    outputs: str  # what it gives: one of `preprocessing.OUTPUTS`
    ending: str  # one of SQUEEZING, or "linear" for everything else
    units: int  # numbers that it gives for an image
    value: int  # the number of the output in the graph
    entering: Entering | None  # what enters the `ending`
    exclusive: bool  # whether one class of the row is right, as after a softmax, not several
    is_map: bool = False  # whether there is a row for each position, as of a segmentation
    region: np.ndarray | None = None  # of a map (h, w) bool; None: where the class is predicted

    @property
    def classes(self):
        """How many classes or numbers can be explained: 2 for a unit that is no softmax."""
        is_pair = self.units == 1 and self.outputs != "numbers" and not self.exclusive
        return 2 if is_pair else self.units

    @property
    def key(self):
        """What tells it from other heads, and from itself read otherwise."""
        region = None if self.region is None else self.region.tobytes()
        return self.name, self.outputs, region

    def within(self, region, shape):
        """Return the head with its score in a region, (h, w) of numbers that are 0 elsewhere.

        Shape is that of the output. None leaves the head as it is.

        Raises:
            ValueError: it is no map, or the region has another shape, or is empty.
        """
        if region is None:
            return self
        region = np.asarray(region).astype(bool)
        if not self.is_map or region.shape != tuple(shape[:2]) or not region.any():
            what = (
                f"{shape[:2]} with a number that is not 0"
                if self.is_map
                else f"of a map, not of {self.name!r}"
            )
            raise ValueError(f"a region must be {what}; this one has {region.shape}")
        return self._replace(region=region)

    @property
    def explained(self):
        """The number of the value in the graph that is explained: the logits, or the output."""
        return self.value if self.entering is None else self.entering.value

    def read_as(self, outputs):
        """Return the head with its outputs as the user says; None leaves them as they were read.

        Raises:
            ValueError: not one of OUTPUTS, or "logits" for probabilities.
        """
        require_outputs(outputs)
        if outputs in (None, self.outputs):
            return self
        if outputs == "logits" and self.outputs == "probabilities":
            raise ValueError(f"head {self.name!r} gives probabilities, not logits")
        return self._replace(outputs=outputs, entering=None)

    def require_probabilities(self, values):
        """Raise ValueError where (n,) values are called probabilities and are none, NaN apart."""
        outside = (values < -ROUNDED) | (values > 1 + ROUNDED)
        require(~outside, values, f"probability of head {self.name!r}:", "in 0..1")


def read_heads(graph: Graph) -> dict[str, Head]:
    """Return the heads of a model by name: outputs that are rows of numbers, or maps of such."""
    shapes = {name: graph.shapes[value] for name, value in graph.outputs.items()}
    return {
        name: _head(graph, name, value, shapes[name])
        for name, value in graph.outputs.items()
        if shapes[name] and shapes[name][-1] is not None
        if set(shapes[name][:-1]) <= {1} or len(shapes[name]) == 3
    }


def _head(graph, name, value, shape):
    units, is_map = shape[-1], not set(shape[:-1]) <= {1}
    for (maker,) in graph.walk(value, backwards=True):
        if keeps_order(maker):
            continue
        ending = activation_name(maker.operation)
        if ending in SQUEEZING:
            entering = _entering(graph, maker)
            exclusive = ending in EXCLUSIVE
            return Head(name, "probabilities", ending, units, value, entering, exclusive, is_map)
        break
    limits = bounds(graph, value)
    outputs = "probabilities" if limits.are_probabilities() else "numbers"
    return Head(name, outputs, "linear", units, value, None, limits.exclusive == units, is_map)


def _entering(graph, squeezing):
    """Return what enters the activation that a call is, or ends on; None for the image itself."""
    if has_inner_activation(squeezing.operation):
        return Entering(squeezing.outputs[0], squeezing, True)
    value = squeezing.inputs[0]
    return next((Entering(value, maker, False) for (maker,) in graph.walk(value, True)), None)


def other_outputs(graph: Graph, heads) -> dict[str, str]:
    """Return {name: why} of the outputs that are no heads."""
    return {
        name: f"it gives {graph.shapes[value]}, neither a row of numbers for an image nor a map"
        for name, value in graph.outputs.items()
        if name not in heads
    }


def find_head(view, name: str | None, outputs: str | None = None) -> Head:
    """Return the head of that name, or the only one for None, read as `outputs` says.

    Raises:
        ValueError: no such head, with the names of all, or as `Head.read_as`.
    """
    heads = view.heads
    if not heads:
        raise ValueError(
            "no output of the model is a row of numbers, one for each class, or a map of such; "
            "there is no class to explain"
        )
    if isinstance(name, str) and name in view.other_outputs:
        why = view.other_outputs[name]
        raise ValueError(f"{name!r} is no head: {why}; the model has {', '.join(heads)}")
    if name is None and len(heads) == 1:
        return next(iter(heads.values())).read_as(outputs)
    names = ", ".join(heads)
    if name is None:
        raise ValueError(f"the model has {len(heads)} heads: say which, with head=...: {names}")
    if not isinstance(name, str) or name not in heads:
        raise ValueError(f"no head {name!r}; the model has {names}")
    return heads[name].read_as(outputs)


def check_targets(head: Head, target, count: int):
    """Return (count,) int32 targets, -1, the predicted class, for None; ValueError for others."""
    if target is None:
        return np.full(count, -1, np.int32)
    try:
        targets = np.asarray(target)
    except ValueError:  # a list of lists that differ in length
        targets = np.asarray("")
    if targets.dtype.kind not in "iu" or targets.shape not in ((), (count,)):
        raise ValueError(
            f"target must be one whole number or one for each of the {count} images, not {target!r}"
        )
    wrong = targets[(targets < 0) | (targets >= head.classes)].ravel()
    if wrong.size:
        what = "an output" if head.outputs == "numbers" else "a class"
        raise ValueError(
            f"target {wrong[0]} is not {what} of head {head.name!r}: 0..{head.classes - 1}"
        )
    return np.broadcast_to(targets, (count,)).astype(np.int32)
