"""A Keras model as a flat list of calls, run without touching the model.

Keras can only show a layer's output by building a second model, which fails for layers inside
nested models, for activations inside a layer and for a Sequential without an input. Here the graph
is read once, nested models are unrolled into it, and `Graph.run` calls layer after layer itself.
The user's model is not changed: its variables are read inside a `keras.StatelessScope`, and where
an activation has to be left out, a stand-in that shares the layer's weights is called.
"""

import inspect
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import tensorflow as tf


@dataclass(frozen=True)
class Place:
    """Stands for a tensor in the arguments of a call: the number of a value of the graph."""

    index: int


class Call(NamedTuple):
    """One call of a layer, or of an operation such as `a + b`.

    Attributes:
        name: the layer's; inside a nested model "outer/name"; "name (call 2)" when called again.
        operation: the Keras layer or operation, the user's own object.
        args, kwargs: of the call, with a `Place` wherever a tensor goes.
        inputs, outputs: the numbers of the values it reads and makes.
        shape: of its first output without the batch dimension; None where a size is open.
    """

    name: str
    operation: Any
    args: tuple
    kwargs: dict
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shape: tuple


class Graph(NamedTuple):
    """What `read` found. Value 0 is the image batch.

    Attributes:
        input_shape: (height, width, channels); None where a size is open.
        dtype: of the input.
        calls: in an order in which they can be made.
        outputs: {name: number of the value} of the model's outputs.
    """

    input_shape: tuple
    dtype: str
    calls: tuple[Call, ...]
    outputs: dict[str, int]

    def ancestors(self, value: int) -> list[Call]:
        """Return the calls that the value depends on, in order."""
        wanted, found = {value}, []
        for call in reversed(self.calls):
            if wanted.intersection(call.outputs):
                wanted.update(call.inputs)
                found.append(call)
        return found[::-1]

    def run(self, images, wanted, plain=(), watch=None, weights=None):
        """Compute values of the graph; only the calls that they need are made.

        Args:
            images: (n, height, width, channels) tensor.
            wanted: numbers of values.
            plain: names of calls whose activation is left out.
            watch: called as watch(number, tensor) with each value as soon as it is there; it may
                return another tensor to go on with, or None.
            weights: [(variable, tensor)] to use instead of the variables' own values.

        Returns:
            The wanted tensors, a list.
        """
        needed = {call for value in wanted for call in map(id, self.ancestors(value))}
        values = {0: _watched(watch, 0, tf.cast(images, self.dtype))}
        with keras.StatelessScope(state_mapping=weights or []):
            for call in self.calls:
                if id(call) not in needed:
                    continue
                leave_out = call.name in plain
                operation = without_activation(call.operation) if leave_out else call.operation
                args, kwargs = keras.tree.map_structure(
                    lambda part: values[part.index] if isinstance(part, Place) else part,
                    (call.args, call.kwargs),
                )
                made = keras.tree.flatten(operation(*args, **kwargs))
                for number, tensor in zip(call.outputs, made, strict=True):
                    values[number] = _watched(watch, number, tensor)
        return [values[value] for value in wanted]


def _watched(watch, number, tensor):
    other = watch(number, tensor) if watch else None
    return tensor if other is None else other


def without_activation(operation):
    """Return what can be called instead of an operation, without its activation.

    For a layer with an activation inside it is a stand-in with the same weights; the layer itself
    stays as it is. For an operation that is nothing but an activation it is the identity.
    """
    if not has_inner_activation(operation):
        return lambda inputs, **_: inputs
    stand_in = object.__new__(type(operation))
    vars(stand_in).update(vars(operation))
    vars(stand_in)["activation"] = keras.activations.linear
    return stand_in


def has_inner_activation(operation) -> bool:
    """Say whether a layer with weights ends on an activation of its own that is not linear."""
    activation = getattr(operation, "activation", None)
    return bool(
        isinstance(operation, keras.layers.Layer)
        and not isinstance(operation, keras.layers.Activation)
        and operation.weights
        and activation not in (None, keras.activations.linear)
    )


