"""The graph of a Keras model: read from the model itself, and drawn without Graphviz.

Importing this module does not import Keras.
"""

import math
from collections import Counter
from typing import NamedTuple

from cnnlab.plots import network_drawing
from cnnlab.plots.layer_words import describe, kind, own_name, shape


class Box(NamedTuple):
    """One call of a layer, or of a chain of layers drawn together.

    Attributes:
        kind: a key of `network_drawing.COLORS`.
        name: of an input, an output, a model inside the model or a layer called several times;
            "" for other layers.
        layers: a description for each layer, such as "Conv2D 3×3, 48, stride 2, padding same".
        shape: of the output without the batch dimension, such as "7 × 7 × 48".
        parameters: how many weights, trainable or not; those of an earlier box do not count again.
        shared: whether it uses weights of an earlier box.
    """

    kind: str
    name: str
    layers: tuple[str, ...]
    shape: str
    parameters: int
    shared: bool = False


class Graph(NamedTuple):
    """A model as boxes and edges.

    Attributes:
        boxes: from the inputs on; the outputs as far as possible in the model's own order.
        edges: (from, to), positions in `boxes`, sorted, each once; all lead to a later box.
    """

    boxes: list[Box]
    edges: list[tuple[int, int]]


def draw(model, title="", fold=True):
    """Draw the layers of a model as boxes in rows, from the inputs at the top to the outputs.

    Args:
        model: a functional `keras.Model`, or a built `keras.Sequential`; it stays as it was.
        title: written over the figure, with the number of parameters of the whole model.
        fold: draw a convolution or dense layer and the normalization and activation that follow
            it as one box.

    Returns:
        The figure, with text of 8 points, as large as its boxes make it: 15 cm wide for a chain
        of convolutions with four heads, more where many boxes stand side by side.

    Raises:
        TypeError, ValueError: as `read`.
    """
    graph = read(model, fold)
    if title:
        title = f"{title}: {network_drawing.counted(model.count_params())}"
    return network_drawing.draw(graph, title)


def read(model, fold=True):
    """Return the `Graph` of a model, with the arguments of `draw`.

    A layer that is called several times has a box for each call. A model inside the model is one
    box.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: it has no graph of layers: a Sequential not built yet, or a subclassed model.
    """
    outputs = list(_flat(_outputs(model)))
    calls = _calls([*model.inputs, *(tensor for _, tensor in outputs)])
    ends = {_call(tensor) for _, tensor in outputs}
    names = _inner_names(calls) | _input_names(calls) | _output_names(outputs)
    chains = _chains(calls, ends, fold)
    place = {call: index for index, chain in enumerate(chains) for call in chain}
    edges = {(place[parent], place[call]) for call in calls for parent in _parents(call)}
    counted = set()
    boxes = [_box(chain, names, chain[-1] in ends, counted) for chain in chains]
    return Graph(boxes, sorted((start, end) for start, end in edges if start != end))


def _outputs(model):
    """Return the model's outputs, as the list or dict of tensors that it was made with."""
    import keras

    if not isinstance(model, keras.Model):
        raise TypeError(f"this is not a Keras model: {model!r} ({type(model).__name__})")
    if isinstance(model, keras.Sequential):
        if not hasattr(model, "outputs"):
            raise ValueError(
                f"the Sequential model {model.name!r} has no shapes yet: "
                "build it, or call it on data, first"
            )
        return model.outputs
    if not hasattr(model, "outputs"):
        raise ValueError(
            f"the model {model.name!r} has no graph of layers; "
            "only functional and Sequential models have one"
        )
    return model.output


def _flat(structure, path=()):
    """Yield (path, tensor); unlike Keras's own, it leaves the keys of a dict in their order."""
    if isinstance(structure, dict):
        items = structure.items()
    elif isinstance(structure, (list, tuple)):
        items = enumerate(structure)
    else:
        yield path, structure
        return
    for key, part in items:
        yield from _flat(part, (*path, key))


def _call(tensor):
    """Return the call of a layer that made a tensor: a Keras `Node`."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _parents(call):
    return [_call(tensor) for tensor in call.input_tensors]


def _calls(tensors):
    """Return the calls that lead to the tensors, each after all those that it needs."""
    done = {}  # a dict as an ordered set
    for tensor in tensors:
        stack = [_call(tensor)]
        while stack:
            missing = [parent for parent in _parents(stack[-1]) if parent not in done]
            if missing:
                stack.append(missing[0])
            else:
                done[stack.pop()] = True
    return list(done)


def _chains(calls, ends, fold):
    """Split the calls into lists of calls that are drawn as one box, in the order of `calls`.

    Nothing that is an output (in `ends`), or whose result goes two ways, is hidden inside a box.
    """
    uses = {call: [] for call in calls}
    for call in calls:
        for parent in set(_parents(call)):
            uses[parent].append(call)
    chains, last = [], {}
    for call in calls:
        parents = _parents(call)
        chain = last.get(parents[0]) if len(parents) == 1 else None
        joins = fold and chain and parents[0] not in ends and len(uses[parents[0]]) == 1
        if joins and kind(call.operation) == "normalization":
            chain.append(call)
            last[call] = chain
            continue
        chains.append([call])
        if kind(call.operation) in ("convolution", "dense"):
            last[call] = chains[-1]
    return chains


def _numbered(word, number, of):
    return f"{word} {number}" if of > 1 else word


def _output_names(outputs):
    """Return {call: name} of the outputs: their keys in a dict, and the layer's own name."""
    found = {}
    for number, (path, tensor) in enumerate(outputs, 1):
        key = "/".join(map(str, path)) if any(isinstance(part, str) for part in path) else ""
        made_up = _numbered("output", number, len(outputs))
        # A model inside the model can give several outputs: named in the order of their shapes.
        place = tensor._keras_history.tensor_index
        found.setdefault(_call(tensor), []).append((place, key, made_up))
    names = {}
    for call, outs in found.items():
        own = own_name(call.operation)
        keys = ", ".join(key for _, key, _ in sorted(outs) if key)
        both = f"{keys} ({own})" if keys and own not in ("", keys) else ""
        names[call] = both or keys or own or ", ".join(made_up for *_, made_up in sorted(outs))
    return names


def _input_names(calls):
    inputs = [call for call in calls if kind(call.operation) == "input"]
    return {
        call: own_name(call.operation) or _numbered("input", number, len(inputs))
        for number, call in enumerate(inputs, 1)
    }


def _inner_names(calls):
    """Return {call: name} of models inside the model, and of layers that share their weights."""
    times = Counter(call.operation for call in calls)
    names = {}
    for call in calls:
        layer = call.operation
        if times[layer] > 1 and getattr(layer, "weights", None):
            names[call] = layer.name
        elif kind(layer) == "model":
            names[call] = own_name(layer)
    return names


def _box(chain, names, is_end, counted):
    """Describe a chain of calls; the weights it uses are added to `counted`."""
    layers = [call.operation for call in chain]
    color = kind(layers[0])
    name = next((names[call] for call in reversed(chain) if names.get(call)), "")
    if is_end and color != "input":
        color = "output"
    weights = {id(weight): weight for layer in layers for weight in getattr(layer, "weights", ())}
    new = [math.prod(weight.shape) for key, weight in weights.items() if key not in counted]
    shared = len(new) < len(weights)
    counted.update(weights)
    shapes = ", ".join(map(shape, chain[-1].outputs))
    return Box(color, name, tuple(map(describe, layers)), shapes, sum(new), shared)
