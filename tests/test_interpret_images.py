"""Any image becomes what the model takes, and it is said how; no image gets a clear error."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from cnnlab.interpret.model.images import prepare
from cnnlab.interpret.model.network import inspect_model

BYTES = (0.0, 255.0)


def network(shape, dtype="float32"):
    inputs = keras.Input(shape, dtype=dtype)
    hidden = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, keras.layers.Dense(2, name="answer")(hidden))


@pytest.fixture(scope="module")
def gray():
    model = network((8, 6, 1))
    yield inspect_model(model)


@pytest.fixture(scope="module")
def color():
    model = network((8, 6, 3))
    yield inspect_model(model)


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_what_fits_is_passed_on_unchanged(gray, color):
    for view, image in ((gray, pixels(8, 6)), (gray, pixels(8, 6, 1)), (color, pixels(8, 6, 3))):
        ready = prepare(view, image, BYTES)
        assert ready.steps == ()
        assert ready.batch.dtype == np.float32
        np.testing.assert_array_equal(ready.batch[0].reshape(image.shape), image)


def test_a_file_gives_its_pixels(tmp_path, color):
    image = pixels(8, 6, 3)
    Image.fromarray(image).save(tmp_path / "a b é.png")
    for path in (tmp_path / "a b é.png", str(tmp_path / "a b é.png")):
        np.testing.assert_array_equal(prepare(color, path, BYTES).batch[0], image)


def test_range_of_the_model(gray):
    image = np.array([[0, 255]], np.uint8).repeat(8, 0).repeat(3, 1)
    ready = prepare(gray, image, (-1.0, 1.0))
    assert sorted(np.unique(ready.batch)) == [-1, 1]
    assert "scaled to -1 … 1" in ready.steps[0]


def test_floats_are_in_the_models_range_already(gray):
    image = np.linspace(-1, 1, 48, dtype=np.float32).reshape(8, 6)
    ready = prepare(gray, image, (-1.0, 1.0))
    assert ready.steps == ()
    np.testing.assert_allclose(ready.batch[0, ..., 0], image, atol=1e-6)


def test_color_to_gray_and_back_is_said(gray, color):
    image = np.zeros((8, 6, 3), np.uint8)
    image[..., 1] = 100
    ready = prepare(gray, image, BYTES)
    np.testing.assert_allclose(ready.batch, 58.7, atol=1e-3)
    assert ready.steps == ("converted from color to gray",)
    ready = prepare(color, np.full((8, 6), 9, np.uint8), BYTES)
    np.testing.assert_allclose(ready.batch, 9, atol=1e-5)
    assert ready.steps == ("gray repeated in three color channels",)


def test_another_size_keeps_its_proportions(gray):
    image = np.full((4, 6), 200, np.uint8)  # wider than the model's input: black above and below
    ready = prepare(gray, image, BYTES)
    assert ready.steps == ("black added up to 6 × 8",)
    rows = ready.batch[0, :, 0, 0]
    np.testing.assert_allclose(rows, [0, 0, 200, 200, 200, 200, 0, 0], atol=1e-3)
    ready = prepare(gray, np.full((80, 60), 7, np.uint8), BYTES)
    assert ready.steps == ("resized from 60 × 80 to 6 × 8 pixels",)
    np.testing.assert_allclose(ready.batch, 7, atol=1e-3)


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("P", "converted from P to RGB"),
        ("CMYK", "converted from CMYK to RGB"),
        ("LA", "transparency laid on black"),
        ("RGBA", "transparency laid on black"),
        ("1", "gray repeated in three color channels"),
        ("I;16", "16-bit values converted to 8 bits"),
    ],
)
def test_modes_of_files(tmp_path, color, mode, said):
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    if mode == "I;16":
        image = Image.fromarray(np.full((8, 6), 65535, np.uint16))
    else:
        image = Image.fromarray(np.full((8, 6, 3), 255, np.uint8)).convert(mode)
    image.save(path)
    ready = prepare(color, path, BYTES)
    assert said in ready.steps
    np.testing.assert_allclose(ready.batch, 255, atol=1e-3)


def test_transparent_is_black(tmp_path, color):
    Image.new("RGBA", (6, 8), (255, 255, 255, 0)).save(tmp_path / "clear.png")
    assert not prepare(color, tmp_path / "clear.png", BYTES).batch.any()


def test_exif_orientation_turns_the_image_upright(tmp_path, color):
    image = pixels(6, 8, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    Image.fromarray(image).save(tmp_path / "turned.png", exif=exif)
    ready = prepare(color, tmp_path / "turned.png", BYTES)
    assert any("EXIF" in step for step in ready.steps)
    np.testing.assert_array_equal(ready.batch[0], np.rot90(image, -1))


def test_first_frame_of_a_film(tmp_path, gray):
    frames = [Image.new("L", (6, 8), value) for value in (10, 200)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    ready = prepare(gray, tmp_path / "film.gif", BYTES)
    assert "the first of 2 frames" in ready.steps
    np.testing.assert_allclose(ready.batch, 10, atol=1)


def test_integer_input_gets_whole_numbers():
    model = network((8, 6, 1), dtype="uint8")
    ready = prepare(inspect_model(model), pixels(16, 12), BYTES)
    assert ready.batch.dtype == np.uint8


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 6, 2)), "shape"),
        (np.zeros(5), "shape"),
        (np.zeros((0, 6)), "shape"),
        (np.zeros((2, 8, 6, 1)), "one image"),
        (np.full((8, 6), np.nan), "NaN"),
        (np.full((8, 6), np.inf), "infinite"),
        (np.full((8, 6), "x"), "numbers"),
        (np.array([[None]]), "numbers"),
        (np.full((8, 6), -1), "0..255"),
        (np.full((8, 6), 70000), "0..255"),
    ],
)
def test_no_image(gray, image, message):
    with pytest.raises(ValueError, match=message):
        prepare(gray, image, BYTES)


def test_files_that_are_no_images(tmp_path, gray):
    with pytest.raises(FileNotFoundError):
        prepare(gray, tmp_path / "nothing.png", BYTES)
    for name, content in (("empty.png", b""), ("text.png", b"not an image")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match="not an image file"):
            prepare(gray, tmp_path / name, BYTES)
    Image.fromarray(pixels(80, 60)).save(tmp_path / "whole.png")
    half = (tmp_path / "whole.png").read_bytes()[:2000]
    (tmp_path / "half.png").write_bytes(half)
    with pytest.raises(ValueError, match="damaged"):
        prepare(gray, tmp_path / "half.png", BYTES)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.float32, np.int64, np.bool_, np.uint16]),
        arrays.array_shapes(min_dims=1, max_dims=4, max_side=9),
    )
)
def test_an_array_is_prepared_or_refused_with_a_value_error(array):
    view = test_an_array_is_prepared_or_refused_with_a_value_error.view
    try:
        ready = prepare(view, array, BYTES)
    except ValueError:
        return
    assert ready.batch.shape == (1, 8, 6, 3)
    assert np.isfinite(ready.batch).all()


_kept = network((8, 6, 3))
test_an_array_is_prepared_or_refused_with_a_value_error.view = inspect_model(_kept)
