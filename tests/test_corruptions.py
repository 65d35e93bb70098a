"""Corrupted images: as strong as they say, of the same type and size, the same each time."""

import numpy as np
import pytest

from cnnlab import corruptions, lines, mnist


@pytest.fixture(scope="module")
def images():
    return lines.render(15, 3, 30, np.random.default_rng(0).uniform(10, 18, (20, 2)))


@pytest.mark.parametrize("kinds", [corruptions.DIGITS, corruptions.LINES])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_and_strength(kinds, channels, images):
    images = images[..., :channels]
    before = images.copy()
    results = dict(corruptions.corrupted(images, kinds))
    assert len(results) == sum(map(len, kinds.values()))
    again = dict(corruptions.corrupted(images, kinds))
    for name, corrupted in results.items():
        assert corrupted.shape == images.shape and corrupted.dtype == np.uint8
        assert not np.array_equal(corrupted, images), name
        assert np.array_equal(corrupted, again[name])
    assert np.array_equal(images, before)


def test_noise_background_and_contrast_by_their_numbers():
    gray = np.full((50, 28, 28, 1), 100, np.uint8)
    noisy = corruptions.noise(gray, 8).astype(float)
    assert noisy.std() == pytest.approx(8, rel=0.02) and noisy.mean() == pytest.approx(100, abs=0.1)
    ends = np.array([0, 255], np.uint8).reshape(1, 1, 2, 1)
    assert corruptions.background(ends, 51).ravel().tolist() == [51, 255]
    assert corruptions.contrast(ends, 0.5).ravel().tolist() == [0, 128]


def test_a_digit_moves_as_the_numbers_say():
    image = np.zeros((1, 28, 28, 1), np.uint8)
    image[0, 10:13, 14:20] = 200
    shifted = corruptions.moved(image, shift=3)
    assert np.array_equal(shifted[0, 7:10, 17:23], image[0, 10:13, 14:20])  # right and up
    turned = corruptions.moved(image, rotation=90)
    assert np.array_equal(turned, np.rot90(image, axes=(1, 2)))  # anticlockwise
    area = corruptions.moved(image, scale=1.4).sum() / image.sum()
    assert area == pytest.approx(1.4**2, rel=0.1)


def test_thickness_is_in_pixels_and_the_border_is_dark():
    image = np.zeros((1, 28, 28, 1), np.uint8)
    image[0, :10, 10:13] = 255
    assert (corruptions.thickness(image, 2)[0, 5] > 0).sum() == 5
    thin = corruptions.thickness(image, -2)
    assert (thin[0, 5] > 0).sum() == 1 and not thin[0, 0].any()


def test_an_occlusion_is_a_square_that_hits_the_middle():
    white = np.full((30, 28, 28, 1), 255, np.uint8)
    dark = corruptions.occlusion(white, 7) == 0
    assert np.all(dark.sum(axis=(1, 2, 3)) == 49)
    assert not dark[:, :4].any() and not dark[:, :, -4:].any() and dark.any(axis=0).sum() > 200


def test_jpeg_is_one_for_all_or_one_for_each(images):
    every = corruptions.jpeg(images, 75)
    errors = [np.abs(corruptions.jpeg(images, q) - images.astype(int)).mean() for q in (95, 75, 25)]
    assert errors == sorted(errors) and errors[0] > 0
    assert every[..., 0].mean() > 3 * every[..., 2].mean()  # red stays red
    each = corruptions.jpeg(images, np.where(np.arange(20) < 10, 75, 25))
    assert np.array_equal(each[:10], every[:10]) and not np.array_equal(each[10:], every[10:])
    with pytest.raises(ValueError, match=r"quality 101 is not allowed: it must be in 0\.\.100"):
        corruptions.jpeg(images, 101)


@pytest.mark.parametrize("size", [20, 28])
def test_small_digits_fill_their_size(size):
    images, classes = mnist.small_digits(size)
    assert images.shape == (1797, 28, 28, 1) and images.dtype == np.uint8
    assert np.bincount(classes).min() > 170 and images.max() == 255
    used = np.flatnonzero(images.any(axis=(0, 2, 3)))
    assert used[0] == (28 - size) // 2 and len(used) == size
