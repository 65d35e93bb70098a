"""What the techniques ask of a model: its layers, its heads, what lies on the way to what."""

import difflib
import weakref

import keras
import numpy as np
import tensorflow as tf

from cnnlab.interpret.model import heat_layers, memory
from cnnlab.interpret.model.batches import own_batch
from cnnlab.interpret.model.geometry import Geometry, follow
from cnnlab.interpret.model.graph import Call, Graph
from cnnlab.interpret.model.heads import other_outputs, read_heads
from cnnlab.interpret.model.kinds import CONVOLUTIONS, is_own
from cnnlab.interpret.model.reading import read

_views = weakref.WeakKeyDictionary()  # {model: ModelView}, with the functions compiled for it


class ModelView:
    """A model's layers and heads by name; it holds no reference to the model itself."""

    def __init__(self, graph: Graph, state):
        self.graph = graph._replace(batch=own_batch(graph))
        self.heads = read_heads(graph)  # {name: Head}; empty where no output is a row of numbers
        self.other_outputs = other_outputs(graph, self.heads)  # {name: why it is no head}
        self.calls = {call.name: call for call in graph.calls}  # of nested models as "outer/name"
        layers = [call for call in graph.calls if isinstance(call.operation, keras.layers.Layer)]
        self.layers = {call.name: call for call in layers}  # without operations such as `a + b`
        self.compiled = {}  # {key: tf.function}
        self.state = state  # of the model when it was read, see `_state`
        self.default_layers = {}  # {(head, outputs): calls}, see `heat_layers`
        self._geometry = {}  # {(height, width): Geometry}
        self._sizes = {}  # {(height, width), or None for its own: what `require_size` returns}

    def layer(self, name: str) -> Call:
        """Return the call of a layer by its name; "conv" also finds the only ".../conv"."""
        if isinstance(name, str) and name in self.calls:
            return self.calls[name]
        ends = [full for full in self.layers if full.endswith(f"/{name}")]
        if len(ends) == 1:
            return self.layers[ends[0]]
        if ends:
            raise ValueError(f"several layers are called {name!r}: {', '.join(ends)}")
        close = difflib.get_close_matches(str(name), self.layers, n=1)
        meant = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(f"no layer {name!r}{meant}; the layers are {', '.join(self.layers)}")

    def geometry(self, size=None) -> Geometry:
        """Return the geometry for images of this (height, width), left out the model's own."""
        own = self.graph.input_shape[:2]
        size = own if size is None else tuple(size)
        if size not in self._geometry:
            kept = {own: self._geometry[own]} if own in self._geometry else {}
            self._geometry = kept | {size: follow(self.graph, size)}  # not more: bounds the memory
        return self._geometry[size]

    def feature_maps(self, head=None) -> list[str]:
        """Return the layers that make (height, width, channels) of an image, on the way to `head`.

        A layer that works on several windows of an image is none of them.
        """
        calls = self.graph.calls if head is None else self.graph.ancestors(head.explained)
        maps = [call for call in calls if call.name in self.layers and len(call.shape) == 3]
        return [call.name for call in maps if self.geometry().rows(call.outputs[0]) == 1]

    def convolutions(self, head=None) -> list[str]:
        """Return the convolution layers, and layers with one inside, of one head or of all."""

        def has_convolution(name):
            layers = self.layers[name].operation._flatten_layers()
            return any(isinstance(layer, CONVOLUTIONS) for layer in layers)

        return list(filter(has_convolution, self.feature_maps(head)))

    def heat_layers(self, name: str | None, head) -> tuple[Call, ...]:
        """Return the layers at which heatmaps of a head are made, see `heat_layers.find`."""
        return heat_layers.find(self, name, head)

    def traced(self, *signature):
        """Return a decorator that makes a `tf.function` of these arguments."""
        # AutoGraph rewrites Python's own branches, which takes most of the time of a first call.
        # Nothing here has any; a layer of the user's own may.
        calls_own = any(is_own(call.operation) for call in self.graph.calls)
        return tf.function(input_signature=signature, autograph=calls_own)

    def function(self, key, make):
        """Return the `tf.function` kept under a key; `make()` returns it the first time."""
        # Traced here, by its `input_signature`: TensorFlow warns of many that calls trace.
        if key not in self.compiled:
            self.compiled[key] = make()
            self.compiled[key].get_concrete_function()
        return self.compiled[key]

    def require_size(self, size) -> memory.Sizes:
        """Return how much there is to compute for an image of this (height, width).

        Raises:
            ValueError: the model takes any size, but not this one.
        """
        size = size if None in self.graph.input_shape[:2] else None
        # TensorFlow does not always say so itself: of 2 x 2 pixels its 3 x 3 convolution makes
        # nonsense.
        try:
            if size not in self._sizes:
                self._sizes[size] = memory.sizes(self.graph, size)
        except Exception as error:  # whatever the layers say
            raise ValueError(
                f"the model cannot take images of {size[1]} × {size[0]} pixels: "
                "they are too small for a layer, or do not fit it"
            ) from error
        return self._sizes[size]

    def signature(self):
        """Return what `tf.function` should expect for a batch of images, of any number mostly."""
        return tf.TensorSpec((self.graph.batch, *self.graph.input_shape), self.graph.dtype)


