"""Images from memory in batches, for training and for prediction, without waiting or copying."""

import keras
import numpy as np
import tensorflow as tf


def batches(images, targets=None, batch_size=128, shuffle_seed=None):
    """Serve images (n, ...), alone or with targets (n, ...), as batches of a `tf.data.Dataset`.

    `fit` takes arrays as well, but then tf.data tunes itself while it runs, and at the
    end of every epoch waits for that tuning to wake up: TensorFlow 2.21 sleeps 10, 20, 40 ... ms,
    so an epoch of 3.3 s took 5.1 s. Here the tuning is off; there is nothing to tune.

    The last batch may be smaller. With a `shuffle_seed`, an integer, all images are shuffled again
    before every epoch, repeatably.

    Raises:
        ValueError: there are no images, or not as many targets as images.
    """
    count = len(images)
    if count == 0 or (targets is not None and len(targets) != count):
        given = "no" if targets is None else len(targets)
        raise ValueError(f"need images, and one target for each: {count} images, {given} targets")
    arrays = tf.constant(images) if targets is None else (tf.constant(images), tf.constant(targets))
    indices = tf.data.Dataset.range(count)
    if shuffle_seed is not None:
        indices = indices.shuffle(count, seed=shuffle_seed)
    # One gather for a whole batch is many times faster than collecting images one by one.
    served = indices.batch(batch_size).map(
        lambda chosen: tf.nest.map_structure(lambda array: tf.gather(array, chosen), arrays)
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    return served.prefetch(2).with_options(options)


def predict(network, images, batch_size=500):
    """Return a network's outputs for images (n, ...): an array (n, ...), or {name: array}.

    Keras's own `predict` first copies all images, and TensorFlow keeps that memory.

    Raises:
        ValueError: there are no images.
    """
    if len(images) == 0:
        raise ValueError("there are no images to predict")
    starts = range(0, len(images), batch_size)
    outputs = [network.predict_on_batch(images[start : start + batch_size]) for start in starts]
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *outputs)
