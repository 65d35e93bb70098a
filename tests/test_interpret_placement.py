"""The middles of feature map cells, against a search for what each cell looks at."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cnnlab.interpret import placement
from cnnlab.interpret.model.network import inspect_model
from cnnlab.interpret.placement import Grid, interpolation, stretched


def conv(kernel, **options):
    return layers.Conv2D(1, kernel, kernel_initializer="ones", use_bias=False, **options)


def seen_by(model, row, column):
    """Return the pixel middles (y, x) between the borders of what one cell reads."""
    inputs = np.eye(256, dtype=np.float32).reshape(256, 16, 16, 1)
    inner = keras.Model(model.inputs, model.layers[-3].output)
    reads = inner.predict(inputs, verbose=0)[:, row, column, 0].reshape(16, 16) != 0
    return tuple((np.flatnonzero(reads.any(axis)).mean() + 0.5) for axis in (1, 0))


STACKS = {
    "strided, same, even size": [conv(5, strides=2, padding="same")],
    "dilated": [conv(3, dilation_rate=2)],
    "oblong": [conv((3, 5), strides=(1, 2))],
    "pooled": [conv(3), layers.AveragePooling2D(2)],
    "pooled, same": [layers.AveragePooling2D(3, strides=2, padding="same"), layers.ReLU()],
    "padded and cropped": [layers.ZeroPadding2D(((2, 1), (0, 3))), conv(3), layers.Cropping2D(1)],
    "enlarged": [conv(3), layers.UpSampling2D(3), conv(3, strides=3)],
    "depthwise": [layers.DepthwiseConv2D(3, depthwise_initializer="ones", use_bias=False)],
}


@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_a_cell_lies_in_the_middle_of_what_it_reads(stack):
    model = keras.Sequential([keras.Input((16, 16, 1)), *stack, layers.Flatten(), layers.Dense(2)])
    network = inspect_model(model)
    call = network.layer(stack[-1].name)
    down, across = placement.grids(network, call)
    rows, columns = call.shape[:2]
    for row, column in ((rows // 2, columns // 2), (rows // 2 - 1, columns // 2 + 1)):
        expected = seen_by(model, row, column)
        found = (down.first + down.spacing * row, across.first + across.spacing * column)
        # Several enlarged cells read the same pixels.
        near = 0.51 if stack is STACKS["enlarged"] else 1e-6
        np.testing.assert_allclose(found, expected, atol=near)


def grids_of_sum(*ways):
    """The grids of the sum of two ways from the image."""
    image = keras.Input((8, 8, 1))
    joined = layers.Add(name="joined")([way(image) for way in ways])
    network = inspect_model(keras.Model(image, layers.Dense(2)(layers.Flatten()(joined))))
    return placement.grids(network, network.layer("joined"))


def test_two_ways_meet_where_their_geometry_is_one_and_known():
    assert grids_of_sum(conv(3, padding="same"), layers.ReLU()) == (Grid(0.5, 1), Grid(0.5, 1))
    assert grids_of_sum(conv(3), layers.Cropping2D(((2, 0), (2, 0)))) is None
    unknown = layers.Conv2DTranspose(1, 2, strides=2)
    assert grids_of_sum(unknown, layers.UpSampling2D(2)) is None


def test_interpolation_is_exact_at_the_middles_and_adds_up_to_one():
    matrix = interpolation(Grid(3.5, 8), 4, 28)
    assert matrix.shape == (28, 4) and matrix.dtype == np.float32
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(matrix[[3, 11, 19, 27]], np.eye(4))
    np.testing.assert_array_equal(matrix[0], matrix[3])  # beyond the first middle
    np.testing.assert_allclose(matrix[7], [0.5, 0.5, 0, 0])


def test_stretching_is_what_tensorflow_does():
    raw = np.random.default_rng(0).random((2, 5, 3)).astype(np.float32)
    down, across = interpolation(stretched(5, 28), 5, 28), interpolation(stretched(3, 20), 3, 20)
    expected = tf.image.resize(raw[..., None], (28, 20), "bilinear")[..., 0]
    np.testing.assert_allclose(down @ raw @ across.T, expected, atol=1e-6)
