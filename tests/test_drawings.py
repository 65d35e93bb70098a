"""A drawing becomes a digit as MNIST has them, whatever it was drawn on and with."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from drawings import DRAWINGS, paint_program
from PIL import Image, ImageOps
from scipy import ndimage
from sklearn.datasets import load_sample_images

from cnnlab import image_files, lines, mnist
from cnnlab.drawings import as_mnist, has_dark_strokes, inverted
from cnnlab.image_files import picture_of

DIGITS = [paint_program(digit) for digit in range(10)]
GRAY = [np.asarray(image.convert("L")) for image in DIGITS]
PLAIN = [as_mnist(image).pixels for image in DIGITS]


@pytest.fixture(scope="module")
def of_mnist():
    return mnist.load()[1][0][::100]  # 100 of the test images


def made(image):
    return as_mnist(image).pixels


def alike(one, other):
    """Return the correlation of two digits, blurred and shifted by a pixel at most."""
    one, other = (ndimage.gaussian_filter(np.asarray(each, float), 1) for each in (one, other))
    shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    shifted = [np.roll(one, shift, axis=(0, 1)).ravel() for shift in shifts]
    return max(np.corrcoef(each, other.ravel())[0, 1] for each in shifted)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_gets_the_form_of_mnist(name):
    """What is true of all 60,000: the box has 20 pixels, the center of mass is at 14, 14."""
    digit, draw = DRAWINGS[name]
    picture = as_mnist(draw(digit))
    assert picture.pixels.shape == (28, 28) and picture.pixels.dtype == np.uint8
    rows, columns = (np.flatnonzero(picture.pixels.any(axis=axis)) for axis in (1, 0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    np.testing.assert_allclose(ndimage.center_of_mass(picture.pixels), 14, atol=0.51)
    assert "as MNIST was" in picture.steps[-1] and max(picture.before.shape) <= 512


def test_a_digit_of_mnist_stays_and_one_drawn_large_becomes_itself_again(of_mnist):
    for image in of_mnist:
        assert as_mnist(image).pixels is image and as_mnist(image).steps == ()
    in_color = np.stack([of_mnist[0]] * 3, axis=-1)
    assert as_mnist(in_color).pixels is in_color
    similar = []
    for image in of_mnist:
        paper = Image.new("L", (400, 300), 255)
        paper.paste(ImageOps.invert(Image.fromarray(image)).resize((224, 224)), (150, 50))
        similar.append(alike(made(paper), image))
    assert min(similar) > 0.9 and np.median(similar) > 0.99


def in_colors(paper, ink):
    return lambda gray: np.where((gray < 128)[..., None], ink, paper).astype(np.uint8)


def tilted_light(gray):
    """A soft pencil on paper that is darker below, with noise."""
    noise = np.random.default_rng(0).normal(0, 5, gray.shape)
    paper = np.linspace(220, 120, len(gray))[:, None]
    return (paper * (0.7 + 0.3 * gray / 255) + noise).clip(0, 255).astype(np.uint8)


def cut_out(gray):
    rows, columns = np.nonzero(gray < 128)
    return gray[rows.min() : rows.max() + 1, columns.min() : columns.max() + 20]


def in_a_corner(gray):
    paper = Image.new("L", (2000, 1500), 255)
    paper.paste(Image.fromarray(gray).resize((140, 140)), (1800, 1300))
    return paper


def on_a_desk(gray, angle=0):
    """Paper on a darker desk, maybe turned."""
    desk, sheet = Image.new("L", (500, 440), 90), Image.fromarray(gray)
    whole = Image.new("L", sheet.size, 255).rotate(angle, expand=True)
    turned = sheet.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    desk.paste(turned, (70, 50), whole)
    return desk


def scanned(gray):
    """With the black frame that a scanner leaves."""
    framed = np.pad(gray, 20, constant_values=255)
    framed[:4], framed[-4:], framed[:, :4], framed[:, -4:] = 0, 0, 0, 0
    return framed


def on_ruled_paper(gray):
    ruled = gray.copy()
    for row in range(20, len(gray), 40):
        ruled[row : row + 2] = np.minimum(ruled[row : row + 2], 190)
    return ruled


def off_the_middle(gray):
    """As large as an image of MNIST and as bright, but somewhere else."""
    small = Image.fromarray(255 - gray).crop(Image.fromarray(255 - gray).getbbox())
    small.thumbnail((16, 16))
    image = Image.new("L", (28, 28))
    image.paste(small, (1, 1))
    return image


OTHERWISE = {
    "on a desk": on_a_desk,
    "on a desk, turned": lambda gray: on_a_desk(gray, 8),
    "scanned": scanned,
    "on ruled paper": on_ruled_paper,
    "off the middle": off_the_middle,
    "red on yellow": in_colors((255, 240, 80), (200, 0, 0)),
    "green on a red as bright": in_colors((255, 0, 0), (0, 130, 0)),
    "chalk on a blackboard": in_colors((30, 60, 40), (235, 235, 220)),
    "yellow on white": in_colors((255, 255, 255), (250, 250, 150)),
    "pencil in the light of a lamp": tilted_light,
    "up to the border": cut_out,
    "small in a corner": in_a_corner,
    "tiny": lambda gray: Image.fromarray(gray).resize((24, 24), Image.Resampling.BOX),
    "large": lambda gray: Image.fromarray(gray).resize((3000, 3000)),
    "16 bit": lambda gray: gray.astype(np.uint16) * 257,
    "black and white": lambda gray: gray > 127,
    "inverted": lambda gray: inverted(np.stack([gray] * 3, axis=-1)),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_the_same_digit_drawn_otherwise(name):
    similar = [
        alike(made(OTHERWISE[name](gray)), plain) for gray, plain in zip(GRAY, PLAIN, strict=True)
    ]
    assert min(similar) > 0.9


def test_files(tmp_path):
    palette, turned = tmp_path / "palette.png", tmp_path / "turned.png"
    ink = Image.fromarray((GRAY[2] < 128).astype(np.uint8)).convert("P")
    ink.putpalette([255, 255, 255, 20, 0, 90])
    ink.save(palette, transparency=0)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    DIGITS[2].rotate(90).save(turned, exif=exif)
    for path in (palette, turned):
        assert alike(made(path), PLAIN[2]) > 0.98


PHOTOS = [
    *load_sample_images().images,
    np.asarray(Image.open(Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg")),
]
NOISE = np.random.default_rng(0).normal(200, 6, (300, 300)).astype(np.uint8)
NO_INK = {
    "transparent": Image.new("RGBA", (60, 60)),
    "white": Image.new("RGB", (60, 60), "white"),
    "one pixel": np.zeros((1, 1), np.uint8),
    "empty paper": NOISE,
    "a photo": PHOTOS[0],
}


@pytest.mark.parametrize("name", NO_INK)
def test_without_ink_nothing_is_changed(name):
    picture = picture_of(NO_INK[name])
    left = as_mnist(picture)
    assert left.pixels is picture.pixels and left.before is None
    assert left.steps == (*picture.steps, "left as it is: no drawing was found in it")


def test_floats_have_no_known_white():
    for function in (as_mnist, inverted):
        with pytest.raises(ValueError, match="whole numbers or the path"):
            function(np.zeros((9, 9)))


def test_what_is_inverted(tmp_path):
    Image.new("RGBA", (2, 2), (255, 0, 10, 40)).save(tmp_path / "clear.png")
    picture = inverted(image_files.read(tmp_path / "clear.png"))
    assert picture.pixels[0, 0].tolist() == [0, 255, 245, 40] and picture.steps == ("inverted",)
    assert inverted(np.uint16([[65535, 300]])).pixels.tolist() == [[0, 65235]]
    assert inverted(np.array([[True, False]])).pixels.tolist() == [[False, True]]


def test_dark_strokes_are_told_from_photos(of_mnist):
    """A warning for each drawing, and none for what a network is likely to be trained on."""
    for photo in PHOTOS:
        for side in (28, 32, 64):
            values = np.asarray(Image.fromarray(photo).resize((side, side))) / 255
            assert not has_dark_strokes(values)
            assert not has_dark_strokes(values.mean(axis=2, keepdims=True))
    for image in GRAY:
        assert has_dark_strokes(
            np.asarray(Image.fromarray(image).resize((32, 32)))[..., None] / 255
        )
    of_lines = lines.generate(per_class=1, seed=0).images / 255
    on_white = 1 - of_lines.max(axis=3, keepdims=True)
    assert not any(map(has_dark_strokes, of_lines)) and all(map(has_dark_strokes, on_white))
    digits = of_mnist[..., None] / 255
    assert not any(map(has_dark_strokes, digits))
    assert np.mean([has_dark_strokes(1 - digit) for digit in digits]) > 0.9
