"""Augmentation: nothing outside training, the named change inside it, repeatable by seed."""

import numpy as np
import pytest

from cnnlab import lines, runtime

runtime.start(seed=0)

from cnnlab.training.augment import RandomAppearance, RandomWarp  # noqa: E402

STILL = {"rotation": 0, "scale": 0, "shear": 0, "shift": 0, "bend": 0}
PLAIN = {"probability": 1.0, "threshold": (0.0, 0.0), "blur": 0.0, "dimmest": 1.0}


@pytest.fixture(scope="module")
def images():
    centers = np.random.default_rng(0).uniform(9, 19, (64, 2))
    return lines.render(15, 3, 30, centers)


@pytest.mark.parametrize("layer", [RandomWarp(), RandomAppearance()])
def test_nothing_happens_outside_training(layer, images):
    assert np.array_equal(layer(images), images)
    assert not np.array_equal(layer(images, training=True), images)


@pytest.mark.parametrize("kind", [RandomWarp, RandomAppearance])
def test_the_seed_decides(kind, images):
    first, again, other = (np.asarray(kind(seed=s)(images, training=True)) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_warp_rotates_and_shifts_as_much_as_it_says(images):
    assert np.allclose(RandomWarp(**STILL)(images, training=True), images, atol=0.01)
    rotated = np.asarray(RandomWarp(**STILL | {"rotation": 10})(images, training=True))
    angles = np.array([orientation(image) for image in rotated])
    assert 15 < np.abs(angles - 30).max() * 2 <= 20.5
    shifted = np.asarray(RandomWarp(**STILL | {"shift": 2})(images, training=True))
    moves = np.array([center(b) - center(a) for a, b in zip(images, shifted, strict=True)])
    assert 1.5 < np.abs(moves).max() <= 2.05


def test_warp_keeps_the_range_and_loses_no_light_inside(images):
    warped = np.asarray(RandomWarp(**STILL | {"shift": 0.5})(images, training=True))
    assert warped.min() >= 0 and warped.max() <= 255
    assert warped.sum() == pytest.approx(images.sum(dtype=float), rel=0.01)


def test_each_image_is_hardened_or_stays_exactly_as_it_was(images):
    options = PLAIN | {"threshold": (0.4, 0.4), "probability": 0.5}
    augmented = np.asarray(RandomAppearance(**options, seed=0)(images, training=True))
    hard = np.where(images > 0.4 * 255, np.float32(255), np.float32(0))
    changed, same = (np.all(augmented == wanted, axis=(1, 2, 3)) for wanted in (hard, images))
    assert np.all(changed | same)
    assert 16 < changed.sum() < 48


def test_dim_scales_all_pixels_of_an_image_alike(images):
    dimmed = np.asarray(RandomAppearance(**PLAIN | {"dimmest": 0.4})(images, training=True))
    factors = dimmed.max(axis=(1, 2, 3)) / 255
    assert 0.4 <= factors.min() < 0.5 and 0.9 < factors.max() <= 1


def test_blur_keeps_the_light_and_the_center(images):
    hard = np.where(images > 0, np.uint8(255), np.uint8(0))  # as threshold 0 makes them
    soft = np.asarray(RandomAppearance(**PLAIN | {"blur": 0.8})(hard, training=True))
    assert soft.sum() == pytest.approx(hard.sum(dtype=float), rel=0.001)
    moves = [center(b) - center(a) for a, b in zip(hard, soft, strict=True)]
    assert np.abs(moves).max() < 0.01
    # It does not reach round the border.
    image = lines.render(15, 3, 90, [1.5, 14])
    soft = np.asarray(RandomAppearance(**PLAIN | {"blur": 0.8})(image, training=True))
    assert soft[0, :, :4].any() and not soft[0, :, 20:].any()


def center(image):
    weights = np.asarray(image, float)[..., 0]
    y, x = np.mgrid[:28, :28]
    return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()


def orientation(image):
    """Angle of the longer axis in degrees, by second moments."""
    weights = np.asarray(image, float)[..., 0]
    y, x = np.mgrid[:28, :28] - center(image)[::-1, None, None]
    xx, yy, xy = ((weights * product).sum() for product in (x * x, y * y, x * y))
    return np.degrees(np.arctan2(-2 * xy, xx - yy) / 2) % 180
