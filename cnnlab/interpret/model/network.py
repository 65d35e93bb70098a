"""What the techniques ask of a model: its layers, its heads, what lies on the way to what.

The view of a model is made once and kept as long as the model lives, with the functions that
TensorFlow compiled for it, so that a second call costs no more than the computation.
"""

import difflib
import weakref

import keras
import numpy as np
import tensorflow as tf

from cnnlab.interpret.model import scores
from cnnlab.interpret.model.graph import Graph
from cnnlab.interpret.model.reading import read

CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
_views = weakref.WeakKeyDictionary()  # {model: Network}


class ModelView:
    """A model's layers and heads by name; it holds no reference to the model itself.

    Attributes:
        graph: the `Graph` of calls.
        heads: {name: Head}, in the model's order; empty where no output answers with classes.
        layers: {name: Call} of every layer, nested ones as "outer/name", in the order of the graph.
        compiled: {key: function}; what the techniques keep.
    """

    def __init__(self, graph: Graph):
        self.graph = graph
        self.heads = scores.heads(graph)
        self.layers = {
            call.name: call
            for call in graph.calls
            if isinstance(call.operation, keras.layers.Layer)
        }
        self.compiled = {}
        self.state = ()  # of the model when it was read, see `inspect_model`
        self._sizes = set()  # (height, width) that have passed `require_size`

    def layer(self, name: str):
        """Return the call of a layer by its name; "conv" also finds the only ".../conv".

        Raises:
            ValueError: no such layer, or several; the message lists what there is.
        """
        if isinstance(name, str) and name in self.layers:
            return self.layers[name]
        ends = [full for full in self.layers if full.endswith(f"/{name}")]
        if len(ends) == 1:
            return self.layers[ends[0]]
        if ends:
            raise ValueError(f"several layers are called {name!r}: {', '.join(ends)}")
        close = difflib.get_close_matches(str(name), self.layers, n=1)
        meant = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(f"no layer {name!r}{meant}; the layers are {', '.join(self.layers)}")

    def feature_maps(self, head=None) -> list[str]:
        """Return the layers whose output is (height, width, channels), on the way to `head`."""
        ways = self.graph.calls if head is None else self.graph.ancestors(head.value)
        return [call.name for call in ways if call.name in self.layers and len(call.shape) == 3]

    def convolutions(self, head=None) -> list[str]:
        """Return the convolution layers, and layers with one inside, of one head or of all."""
        return [
            name
            for name in self.feature_maps(head)
            if any(
                isinstance(layer, CONVOLUTIONS)
                for layer in self.layers[name].operation._flatten_layers()
            )
        ]

    def feature_map(self, name: str | None, head):
        """Return the call of a layer with feature maps on the way to a head.

        Args:
            name: of the layer; None takes the last convolution on the way, or the last layer with
                feature maps if there is no convolution; one with a single place, which can tell
                nothing about where, only if there is no other.
            head: a `scores.Head`.

        Raises:
            ValueError: no such layer, no feature maps, or not on the way to the head; the message
                lists the usable layers.
        """
        usable = self.feature_maps(head)
        if not usable:
            raise ValueError(f"no layer on the way to {head.name!r} has feature maps")
        if name is None:
            wide = [name for name in usable if self.layers[name].shape[:2] != (1, 1)] or usable
            found = [name for name in self.convolutions(head) if name in wide]
            return self.layers[(found or wide)[-1]]
        call = self.layer(name)
        if call.name not in usable:
            why = (
                f"does not feed the head {head.name!r}"
                if len(call.shape) == 3
                else f"gives {call.shape} for an image, not (height, width, channels)"
            )
            raise ValueError(f"layer {call.name!r} {why}; usable are {', '.join(usable)}")
        return call

    def consumers(self, value: int):
        """Return the calls that read a value."""
        return [call for call in self.graph.calls if value in call.inputs]

    def function(self, key, make):
        """Return the `tf.function` kept under a key; `make()` returns it the first time.

        It must have an `input_signature`. It is traced here, since TensorFlow warns of functions
        that are often traced by being called, even if each is another function.
        """
        if key not in self.compiled:
            self.compiled[key] = make()
            self.compiled[key].get_concrete_function()
        return self.compiled[key]

    def require_size(self, size):
        """Check that a model of any size can take images of this (height, width).

        TensorFlow does not always say so: of 2 x 2 pixels its 3 x 3 convolution makes nonsense.

        Raises:
            ValueError: it cannot.
        """
        if None not in self.graph.input_shape[:2] or size in self._sizes:
            return
        image = tf.TensorSpec((1, *size, self.graph.input_shape[2]), self.graph.dtype)
        outputs = list(self.graph.outputs.values())
        try:  # the shapes are computed, but no number is
            tf.function(lambda images: self.graph.run(images, outputs)).get_concrete_function(image)
        except Exception as error:  # whatever the layers say
            raise ValueError(
                f"the model cannot take images of {size[1]} × {size[0]} pixels: "
                "they are too small for a layer, or do not fit it"
            ) from error
        self._sizes.add(size)

    def signature(self):
        """Return what `tf.function` should expect for a batch of any number of images."""
        return tf.TensorSpec((None, *self.graph.input_shape), self.graph.dtype)


