"""Read the graph of a Keras model, nested ones unrolled, from the calls noted at its tensors."""

import inspect
from collections import Counter

import keras

from cnnlab.interpret.model.graph import Call, Graph, TensorRef


def read(model, shape=None) -> Graph:
    """Return the graph of a model, with nested models unrolled.

    A model with a `call` of its own is called once with a symbol for an image of the (height,
    width, channels) that it was built for, or else of this `shape`.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: one not built yet, or with a `call` that takes no symbol (they have no graph),
            several inputs, one that is not (height, width, channels) of numbers, or layers with
            channels first.
    """
    if isinstance(model, keras.Model) and type(model) is not keras.Sequential:
        model = model if _has_graph(model) else _traced(model, shape)
    _require_readable(model)
    reader = _Reader(tuple(model.inputs[0].shape[1:]))
    outputs = reader.unroll(model, [0], prefix="")
    for call in reader.calls:
        if getattr(call.operation, "data_format", None) == "channels_first":
            raise ValueError(f"layer {call.name!r} has the channels first; they must come last")
    return Graph(
        input_shape=reader.shapes[0],
        dtype=keras.backend.standardize_dtype(model.inputs[0].dtype),
        batch=model.inputs[0].shape[0],
        calls=tuple(reader.calls),
        outputs=dict(zip(_output_names(model), outputs, strict=True)),
        shapes=tuple(reader.shapes),
    )


def _require_readable(model):
    if not isinstance(model, keras.Model):
        how = "; interpret.load opens files and short names" if isinstance(model, str) else ""
        raise TypeError(f"this is not a Keras model: {model!r} ({type(model).__name__}){how}")
    if not _has_graph(model):
        why = "it has no layers that are called"
        if type(model) is keras.Sequential:
            why = "build it first, with model.build((None, height, width, channels))"
        raise ValueError(f"the model {model.name!r} has no graph to look into: {why}")
    if [len(tensor.shape) for tensor in model.inputs] != [4]:
        shapes = ", ".join(str(tensor.shape) for tensor in model.inputs)
        several = "; give the other inputs with interpret.with_given" * (len(model.inputs) > 1)
        raise ValueError(
            f"the model {model.name!r} takes {shapes}; "
            f"one image is needed, (batch, height, width, channels){several}"
        )
    dtype = keras.backend.standardize_dtype(model.inputs[0].dtype)
    if not dtype.startswith(("float", "int", "uint", "bool")):
        raise ValueError(
            f"the model {model.name!r} takes {dtype} values; "
            "float16, float32, float64 and whole numbers are possible"
        )


def _traced(model, shape):
    """Return a functional model of the calls that a model's own `call` makes."""
    given = [tensor.shape for tensor in getattr(model, "inputs", None) or []]
    given = given or list((getattr(model, "_build_shapes_dict", None) or {}).values())
    shapes = [one[1:] for one in given if isinstance(one, tuple) and len(one) == 4]
    if len(shapes) != 1 and shape is None:
        raise ValueError(
            f"the model {model.name!r} has a call() of its own, and was called with no image yet: "
            "call it once, or give the image as an array of the shape that it takes"
        )
    image = keras.Input(shapes[0] if len(shapes) == 1 else shape)
    try:
        return keras.Model(image, model.call(image), name=model.name)
    except Exception as error:  # whatever the user's own code says
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"the model {model.name!r} has a call() of its own, which takes no symbol in place of "
            f"an image: {reason}"
        ) from error


def _has_graph(operation):
    """Say whether this is a built model that computes its graph, with no `call` of its own."""
    return (
        isinstance(operation, keras.Model)
        and bool(getattr(operation, "outputs", None))
        and type(operation).call.__module__.startswith("keras.")
    )


def _output_names(model):
    """Return the names of the outputs: the keys of a dict, else those of the layers."""
    # A Sequential knows the structure only through the functional model that it builds inside.
    structure = (getattr(model, "_functional", None) or model).output
    if isinstance(structure, dict):
        paths = [path for path, _ in keras.tree.flatten_with_path(structure)]
        return ["/".join(map(str, path)) for path in paths]
    names = [tensor._keras_history.operation.name for tensor in model.outputs]
    return [  # several outputs of one nested model, or of a layer called twice, are counted
        f"{name} (output {names[: index + 1].count(name)})" if names.count(name) > 1 else name
        for index, name in enumerate(names)
    ]


class _Reader:
    """Collects the calls of a model and numbers its values."""

    def __init__(self, input_shape):
        self.calls = []
        self.names = Counter()
        self.shapes = [input_shape]  # one for each value; 0 is the image

    def unroll(self, model, inputs, prefix):
        """Add the calls of a model to which the values `inputs` are given; return its outputs."""
        values = dict(zip(map(id, model.inputs), inputs, strict=True))
        for node in _nodes(model):
            operation = node.operation
            args, kwargs = node.arguments.convert(
                lambda part: (
                    TensorRef(values[id(part)]) if isinstance(part, keras.KerasTensor) else part
                )
            )
            if _has_graph(operation):
                given = _in_order(operation, *args, **kwargs)
                outputs = self.unroll(operation, given, f"{prefix}{operation.name}/")
            else:
                outputs = self.add(operation, args, kwargs, node.outputs, prefix)
            values.update(zip(map(id, node.outputs), outputs, strict=True))
        return [values[id(tensor)] for tensor in model.outputs]

    def add(self, operation, args, kwargs, outputs, prefix):
        """Add one call; return the numbers of its outputs."""
        name = prefix + operation.name
        self.names[name] += 1
        if self.names[name] > 1:
            name = f"{name} (call {self.names[name]})"
        if "training" in inspect.signature(operation.call).parameters:
            kwargs = {**kwargs, "training": False}
        numbers = tuple(range(len(self.shapes), len(self.shapes) + len(outputs)))
        self.shapes.extend(tuple(tensor.shape[1:]) for tensor in outputs)
        inputs = tuple(_values((args, kwargs)))
        shape = self.shapes[numbers[0]]
        self.calls.append(Call(name, operation, args, kwargs, inputs, numbers, shape))
        return numbers


def _values(structure):
    return [part.index for part in keras.tree.flatten(structure) if isinstance(part, TensorRef)]


def _in_order(model, inputs, *_, **__):
    """Return the values given to a nested model, in the order of its own inputs."""
    if isinstance(inputs, dict) and not isinstance(model.input, dict):
        return [inputs[tensor.name].index for tensor in model.inputs]  # by name, as Keras does
    return _values(inputs)


def _nodes(model):
    """Return the calls that lead to the model's outputs, Keras's `Node`s, in order."""
    known, nodes = {id(tensor) for tensor in model.inputs}, []
    stack = list(reversed(model.outputs))
    while stack:
        if id(stack[-1]) in known:
            stack.pop()
            continue
        history = stack[-1]._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        missing = [tensor for tensor in node.input_tensors if id(tensor) not in known]
        if missing:
            stack.append(missing[0])
        else:
            nodes.append(node)
            known.update(map(id, node.outputs))
    return nodes
