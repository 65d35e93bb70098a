"""Where cells lie, against a search for what each of them looks at, and blobs against heat."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from cnnlab.interpret import grad_cam
from cnnlab.interpret.model.network import inspect_model
from cnnlab.interpret.model.places import Grid, arranged
from cnnlab.interpret.placement import interpolation, stretched

HEIGHT, WIDTH = 24, 28
NEAR_BORDER = 4  # pixels, where padding is also looked at


# --- layers whose weights are all 1, so that a cell adds up what it looks at


def conv(kernel, **options):
    return layers.Conv2D(2, kernel, kernel_initializer="ones", use_bias=False, **options)


def deconv(kernel, **options):
    return layers.Conv2DTranspose(2, kernel, kernel_initializer="ones", use_bias=False, **options)


def padded(kind, **options):
    return kind(2, 3, kernel_initializer="ones", use_bias=False, **options)


def dense(units):
    return layers.Dense(units, kernel_initializer="ones", use_bias=False)


mean = layers.AveragePooling2D


class Flip(layers.Layer):
    def call(self, inputs):
        return inputs[:, ::-1]


class Scale(layers.Layer):
    def call(self, inputs):
        return 0.5 * inputs


class Rectified(layers.Layer):
    """Flips, shifts, scales and cuts off at once."""

    def call(self, inputs):
        return ops.relu(0.5 * inputs[:, :, ::-1] - 0.01)


class Zoom(layers.Layer):
    """Twice as large, and twice as bright."""

    def call(self, inputs):
        height, width = inputs.shape[1:3]
        middle = inputs[:, height // 4 : -height // 4, width // 4 : -width // 4]
        return 2 * ops.image.resize(middle, (height, width), interpolation="nearest")


class Padded(layers.Conv2D):
    """A convolution that pads its input itself, on one side more than on the other."""

    def call(self, inputs):
        return super().call(ops.pad(inputs, ((0, 0), (5, 2), (0, 6), (0, 0))))


class Standardized(layers.Conv2D):
    """As that of BiT: its places are those of any convolution."""

    def call(self, inputs):
        return super().call(inputs) + 0


class Block(layers.Layer):
    """A strided residual block as one layer."""

    def build(self, shape):
        self.first = layers.Conv2D(4, 3, strides=2, padding="same")
        self.second = layers.Conv2D(2, 3, padding="same")
        self.bypass = layers.Conv2D(2, 1, strides=2)

    def call(self, inputs):
        return ops.relu(self.second(ops.relu(self.first(inputs))) + self.bypass(inputs))


class Highest(layers.Layer):
    """Seems to move values, but compares them first."""

    def call(self, inputs):
        return ops.max_pool(inputs, 2)


class Around(layers.Layer):
    """Moves everything down by three rows, what falls out comes in above, and squeezes it."""

    def call(self, inputs):
        return ops.tanh(ops.roll(inputs, 3, axis=1))


class Decide(layers.Layer):
    """Its size is known only when it is called."""

    def call(self, inputs):
        return inputs[:, : tf.reduce_sum(tf.cast(inputs[0, :, 0, 0] >= 0, "int32")) - 1]


class Picky(layers.Layer):
    """Takes no batch of a given size."""

    def call(self, inputs):
        assert inputs.shape[0] is None
        return inputs


class WithToken(layers.Layer):
    """Puts a learned token in front of the others."""

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="zeros", name="token")

    def call(self, inputs):
        token = ops.broadcast_to(self.token, (ops.shape(inputs)[0], 1, inputs.shape[-1]))
        return ops.concatenate([token, inputs], axis=1)


def cut(x, side=4):
    """(n, h, w, c) as (n, h / side, w / side, side, side, c)."""
    _, height, width, channels = x.shape
    x = ops.reshape(x, (-1, height // side, side, width // side, side, channels))
    return ops.transpose(x, (0, 1, 3, 2, 4, 5))


def windows(x, side=4):
    """The windows of (n, h, w, c), in the batch axis."""
    return ops.reshape(cut(x, side), (-1, side * side, x.shape[-1]))


def joined(x, side=4):
    """The windows as one map again."""
    x = ops.reshape(x, (-1, HEIGHT // side, WIDTH // side, side, side, x.shape[-1]))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, HEIGHT, WIDTH, x.shape[-1]))


def patches(x, side=4):
    """(n, tokens, side * side * c)."""
    tokens = x.shape[1] * x.shape[2] // side**2
    return ops.reshape(cut(x, side), (-1, tokens, side**2 * x.shape[3]))


def tokens(x):
    return layers.Reshape((-1, 2))(conv(4, strides=4)(x))


def gated(x, **options):
    """Squeeze and excitation, with factors of (n, 1, 1, channels) or of (n, channels)."""
    squeezed = layers.GlobalAveragePooling2D(**options)(x)
    return layers.Multiply()([x, layers.Dense(2, activation="sigmoid")(squeezed)])


def shifted(x):
    """A Swin block: moved around, in windows, and back."""
    x = dense(2)(windows(ops.roll(x, (-2, -2), axis=(1, 2))))
    return ops.roll(joined(x), (2, 2), axis=(1, 2))


def edges(x, mode="constant"):
    return ops.pad(x, ((0, 0), (2, 1), (0, 3), (0, 0)), mode=mode)


FOLLOWED = {
    "strided, same, even size": lambda x: conv(5, strides=2, padding="same")(x),
    "dilated": lambda x: conv(3, dilation_rate=2)(x),
    "oblong": lambda x: conv((3, 5), strides=(1, 2))(x),
    "depthwise": lambda x: layers.DepthwiseConv2D(3, depthwise_initializer="ones")(x),
    "separable": lambda x: layers.SeparableConv2D(
        2, 3, strides=2, depthwise_initializer="ones", pointwise_initializer="ones"
    )(x),
    "in a wrapper": lambda x: layers.SpectralNormalization(conv(3, strides=2))(x),
    "pooled": lambda x: mean(2)(conv(3)(x)),
    "pooled, same": lambda x: layers.ReLU()(mean(3, strides=2, padding="same")(x)),
    "pooled, adaptive": lambda x: layers.AdaptiveAveragePooling2D((6, 14))(x),
    "pooled and convolved by operations": lambda x: ops.conv(
        ops.average_pool(x, 2, padding="same"), np.ones((3, 3, 1, 2), "float32"), strides=2
    ),
    "transposed": lambda x: mean(2)(deconv(4, strides=2, padding="same")(conv(3)(x))),
    "transposed, valid": lambda x: mean(3)(deconv(3, strides=3)(x)),
    "transposed next to enlarged": lambda x: mean(2)(
        layers.Add()([deconv(2, strides=2)(x), layers.UpSampling2D(2)(conv(1)(x))])
    ),
    "enlarged": lambda x: conv(3, strides=3)(layers.UpSampling2D(3)(conv(3)(x))),
    "enlarged, bilinear": lambda x: mean(2)(layers.UpSampling2D(2, interpolation="bilinear")(x)),
    "resized": lambda x: mean(2)(layers.Resizing(48, 56)(x)),
    "resized, nearest": lambda x: mean(2)(layers.Resizing(48, 56, interpolation="nearest")(x)),
    "resized, cropped": lambda x: mean(2)(layers.Resizing(48, 48, crop_to_aspect_ratio=True)(x)),
    "resized, padded": lambda x: mean(2)(layers.Resizing(56, 56, pad_to_aspect_ratio=True)(x)),
    "resized by an operation": lambda x: mean(2)(ops.image.resize(x, (48, 56), "bicubic")),
    "cropped in the middle": lambda x: conv(3)(layers.CenterCrop(19, 22)(x)),
    "cropped to more": lambda x: mean(2)(layers.CenterCrop(48, 64)(x)),
    "padded and cropped": lambda x: layers.Cropping2D(1)(
        conv(3)(layers.ZeroPadding2D(((2, 1), (0, 3)))(x))
    ),
    "padded by an operation": lambda x: conv(3)(edges(x)),
    "padded by a mirror": lambda x: conv(3)(edges(x, "reflect")),
    "image padded": lambda x: conv(3)(ops.image.pad_images(x, 3, 1, 3, 5)),
    "image cropped": lambda x: conv(3)(ops.image.crop_images(x, 3, 1, 3, 3)),
    "sliced": lambda x: conv(3)(x[:, 2:-3, 1::2]),
    "split": lambda x: ops.split(conv(3)(x), 2, axis=1)[0],
    "flipped": lambda x: conv((3, 5), strides=(1, 2))(ops.flip(x, axis=2)),
    "flipped and back": lambda x: ops.flip(conv(3, strides=2)(ops.flip(x, axis=1)), axis=1),
    "flipped by a layer of one's own": lambda x: conv(3, strides=2)(Flip()(x)),
    "flipped by a function": lambda x: conv(3)(layers.Lambda(lambda y: y[:, ::-1, ::-1])(x)),
    "scaled by a layer of one's own": lambda x: conv(3, strides=2)(Scale()(x)),
    "flipped and rectified by a layer of one's own": lambda x: conv(3)(Rectified()(x)),
    "zoomed by a layer of one's own": lambda x: mean(2)(Zoom()(x)),
    "padded by a layer of one's own": lambda x: padded(Padded)(x),
    "standardized by a layer of one's own": lambda x: padded(Standardized, strides=2)(x),
    "mirrored by a matrix": lambda x: conv(3)(
        ops.einsum("nhwc,wv->nhvc", x, np.eye(WIDTH, dtype="float32")[::-1].copy())
    ),
    "channels taken and stacked": lambda x: conv(3, strides=2)(
        ops.stack([x[..., 0] - 0.1, 2 * x[..., 0]], axis=-1)
    ),
    "mean of the channels": lambda x: conv(3, strides=2)(
        ops.expand_dims(ops.mean(conv(3)(x), axis=-1), -1)
    ),
    "channels first and last again": lambda x: conv(3, strides=2)(
        ops.transpose(
            layers.BatchNormalization(axis=1)(layers.Permute((3, 1, 2))(conv(1)(x))), (0, 2, 3, 1)
        )
    ),
    "transposed axes": lambda x: conv((3, 5), strides=(1, 2))(ops.transpose(x, (0, 2, 1, 3))),
    "permuted": lambda x: conv(3)(layers.Permute((2, 1, 3))(x)),
    "turned": lambda x: conv((3, 5), strides=(1, 2))(ops.rot90(x, axes=(1, 2))),
    "rolled": lambda x: ops.roll(conv(3, padding="same")(x), (3, -2), axis=(1, 2)),
    "shifted windows": lambda x: conv(3, strides=2)(shifted(x)),
    "space to depth": lambda x: conv(3)(
        ops.concatenate([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=-1)
    ),
    "depth to space": lambda x: mean(2)(
        ops.nn.depth_to_space(ops.repeat(conv(3)(x), 4, axis=-1), 2)
    ),
    "repeated": lambda x: mean((2, 1))(ops.repeat(conv(3)(x), 2, axis=1)),
    "patches": lambda x: conv(1)(ops.image.extract_patches(x, 4)),
    "patches that overlap": lambda x: conv(1)(
        ops.image.extract_patches(x, 6, strides=3, padding="same")
    ),
    "tokens": tokens,
    "tokens of patches": lambda x: dense(3)(patches(x)),
    "tokens after a class token": lambda x: WithToken()(tokens(x)),
    "tokens without it": lambda x: WithToken()(tokens(x))[:, 1:],
    "gated": lambda x: gated(conv(3, strides=2)(x), keepdims=True),
    "gated by a row": lambda x: gated(conv(3, strides=2)(x)),
    "branches": lambda x: ops.concatenate([conv(1)(x), conv(5, padding="same")(x)], axis=-1),
    "cropped in training": lambda x: conv(3)(layers.RandomCrop(20, 22)(x)),
    "augmented": lambda x: conv(3, strides=2)(layers.RandomFlip()(layers.RandomZoom(0.3)(x))),
}


def build(way, size=(HEIGHT, WIDTH)):
    """A model of a way from the image to "map", and a head that adds it up."""
    image = keras.Input((*size, 1))
    features = layers.Identity(name="map")(way(image))
    summed = layers.GlobalAveragePooling2D if len(features.shape) == 4 else layers.Flatten
    return keras.Model(image, dense(1)(summed()(features)))


def found_at(model):
    """The cells of "map" and their grids."""
    view = inspect_model(model)
    return arranged(view.geometry().places[view.layer("map").outputs[0]])


def looks_at(model):
    """(height, width, cells): how much each pixel adds to each cell, one pixel after the other."""
    inner = keras.Model(model.inputs[0], model.get_layer("map").output)
    pixels = np.eye(HEIGHT * WIDTH, dtype=np.float32).reshape(-1, HEIGHT, WIDTH, 1)
    given, black = (np.asarray(inner(part, training=False)) for part in (pixels, 0 * pixels[:1]))
    return np.abs(given - black).sum(axis=-1).reshape(HEIGHT, WIDTH, -1)


def middles_seen(model, cells):
    """{(row, column): (y, x)} of the cells that look at nothing near the border."""
    seen, middles = looks_at(model)[..., cells], {}
    for cell in np.ndindex(cells.shape):
        weights = seen[..., *cell]
        ys, xs = np.nonzero(weights)
        ends = [*ys, HEIGHT - 1 - ys.max(initial=0), *xs, WIDTH - 1 - xs.max(initial=0)]
        if len(ys) and min(ends) >= NEAR_BORDER:
            middles[cell] = np.average([ys + 0.5, xs + 0.5], axis=1, weights=weights[ys, xs])
    return middles


def hottest(model, y, x, **options):
    """The middle of the hottest pixels for an image with a blob around (y, x), and the note."""
    image = np.zeros((HEIGHT, WIDTH), np.float32)
    image[y - 1 : y + 1, x - 1 : x + 1] = 1
    heat = grad_cam(model, image, **options)
    pixels = np.argwhere(heat.maps[0] > 0.99 * heat.maps.max())
    return pixels.mean(axis=0) + 0.5, heat.note[0]


@pytest.mark.parametrize("way", FOLLOWED.values(), ids=FOLLOWED)
def test_a_cell_lies_in_the_middle_of_what_it_looks_at_and_heat_on_the_blob(way):
    model = build(way)
    cells, (down, across) = found_at(model)
    expected = middles_seen(model, cells)
    assert len(expected) > 3
    for (row, column), middle in expected.items():
        found = down.first + down.spacing * row, across.first + across.spacing * column
        np.testing.assert_allclose(found, middle, atol=0.01)
    place, note = hottest(model, 10, 18, layer="map")
    assert note == ""
    assert np.all(np.abs(place - (10, 18)) <= (down.spacing, across.spacing)), place


@pytest.mark.parametrize("layer", [Block, Highest])
def test_of_a_block_of_ones_own_the_places_are_found_by_trying_to_less_than_half_a_cell(layer):
    keras.utils.set_random_seed(0)
    model = build(lambda x: layer()(conv(1)(x)))
    cells, (down, across) = found_at(model)
    expected = middles_seen(model, cells)
    for (row, column), middle in expected.items():
        found = down.first + down.spacing * row, across.first + across.spacing * column
        np.testing.assert_allclose(found, middle, atol=down.spacing / 2)


def test_two_ways_that_differ_by_half_a_cell_meet_between():
    ways = [conv(kernel, strides=2, padding="same") for kernel in (1, 3)]  # a strided residual
    cells, (down, across) = found_at(build(lambda x: layers.Add()([way(x) for way in ways])))
    assert down == across == Grid(1.0, 2)  # between 0.5 and 1.5
    np.testing.assert_array_equal(cells, np.arange(cells.size).reshape(cells.shape))


# --- what has no place of its own, and takes none from others


def everywhere(x):
    """What a pyramid adds: the mean of the whole, as large as the map."""
    small = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return layers.UpSampling2D(x.shape[1:3])(small)


def coordinate_attention(x):
    return ops.sigmoid(ops.mean(x, axis=2, keepdims=True)) * x


def non_local(x):
    rows = layers.Reshape((-1, 2))(x)
    attention = ops.softmax(ops.matmul(rows, ops.transpose(rows, (0, 2, 1))))
    return layers.Reshape(x.shape[1:])(ops.matmul(attention, rows))


def mixed(x):
    """What a mixer adds: each channel mixed over all positions."""
    rows = layers.Permute((2, 1))(layers.Reshape((-1, 2))(x))
    return layers.Reshape(x.shape[1:])(layers.Permute((2, 1))(dense(rows.shape[2])(rows)))


def attended(x):
    rows = layers.Reshape((-1, 2))(x)
    fewer = layers.Reshape((-1, 2))(mean(2)(x))
    return layers.Reshape(x.shape[1:])(layers.MultiHeadAttention(1, 2)(rows, fewer))


@pytest.mark.parametrize("way", [everywhere, coordinate_attention, non_local, mixed, attended])
def test_what_looks_everywhere_leaves_the_places_of_what_it_is_added_to(way):
    def both(x):
        features = conv(5, strides=2)(x)
        return layers.Add()([features, way(features)])

    _, grids = found_at(build(both))
    assert grids == (Grid(2.5, 2), Grid(2.5, 2))


# --- what cannot be followed is said


def mirrored(x):
    shared = conv(3, padding="same")
    return layers.Average()([shared(x), shared(ops.flip(x, axis=2))])


HALF = 0.5**0.5
STRETCHED = {
    "two mirrored paths": mirrored,
    "paths a cell apart": lambda x: layers.Add()(
        [conv(3)(x), layers.Cropping2D(((2, 0), (2, 0)))(conv(1)(x))]
    ),
    "a layer of one's own": lambda x: conv(3)(Around()(x)),
    "a layer of one's own, of any size": lambda x: conv(3)(Decide()(x)),
    "moved around, then convolved": lambda x: conv(3)(ops.roll(x, 3, axis=1)),
    "repeated unevenly": lambda x: ops.repeat(x, [2] * 4 + [1] * (HEIGHT - 4), axis=1),
    "turned by 45 degrees": lambda x: conv(3)(
        ops.image.affine_transform(x, np.float32([HALF, HALF, -8, -HALF, HALF, 12, 0, 0]))
    ),
    "out of a row": lambda x: layers.Reshape((4, 4, 2))(
        dense(32)(layers.GlobalAveragePooling2D()(conv(3)(x)))
    ),
}


@pytest.mark.parametrize("way", STRETCHED.values(), ids=STRETCHED)
def test_where_cells_lie_is_not_known_and_said(way):
    model = build(way)
    assert found_at(model) is None
    image = np.random.default_rng(0).random((HEIGHT, WIDTH)).astype(np.float32)
    heat = grad_cam(model, image, layer="map")
    assert heat.note == (
        "stretched over the image, since it is not known where the layer's cells lie",
    )
    raw = np.maximum(heat.raw, 0)[..., None]
    expected = tf.image.resize(raw, (HEIGHT, WIDTH), "bilinear")[0, ..., 0]
    np.testing.assert_allclose(heat.maps[0], expected / np.max(expected), atol=1e-5)


def test_a_model_of_any_size_is_followed_at_the_size_of_the_images():
    model = build(lambda x: conv(5, strides=4, padding="same")(ops.flip(x, axis=1)), (None, None))
    place, note = hottest(model, 10, 18, layer="map")
    assert np.all(np.abs(place - (10, 18)) < 4) and note == ""
    image = np.zeros((30, 33), np.float32)
    image[19:23, 10:14] = 1
    heat = grad_cam(model, image, layer="map")
    assert np.all(np.abs(np.argwhere(heat.maps[0] == 1).mean(axis=0) - (20.5, 11.5)) < 4)
    assert len(inspect_model(model).compiled) == 1


def test_a_layer_that_takes_no_batch_of_two_is_followed_by_its_open_shape():
    model = build(lambda x: conv(3, strides=2)(Picky()(x)))
    place, note = hottest(model, 10, 18, layer="map")
    assert np.all(np.abs(place - (10, 18)) <= 2) and note == ""


# --- enlarging


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
