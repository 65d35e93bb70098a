"""Random changes of how training images look, as Keras layers that do nothing outside training.

Each layer changes a share of the images of every batch, other ones each time. Images are (n, h, w,
channels) of any numeric type with values 0..255; the result is float32 0..255. All changes are
generic: a scanner, a camera, a file format or another program may cause them.
"""

import math

from keras import ops, random

from cnnlab.training.augment import TrainingOnly

WHITE = 255.0


class _RandomChange(TrainingOnly):
    def __init__(self, share=0.5, **options):
        super().__init__(**options)
        self.share = share

    def change(self, images):
        """Return the images (n, h, w, channels), float32, some of them changed."""
        # Batches are shuffled, so neighbors in a batch are as good as any; the others cost nothing.
        count = ops.shape(images)[0]
        few = ops.cast(ops.round(self.share * ops.cast(count, "float32")), "int32")
        first = random.randint((), 0, count, seed=self.random)
        images = ops.roll(images, -first, axis=0)
        images = ops.concatenate([self._changed(images[:few]), images[few:]])
        return ops.roll(images, first, axis=0)


class RandomThreshold(_RandomChange):
    """Make pixels fully bright above a share, from `low` to `high`, of the brightest; others 0."""

    def __init__(self, low=0.2, high=0.7, **options):
        super().__init__(**options)
        self.low, self.high = low, high

    def _changed(self, images):
        peak = ops.max(images, axis=(1, 2, 3), keepdims=True)
        limit = self.uniform(images, self.low, self.high) * peak
        return peak * ops.cast(images > limit, images.dtype)


class RandomBlur(_RandomChange):
    """Blur by a Gaussian of a standard deviation of 0 to `largest` pixels."""

    def __init__(self, largest=0.8, **options):
        super().__init__(**options)
        self.largest = largest
        self.passes = math.ceil(largest**2 * 3 / 2)  # three taps have a variance of at most 2/3

    def _changed(self, images):
        variance = self.uniform(images, 0.0, self.largest) ** 2
        side = variance / self.passes / 2  # the weight of each neighbor
        for _ in range(self.passes):
            # Beyond the border it is dark.
            images = ops.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
            images = images[:, 1:-1] + side * (images[:, :-2] + images[:, 2:] - 2 * images[:, 1:-1])
            sides = images[:, :, :-2] + images[:, :, 2:]
            images = images[:, :, 1:-1] + side * (sides - 2 * images[:, :, 1:-1])
        return images


class RandomThickness(_RandomChange):
    """Make strokes up to a pixel thicker, or thinner, on each side.

    Each pixel goes a part of the way to the brightest, or the darkest, of the 3x3 around it.
    """

    def _changed(self, images):
        thick = ops.max_pool(images, 3, strides=1, padding="same")
        dark_outside = ops.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
        thin = -ops.max_pool(-dark_outside, 3, strides=1)
        thicker = ops.cast(self.uniform(images, 0.0, 1.0) < 0.5, images.dtype)
        other = thicker * thick + (1 - thicker) * thin
        return images + self.uniform(images, 0.0, 1.0) * (other - images)


class RandomOcclusion(_RandomChange):
    """Blacken a square of `smallest` to `largest` pixels a side, wholly or partly in the image."""

    def __init__(self, smallest=4.0, largest=10.0, **options):
        super().__init__(**options)
        self.smallest, self.largest = smallest, largest

    def _changed(self, images):
        half = self.uniform(images, self.smallest, self.largest) / 2
        height, width = images.shape[1:3]
        rows = ops.reshape(ops.arange(height, dtype="float32") + 0.5, (1, -1, 1, 1))
        columns = ops.reshape(ops.arange(width, dtype="float32") + 0.5, (1, 1, -1, 1))
        inside = (ops.abs(rows - self.uniform(images, 0.0, height)) < half) & (
            ops.abs(columns - self.uniform(images, 0.0, width)) < half
        )
        return images * (1 - ops.cast(inside, images.dtype))


class RandomContrast(_RandomChange):
    """Multiply all values by a number from `lowest` to 1."""

    def __init__(self, lowest=0.3, **options):
        super().__init__(**options)
        self.lowest = lowest

    def _changed(self, images):
        return images * self.uniform(images, self.lowest, 1.0)


class RandomBackground(_RandomChange):
    """Lay the image on a gray of 0 to `highest` levels; what is white stays white."""

    def __init__(self, highest=16.0, **options):
        super().__init__(**options)
        self.highest = highest

    def _changed(self, images):
        level = self.uniform(images, 0.0, self.highest)
        return level + (1 - level / WHITE) * images


class RandomNoise(_RandomChange):
    """Add Gaussian noise of a standard deviation of 0 to `largest` levels; clipped to 0..255."""

    def __init__(self, largest=16.0, **options):
        super().__init__(**options)
        self.largest = largest

    def _changed(self, images):
        noise = random.normal(ops.shape(images), seed=self.random)
        return ops.clip(images + self.uniform(images, 0.0, self.largest) * noise, 0.0, WHITE)


class RandomInversion(_RandomChange):
    """Turn white on black into black on white."""

    def _changed(self, images):
        return WHITE - images
