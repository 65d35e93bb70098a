"""Training in one loop: what it learns, in which order, at which rate."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnnlab.training import compiled_loop
from cnnlab.training.compiled_loop import Schedule, train_in_one_loop


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])


def squared(targets, outputs):
    return tf.reduce_mean((targets - outputs) ** 2)


def problem():
    images = np.random.default_rng(0).standard_normal((64, 4)).astype("float32")
    return images, images @ np.array([[1], [-2], [3], [0.5]], "float32")


def trained(seed=0):
    model = network()
    steps = train_in_one_loop(model, *problem(), squared, Schedule(640, 16, 0.1, seed))
    return model.get_weights(), steps


def test_learns():
    (kernel, bias), steps = trained()
    assert steps == 40
    np.testing.assert_allclose(kernel[:, 0], [1, -2, 3, 0.5], atol=0.1)
    np.testing.assert_allclose(bias, 0, atol=0.1)


def test_same_seed_same_bits():
    for first, second in zip(trained(seed=3)[0], trained(seed=3)[0], strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(trained(seed=3)[0][0], trained(seed=4)[0][0])


def test_every_image_once_before_one_comes_again():
    seen = []

    def loss(targets, outputs):
        tf.py_function(lambda batch: seen.extend(batch.numpy().ravel().tolist()), [targets], [])
        return tf.reduce_mean(outputs**2)

    numbers = np.arange(20, dtype="float32")[:, None]
    train_in_one_loop(network(), np.ones((20, 4), "float32"), numbers, loss, Schedule(50, 5))
    assert len(seen) == 50
    assert sorted(seen[:20]) == sorted(seen[20:40]) == list(range(20))
    assert len(set(seen[40:])) == 10
    assert seen[:20] != seen[20:40]


def test_the_rate_rises_for_a_quarter_and_falls():
    schedule = compiled_loop._rise_and_fall(0.4, 100)
    rates = [float(schedule(step)) for step in range(100)]
    assert (rates[0], rates[25]) == pytest.approx((0.04, 0.4))
    assert np.all(np.diff(rates[:26]) > 0) and np.all(np.diff(rates[25:]) < 0)
    assert 0.008 <= rates[-1] < 0.009


@pytest.mark.parametrize(
    ("schedule", "targets"),
    [(Schedule(15, 16), 64), (Schedule(640, 65), 64), (Schedule(640, 16), 63)],
)
def test_what_cannot_be_trained_is_an_error(schedule, targets):
    images, values = problem()
    with pytest.raises(ValueError, match=f"64 images, {targets} targets and"):
        train_in_one_loop(network(), images, values[:targets], squared, schedule)
