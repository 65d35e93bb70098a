"""Any image becomes what the model takes, and it is said how.

Kinds of files, and what is not an image, are tested in `faults/test_images.py`.
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


def test_ranges():
    image = np.array([[0, 255]], np.uint8).repeat(8, 0).repeat(3, 1)
    ready = prepare(GRAY, image, (-1.0, 1.0))
    assert sorted(np.unique(ready.batch)) == [-1, 1] and "scaled to -1 … 1" in ready.steps[0]
    floats = np.linspace(-1, 1, 48, dtype=np.float32).reshape(8, 6)  # in the range already
    ready = prepare(GRAY, floats, (-1.0, 1.0))
    assert ready.steps == ()
    np.testing.assert_allclose(ready.batch[0, ..., 0], floats, atol=1e-6)
    assert "values outside of -1 … 1" in prepare(GRAY, 3 * floats, (-1.0, 1.0)).steps[0]
    assert prepare(view_of(1, "uint8"), pixels(16, 12), BYTES).batch.dtype == np.uint8


BESIDE_BLACK = np.array([0, 0, 200, 200, 200, 200, 0, 0])[None, :, None, None]


@pytest.mark.parametrize(
    ("view", "image", "expected", "step"),
    [
        (GRAY, np.full((8, 6, 3), (0, 100, 0)), 58.7, "converted from color to gray"),
        (COLOR, np.full((8, 6), 9), 9, "gray repeated in three color channels"),
        (GRAY, np.full((80, 60), 7), 7, "resized from 60 × 80 to 6 × 8 pixels"),
        (GRAY, np.full((4, 6), 200), BESIDE_BLACK, "black added up to 6 × 8"),
    ],
)
def test_another_size_or_color_is_converted_and_said(view, image, expected, step):
    ready = prepare(view, image.astype(np.uint8), BYTES)
    assert ready.steps == (step,)
    np.testing.assert_allclose(ready.batch, np.broadcast_to(expected, ready.batch.shape), atol=1e-3)


def test_what_was_done_to_a_file_is_said(tmp_path):
    clear, film = tmp_path / "clear é.png", tmp_path / "film.gif"
    Image.new("RGBA", (6, 8), (255, 255, 255, 0)).save(clear)
    ready = prepare(COLOR, str(clear), BYTES)
    assert not ready.batch.any() and "transparency laid on black" in ready.steps
    frames = [Image.new("L", (6, 8), value) for value in (10, 200)]
    frames[0].save(film, save_all=True, append_images=frames[1:])
    assert "the first of 2 frames" in prepare(GRAY, film, BYTES).steps
    Image.fromarray(np.full((8, 6), 65535, np.uint16)).save(clear)
    ready = prepare(GRAY, clear, BYTES)
    assert (ready.batch == 255).all() and "16-bit values converted to 8 bits" in ready.steps
