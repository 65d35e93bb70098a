"""The line dataset: geometry measured back from the pixels, the codec, and what is promised."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab import lines
from cnnlab.lines import coverage
from cnnlab.lines.dataset import _draw_centers, _draw_class

# The 96,000 images of seed 0. Another value on another machine means other images.
IMAGES_SHA256 = "a029525df3c28eb4b2fa3dcb90cb9afa1d085c491a9f58de5fc12006cd19a6a5"


@pytest.fixture(scope="module")
def dataset():
    return lines.generate()


def geometry(labels):
    """Return length, width and angle, as numbers, of labels (n, 4)."""
    return tuple(
        np.array(choices)[labels[:, column]]
        for column, choices in enumerate((lines.LENGTHS, lines.WIDTHS, lines.ANGLES))
    )


def measure(images):
    """Return length, width, angle, x and y (5, n) of lines in images (n, 28, 28, 3), from moments.

    A rectangle's second moments are length²/12 and width²/12 along its axes; each pixel adds 1/12
    of its own. The width comes from the area, which no moment has smeared.
    """
    red_or_blue = np.maximum(images[..., 0], images[..., 2])
    weight = red_or_blue.reshape(len(images), -1) / 255
    area = weight.sum(1)
    y, x = np.mgrid[: images.shape[1], : images.shape[2]].reshape(2, -1) + 0.5

    def mean(values):
        return weight @ values / area

    center_x, center_y = mean(x), mean(y)
    xx = mean(x * x) - center_x**2 - 1 / 12
    yy = mean(y * y) - center_y**2 - 1 / 12
    xy = -(mean(x * y) - center_x * center_y)  # y points down, angles are as seen
    angle = np.degrees(np.arctan2(2 * xy, xx - yy)) / 2 % 180
    length = np.sqrt(12 * ((xx + yy) / 2 + np.hypot((xx - yy) / 2, xy)))
    return np.stack([length, area / length, angle, center_x, center_y])


def clipped_area(corners, column, row):
    """Return the area of a polygon inside one pixel (Sutherland and Hodgman 1974)."""
    low, high = complex(column, row), complex(column + 1, row + 1)
    for on_side, inward in ((low, 1), (low, -1j), (high, -1), (high, 1j)):
        kept = []
        for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
            before, after = (((point - on_side) * inward).real for point in (start, end))
            if (before >= 0) != (after >= 0):
                kept.append(start + before / (before - after) * (end - start))
            if after >= 0:
                kept.append(end)
        corners = kept
    pairs = zip(corners, corners[1:] + corners[:1], strict=True)
    return abs(sum((a.conjugate() * b).imag for a, b in pairs)) / 2


def corners_of(length, width, angle, x, y):
    """Return the four corners as complex numbers, y down."""
    turn = np.exp(-1j * np.radians(angle))
    along, across = turn * length / 2, turn * 1j * width / 2
    center = x + 1j * y
    return [center + s * along + t * across for s, t in ((1, 1), (1, -1), (-1, -1), (-1, 1))]


def test_all_classes_have_their_geometry(dataset):
    """Every image of the dataset, at its random center between the pixels.

    The moments of 28 x 28 samples are themselves off by up to this much (of exact, unrounded areas
    too: 0.144 pixels, 0.54°), by an amount that depends on the center; so the mean over a class's
    1,000 centers tells more, and is held to a much smaller error.
    """
    measured = np.concatenate([measure(part) for part in np.split(dataset.images, 96)], axis=1)
    error = measured - np.stack([*geometry(dataset.labels), *dataset.centers.T])
    error[2] = (error[2] + 90) % 180 - 90
    limits = [0.15, 0.07, 0.56, 0.02, 0.02]  # pixels, pixels, degrees, pixels, pixels
    mean_limits = [0.005, 0.003, 0.02, 0.001, 0.001]
    assert (np.abs(error).max(1) < limits).all()
    assert (np.abs(error.reshape(5, 96, 1000).mean(2)).max(1) < mean_limits).all()


def test_colors_are_pure(dataset):
    red = dataset.labels[:, 3] == 0
    assert dataset.images[red][..., 0].any((1, 2)).all()
    assert dataset.images[~red][..., 2].any((1, 2)).all()
    assert not dataset.images[red][..., 1:].any()
    assert not dataset.images[~red][..., :2].any()
    assert red.sum() == 48_000


def test_every_line_is_whole(dataset):
    """No corner is outside the image, by as much as a rounding error."""
    corners = np.array(corners_of(*geometry(dataset.labels), *dataset.centers.T.astype(float)))
    for values in (corners.real, corners.imag):
        assert values.min() > -1e-9 and values.max() < 28 + 1e-9


@pytest.mark.parametrize("class_index", [0, 22, 94])
def test_the_outermost_centers_are_inside(class_index):
    """The smallest and the largest fraction a stream can give, as float32 without any tolerance."""
    raw = np.array([0, 0, 2**64 - 1, 2**64 - 1], np.uint64)
    *shape, _ = lines.geometry(lines.decode(class_index))
    centers = _draw_centers(SimpleNamespace(random_raw=lambda count: raw), 2, *shape).astype(float)
    low, high = lines.center_limits(*shape)
    assert (centers >= low).all() and (centers <= high).all()


def test_centers_reach_all_positions(dataset):
    """Uniform from limit to limit: the mean is in the middle, the extremes touch both ends."""
    low, high = (limit.T for limit in lines.center_limits(*geometry(dataset.labels)))
    fraction = ((dataset.centers - low) / (high - low)).reshape(96, 1000, 2)
    assert np.abs(fraction.mean(1) - 0.5).max() < 0.05  # five standard errors
    assert fraction.min(1).max() < 0.015
    assert fraction.max(1).min() > 0.985


def test_the_whole_dataset(dataset):
    assert dataset.images.shape == (96_000, 28, 28, 3)
    assert dataset.images.dtype == dataset.labels.dtype == np.uint8
    assert dataset.centers.dtype == np.float32
    assert (np.bincount(lines.encode(dataset.labels), minlength=96) == 1000).all()
    assert len({image.tobytes() for image in dataset.images}) == 96_000
    assert hashlib.sha256(dataset.images).hexdigest() == IMAGES_SHA256


def test_small_datasets_are_the_start_of_large_ones_on_any_number_of_threads(dataset, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    for part, whole in zip(lines.generate(per_class=3), dataset, strict=True):
        shape = part.shape[1:]
        assert np.array_equal(part.reshape(96, 3, *shape), whole.reshape(96, 1000, *shape)[:, :3])


def test_repeated_images_are_drawn_again():
    """The raw output repeats its first three centers once before it goes on."""
    fresh = np.random.PCG64(5).random_raw(20)
    raw = iter([*fresh[:6], *fresh])
    stream = SimpleNamespace(random_raw=lambda count: np.array([next(raw) for _ in range(count)]))
    expected = _draw_class(0, 6, np.random.PCG64(5))
    for part, wanted in zip(_draw_class(0, 6, stream), expected, strict=True):
        assert np.array_equal(part, wanted)


RANDOM = np.random.default_rng(671)
RECTANGLES = [
    (RANDOM.uniform(0.1, 15), RANDOM.uniform(0.1, 5), angle, *RANDOM.uniform(8, 20, 2))
    for angle in (0, 90, 45, 0.5, 89.5, 90.5, 179.5, *RANDOM.uniform(0, 180, 8))
]


def areas_of(drawn, size=28):
    """The areas of whole images (n, size, size), out of their windows."""
    areas = np.zeros((len(drawn), size, size))
    windows = zip(areas, *coverage.coverage(np.array(drawn), size), strict=True)
    for image, window, top, left in windows:
        image[top : top + len(window), left : left + len(window)] = window
    return areas


def test_pixels_are_the_area_a_polygon_clipper_finds():
    areas = areas_of(RECTANGLES)
    for rectangle, area in zip(RECTANGLES, areas, strict=True):
        corners = corners_of(*rectangle)
        expected = [[clipped_area(corners, x, y) for x in range(28)] for y in range(28)]
        assert np.abs(area - expected).max() < 1e-9, rectangle


@pytest.mark.parametrize("angle", [0.0001, 89.99999, 179.99999999])
def test_next_to_an_axis_nothing_jumps(angle):
    near = lines.render(15, 3, angle, (13.3, 14.6))
    on_axis = lines.render(15, 3, round(angle / 90) % 2 * 90, (13.3, 14.6))
    assert np.abs(near.astype(int) - on_axis).max() <= 1


@settings(max_examples=200, deadline=None)
@given(
    sides=st.tuples(st.floats(0.01, 19), st.floats(0.01, 19)),
    angle=st.floats(0, 180, exclude_max=True),
    center=st.tuples(st.floats(13.5, 14.5), st.floats(13.5, 14.5)),
)
def test_any_rectangle_keeps_its_area(sides, angle, center):
    area = areas_of([[*sides, angle, *center]])
    assert area.min() > -1e-6 and area.max() < 1 + 1e-6
    assert abs(area.sum() - np.prod(sides)) < 1e-5


def test_a_drawing_checked_by_hand():
    """Three by one, its ends in the middle of pixels; y downwards, from the corner."""
    image = lines.render(3, 1, 0, (2.5, 1.25), (200, 100, 0), size=5)[0]
    upper, lower = 0.25, 0.75
    expected = np.outer([upper, lower, 0, 0, 0], [0, 1, 1, 1, 0])
    assert np.array_equal(image[..., 0], 200 * expected)
    assert np.array_equal(image[..., 1], 100 * expected)
    assert not image[..., 2].any()
    assert (lines.render(28, 28, 0, (14, 14))[..., 0] == 255).all()  # touches the border


def test_render_broadcasts():
    centers = np.array([(12.0, 14), (14, 14), (16, 14)])
    images = lines.render(7, 1, [0, 30, 60], centers, [(255, 0, 0), (0, 0, 255), (0, 255, 0)])
    single = lines.render(7, 1, 30, (14, 14), (0, 0, 255))
    assert images.shape == (3, 28, 28, 3)
    assert np.array_equal(images[1:2], single)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"length": float("nan")}, "length nan is not allowed.*positive"),
        ({"length": 40}, "length 40, width 1, angle 30° does not fit into 28 x 28"),
        ({"angle": 180}, "angle 180.0.*less than 180"),
        ({"center": (6, 14)}, r"center \(6, 14\).*for x in 6.74\d+..21.2\d+ and y in"),
        ({"center": 14}, "center has shape"),
        ({"color": (256, 0, 0)}, "color 256 is not allowed.*0..255"),
        ({"color": (1.0, 0, 0)}, "color must be integers"),
        ({"size": 0}, "size 0 .* whole number >= 1"),
        ({"length": [7, 7], "angle": [0, 1, 2]}, "differ in number"),
    ],
)
def test_render_says_what_is_wrong(change, message):
    good = {"length": 15, "width": 1, "angle": 30, "center": (14, 14)}
    with pytest.raises(ValueError, match=message):
        lines.render(**good | change)


def test_codec_is_a_bijection():
    classes = np.arange(96)
    labels = lines.decode(classes)
    length, width, angle, color = labels.T.astype(int)
    assert np.array_equal(classes, ((length * 2 + width) * 12 + angle) * 2 + color)
    assert np.array_equal(lines.encode(labels), classes)
    assert lines.class_name(90) == "long thick 135° red"


@pytest.mark.parametrize(
    ("call", "argument", "message"),
    [
        (lines.encode, [(0, 0, 0, 0), (0, 0, 12, 0)], "angle label 12 .*0..11"),
        (lines.encode, [(0, 0, 0)], "shape"),
        (lines.decode, [5, 200], "200 .*0..95"),
        (lines.decode, 1.5, "integers"),
    ],
)
def test_codec_rejects(call, argument, message):
    with pytest.raises(ValueError, match=message):
        call(argument)


@pytest.mark.parametrize("arguments", [(0,), (3, -1)])
def test_generate_rejects(arguments):
    with pytest.raises(ValueError, match="is not allowed: it must be a whole number"):
        lines.generate(*arguments)


def test_geometry_is_measured_back_from_the_pixels():
    drawn = lines.generate(per_class=3, seed=7)
    length, width, angle, _ = lines.geometry(drawn.labels)
    measured = lines.measured(drawn.images)
    turn = np.abs(measured.angle - angle) % 180
    assert np.minimum(turn, 180 - turn).max() < 0.7
    assert np.abs(measured.length - length).max() < 0.2
    assert np.abs(measured.width - width).max() < 0.05
    assert [part.item() for part in lines.measured(np.zeros((1, 28, 28, 3), np.uint8))] == [0, 0, 0]
