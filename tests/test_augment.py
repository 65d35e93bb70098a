"""Augmentation: nothing outside training, the named change inside it, repeatable by seed."""

import numpy as np
import pytest

from cnnlab import lines, runtime

runtime.start(seed=0)

from cnnlab.training import appearance  # noqa: E402
from cnnlab.training.augment import RandomWarp  # noqa: E402

STILL = {"rotation": 0, "scale": 0, "shear": 0, "shift": 0, "bend": 0}
LAYERS = [getattr(appearance, name) for name in dir(appearance) if name.startswith("Random")]


@pytest.fixture(scope="module")
def images():
    centers = np.random.default_rng(0).uniform(9, 19, (64, 2))
    return lines.render(15, 3, 30, centers)


@pytest.mark.parametrize("kind", [RandomWarp, *LAYERS])
def test_nothing_happens_outside_training(kind, images):
    layer = kind()
    assert np.array_equal(layer(images), images)
    assert not np.array_equal(layer(images, training=True), images)


@pytest.mark.parametrize("kind", [RandomWarp, *LAYERS])
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


def test_zoom_enlarges_both_sides_alike(images):
    zoomed = np.asarray(RandomWarp(**STILL | {"zoom": (0.8, 1.3)})(images, training=True))
    areas = zoomed.sum(axis=(1, 2, 3)) / images.sum(axis=(1, 2, 3))
    assert 0.63 < areas.min() < 0.75 and areas.max() > 1.4  # squares; the border cuts


def test_a_share_of_each_batch_changes_and_the_rest_stays_exactly(images):
    layer = appearance.RandomThreshold(0.4, 0.4, share=0.25, seed=0)
    hard = np.where(images > 0.4 * 255, np.float32(255), np.float32(0))
    patterns = set()
    for _ in range(4):
        augmented = np.asarray(layer(images, training=True))
        changed, same = (np.all(augmented == wanted, axis=(1, 2, 3)) for wanted in (hard, images))
        assert np.all(changed | same) and changed.sum() == 16
        patterns.add(changed.tobytes())
    assert len(patterns) > 1  # other ones each time


def test_blur_keeps_the_light_and_the_center(images):
    for largest in (0.8, 1.5):
        blur = appearance.RandomBlur(largest, share=1.0, seed=0)
        soft = np.asarray(blur(images, training=True))
        assert soft.sum() == pytest.approx(images.sum(dtype=float), rel=0.01)
        widths = [spread(b) - spread(a) for a, b in zip(images, soft, strict=True)]
        assert min(widths) >= -0.01 and 0.8 * largest**2 < max(widths) < 1.05 * largest**2
    image = lines.render(15, 3, 90, [1.5, 14])  # it does not reach round the border
    soft = np.asarray(appearance.RandomBlur(0.8, share=1.0)(image, training=True))
    assert soft[0, :, :4].any() and not soft[0, :, 20:].any()


def test_levels_change_as_far_as_they_say(images):
    """Contrast, background, noise and inversion, on all images."""
    half, flat = images // 2, np.full((64, 28, 28, 1), 128, np.uint8)
    contrast = changed(appearance.RandomContrast(0.4), images).max(axis=(1, 2, 3)) / 255
    assert 0.4 <= contrast.min() < 0.5 and 0.9 < contrast.max() <= 1
    ground = changed(appearance.RandomBackground(50), images)
    level = ground.min(axis=(1, 2, 3))
    assert level.max() > 40 and level.max() <= 50 and np.allclose(ground.max(axis=(1, 2, 3)), 255)
    noise = changed(appearance.RandomNoise(20), flat).std(axis=(1, 2, 3))
    assert noise.min() < 3 and 17 < noise.max() < 21
    noisy = changed(appearance.RandomNoise(200), half)
    assert noisy.min() == 0 and noisy.max() == 255
    assert np.array_equal(changed(appearance.RandomInversion(), images), 255.0 - images)


def test_strokes_get_thicker_and_thinner_by_a_pixel_on_each_side():
    bar = np.zeros((64, 28, 28, 1), np.uint8)
    bar[:, :5, 10:15] = 255  # touches the border, where a thin bar has an end
    area = changed(appearance.RandomThickness(), bar).sum(axis=(1, 2, 3)) / 255
    assert 9 <= area.min() < 12 and 38 < area.max() <= 42  # 3 x 3 and 7 x 6 of 5 x 5


def test_an_occluding_square_has_its_size():
    white = np.full((200, 28, 28, 1), 255, np.uint8)
    dark = (changed(appearance.RandomOcclusion(4, 10), white) == 0).sum(axis=(1, 2, 3))
    assert dark.max() in (81, 90, 100) and set(dark) > {16, 25}


def changed(layer, images):
    """All images, changed by a layer."""
    layer.share = 1.0
    return np.asarray(layer(images, training=True))


def spread(image):
    """Variance of the places of an image's light, in pixels, along the rows."""
    weights = np.asarray(image, float)[..., 0]
    x = np.mgrid[:28, :28][1] - center(image)[0]
    return (weights * x * x).sum() / weights.sum()


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
