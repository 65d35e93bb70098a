"""Lines drawn otherwise: the shape stays exactly, ends land on whole pixels, bytes are fixed."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab import lines
from cnnlab.lines import variants

# Two images of each class, their ends moved; then recolored at random; then at 40 %. Other bytes
# mean that the recipes train and test on other images.
SNAPPED_SHA256 = "254d40590ed67ad527785870fdd1c5ee9093902d5ae945c118cec922b26a057a"
RECOLORED_SHA256 = "9a52107cdcfcd25724102b9b5a8dd494b621584954848cc16111222ec4f6fc88"
DIMMED_SHA256 = "7b5e49252d8c8876c4a331fb8af401e3374ec948b33d6276f8bc7e176e1b17aa"
LEVELS = np.zeros((1, 16, 16, 3), np.uint8)  # every level of red once
LEVELS[..., 0] = np.arange(256).reshape(16, 16)


@pytest.fixture(scope="module")
def dataset():
    return lines.generate(per_class=10)


# --- other colors


def test_recolored_by_hand():
    """Seven by one, a quarter in the upper row; at both ends half a pixel."""
    image = lines.render(7, 1, 0, (10, 14.25))
    assert image[0, 13:15, 6:14, 0].tolist() == [[32, *[64] * 6, 32], [96, *[191] * 6, 96]]
    found = variants.recolored(image, (200, 100, 0))
    expected = np.zeros_like(image)
    expected[0, 13:15, 6:14, 0] = [[25, *[50] * 6, 25], [75, *[150] * 6, 75]]
    expected[0, 13:15, 6:14, 1] = [[13, *[25] * 6, 13], [38, *[75] * 6, 38]]
    assert np.array_equal(found, expected) and found.dtype == np.uint8


def test_full_colors_move_the_channel_exactly(dataset):
    green = variants.recolored(dataset.images, (0, 255, 0))
    assert np.array_equal(green[..., 1], dataset.images.max(axis=-1))
    assert not green[..., [0, 2]].any()
    white = variants.recolored(dataset.images, (255, 255, 255))
    assert np.array_equal(white, np.repeat(green[..., 1:2], 3, axis=-1))
    own = np.array(list(lines.COLORS.values()))[dataset.labels[:, 3]]
    assert np.array_equal(variants.recolored(green, own), dataset.images)


@settings(max_examples=50, deadline=None)
@given(color=st.tuples(*[st.integers(0, 255)] * 3))
def test_every_level_is_scaled_and_rounded(color):
    found = variants.recolored(LEVELS, color)[0].reshape(256, 3)
    exact = np.arange(256)[:, None] * np.array(color) / 255
    assert np.abs(found - exact).max() <= 0.5 + 1e-4


def test_each_image_gets_its_own_color():
    images = np.repeat(LEVELS, 3, axis=0)
    colors = np.array([(255, 0, 0), (0, 128, 0), (1, 2, 255)])
    together = variants.recolored(images, colors)
    for index, color in enumerate(colors):
        assert np.array_equal(together[index : index + 1], variants.recolored(LEVELS, color))
    assert variants.recolored(images[:0], colors[:0]).shape == (0, 16, 16, 3)


@pytest.mark.parametrize(
    ("colors", "message"),
    [
        ((256, 0, 0), "integers 0..255, not .256"),
        ((0, -1, 0), r"integers 0..255, not .* -1"),
        ((1.0, 0.0, 0.0), "integers 0..255"),
        ((True, False, True), "integers 0..255"),
        ((255, 0), r"shape \(2,\); \(3,\) or \(2, 3\)"),
        ([(255, 0, 0)], r"shape \(1, 3\)"),
        ([(255, 0, 0)] * 3, r"shape \(3, 3\)"),
        ("red", r"shape \(\)"),
        (None, r"shape \(\)"),
    ],
)
def test_recolored_refuses_colors(colors, message):
    with pytest.raises(ValueError, match=message):
        variants.recolored(np.repeat(LEVELS, 2, axis=0), colors)


@pytest.mark.parametrize(
    "images",
    [
        LEVELS[0],  # one image, not a set of one
        LEVELS[..., :1],
        LEVELS / 255,  # 0..1 would come out black
        LEVELS.astype(int),
        LEVELS > 0,
        LEVELS.tolist(),
    ],
)
def test_images_of_the_wrong_kind(images):
    for call in (variants.recolored, variants.dimmed):
        with pytest.raises(ValueError, match=r"uint8 \(n, h, w, 3\) is needed"):
            call(images, (0, 255, 0) if call is variants.recolored else 0.5)


def test_random_colors_are_bright_and_of_all_kinds():
    colors = variants.random_colors(3000, np.random.default_rng(1))
    assert colors.shape == (3000, 3) and colors.dtype == np.int64
    assert (colors.max(axis=1) == 255).all() and colors.min() == 0
    full = (colors == 255).mean(axis=0)  # a third, and 1 in 256 of the others
    assert np.abs(full - (1 / 3 + 2 / 3 / 256)).max() < 5 * np.sqrt(2 / 9 / 3000)
    for channel in colors.T:
        assert set(channel) >= set(range(0, 255, 10))
        assert channel[channel < 255].mean() == pytest.approx(127, abs=9)  # five standard errors


def test_random_colors_are_repeatable():
    first, again, other = (
        variants.random_colors(5, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


# --- dimmed


@pytest.mark.parametrize(
    ("brightness", "levels", "expected"),
    [
        (0.4, [0, 1, 2, 4, 5, 128, 255], [0, 0, 1, 2, 2, 51, 102]),
        (0.5, [1, 3, 5, 254, 255], [0, 2, 2, 127, 128]),  # a half goes to the even number
        (1, [0, 1, 254, 255], [0, 1, 254, 255]),
        (0, [0, 1, 255], [0, 0, 0]),
    ],
)
def test_dimmed_by_hand(brightness, levels, expected):
    dark = variants.dimmed(LEVELS, brightness)
    assert dark.dtype == np.uint8 and not dark[..., 1:].any()
    assert dark[0, ..., 0].ravel()[levels].tolist() == expected


@pytest.mark.parametrize("brightness", [-0.01, 1.01, 40, float("nan"), float("inf")])
def test_dimmed_refuses(brightness):
    with pytest.raises(ValueError, match=rf"brightness {brightness} .* in 0\.\.1"):
        variants.dimmed(LEVELS, brightness)


# --- ends on whole pixels


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
    found = variants.snapped(dataset.labels, dataset.centers)
    kept = 0
    for image, original, label, center in zip(
        found, dataset.images, dataset.labels, dataset.centers.astype(float), strict=True
    ):
        length, width, angle, color = lines.geometry(label)
        length, angle, middle, cut = moved(length, width, angle, *center)
        kept += cut
        if cut:
            assert np.array_equal(image, original)
        else:
            expected = lines.render(length, width, angle, (middle.real, middle.imag), color)[0]
            assert np.abs(image.astype(int) - expected).max() <= 1
    assert 0 < kept < len(found) / 5


@pytest.mark.parametrize("color", [0, 1])
@pytest.mark.parametrize("width", [0, 1])
@pytest.mark.parametrize("length", [0, 1])
def test_upright_and_flat_lines_have_no_gray(length, width, color):
    """Seven or fifteen whole pixels in one or three whole rows, found by hand."""
    pixels, rows = lines.LENGTHS[length], lines.WIDTHS[width]
    flat, upright = variants.snapped(
        [(length, width, 0, color), (length, width, 6, color)], [(12.2, 9.9), (9.9, 12.2)]
    )
    expected = np.zeros((28, 28, 3), np.uint8)
    first = 12 - pixels // 2  # 12.2 lies in pixel 12, so do the ends in theirs
    top = 9 - rows // 2
    expected[top : top + rows, first : first + pixels, 2 * color] = 255
    assert np.array_equal(flat, expected)
    assert np.array_equal(upright, expected.transpose(1, 0, 2))


def test_slanted_lines_end_in_the_middle_of_pixels():
    """The ends are measured from the pixels: center of mass, and second moments of thin lines."""
    random = np.random.default_rng(5)
    labels = np.array([(1, 0, angle, 0) for angle in (1, 2, 3, 5, 8, 10, 11) for _ in range(20)])
    centers = random.uniform(9.5, 18.5, (len(labels), 2))
    ends = {
        name: measured_ends(images)
        for name, images in (
            ("moved", variants.snapped(labels, centers)),
            ("as it was", lines.render(15, 1, np.array(lines.ANGLES)[labels[:, 2]], centers)),
        )
    }
    off = {name: np.abs((each % 1) - 0.5) for name, each in ends.items()}
    assert off["moved"].max() < 0.05
    assert off["as it was"].mean() > 0.2  # those are anywhere
    assert np.abs(ends["moved"] - ends["as it was"]).max() < 0.55  # half a pixel at most


def measured_ends(images):
    """Return the middles of both end pixels, (2, 2, n), of lines one pixel wide."""
    weight = images.max(axis=-1).reshape(len(images), -1) / 255
    area = weight.sum(axis=1)
    y, x = np.mgrid[:28, :28].reshape(2, -1) + 0.5
    middle = np.array([weight @ x, weight @ y]) / area
    dx, dy = x - middle[0][:, None], y - middle[1][:, None]
    xx, yy, xy = ((weight * product).sum(axis=1) / area for product in (dx * dx, dy * dy, dx * dy))
    angle = np.arctan2(2 * xy, xx - yy) / 2
    half = (area - 1) / 2 * np.array([np.cos(angle), np.sin(angle)])  # area = length, width is 1
    return np.array([middle - half, middle + half])


def test_a_line_that_would_be_cut_by_hand():
    """15°, its left end goes to (0.5, 11.5), its right to (6.5, 9.5): it reaches to x = -0.13."""
    center = (3.633, 10.523)
    image = variants.snapped([(0, 0, 1, 1)], [center])
    assert np.array_equal(image, lines.render(7, 1, 15, center, (0, 0, 255)))
    inside = variants.snapped([(0, 0, 1, 1)], [(center[0] + 1, center[1])])
    assert np.array_equal(
        inside, lines.render(1 + 40**0.5, 1, np.degrees(np.arctan(1 / 3)), (4.5, 10.5), (0, 0, 255))
    )


def test_one_by_one_is_the_same_as_together(dataset):
    some = slice(None, None, 37)
    together = variants.snapped(dataset.labels[some], dataset.centers[some])
    assert together.dtype == np.uint8 and together.shape[1:] == (28, 28, 3)
    for image, label, center in zip(
        together, dataset.labels[some], dataset.centers[some], strict=True
    ):
        assert np.array_equal(variants.snapped([label], [center]), [image])
    assert len(variants.snapped(dataset.labels[:0], dataset.centers[:0])) == 0


@pytest.mark.parametrize(
    ("labels", "centers", "message"),
    [
        ([(0, 0, 12, 0)], [(14, 14)], "angle label 12 .*0..11"),
        ([(0, 0, 0, 255)], [(14, 14)], "color label 255"),
        ([(0, 0, 0, -1)], [(14, 14)], "color label -1"),
        ([(0.0, 0, 0, 0)], [(14, 14)], "integers, not float64"),
        ([(0, 0, 0)], [(14, 14)], r"labels have shape \(1, 3\)"),
        ((0, 0, 0, 0), (14, 14), r"labels have shape \(4,\)"),
        ([(0, 0, 0, 0)], (14, 14), r"centers have shape \(2,\); \(1, 2\)"),
        ([(0, 0, 0, 0)], [(14, 14)] * 2, r"centers have shape \(2, 2\); \(1, 2\)"),
        ([(0, 0, 0, 0)] * 2, [(14, 14)], r"centers have shape \(1, 2\); \(2, 2\)"),
        ([(0, 0, 0, 0)], [(14, 14, 14)], r"centers have shape \(1, 3\)"),
        ([(0, 0, 0, 0)], None, r"centers have shape \(\)"),  # as of lines read from a folder
        ([(0, 0, 0, 0)], [(14, float("nan"))], r"center \(14, nan\)"),
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