def inspect_model(model, images=None) -> ModelView:
    """Return the view of a model, made anew if layers or activations were exchanged since.

    Args:
        model: a Keras model. A Sequential that was never called has no weights yet; it is built
            for the shape of `images`, as its first call would do. Nothing else is changed.
        images: (n, height, width[, channels]) array, only needed for that.

    Raises:
        TypeError, ValueError: as `reading.read`.
    """
    if isinstance(model, keras.Sequential) and not model.built and images is not None:
        shape = _image_shape(np.shape(images))
        if shape:
            model.build((None, *shape))
    kept = _views.get(model) if isinstance(model, keras.Model) else None
    state = _state(model)
    if kept is None or kept.state != state:
        kept = ModelView(read(model))
        kept.state = state
        _views[model] = kept
    return kept


def _image_shape(shape):
    """Return (height, width, channels) of images of this shape, or None if they can be none."""
    if len(shape) == 4:
        return shape[1:]
    if len(shape) == 3 and shape[2] <= 4:
        return shape  # one image with its channels; else gray ones, for none is so narrow
    return (*shape[-2:], 1) if len(shape) in (2, 3) else None


def _state(model):
    """Return what tells a changed model: its layers and their activations, also nested ones.

    The objects, not their ids: Python gives the id of a function that is gone to the next one.
    """
    layers = getattr(model, "_flatten_layers", lambda **_: ())(include_self=False)
    return tuple((layer, getattr(layer, "activation", None)) for layer in layers)


def as_batch(network: ModelView, images) -> np.ndarray:
    """Return what the user has as (n, height, width, channels) in the model's input dtype.

    Args:
        network: of the model, which says the size.
        images: one image or many, gray ones with or without the channel axis; the values are
            those that the model's own input needs, and are not scaled.

    Raises:
        ValueError: numbers of another kind, NaN or infinity, no image at all, another size, one
            too small for a layer, or values that the model's input dtype cannot hold, such as 0.5
            in uint8.
    """
    try:
        array = np.asarray(images)
    except ValueError:
        raise ValueError("the images differ in shape; they must be one array") from None
    if array.dtype.kind not in "buif":
        raise ValueError(f"images must be numbers, not {array.dtype}")
    shape = network.graph.input_shape
    fits = [
        batch
        for batch in _readings(array, gray=shape[2] == 1)
        if all(want in (None, have) for want, have in zip(shape, batch.shape[1:], strict=True))
    ]
    if not fits or fits[0].size == 0:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(
            f"images have the shape {array.shape}; the model needs (n, {wanted}) "
            "(n at least 1), or one image of that size"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("the images contain NaN or infinite values")
    with np.errstate(over="ignore", invalid="ignore"):
        batch = np.ascontiguousarray(fits[0], dtype=network.graph.dtype)
    exact = np.array_equal(batch, fits[0]) if batch.dtype.kind in "iu" else np.isfinite(batch).all()
    if not exact:
        raise ValueError(f"images have values that the model's {batch.dtype} input cannot hold")
    network.require_size(batch.shape[1:3])
    return batch


def _readings(array, gray):
    """Return the array as (n, h, w, c) in each way that its axes can be meant."""
    if array.ndim == 4:
        return [array]
    if array.ndim == 3:
        return [array[None], array[..., None]] if gray else [array[None]]
    if array.ndim == 2 and gray:
        return [array[None, ..., None]]
    return []


def as_list(names):
    """Return names as a list, also a single one, or what is no name at all."""
    return list(names) if np.iterable(names) and not isinstance(names, str | bytes) else [names]
