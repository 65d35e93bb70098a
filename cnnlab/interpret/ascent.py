"""Gradient ascent on the pixels of an image: its settings, its first image and its steps."""

from dataclasses import asdict, dataclass

import numpy as np
import tensorflow as tf

from cnnlab.interpret.model.memory import require_image
from cnnlab.interpret.responses import Response, middle_response, objective, response_maps

GRAY, NOISE = 0.5, 0.1  # the blank image, and what is added before the first step
CALM = 0.25  # the last part of the steps, in which the image is not shifted any more
LIMITS = {
    "steps": (1, 10**5),
    "jitter": (0, 100),
    "seed": (0, 2**31 - 1),
    "step_size": (1e-6, 10.0),
    "smoothness": (0.0, 1.0),
    "negative_slope": (1e-6, 1.0),
}
WHOLE = ("steps", "jitter", "seed")
SETTINGS = {
    name: tf.TensorSpec((), "int32" if name in WHOLE else "float32")
    for name in ("low", "high", *LIMITS)
}


@dataclass(frozen=True)
class Ascent:
    """How the pixels ascend; ValueError for a number outside LIMITS.

    The defaults come from looking at first, middle and last convolutions for 28 x 28 pixels. From
    black instead of gray, filters that look for dark pixels stay nearly blank; without jitter,
    strides show as checkerboards; with more smoothness a first layer loses its fine patterns, with
    larger steps some of its pictures become one tone; 64 steps reach 7/8 of what 200 do.
    """

    steps: int = 64
    step_size: float = 0.3  # quadratic mean of the first step, the range being 1; falls to 1/10
    smoothness: float = 0.25  # 0..1, of the gradient, shared with the 8 neighbors; falls to 0
    jitter: int = 1  # pixels, by how much the image is shifted at most
    negative_slope: float = 0.01  # what a position counts that is cut off, 0 < .. <= 1
    seed: int = 0  # of the shifts and the noise, the same for all filters
    everywhere: bool = True  # the mean over all positions; else the response in the middle alone
    size: tuple[int, int] | None = None  # (height, width), for a model that takes any

    def __post_init__(self):
        for name, (least, most) in LIMITS.items():
            value = getattr(self, name)
            kinds = int | np.integer if name in WHOLE else int | float | np.number
            if not isinstance(value, kinds) or not least <= value <= most:
                kind = "a whole number" if name in WHOLE else "a number"
                raise ValueError(f"{name} must be {kind} from {least:g} to {most:g}, not {value!r}")

    def settings(self, low, high):
        """Return what the compiled ascent takes: {name of SETTINGS: number or (channels,)}."""
        numbers = asdict(self) | {"low": low, "high": high}
        return {name: spec.dtype.as_numpy_dtype(numbers[name]) for name, spec in SETTINGS.items()}

    def first_image(self, shape):
        """Return (1, height, width, channels) float32, 0..1, noisy gray, for an input's shape."""
        sides = shape[:2] if self.size is None else self.size
        fits = np.shape(sides) == (2,) and all(
            isinstance(side, int | np.integer) and side > 0 and wanted in (None, side)
            for side, wanted in zip(sides, shape[:2], strict=True)
        )
        if not fits or shape[2] is None:
            raise ValueError(
                f"the model takes (height, width, channels) = {shape}, where None is any; "
                f"size must be (height, width) of such an image, not {self.size!r}"
            )
        require_image(*sides, shape[2])
        noise = np.random.default_rng(self.seed).uniform(-NOISE, NOISE, (1, *sides, shape[2]))
        return (GRAY + noise).astype(np.float32)


def compile_ascent(view, read: Response, everywhere=True, ends=()):
    """Return the function that ascends, compiled once for all filters of a layer.

    `ends` is the shape of "low" and "high" in SETTINGS: (3,) where each channel has its own.

    (first image (1, height, width, channels) 0..1, (count,) numbers of filters, SETTINGS) ->
    {"images", "start", "end"} as in `FilterImages`, "top": (count,) the highest response of a
    position in that picture, "reached": (count,) whether a gradient has arrived.
    """

    def respond(images, filters, settings):
        scaled = settings["low"] + images * (settings["high"] - settings["low"])
        maps = (response_maps if everywhere else middle_response)(view, read, scaled)
        own = tf.gather(maps, filters, axis=-1, batch_dims=1)  # (count, positions)
        return objective(own, settings["negative_slope"]), tf.reduce_max(own, axis=1)

    first = tf.TensorSpec((1, *view.graph.input_shape), "float32")

    numbers = tf.TensorSpec((None,), "int32")
    settings = SETTINGS | dict.fromkeys(("low", "high"), tf.TensorSpec(ends, "float32"))

    @tf.function(input_signature=[first, numbers, settings])
    def ascend(first, filters, settings):
        images = tf.repeat(first, tf.size(filters), axis=0)
        best = tf.fill(tf.shape(images), GRAY)
        start, top = respond(best, filters, settings)
        end, reached = start, tf.zeros_like(filters, bool)
        for step in tf.range(settings["steps"]):
            left = 1 - tf.cast(step, "float32") / tf.cast(settings["steps"], "float32")
            jitter, seed = settings["jitter"], (settings["seed"], step)
            shift = tf.random.stateless_uniform((2,), seed, -jitter, jitter + 1, "int32")
            shift = tf.where(left > CALM, shift, 0)  # (rows, columns), for all filters
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                shifted = tf.roll(images, shift, axis=(1, 2))
                tape.watch(shifted)
                value, highest = respond(shifted, filters, settings)
            gradient = tape.gradient(value, shifted, unconnected_gradients="zero")
            # Only an image that is not shifted counts: a shift tears it apart at the edge.
            better = (value > end) & tf.reduce_all(shift == 0)
            best = tf.where(better[:, None, None, None], images, best)
            end, top = tf.where(better, value, end), tf.where(better, highest, top)
            reached |= tf.reduce_any(gradient != 0, axis=(1, 2, 3))
            gradient = tf.roll(gradient, -shift, axis=(1, 2))
            direction = _direction(gradient, settings["smoothness"] * left)
            length = settings["step_size"] * (0.1 + 0.9 * left)
            images = tf.clip_by_value(images + length * direction, 0, 1)
        value, highest = respond(images, filters, settings)
        better = value > end
        return {
            "images": tf.where(better[:, None, None, None], images, best),
            "start": start,
            "end": tf.where(better, value, end),
            "top": tf.where(better, highest, top),
            "reached": reached,
        }

    return ascend


def _direction(gradient, smoothness):
    """Return the gradient, partly shared with the neighbors, with the quadratic mean 1."""
    # Sharing is a symmetric matrix without negative eigenvalues: the result never points downwards.
    wide = tf.pad(gradient, ((0, 0), (1, 1), (1, 1), (0, 0)), "SYMMETRIC")
    rows = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    shared = (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 16
    mixed = (1 - smoothness) * gradient + smoothness * shared
    each = {"axis": (1, 2, 3), "keepdims": True}
    # Divided by the largest first, because the squares of tiny numbers would be 0.
    mixed = tf.math.divide_no_nan(mixed, tf.reduce_max(tf.abs(mixed), **each))
    return tf.math.divide_no_nan(mixed, tf.sqrt(tf.reduce_mean(mixed**2, **each)))
