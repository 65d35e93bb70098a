"""Models of several inputs, one of which is the image: what the others are is given once."""

import keras
import numpy as np


class Given(keras.layers.Layer):
    """Gives the same value for each image of a batch, whatever the image is."""

    def __init__(self, value, name):
        super().__init__(name=name)
        self.value = value

    def call(self, images):
        """Return the value (n, ...) for n images."""
        count = keras.ops.shape(images)[0]
        value = keras.ops.convert_to_tensor(self.value)
        return keras.ops.broadcast_to(value[None], (count, *self.value.shape))

    def compute_output_spec(self, images):
        """Return the shape and dtype of that, (n, ...)."""
        return keras.KerasTensor((images.shape[0], *self.value.shape), str(self.value.dtype))


def with_given(model, image: str, **others) -> keras.Model:
    """Return a model of one image that shares a model's layers, its other inputs being given.

    `image` is the name of the input that is explained; each of the others is an array without the
    batch axis, such as age=[33] for an input (batch, 1).

    Raises:
        ValueError: no such input, one that is not given, or a value of another shape.
    """
    inputs = {tensor.name: tensor for tensor in model.inputs}
    names = ", ".join(inputs)
    for name in (image, *others):
        if name not in inputs:
            raise ValueError(f"no input {name!r}; the model takes {names}")
    for name in inputs:
        if (name in others) == (name == image):
            what = "is the image itself" if name in others else "is not given"
            raise ValueError(f"input {name!r} {what}; the model takes {names}")
    seen = keras.Input(batch_shape=inputs[image].shape, dtype=inputs[image].dtype, name=image)
    values = {image: seen}
    for name, value in others.items():
        tensor = inputs[name]
        array = np.asarray(value, keras.backend.standardize_dtype(tensor.dtype))
        wanted = [own or size for own, size in zip(tensor.shape[1:], array.shape, strict=False)]
        if array.ndim != len(tensor.shape) - 1 or array.shape != tuple(wanted):
            raise ValueError(f"input {name!r} takes {tensor.shape[1:]}, not {array.shape}")
        values[name] = Given(array, f"given_{name}")(seen)
    outputs = model([values[tensor.name] for tensor in model.inputs])
    return keras.Model(seen, outputs)
