"""Images as they come: damaged, huge, odd. A picture, or one sentence; never a silent change.

The usual kinds of files are in `test_interpret_images.py`.
"""

import io
import struct
import zlib

import keras
import numpy as np
import pytest
from damage import attempt, printed
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from keras import layers
from PIL import Image, ImageOps

from cnnlab import image_files, interpret
from cnnlab.interpret.ascent import Ascent
from cnnlab.interpret.model import images
from cnnlab.interpret.model.network import inspect_model
from cnnlab.preprocessing import Preprocessing

BYTES = (0.0, 255.0)
FORMATS = ("png", "jpg", "gif", "bmp", "tif", "webp", "ppm", "tga", "jp2", "ico", "pcx")
ORIENTATION = 0x0112  # in EXIF

pytestmark = pytest.mark.filterwarnings("error")  # nothing here may warn


def convolutional(*shape):
    """Return a model with a head and feature maps."""
    keras.utils.set_random_seed(0)
    image = keras.Input(shape)
    maps = layers.Conv2D(2, 3, padding="same", activation="relu", name="maps")(image)
    head = layers.Dense(2, activation="softmax", name="class")
    return keras.Model(image, head(layers.GlobalAveragePooling2D()(maps)))


COLOR = convolutional(8, 6, 3)  # one model for all examples


def batch_of(image, ends=BYTES, model=COLOR):
    """Return an image as the model needs it, (1, height, width, channels)."""
    return images.prepare(inspect_model(model), image, Preprocessing(*ends)).batch


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def content(suffix, pixels):
    """Return the bytes of an image file."""
    file = io.BytesIO()
    kind = {"jpg": "jpeg", "tif": "tiff", "jp2": "jpeg2000"}.get(suffix, suffix)
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def reading(path):
    """Return (pixels, None), or (None, the sentence that names the file)."""
    picture, said = attempt(image_files.read, path)
    assert said is None or str(path) in said
    return picture and picture.pixels, said