def read(model) -> Graph:
    """Return the graph of a model, with nested models unrolled.

    Raises:
        TypeError: `model` is no Keras model.
        ValueError: a subclassed model or one not built yet (which have no graph), several inputs,
            or an input that is no image (height, width, channels).
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"this is no Keras model: {model!r} ({type(model).__name__})")
    if not getattr(model, "outputs", None):
        raise ValueError(
            f"the model {model.name!r} has no graph to look into: "
            + (
                "build it first, with model.build((None, height, width, channels))"
                if isinstance(model, keras.Sequential)
                else "only Sequential and functional models have one"
            )
        )
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        shapes = ", ".join(str(tensor.shape) for tensor in model.inputs)
        raise ValueError(
            f"the model {model.name!r} takes {shapes}; "
            "one image is needed, (batch, height, width, channels)"
        )
    reader = _Reader()
    outputs = reader.unroll(model, [0], prefix="")
    tensor = model.inputs[0]
    return Graph(
        input_shape=tuple(tensor.shape[1:]),
        dtype=keras.backend.standardize_dtype(tensor.dtype),
        calls=tuple(reader.calls),
        outputs=dict(zip(_output_names(model), outputs, strict=True)),
    )


def _output_names(model):
    """Return the names of the outputs: the keys of a dict, else those of the layers."""
    structure = getattr(model, "output", None) if not isinstance(model, keras.Sequential) else None
    if isinstance(structure, dict):
        paths = [path for path, _ in keras.tree.flatten_with_path(structure)]
        return ["/".join(map(str, path)) for path in paths]
    names = [tensor._keras_history.operation.name for tensor in model.outputs]
    times = Counter(names)
    count = Counter()
    for index, name in enumerate(names):
        count[name] += 1
        if times[name] > 1:  # several outputs of one nested model, or of a layer called twice
            names[index] = f"{name} (output {count[name]})"
    return names


class _Reader:
    """Collects the calls of a model and numbers its values."""

    def __init__(self):
        self.calls = []
        self.names = Counter()
        self.values = 1  # 0 is the image

    def unroll(self, model, inputs, prefix):
        """Add the calls of a model to which the values `inputs` are given; return its outputs."""
        places = {id(tensor): value for tensor, value in zip(model.inputs, inputs, strict=True)}
        for node in _nodes(model):
            operation = node.operation
            args, kwargs = node.arguments.convert(
                lambda part: (
                    Place(places[id(part)]) if isinstance(part, keras.KerasTensor) else part
                )
            )
            if getattr(operation, "outputs", None) and isinstance(operation, keras.Model):
                given = [part.index for part in _places((args, kwargs))]
                outputs = self.unroll(operation, given, f"{prefix}{operation.name}/")
            else:
                outputs = self.add(operation, args, kwargs, node.outputs, prefix)
            places.update(zip(map(id, node.outputs), outputs, strict=True))
        return [places[id(tensor)] for tensor in model.outputs]

    def add(self, operation, args, kwargs, outputs, prefix):
        name = prefix + operation.name
        self.names[name] += 1
        if self.names[name] > 1:
            name = f"{name} (call {self.names[name]})"
        if "training" in inspect.signature(operation.call).parameters:
            kwargs = {**kwargs, "training": False}
        made = tuple(range(self.values, self.values + len(outputs)))
        self.values += len(outputs)
        inputs = tuple(part.index for part in _places((args, kwargs)))
        shape = tuple(outputs[0].shape[1:])
        self.calls.append(Call(name, operation, args, kwargs, inputs, made, shape))
        return made


def _places(structure):
    return [part for part in keras.tree.flatten(structure) if isinstance(part, Place)]


def _nodes(model):
    """Return the calls that lead to the model's outputs, Keras's `Node`s, in order."""
    known = {id(tensor) for tensor in model.inputs}
    done = {}  # a dict as an ordered set
    for output in model.outputs:
        stack = [output]
        while stack:
            tensor = stack[-1]
            if id(tensor) in known:
                stack.pop()
                continue
            history = tensor._keras_history
            node = history.operation._inbound_nodes[history.node_index]
            missing = [part for part in node.input_tensors if id(part) not in known]
            if missing:
                stack.append(missing[0])
            else:
                done[node] = True
                known.update(map(id, node.outputs))
                stack.pop()
    return list(done)
