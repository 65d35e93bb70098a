"""Random changes of training images, as Keras layers that do nothing outside training."""

import math

import keras
import numpy as np
from keras import ops


class TrainingOnly(keras.layers.Layer):
    """A layer that passes images through unchanged unless it is called with `training=True`."""

    def __init__(self, seed=None, **options):
        super().__init__(**options)
        self.random = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        """Return the images (n, h, w, channels), float32; changed while training."""
        images = ops.cast(images, "float32")
        return self.change(images) if training else images

    def compute_output_shape(self, shape):
        """Return the same shape."""
        return shape

    def uniform(self, images, low, high):
        """Draw one number an image, shaped (n, 1, 1, 1)."""
        shape = (ops.shape(images)[0], 1, 1, 1)
        return keras.random.uniform(shape, low, high, seed=self.random)


class RandomWarp(TrainingOnly):
    """Rotate, scale, shear, shift and bend each image a little, in one bilinear interpolation.

    Each image is enlarged by a factor from `zoom`, (least, most). Other changes at most: `rotation`
    in degrees; `scale` along each axis, a share (0.1 is ±10 %, logarithmic); `shear`, of a row by
    its height, a share; `shift` along each axis, pixels. `bend` is the standard deviation, pixels,
    of displacements at `knots` x `knots` knots of a cubic B-spline (elastic distortion); fewer
    knots bend more smoothly.

    Images are (n, size, size, channels) of any numeric type; the result is float32 of the same
    range. What comes in from outside the image is 0. Source: Simard, Steinkraus, Platt, "Best
    practices for convolutional neural networks applied to visual document analysis" (2003).
    """

    def __init__(
        self,
        rotation=10.0,
        zoom=(1.0, 1.0),
        scale=0.1,
        shear=0.1,
        shift=2.0,
        bend=1.0,
        knots=5,
        **options,
    ):
        super().__init__(**options)
        self.angle, self.scale, self.shear, self.shift = math.radians(rotation), scale, shear, shift
        self.zoom = [math.log(factor) for factor in zoom]
        self.bend, self.knots = bend, knots

    def build(self, shape):
        """Keep the size of the images (n, h, w, channels)."""
        self.size, self.channels = shape[1], shape[-1]
        self.spline = _cubic_spline(self.size, self.knots)

    def change(self, images):
        """Return the images, float32 (n, h, w, channels), each warped in a way of its own."""
        x, y = self._coordinates(images)
        return _sample(images, x, y, self.size, self.channels)

    def _coordinates(self, images):
        """Where each new pixel's value is read, relative to the center: two (n, size, size)."""
        angle, row_shear, x_shift, y_shift, x_scale, y_scale = (
            self.uniform(images, -limit, limit)[..., 0]
            for limit in (self.angle, self.shear, self.shift, self.shift, self.scale, self.scale)
        )
        zoom = self.uniform(images, *self.zoom)[..., 0]
        offsets = ops.arange(self.size, dtype="float32") - (self.size - 1) / 2
        x, y = offsets[None, None, :], offsets[None, :, None]
        sine, cosine = ops.sin(angle), ops.cos(angle)
        new_x = ops.exp(x_scale - zoom) * (cosine * x + (row_shear - sine) * y) + x_shift
        new_y = ops.exp(y_scale - zoom) * (sine * x + cosine * y) + y_shift
        shape = (ops.shape(images)[0], 2, self.knots, self.knots)
        knots = keras.random.normal(shape, stddev=self.bend, seed=self.random)
        bends = ops.einsum("ia,ncab,jb->ncij", self.spline, knots, self.spline)
        return new_x + bends[:, 0], new_y + bends[:, 1]


def _cubic_spline(size, knots):
    """Weights (size, knots) that spread values at evenly spaced knots over a row of pixels."""
    distance = np.abs(np.linspace(0, knots - 1, size)[:, None] - np.arange(knots))
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = (2 - np.minimum(distance, 2)) ** 3 / 6
    weights = np.where(distance < 1, inner, outer)
    return (weights / weights.sum(axis=1, keepdims=True)).astype("float32")


def _sample(images, x, y, size, channels):
    """Bilinear interpolation of (n, size, size, channels) images at coordinates from the center."""
    # A border of zeros stands for everything outside, so that no case needs to be told apart.
    padded = ops.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
    pixels = ops.reshape(padded, (-1, channels))
    width, last = size + 2, size + 0.999
    x = ops.clip(x + (size + 1) / 2, 0, last)
    y = ops.clip(y + (size + 1) / 2, 0, last)
    left, top = ops.floor(x), ops.floor(y)
    first = ops.arange(ops.shape(images)[0]) * width * width
    index = first[:, None, None] + ops.cast(top, "int32") * width + ops.cast(left, "int32")
    right_share, bottom_share = (x - left)[..., None], (y - top)[..., None]

    def row(start):
        at_left = ops.take(pixels, start, axis=0)
        at_right = ops.take(pixels, start + 1, axis=0)
        return at_left + (at_right - at_left) * right_share

    upper = row(index)
    return upper + (row(index + width) - upper) * bottom_share