# --- files


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_damaged_file_is_refused_or_read(suffix, tmp_path):
    whole = content(suffix, noise(64, 64, 3))
    path = tmp_path / f"damaged.{suffix}"
    for kept in (0, 1, 40, len(whole) // 2, len(whole) * 9 // 10):
        path.write_bytes(whole[:kept])
        _, said = reading(path)
        assert "not an image" in said or "is damaged" in said
    generator = np.random.default_rng(1)
    for near in [64, 512, len(whole)] * 10:
        changed = np.frombuffer(whole, np.uint8).copy()
        positions = generator.integers(0, min(near, len(whole)), generator.integers(1, 6))
        changed[positions] = generator.integers(0, 256, len(positions))
        path.write_bytes(changed.tobytes())
        pixels, said = reading(path)
        assert said or (pixels.ndim in (2, 3) and pixels.size > 0)


def vast(side):
    """Return a small png that says of itself that it is large."""
    whole = bytearray(content("png", noise(4, 4)))
    whole[16:24] = struct.pack(">II", side, side)
    whole[29:33] = struct.pack(">I", zlib.crc32(bytes(whole[12:29])))
    return bytes(whole)


REFUSED = {  # what a file holds, and what is said of it
    "only the start of a png": (b"\x89PNG\r\n\x1a\n", "not an image"),
    "less than no pixels": (b"P6\n-1 5\n255\n", "vast.png"),
    "many pixels": (vast(12_000), "120,000,000"),
    "more than Pillow reads": (vast(30_000), "120,000,000"),
    "negative numbers": (content("tif", np.full((2, 2), np.int32(-1))), "-1..-1"),
    "floats": (content("tif", np.full((2, 2), np.float32(0.5))), "floating"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_image_to_be_read(kind, tmp_path):
    holds, words = REFUSED[kind]
    (tmp_path / "vast.png").write_bytes(holds)
    assert words in reading(tmp_path / "vast.png")[1]


PALETTE = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
PALETTE.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
NOT_EXIF = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\1" * 99
RED = (255, 0, 0)
FILES = {  # name: an image, how it is saved, its first row
    "palette.png": (
        PALETTE,
        {"transparency": b"\x00\x80\xff"},
        [(*RED, 0), (0, 255, 0, 128), (0, 0, 255, 255)],
    ),
    "color.png": (Image.new("RGB", (1, 1), RED), {"transparency": RED}, [(*RED, 0)]),
    "black.png": (
        Image.frombytes("1", (2, 1), b"\x40"),
        {"transparency": 0},
        [(0, 0, 0, 0), (255, 255, 255, 255)],
    ),
    "motorola.tif": (Image.frombytes("I;16B", (2, 1), b"\0\1\2\3"), {}, [1, 515]),
    "bad exif.png": (Image.new("L", (1, 1), 7), {"exif": NOT_EXIF}, [7]),
}


@pytest.mark.parametrize("name", FILES)
def test_what_odd_files_hold(name, tmp_path):
    image, options, first_row = FILES[name]
    image.save(tmp_path / name, **options)
    np.testing.assert_array_equal(image_files.read(tmp_path / name).pixels[0], first_row)


def test_all_orientations(tmp_path):
    upright = Image.fromarray(noise(2, 3, 3))
    for orientation in range(10):  # 0 and 9 mean nothing
        exif, file = Image.Exif(), io.BytesIO()
        exif[ORIENTATION] = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, 1)
        upright.save(file, "png", exif=exif)
        exif[ORIENTATION] = orientation
        stored = ImageOps.exif_transpose(Image.open(file))
        stored.save(tmp_path / "turned.png", exif=exif)
        picture = image_files.read(tmp_path / "turned.png")
        np.testing.assert_array_equal(picture.pixels, upright)
        assert any("EXIF" in step for step in picture.steps) == (orientation in range(2, 9))


# --- arrays

GOOD = np.arange(144, dtype=np.float64).reshape(8, 6, 3) + 50
SAME_NUMBERS = {
    "read-only": lambda a: np.broadcast_to(a, a.shape),
    "backwards": lambda a: a[::-1].copy()[::-1],
    "a batch of one": lambda a: a[None],
    "a list": lambda a: a.tolist(),
    "the other byte order": lambda a: a.astype(">f8"),
    "half precision": lambda a: a.astype("<f2"),
    "an image of Pillow": lambda a: Image.fromarray(a.astype(np.uint8)),
    "a tensor": lambda a: keras.ops.convert_to_tensor(a.astype(np.float32)),
}


@pytest.mark.parametrize("kind", SAME_NUMBERS)
def test_every_way_to_hold_the_same_numbers(kind):
    made = SAME_NUMBERS[kind](GOOD)
    before = np.array(made).copy()
    np.testing.assert_allclose(batch_of(made)[0], GOOD, rtol=1e-5)
    np.testing.assert_array_equal(np.array(made), before)


NO_IMAGES = {  # other dtypes are tried below
    "one NaN": np.where(GOOD == 60, np.nan, GOOD),
    "2 channels": GOOD[..., :2],
    "two images": np.stack([GOOD, GOOD]),
    "ragged": [[1, 2], [3]],
    "a dictionary": {"image": GOOD},
    "negative": np.full((8, 6), -1),
}


@pytest.mark.parametrize("name", NO_IMAGES)
def test_no_image(name):
    _, said = attempt(interpret.explain, COLOR, NO_IMAGES[name], preprocess=BYTES)
    assert said and len(said) < 200


def test_a_wrong_image_builds_no_model():
    model = keras.Sequential([layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])
    assert attempt(interpret.explain, model, np.zeros((8, 6, 2)))[1]
    assert not model.built


def test_tiny_and_large_floats_are_explained_in_finite_numbers():
    values = np.array([5e-324, 1e-45, -1e-300, -0.0, 1e4]).repeat(6).reshape(5, 6)
    explained = interpret.explain(COLOR, values, preprocess=BYTES)
    for heat in explained.heatmaps.values():
        assert np.isfinite(heat.maps).all() and np.isfinite(heat.probabilities).all()
    assert all(np.isfinite(maps).all() for maps in explained.activations.values())


KINDS = ["?", "u1", "i1", ">u2", ">i4", "<i8", ">u8", "<f2", ">f4", "<f8", "g", "c8", "c16"]
KINDS += ["O", "S3", "U3", "M8[s]", "m8[s]", "V4"]


@settings(deadline=None, max_examples=150, derandomize=True)
@given(st.data(), st.sampled_from([(0.0, 1.0), BYTES, (-1.0, 1.0), (-0.5, 1e-3)]))
def test_any_array_is_prepared_in_finite_numbers_or_refused(data, ends):
    dtype = np.dtype(data.draw(st.sampled_from(KINDS)))
    shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=7))
    raw = data.draw(st.binary(min_size=64, max_size=64))
    number = raw if dtype.hasobject else np.frombuffer(raw, dtype, 64 // dtype.itemsize)
    array = np.resize(np.array(number, dtype), shape).astype(dtype)  # resize turns bytes round
    batch, said = attempt(batch_of, array, ends)
    if not said:
        assert batch.shape == (1, 8, 6, 3) and batch.dtype == np.float32
        assert np.isfinite(batch).all()


# --- any size


@pytest.mark.parametrize("shape", [(1, 9), (700, 30), (3, 4, 3)])
def test_a_model_of_any_size(shape):
    batch = batch_of(np.full(shape, 255, np.uint8), model=convolutional(None, None, 3))
    assert (batch == 255).all()  # no black is added
    scale = min(1, images.OPEN_MOST / max(shape[:2]))
    assert batch.shape[1:3] == tuple(max(1, round(side * scale)) for side in shape[:2])


def test_an_image_too_small_for_a_model_of_any_size():
    image = keras.Input((None, None, 1))
    maps = layers.MaxPooling2D(2)(layers.Conv2D(2, 3, name="early")(image))
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(maps)))
    for technique in (interpret.explain, interpret.activations, interpret.grad_cam):
        assert "2 × 2 pixels" in attempt(technique, model, np.zeros((2, 2), np.uint8))[1]
    ascent = Ascent(size=(2, 2))
    assert "2 × 2 pixels" in attempt(interpret.maximize_filters, model, "early", ascent=ascent)[1]


