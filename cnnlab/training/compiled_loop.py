"""Training in seconds: all steps in one compiled loop, with a learning rate that rises and falls.

`fit` returns to Python after every step, keeps metrics and calls callbacks; with steps of a few
milliseconds that is a good part of the time.
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf


class Schedule(NamedTuple):
    """How long, in which steps and how fast to train."""

    examples: int  # images shown in all; every image once before one comes again
    batch_size: int = 128  # at most the number of images
    learning_rate: float = 0.4  # at its highest
    seed: int = 0  # of the order of the images


def train_in_one_loop(network, images, targets, loss, schedule) -> int:
    """Train a network by stochastic gradient descent with Nesterov momentum; changes it in place.

    The learning rate rises for a quarter of the steps and then falls along a cosine to a fiftieth.
    Takes a built `keras.Model` and (n, ...) arrays; `loss` is called with a batch of targets and
    of outputs. Returns the number of steps. Source: the schedule is the "1cycle" of Smith and
    Topin, "Super-convergence" (2019), with a cosine for its falling part.

    Raises:
        ValueError: fewer examples or images than a batch, or not one target for each image.
    """
    examples, batch_size, learning_rate, seed = schedule
    count, steps = len(images), examples // batch_size
    if len(targets) != count or count < batch_size or steps < 1:
        raise ValueError(
            f"{count} images, {len(targets)} targets and {examples} examples do not suit batches "
            f"of {batch_size}: there must be one target for each image, and enough for a batch"
        )
    optimizer = keras.optimizers.SGD(_rise_and_fall(learning_rate, steps), 0.9, nesterov=True)
    weights = network.trainable_variables
    optimizer.build(weights)
    images, targets = tf.constant(images), tf.constant(targets)

    @tf.function
    def loop(order):
        for step in tf.range(steps):
            chosen = order[step * batch_size : (step + 1) * batch_size]
            with tf.GradientTape() as tape:
                outputs = network(tf.gather(images, chosen), training=True)
                error = loss(tf.gather(targets, chosen), outputs)
            optimizer.apply(tape.gradient(error, weights), weights)

    random = np.random.default_rng(seed)
    rounds = -(-examples // count)
    loop(tf.constant(np.concatenate([random.permutation(count) for _ in range(rounds)])))
    return steps


def _rise_and_fall(highest, steps):
    rise = max(1, steps // 4)
    return keras.optimizers.schedules.CosineDecay(
        highest / 10, steps - rise, alpha=0.02, warmup_target=highest, warmup_steps=rise
    )
