"""Batches: every image once an epoch, with its target, shuffled only when asked."""

import numpy as np
import pytest

from cnnlab import runtime

runtime.start(seed=0)

import keras  # noqa: E402

from cnnlab.training.batches import batches, predict  # noqa: E402

IMAGES = np.arange(10, dtype="uint8").reshape(10, 1)


def test_order_and_sizes():
    served = [batch.numpy().ravel().tolist() for batch in batches(IMAGES, batch_size=4)]
    assert served == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_shuffled_again_each_epoch_and_repeatably():
    orders = []
    for _ in range(2):
        runtime.start(seed=0)
        dataset = batches(IMAGES, 10 * IMAGES, batch_size=4, shuffle_seed=5)
        orders.append(
            [[[part.numpy().ravel().tolist() for part in pair] for pair in dataset] for _ in "12"]
        )
    assert orders[0] == orders[1]
    first, second = orders[0]
    assert first != second
    for epoch in (first, second):
        seen = [image for images, _ in epoch for image in images]
        assert sorted(seen) == list(range(10))
        assert all(targets == [10 * i for i in images] for images, targets in epoch)


@pytest.mark.parametrize("targets", [None, np.zeros(9)])
def test_refuses_nothing_and_mismatch(targets):
    with pytest.raises(ValueError, match="one target for each"):
        batches(IMAGES[: 0 if targets is None else 10], targets)


def test_predictions_are_those_of_keras():
    pixels = keras.Input((4, 4, 1))
    flat = keras.layers.Flatten()(pixels)
    network = keras.Model(pixels, {name: keras.layers.Dense(2)(flat) for name in ("a", "b")})
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 1), np.uint8)
    predicted = predict(network, images, batch_size=3)
    for name, expected in network.predict(images, verbose=0).items():
        np.testing.assert_allclose(predicted[name], expected, rtol=1e-5)
    with pytest.raises(ValueError, match="no images"):
        predict(network, images[:0])
