"""Lines drawn otherwise: the shape stays exactly, ends land on whole pixels, bytes are fixed."""

import hashlib

import numpy as np
import pytest

from cnnlab import lines
from cnnlab.lines import variants

# Two images of each class, their ends moved; then recolored at random; then at 40 %. Other bytes
# mean that the recipes train and test on other images.
SNAPPED_SHA256 = "254d40590ed67ad527785870fdd1c5ee9093902d5ae945c118cec922b26a057a"
RECOLORED_SHA256 = "c55a5ce4d6ecdb9d0d608fd76a6c14d4e067744b533cf43f2f94b6d4f0867016"
DIMMED_SHA256 = "35dfff478c5650b1bac61a7c959ab59e66019b7d0205b7833e77d27f8a0cb80a"
LEVELS = np.zeros((1, 16, 16, 3), np.uint8)  # every level of red once
LEVELS[..., 0] = np.arange(256).reshape(16, 16)


@pytest.fixture(scope="module")
def dataset():
    return lines.generate(per_class=10)


def test_recolored_by_hand():
    """Seven by one, a quarter in the upper row; at both ends half a pixel."""
    image = lines.render(7, 1, 0, (10, 14.25))
    assert image[0, 13:15, 6:14, 0].tolist() == [[32, *[64] * 6, 32], [96, *[191] * 6, 96]]
    recolored = variants.recolored(image, (200, 100, 0))
    expected = np.zeros_like(image)
    expected[0, 13:15, 6:14, 0] = [[25, *[50] * 6, 25], [75, *[150] * 6, 75]]
    expected[0, 13:15, 6:14, 1] = [[13, *[25] * 6, 13], [38, *[75] * 6, 38]]
    assert np.array_equal(recolored, expected) and recolored.dtype == np.uint8


def test_full_colors_move_the_channel_exactly(dataset):
    green = variants.recolored(dataset.images, (0, 255, 0))
    assert np.array_equal(green[..., 1], dataset.images.max(axis=-1))
    assert not green[..., [0, 2]].any()
    own = np.array(list(lines.COLORS.values()))[dataset.labels[:, 3]]
    assert np.array_equal(variants.recolored(green, own), dataset.images)
    assert variants.recolored(green[:0], own[:0]).shape == (0, 28, 28, 3)


@pytest.mark.parametrize(
    ("images", "colors", "message"),
    [
        (LEVELS, (256, 0, 0), "color 256 .* in 0..255"),
        (LEVELS, (1.0, 0.0, 0.0), "color must be integers"),
        (LEVELS, [(255, 0, 0)] * 3, r"shape \(3, 3\), but \(1, 3\)"),
        (LEVELS / 255, (0, 0, 0), "uint8 .* is needed"),  # 0..1 would come out black
    ],
)
def test_recolored_refuses(images, colors, message):
    with pytest.raises(ValueError, match=message):
        variants.recolored(images, colors)


def test_random_colors_are_bright_and_of_all_kinds():
    colors = variants.random_colors(3000, np.random.default_rng(1))
    assert colors.shape == (3000, 3) and colors.dtype == np.int64
    assert (colors.max(axis=1) == 255).all() and colors.min() == 0
    full = (colors == 255).mean(axis=0)  # a third, and 1 in 256 of the others
    assert np.abs(full - (1 / 3 + 2 / 3 / 256)).max() < 5 * np.sqrt(2 / 9 / 3000)
    for channel in colors.T:
        assert set(channel) >= set(range(0, 255, 10))
        assert channel[channel < 255].mean() == pytest.approx(127, abs=9)  # five standard errors
    green, others = colors[:, 1] == 255, colors[:, ::2].max(axis=1)
    assert green.sum() > 900 and others[green].min() == 64  # none is close to green


def test_dimmed_by_hand():
    dark = variants.dimmed(LEVELS, 0.5)
    assert dark.dtype == np.uint8 and not dark[..., 1:].any()
    levels = [1, 3, 5, 254, 255]
    assert dark[0, ..., 0].ravel()[levels].tolist() == [0, 2, 2, 127, 128]  # a half goes to even


