"""Batch normalization of training batches by TensorFlow's one kernel for it, several times faster.

Keras 3's dozen operations, each through all activations, take as long as our convolutions do.
"""

import functools

import keras
import tensorflow as tf


def switch_on(quiet: bool = False) -> None:
    """Let all `keras.layers.BatchNormalization` of this process use the kernel where they can.

    A printed line says so, since this replaces a method of Keras; `quiet` leaves it out. Layers,
    weights and saved models stay what they are, and results are equal up to rounding. Keras's own
    code is used outside training and for what the kernel cannot do: inputs that are not
    (n, h, w, channels) float32, masks, renormalization, no scale or center, axes but the last.
    """
    if not quiet:
        print("Batch normalization trains with one kernel of TensorFlow: equal up to rounding.")
    original = keras.layers.BatchNormalization.call
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def call(layer, inputs, training=None, mask=None):
        if training and mask is None and _suits(layer, inputs):
            return _normalize(layer, inputs)
        return original(layer, inputs, training=training, mask=mask)

    keras.layers.BatchNormalization.call = call


def _suits(layer, inputs) -> bool:
    plain = layer.scale and layer.center and not layer.renorm and not layer.synchronized
    images = len(inputs.shape) == 4 and layer.axis in (-1, 3) and inputs.dtype == tf.float32
    return plain and images and layer.trainable


def _normalize(layer, images):
    """Return normalized images, and move the layer's statistics, as Keras does it."""
    none = tf.constant([], tf.float32)
    # Two variances come back: an unbiased one, and the one of the batch, which Keras keeps.
    normalized, mean, _, _, variance, _ = tf.raw_ops.FusedBatchNormV3(
        x=images,
        scale=layer.gamma,
        offset=layer.beta,
        mean=none,
        variance=none,
        epsilon=layer.epsilon,
        is_training=True,
    )
    for moving, of_batch in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + of_batch * (1 - layer.momentum))
    return normalized