def test_bands_change_nothing(monkeypatch):
    image = noise(301, 203, 4)
    whole = batch_of(image)
    monkeypatch.setattr(images, "BAND", 1)
    np.testing.assert_allclose(batch_of(image), whole, rtol=1e-5)


MEMORY = """
import resource, sys
from cnnlab import runtime
runtime.start(seed=0)
import keras, numpy as np
from cnnlab import interpret
image = keras.Input((None, None, 3))
maps = keras.layers.Conv2D(4, 3)(image)
model = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(maps)))
def peak():
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used * (1 if sys.platform == "darwin" else 1024) / 2**30
interpret.explain(model, np.zeros((28, 28), np.uint8))
before = peak()
given = sys.argv[1] if sys.argv[1:] else np.full((10_000, 10_000, 3), 7, np.uint8)
interpret.explain(model, given)
print(peak() - before)
"""
TURNED = Image.Exif()
TURNED[ORIENTATION] = 6
LARGE = {  # the mode of a file, and how it is saved
    "palette.png": ("P", {"transparency": 0}),
    "deep.png": ("I;16", {}),
    "turned.jpg": ("RGB", {"exif": TURNED}),
}


@pytest.mark.fault
@pytest.mark.parametrize("name", [*LARGE, "an array"])
def test_a_hundred_million_pixels_in_bounded_memory(name, tmp_path):
    path = [str(tmp_path / name)] if name in LARGE else []
    if path:
        mode, options = LARGE[name]
        Image.new(mode, (10_000, 10_000)).save(*path, **options)
    assert float(printed(MEMORY, *path)) < 1.5  # GiB more than for a small image