def test_dimmed_refuses():
    with pytest.raises(ValueError, match=r"brightness nan .* in 0\.\.1"):
        variants.dimmed(LEVELS, float("nan"))


def moved(length, width, angle, x, y):
    """Where a line goes, with complex numbers: (length, angle, middle), and whether it is cut."""
    direction = np.exp(-1j * np.radians(angle))  # y points down
    start, end = (
        complex(np.floor(point.real) + 0.5, np.floor(point.imag) + 0.5)
        for point in (x + 1j * y + sign * (length - 1) / 2 * direction for sign in (-1, 1))
    )
    along = (end - start) / abs(end - start)
    corners = [
        point + out * along / 2 + side * width / 2 * 1j * along
        for point, out in ((start, -1), (end, 1))
        for side in (-1, 1)
    ]
    reach = [value for corner in corners for value in (corner.real, corner.imag)]
    angle = -np.degrees(np.angle(along)) % 180
    return abs(end - start) + 1, angle, (start + end) / 2, min(reach) < 0 or max(reach) > 28


def test_every_line_is_moved_or_exactly_as_it_was(dataset):
    snapped = variants.snapped(dataset.labels, dataset.centers)
    kept = 0
    for image, original, label, center in zip(snapped, *dataset, strict=True):
        length, width, angle, color = lines.geometry(label)
        length, angle, middle, cut = moved(length, width, angle, *center.astype(float))
        kept += cut
        if cut:
            assert np.array_equal(image, original)
        else:
            expected = lines.render(length, width, angle, (middle.real, middle.imag), color)[0]
            assert np.abs(image.astype(int) - expected).max() <= 1
    assert 0 < kept < len(snapped) / 5


@pytest.mark.parametrize(("length", "width", "color"), [(0, 0, 1), (1, 1, 0)])
def test_upright_and_flat_lines_have_no_gray(length, width, color):
    """Seven or fifteen whole pixels in one or three whole rows, by hand."""
    pixels, rows = lines.LENGTHS[length], lines.WIDTHS[width]
    labels = [(length, width, angle, color) for angle in (0, 6)]
    flat, upright = variants.snapped(labels, [(12.2, 9.9), (9.9, 12.2)])
    expected = np.zeros((28, 28, 3), np.uint8)
    first = 12 - pixels // 2  # 12.2 lies in pixel 12, so do the ends in theirs
    top = 9 - rows // 2
    expected[top : top + rows, first : first + pixels, 2 * color] = 255
    assert np.array_equal(flat, expected)
    assert np.array_equal(upright, expected.transpose(1, 0, 2))


@pytest.mark.parametrize(
    ("labels", "centers", "message"),
    [
        ([(0, 0, 12, 0)], [(14, 14)], "angle label 12 .*0..11"),
        ([(0, 0, 0, 0)], [(14, 14)] * 2, r"centers has shape \(2, 2\), but \(1, 2\)"),
        ([(0, 0, 0, 0)], None, r"centers has shape \(\)"),  # as of lines read from a folder
        ([(0, 0, 0, 0)], [(3.4, 14)], r"center \(3.4, 14\) .* x in 3.5..24.5"),  # 3.5 once moved
    ],
)
def test_snapped_refuses(labels, centers, message):
    with pytest.raises(ValueError, match=message):
        variants.snapped(labels, centers)


def test_same_bytes_on_every_machine():
    some = lines.generate(per_class=2)
    snapped = variants.snapped(some.labels, some.centers)
    assert hashlib.sha256(snapped).hexdigest() == SNAPPED_SHA256
    colors = variants.random_colors(len(snapped), np.random.default_rng(0))
    recolored = variants.recolored(snapped, colors)
    assert hashlib.sha256(recolored).hexdigest() == RECOLORED_SHA256
    assert hashlib.sha256(variants.dimmed(recolored, 0.4)).hexdigest() == DIMMED_SHA256
