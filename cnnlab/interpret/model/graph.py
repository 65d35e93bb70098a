"""A Keras model as a flat list of calls, run without touching the model.

Keras can only show a layer's output by building a second model, which fails for layers inside
nested models, for activations inside a layer and for a Sequential without an input. Here
`model.reading` reads the graph once, and `Graph.run` calls layer after layer itself. Variables are
read inside a `keras.StatelessScope`; where an activation has to be left out, a stand-in that shares
the layer's weights is called.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from cnnlab.interpret.model import kinds
from cnnlab.interpret.model.kinds import has_inner_activation


@dataclass(frozen=True)
class TensorRef:
    """Stands for a tensor in the arguments of a call: the number of a value of the graph."""

    index: int


class Call(NamedTuple):
    """One call of a layer, or of an operation such as `a + b`."""

    name: str  # the layer's; inside a nested model "outer/name"; "name (call 2)" when called again
    operation: Any  # the Keras layer or operation, the user's own object
    args: tuple  # of the call, with a `TensorRef` wherever a tensor goes
    kwargs: dict
    inputs: tuple[int, ...]  # the numbers of the values it reads
    outputs: tuple[int, ...]  # and makes
    shape: tuple  # of its first output without the batch dimension; None where a size is open


class Graph(NamedTuple):
    """The calls of a model, as `reading.read` gives them. Value 0 is the image batch."""

    input_shape: tuple  # (height, width, channels); None where a size is open
    dtype: str  # of the input
    batch: int | None  # the number of images that it must be given at once; None for any
    calls: tuple[Call, ...]  # in an order in which they can be made
    outputs: dict[str, int]  # {name: number of the value} of the model's outputs
    shapes: tuple[tuple, ...]  # of each value, as `Call.shape`

    def ancestors(self, *values: int) -> list[Call]:
        """Return the calls that the values depend on, in order."""
        wanted, ancestors = set(values), []
        for call in reversed(self.calls):
            if wanted.intersection(call.outputs):
                wanted.update(call.inputs)
                ancestors.append(call)
        return ancestors[::-1]

    def dominators(self, value: int) -> list[int]:
        """Return the numbers of the values that all paths from the image to a value go through."""
        through = {0: {0}}
        for call in self.ancestors(value):
            given = [through[number] for number in call.inputs if number in through]
            if given and not kinds.is_given(call):
                common = set.intersection(*given)
                through.update((number, common | {number}) for number in call.outputs)
        return sorted(through[value])

    def before(self, value: int) -> set[int]:
        """Return the numbers of the values from the image to a value, which is one of them."""
        return {value}.union(*(call.inputs for call in self.ancestors(value)))

    def maker(self, value: int) -> Call | None:
        """Return the call that makes a value, None for the image."""
        return next((call for call in self.calls if value in call.outputs), None)

    def walk(self, value: int, backwards: bool = False) -> Iterator[list[Call]]:
        """Yield the calls that read a value, then those that read what the first one makes, ..."""
        # Backwards, the call that makes the value, then the one that makes its first input, ...
        near, far = ("outputs", "inputs") if backwards else ("inputs", "outputs")
        while calls := [call for call in self.calls if value in getattr(call, near)]:
            yield calls
            value = getattr(calls[0], far)[0]

    def run(self, images, wanted, without_activation=(), watch=None, weights=None):
        """Return the values of the graph that are `wanted`, by number, as a list of tensors.

        Only the calls that they need are made, on images, an (n, height, width, channels) tensor;
        those named in `without_activation` leave theirs out. watch(number, tensor) is called with
        each value as soon as it is computed, and may return another tensor to go on with, or None.
        `weights` are [(variable, tensor)] to use instead of the variables' own values.
        """
        needed = set(map(id, self.ancestors(*wanted)))
        images = tf.cast(images, self.dtype)
        if self.batch:
            images = tf.ensure_shape(images, (self.batch, None, None, None))
        values = {0: watched(watch, 0, images)}

        def run():
            for call in self.calls:
                if id(call) not in needed:
                    continue
                leave_out = call.name in without_activation
                operation = stand_in(call.operation) if leave_out else call.operation
                outputs = made(call, values, operation)
                for number, tensor in zip(call.outputs, outputs, strict=True):
                    values[number] = watched(watch, number, tensor)
            return [values[value] for value in wanted]

        with keras.StatelessScope(state_mapping=weights or []):
            return _Whole()(run=run, training=False)


def made(call: Call, values, operation) -> list:
    """Return what a call makes of {number: value}, by its own operation or one in its place."""
    args, kwargs = keras.tree.map_structure(
        lambda part: values[part.index] if isinstance(part, TensorRef) else part,
        (call.args, call.kwargs),
    )
    return keras.tree.flatten(operation(*args, **kwargs))


def call_alone(call: Call, values, operation) -> list:
    """Return the same, with nothing about the layers changed, for one call by itself."""
    with keras.StatelessScope():
        return _Whole()(run=lambda: made(call, values, operation), training=False)


class _Whole(keras.layers.Layer):
    """Stands for the model as a whole: layers called inside of it are told that nobody trains."""

    # Without it Keras interprets each layer as called alone, and drops the activity losses that the
    # user's last call of the model has left there.

    def __init__(self):
        super().__init__(name="whole", dtype="float32")
        self.built = True

    def call(self, run, training):
        return run()


def watched(watch, number, tensor):
    """Return the tensor of a value, or the one that `watch` gives instead."""
    other = watch(number, tensor) if watch else None
    return tensor if other is None else other


def stand_in(operation):
    """Return an operation without its activation, with the same weights, or else the identity."""
    if not has_inner_activation(operation):
        return lambda inputs, **_: inputs
    other = object.__new__(type(operation))
    vars(other).update(vars(operation))
    vars(other)["activation"] = keras.activations.linear
    return other
