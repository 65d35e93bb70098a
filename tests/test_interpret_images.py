"""Any image becomes what the model takes, and it is said how.

What is not an image is tested in `faults/test_images.py`.
"""

import keras
import numpy as np
import pytest
from PIL import Image

from cnnlab.interpret.model.images import prepare
from cnnlab.interpret.model.network import inspect_model

BYTES = (0.0, 255.0)


def view_of(channels, dtype="float32"):
    inputs = keras.Input((8, 6, channels), dtype=dtype)
    output = keras.layers.Dense(2, name="answer")(keras.layers.Flatten()(inputs))
    return inspect_model(keras.Model(inputs, output))


GRAY, COLOR = view_of(1), view_of(3)


def pixels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("image", [pixels(8, 6), pixels(8, 6, 1), pixels(8, 6, 3)])
def test_what_fits_is_passed_on_unchanged(image):
    ready = prepare(COLOR if image.shape[-1] == 3 else GRAY, image, BYTES)
    assert ready.steps == ()
    assert ready.batch.dtype == np.float32
    np.testing.assert_array_equal(ready.batch[0].reshape(image.shape), image)


def test_a_file_gives_its_pixels(tmp_path):
    image = pixels(8, 6, 3)
    Image.fromarray(image).save(tmp_path / "a b é.png")
    for path in (tmp_path / "a b é.png", str(tmp_path / "a b é.png")):
        np.testing.assert_array_equal(prepare(COLOR, path, BYTES).batch[0], image)


def test_ranges():
    image = np.array([[0, 255]], np.uint8).repeat(8, 0).repeat(3, 1)
    ready = prepare(GRAY, image, (-1.0, 1.0))
    assert sorted(np.unique(ready.batch)) == [-1, 1]
    assert "scaled to -1 … 1" in ready.steps[0]
    floats = np.linspace(-1, 1, 48, dtype=np.float32).reshape(8, 6)  # in the range already
    ready = prepare(GRAY, floats, (-1.0, 1.0))
    assert ready.steps == ()
    np.testing.assert_allclose(ready.batch[0, ..., 0], floats, atol=1e-6)
    assert "values outside of -1 … 1" in prepare(GRAY, 3 * floats, (-1.0, 1.0)).steps[0]
    whole = prepare(view_of(1, "uint8"), pixels(16, 12), BYTES)
    assert whole.batch.dtype == np.uint8


def test_color_to_gray_and_back_is_said():
    image = np.zeros((8, 6, 3), np.uint8)
    image[..., 1] = 100
    ready = prepare(GRAY, image, BYTES)
    np.testing.assert_allclose(ready.batch, 58.7, atol=1e-3)
    assert ready.steps == ("converted from color to gray",)
    ready = prepare(COLOR, np.full((8, 6), 9, np.uint8), BYTES)
    np.testing.assert_allclose(ready.batch, 9, atol=1e-5)
    assert ready.steps == ("gray repeated in three color channels",)


def test_another_size_keeps_its_proportions():
    image = np.full((4, 6), 200, np.uint8)  # wider than the model's input: black above and below
    ready = prepare(GRAY, image, BYTES)
    assert ready.steps == ("black added up to 6 × 8",)
    rows = ready.batch[0, :, 0, 0]
    np.testing.assert_allclose(rows, [0, 0, 200, 200, 200, 200, 0, 0], atol=1e-3)
    ready = prepare(GRAY, np.full((80, 60), 7, np.uint8), BYTES)
    assert ready.steps == ("resized from 60 × 80 to 6 × 8 pixels",)
    np.testing.assert_allclose(ready.batch, 7, atol=1e-3)


MODES = {
    "P": "converted from P to RGB",
    "CMYK": "converted from CMYK to RGB",
    "LA": "transparency laid on black",
    "1": "gray repeated in three color channels",
    "I;16": "16-bit values converted to 8 bits",
}


@pytest.mark.parametrize("mode", MODES)
def test_modes_of_files(tmp_path, mode):
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    image = Image.fromarray(np.full((8, 6), 65535, np.uint16))
    if mode != "I;16":
        image = Image.fromarray(np.full((8, 6, 3), 255, np.uint8)).convert(mode)
    image.save(path)
    ready = prepare(COLOR, path, BYTES)
    assert MODES[mode] in ready.steps
    np.testing.assert_allclose(ready.batch, 255, atol=1e-3)


def test_transparency_orientation_and_frames(tmp_path):
    Image.new("RGBA", (6, 8), (255, 255, 255, 0)).save(tmp_path / "clear.png")
    assert not prepare(COLOR, tmp_path / "clear.png", BYTES).batch.any()
    image, exif = pixels(6, 8, 3), Image.Exif()
    exif[0x0112] = 6  # stored on its side
    Image.fromarray(image).save(tmp_path / "turned.png", exif=exif)
    ready = prepare(COLOR, tmp_path / "turned.png", BYTES)
    assert any("EXIF" in step for step in ready.steps)
    np.testing.assert_array_equal(ready.batch[0], np.rot90(image, -1))
    frames = [Image.new("L", (6, 8), value) for value in (10, 200)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    ready = prepare(GRAY, tmp_path / "film.gif", BYTES)
    assert "the first of 2 frames" in ready.steps
    np.testing.assert_allclose(ready.batch, 10, atol=1)