def inspect_model(model, images=None) -> ModelView:
    """Return the view of a model, made again if layers or activations were exchanged since.

    A Sequential that was never called has no weights yet; it is built for the shape of `images`, as
    its first call would do. Nothing else of the model is changed. Errors are as in `reading.read`.
    """
    is_open = isinstance(model, keras.Sequential) and not model.built
    if is_open and (shape := _image_shape(np.shape(images))):
        model.build((None, *shape))
    view = _views.get(model) if isinstance(model, keras.Model) else None
    state = _state(model)
    if view is None or view.state != state:
        view = _views[model] = ModelView(read(model, _image_shape(np.shape(images))), state)
    return view


def _image_shape(shape):
    """Return (height, width, channels) of images of this shape, or None."""
    if len(shape) == 4:
        return shape[1:]
    if len(shape) == 3 and shape[2] <= 4:
        return shape  # one image with its channels; else gray ones, for none is so narrow
    return (*shape[-2:], 1) if len(shape) in (2, 3) else None


def _state(model):
    """Return what tells a changed model: its layers and their activations, also nested ones."""
    # The objects, not their ids: Python gives the id of a function that is gone to the next one.
    layers = getattr(model, "_flatten_layers", lambda **_: ())(include_self=False)
    parts = ("activation", "quantization_mode")
    return tuple((layer, *(getattr(layer, part, None) for part in parts)) for layer in layers)


def as_batch(view: ModelView, images) -> np.ndarray:
    """Return images as (n, height, width, channels) in the model's input dtype.

    They are one or many, gray ones with or without the channel axis, and are not scaled.

    Raises:
        ValueError: no numbers, NaN or infinity, no image at all, another size or one too small for
            a layer, or values that the input dtype cannot hold, such as 0.5 in uint8.
    """
    try:
        array = np.asarray(images)
    except ValueError:
        raise ValueError("the images differ in shape; they must be one array") from None
    if array.dtype.kind not in "buif":
        raise ValueError(f"images must be numbers, not {array.dtype}")
    batch = _fitting(array, view.graph.input_shape)
    if batch.dtype.kind == "f" and not np.isfinite(batch).all():
        raise ValueError("the images contain NaN or infinite values")
    with np.errstate(over="ignore", invalid="ignore"):
        converted = np.ascontiguousarray(batch, dtype=view.graph.dtype)
    whole = converted.dtype.kind in "iu"
    if not (np.array_equal(converted, batch) if whole else np.isfinite(converted).all()):
        raise ValueError(f"images have values that the model's {converted.dtype} input cannot hold")
    view.require_size(converted.shape[1:3])
    return converted


def _fitting(array, shape):
    """Return an array as (n, *shape), as its axes must be meant."""
    gray = shape[2] == 1
    ways = {
        4: [array],
        3: [array[None], array[..., None]] if gray else [array[None]],
        2: [array[None, ..., None]] if gray else [],
    }
    for batch in ways.get(array.ndim, ()):
        sizes = zip(shape, batch.shape[1:], strict=True)
        if batch.size and all(wanted in (None, size) for wanted, size in sizes):
            return batch
    wanted = ", ".join("any" if size is None else str(size) for size in shape)
    raise ValueError(
        f"images have the shape {array.shape}; the model needs (n, {wanted}) "
        "(n at least 1), or one image of that size"
    )


def as_list(names):
    """Return names as a list, also a single one, or what is not a name at all."""
    return list(names) if np.iterable(names) and not isinstance(names, str | bytes) else [names]
