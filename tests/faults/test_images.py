"""Images as they come: damaged, huge, odd. A picture, or one sentence; never a silent change."""

import io
import os
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from keras import layers
from PIL import Image, ImageOps, features

from cnnlab import image_files, interpret
from cnnlab.interpret.model.images import OPEN_MOST, picture_of, prepare
from cnnlab.interpret.model.network import inspect_model

ROOT = Path(__file__).resolve().parents[2]
BYTES = (0.0, 255.0)
FORMATS = ("png", "jpg", "gif", "bmp", "tif", "webp", "ppm", "tga", "jp2", "ico", "pcx")


@pytest.fixture(autouse=True)
def no_warnings():
    """Nothing here may warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def convolutional(*shape):
    """Return a model with a head and feature maps."""
    keras.utils.set_random_seed(0)
    image = keras.Input(shape)
    maps = layers.Conv2D(2, 3, padding="same", activation="relu", name="maps")(image)
    head = layers.Dense(2, activation="softmax", name="answer")
    return keras.Model(image, head(layers.GlobalAveragePooling2D()(maps)))


@pytest.fixture(scope="module")
def color():
    return convolutional(8, 6, 3)


@pytest.fixture(scope="module")
def open_size():
    return convolutional(None, None, 3)


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def content(suffix, pixels, **options):
    """Return the bytes of an image file."""
    file = io.BytesIO()
    kind = {"jpg": "jpeg", "tif": "tiff", "jp2": "jpeg2000"}.get(suffix, suffix)
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def refused(path):
    """Return what is said of a file that is no whole image."""
    with pytest.raises(ValueError) as caught:
        image_files.read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


# --- damaged files


@pytest.mark.parametrize("kept", [0, 1, 10, 40, 200, 0.5, 0.9])
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_truncated_file_is_refused(suffix, kept, tmp_path):
    whole = content(suffix, noise(64, 64, 3))
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(whole[: kept if isinstance(kept, int) else int(kept * len(whole))])
    assert "not an image file" in (said := refused(path)) or "is damaged" in said


@pytest.mark.parametrize("suffix", FORMATS)
def test_bytes_that_are_wrong_are_refused_or_read(suffix, tmp_path):
    whole = np.frombuffer(content(suffix, noise(32, 32, 3)), np.uint8)
    generator = np.random.default_rng(1)
    path = tmp_path / f"wrong.{suffix}"
    for _ in range(60):
        changed = whole.copy()
        near = min(len(whole), int(generator.choice([64, 512, len(whole)])))
        where = generator.integers(0, near, generator.integers(1, 6))
        changed[where] = generator.integers(0, 256, len(where))
        path.write_bytes(changed.tobytes())
        try:
            picture = image_files.read(path)
        except ValueError as error:
            assert str(path) in str(error) and "\n" not in str(error)
        else:
            assert picture.pixels.ndim in (2, 3) and picture.pixels.size > 0


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"\0",
        b"no image",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"BM",
        b"II*\0",
        b"RIFF\x10\0\0\0WEBP",
        b"%PDF-1.7\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"P6\n0 0\n255\n",
        b"P6\n-1 5\n255\n",
        b"P6\n99999 99999\n255\n",
    ],
    ids=lambda start: repr(start)[2:14],
)
def test_what_only_begins_like_an_image(start, tmp_path):
    path = tmp_path / "start.png"
    path.write_bytes(start)
    refused(path)


@pytest.mark.parametrize("side", [12_000, 30_000, 2**31 - 1])
def test_more_pixels_than_are_read(side, tmp_path):
    whole = bytearray(content("png", noise(4, 4)))
    whole[16:24] = struct.pack(">II", side, side)
    import zlib

    whole[29:33] = struct.pack(">I", zlib.crc32(bytes(whole[12:29])))
    path = tmp_path / "vast.png"
    path.write_bytes(whole)
    assert "120,000,000 are read at most" in refused(path)


def test_damaged_exif_is_not_taken_for_an_orientation(tmp_path):
    path = tmp_path / "exif.jpg"
    Image.fromarray(noise(8, 6, 3)).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\1" * 99)
    try:
        assert image_files.read(path).pixels.shape == (8, 6, 3)
    except ValueError as error:
        assert "damaged" in str(error)


@pytest.mark.parametrize("path", ["", ".", "none.png", "none/none.png", "x" * 400 + ".png"])
def test_no_file_is_an_error_of_the_system(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError):
        image_files.read(path)


def test_a_name_that_no_file_can_have():
    with pytest.raises(ValueError):
        image_files.read("nul\0.png")


# --- kinds of files


def saved(image, path, **options):
    image.save(path, **options)
    return image_files.read(path)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 40, 3), (40, 1, 3)])
def test_the_smallest_images(shape, suffix, tmp_path, color):
    if suffix == "ico":
        shape = (16, 16, 3)  # it has no smaller ones
    path = tmp_path / f"small.{suffix}"
    path.write_bytes(content(suffix, np.full(shape, 255, np.uint8)))
    assert image_files.read(path).pixels.shape[:2] == shape[:2]
    batch = prepare(inspect_model(color), path, BYTES).batch
    assert batch.shape == (1, 8, 6, 3) and batch.max() == pytest.approx(255, abs=3)


def test_cmyk(tmp_path):
    inks = np.zeros((2, 3, 4), np.uint8)
    inks[0, :, 0] = 255  # cyan
    for suffix in ("tif", "jpg"):
        image = Image.merge("CMYK", [Image.fromarray(inks[..., k]) for k in range(4)])
        options = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
        found = saved(image, tmp_path / f"ink.{suffix}", **options)
        assert found.steps == ("converted from CMYK to RGB",)
        np.testing.assert_allclose(found.pixels[:, 0], [[0, 255, 255], [255] * 3], atol=6)


@pytest.mark.parametrize("mode", ["YCbCr", "LAB", "HSV"])
def test_other_color_spaces_are_read_or_refused(mode, tmp_path):
    image = Image.fromarray(np.full((4, 4, 3), 128, np.uint8)).convert("RGB")
    image = Image.frombytes(mode, (4, 4), image.tobytes())
    try:
        found = saved(image, tmp_path / "space.tif")
    except (OSError, ValueError):  # Pillow cannot save it, or we do not read it
        return
    assert found.pixels.shape == (4, 4, 3)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("highest", [100, 255, 256, 65535])
def test_16_bits_keep_their_white(highest, suffix, tmp_path, color):
    gray = np.linspace(0, highest, 48).astype(np.uint16).reshape(8, 6)
    Image.fromarray(gray).save(tmp_path / f"deep.{suffix}")
    ready = prepare(inspect_model(color), tmp_path / f"deep.{suffix}", (0.0, 65535.0))
    np.testing.assert_allclose(ready.batch[0, ..., 0], gray, atol=0.01)


def test_16_bits_of_the_other_byte_order(tmp_path):
    gray = np.array([[0, 1], [256, 65535]], np.uint16)
    image = Image.frombytes("I;16B", (2, 2), gray.astype(">u2").tobytes())
    found = saved(image, tmp_path / "motorola.tif")
    np.testing.assert_array_equal(found.pixels, gray)


@pytest.mark.parametrize("value", [-1, 65536, 2**31 - 1])
def test_32_bits_are_not_cut_off(value, tmp_path):
    Image.fromarray(np.full((2, 2), value, np.int32)).save(tmp_path / "deep.tif")
    assert f"has values {value}..{value}" in refused(tmp_path / "deep.tif")


def test_floats_in_a_file(tmp_path):
    Image.fromarray(np.full((2, 2), 0.5, np.float32)).save(tmp_path / "float.tif")
    assert "floating-point values" in refused(tmp_path / "float.tif")


def test_a_palette(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("L")
    image = Image.frombytes("P", (3, 1), image.tobytes())
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    found = saved(image, tmp_path / "palette.png")
    np.testing.assert_array_equal(found.pixels[0], 255 * np.eye(3))
    found = saved(image, tmp_path / "clear.png", transparency=1)
    assert found.steps == ("converted from P to RGBA",)
    np.testing.assert_array_equal(found.pixels[0, :, 3], [255, 0, 255])
    found = saved(image, tmp_path / "half.png", transparency=b"\x00\x80\xff")
    np.testing.assert_array_equal(found.pixels[0, :, 3], [0, 128, 255])


@pytest.mark.parametrize(("mode", "clear"), [("L", 7), ("RGB", (7, 7, 7)), ("1", 0)])
def test_a_color_that_stands_for_transparent(mode, clear, tmp_path, color):
    pixels = np.full((8, 6), 255, np.uint8)
    pixels[0] = 0 if mode == "1" else 7
    image = Image.fromarray(pixels).convert(mode)
    image.save(tmp_path / "clear.png", transparency=clear)
    batch = prepare(inspect_model(color), tmp_path / "clear.png", BYTES).batch[0]
    assert not batch[0].any() and (batch[1:] == 255).all()


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_alpha_is_laid_on_black(suffix, mode, tmp_path, color):
    pixels = np.full((8, 6, 4), 200, np.uint8)
    pixels[..., 3] = np.repeat([0, 255], 4)[:, None]
    image = Image.fromarray(pixels).convert(mode)
    image.save(tmp_path / f"alpha.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    ready = prepare(inspect_model(color), tmp_path / f"alpha.{suffix}", BYTES)
    assert "transparency laid on black" in ready.steps
    np.testing.assert_allclose(ready.batch[0, :, 0, 0], np.repeat([0, 200], 4), atol=1e-3)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_the_first_frame_of_several(suffix, tmp_path):
    frames = [Image.new("RGB", (6, 8), (value,) * 3) for value in (10, 100, 250)]
    found = saved(frames[0], tmp_path / f"film.{suffix}", save_all=True, append_images=frames[1:])
    assert "the first of 3 frames" in found.steps
    np.testing.assert_allclose(found.pixels[..., 0], 10, atol=3)


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_all_orientations(suffix, orientation, tmp_path):
    upright = Image.fromarray(np.kron(noise(2, 3), np.ones((16, 16), np.uint8))).convert("RGB")
    back = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, 1)
    exif = Image.Exif()
    exif[0x0112] = back
    stored = ImageOps.exif_transpose(_with_exif(upright, exif))
    exif[0x0112] = orientation
    found = saved(stored, tmp_path / f"turned.{suffix}", exif=exif)
    assert found.pixels.shape == (32, 48, 3)
    np.testing.assert_allclose(
        found.pixels[8::16, 8::16].astype(int), np.asarray(upright)[8::16, 8::16], atol=12
    )
    assert any("EXIF" in step for step in found.steps) == (orientation in range(2, 9))


def _with_exif(image, exif):
    file = io.BytesIO()
    image.save(file, "png", exif=exif)
    return Image.open(file)


# --- arrays


GOOD = np.arange(144, dtype=np.float64).reshape(8, 6, 3) + 50


def readonly(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "make",
    [
        readonly,
        np.asfortranarray,
        lambda array: np.repeat(array, 2, axis=1)[:, ::2],
        lambda array: array[::-1].copy()[::-1],
        lambda array: array.transpose(2, 0, 1).copy().transpose(1, 2, 0),
        lambda array: array[None],
        lambda array: array.tolist(),
        lambda array: array.astype(">f8"),
        lambda array: array.astype(">f4"),
        lambda array: array.astype("<f2"),
        lambda array: array.astype(np.longdouble),
        lambda array: array.astype(np.uint8),
        lambda array: array.astype(">i2"),
        lambda array: array.astype(">i8"),
        lambda array: array.astype(np.uint64),
        lambda array: np.ma.masked_array(array),
        lambda array: Image.fromarray(array.astype(np.uint8)),
        lambda array: keras.ops.convert_to_tensor(array.astype(np.float32)),
    ],
)
def test_every_way_to_hold_the_same_numbers(make, color):
    made = make(GOOD)
    before = np.array(made).copy()
    batch = prepare(inspect_model(color), made, BYTES).batch
    np.testing.assert_allclose(batch[0], GOOD, rtol=1e-5)
    np.testing.assert_array_equal(np.array(made), before)


NO_IMAGES = {
    "NaN": GOOD * np.nan,
    "one NaN": np.where(GOOD == 60, np.nan, GOOD),
    "inf": np.where(GOOD == 60, np.inf, GOOD),
    "-inf": np.where(GOOD == 60, -np.inf, GOOD),
    "NaN of half precision": np.full((8, 6), np.nan, np.float16),
    "0 channels": GOOD[..., :0],
    "2 channels": GOOD[..., :2],
    "5 channels": np.zeros((8, 6, 5)),
    "channels first": GOOD.transpose(2, 0, 1),
    "two images": np.stack([GOOD, GOOD]),
    "5 axes": GOOD[None, None],
    "1 axis": GOOD[0, :, 0],
    "a number": 5.0,
    "a NumPy number": np.float32(5),
    "no rows": GOOD[:0],
    "no columns": GOOD[:, :0],
    "an empty list": [],
    "ragged": [[1, 2], [3]],
    "objects": GOOD.astype(object),
    "None inside": np.array([[None]]),
    "strings": GOOD.astype(str),
    "bytes": b"\x89PNG",
    "complex": GOOD.astype(complex),
    "dates": GOOD.astype("datetime64[s]"),
    "durations": GOOD.astype("timedelta64[s]"),
    "records": np.zeros((8, 6), [("r", "u1"), ("g", "u1")]),
    "a dictionary": {"image": GOOD},
    "a set": {1, 2},
    "a function": len,
    "negative": np.full((8, 6), -1),
    "more than 16 bits": np.full((8, 6), 65536),
    "64 bits": np.full((8, 6), 2**64 - 1, np.uint64),
    "1e30": np.full((8, 6), 1e30),
    "1e300": np.full((8, 6), 1e300),
    "-1e300": np.full((8, 6), -1e300),
    "1e4000": np.full((8, 6), np.finfo(np.longdouble).max),
    "one huge": np.where(GOOD == 60, 1e38, GOOD),
}


@pytest.mark.parametrize("name", NO_IMAGES)
def test_no_image(name, color):
    with pytest.raises(ValueError) as caught:
        interpret.explain(color, NO_IMAGES[name], value_range=BYTES)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [5e-324, 1e-310, 1e-45, -1e-300, 0.0, -0.0, 1e-8, 1e4])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_tiny_and_large_floats_are_explained_in_finite_numbers(value, dtype, color):
    check_finite(interpret.explain(color, np.full((8, 6), value, dtype), value_range=BYTES))


def check_finite(found):
    for maps in found.activations.values():
        assert np.isfinite(maps).all()
    for heat in found.heatmaps.values():
        assert np.isfinite(heat.maps).all() and np.isfinite(heat.probabilities).all()


@pytest.mark.parametrize("ends", [(0, 1e-12), (0, 1e10), (-1e300, 1e300), (1e8, 1e8 + 1), (1, 1)])
def test_ranges_that_float32_cannot_use(ends, color):
    with pytest.raises(ValueError, match="value_range must be two numbers, low < high"):
        interpret.explain(color, GOOD, value_range=ends)
    with pytest.raises(ValueError, match="value_range must be two numbers, low < high"):
        interpret.maximize_filters(color, "maps", steps=1, value_range=ends)


@pytest.mark.parametrize("shape", [(8, 6, 2), (8, 6, 5), (0, 6, 3)])
def test_a_wrong_image_builds_no_model(shape):
    model = keras.Sequential([layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ValueError):
        interpret.explain(model, np.zeros(shape))
    assert not model.built


KINDS = st.one_of(
    st.sampled_from(["?", "u1", "i1", "<u2", ">u2", ">i4", "<i8", ">u8", "O", "S3", "U3", "M8[s]"]),
    st.sampled_from(["<f2", ">f4", "<f8", ">f8", "c8", "c16", "m8[s]", "V4", "g"]),
).map(np.dtype)


@settings(deadline=None, max_examples=400, derandomize=True)
@given(st.data(), st.sampled_from([(0.0, 1.0), BYTES, (-1.0, 1.0), (-0.5, 1e-3)]))
def test_any_array_is_prepared_in_finite_numbers_or_refused(data, ends):
    dtype = data.draw(KINDS)
    shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=7))
    size = int(np.prod(shape)) * dtype.itemsize
    raw = data.draw(st.binary(min_size=min(size, 64), max_size=min(size, 64)))
    if dtype.hasobject:
        array = np.full(shape, raw, dtype)
    else:
        repeated = (raw * (size // max(1, len(raw)) + 1))[:size]
        array = np.frombuffer(repeated, dtype).reshape(shape) if size else np.empty(shape, dtype)
    try:
        ready = prepare(inspect_model(_kept), array, ends)
    except ValueError as error:
        assert "\n" not in str(error)
        return
    assert ready.batch.shape == (1, 8, 6, 3) and ready.batch.dtype == np.float32
    assert np.isfinite(ready.batch).all()


_kept = convolutional(8, 6, 3)  # one model for all examples


@pytest.mark.fault
@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    arrays.arrays(
        st.sampled_from(["u1", "?", ">u2", "<f4", ">f8", "f2"]),
        arrays.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=9),
    )
)
def test_any_array_is_explained_or_refused(array):
    try:
        found = interpret.explain(_kept, array)
    except ValueError as error:
        assert "\n" not in str(error)
        return
    check_finite(found)


# --- any size


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (700, 30), (30, 1025), (3, 4, 3)])
def test_a_model_of_any_size(shape, open_size):
    batch = prepare(inspect_model(open_size), np.full(shape, 255, np.uint8), BYTES).batch
    assert max(batch.shape[1:3]) == min(OPEN_MOST, max(shape[:2]))
    assert (batch == 255).all()  # no black is added
    scale = min(1, OPEN_MOST / max(shape[:2]))
    assert batch.shape[1:3] == tuple(max(1, round(side * scale)) for side in shape[:2])


@pytest.mark.parametrize("side", [1, 2, 3])
def test_an_image_too_small_for_a_model_of_any_size(side):
    image = keras.Input((None, None, 1))
    maps = layers.MaxPooling2D(2)(layers.Conv2D(2, 3, name="early")(image))
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(maps)))
    message = f"cannot take images of {side} × {side} pixels"
    for layer in (None, "early"):
        with pytest.raises(ValueError, match=message):
            interpret.explain(model, np.zeros((side, side), np.uint8), layer)
    for technique in (interpret.activations, interpret.grad_cam):
        with pytest.raises(ValueError, match=message):
            technique(model, np.zeros((side, side), np.uint8))
    with pytest.raises(ValueError, match=message):
        interpret.maximize_filters(model, "early", steps=1, size=(side, side))


def test_bands_change_nothing(color, monkeypatch):
    from cnnlab.interpret.model import images

    image = noise(301, 203, 4)
    whole = prepare(inspect_model(color), image, BYTES).batch
    monkeypatch.setattr(images, "BAND", 1)
    np.testing.assert_allclose(prepare(inspect_model(color), image, BYTES).batch, whole, rtol=1e-5)
    first = np.asarray(Image.fromarray(image[..., 0].astype(np.float32)).resize((5, 8), 2))
    clear = image.copy()
    clear[..., 3] = 255
    scaled = prepare(inspect_model(color), clear, BYTES).batch[0, :, :5, 0]
    np.testing.assert_allclose(scaled, first, rtol=1e-4)


MEMORY = """
import resource, sys
from cnnlab import runtime
runtime.start(seed=0)
import keras, numpy as np
from cnnlab import interpret
from cnnlab.interpret import images
shape = (None, None, 3) if sys.argv[2] == "any" else (28, 28, 3)
image = keras.Input(shape)
maps = keras.layers.Conv2D(4, 3)(image)
model = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(maps)))
interpret.explain(model, np.zeros((28, 28), np.uint8))
def peak():
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used * (1 if sys.platform == "darwin" else 1024) / 2**30
before = peak()
name = sys.argv[1]
given = np.full(eval(name[6:]), 7, np.uint8) if name.startswith("array ") else name
found = interpret.explain(model, given)
assert all(np.isfinite(maps).all() for maps in found.activations.values())
print(peak() - before)
"""


@pytest.mark.fault
@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("RGB png", "28"),
        ("RGBA png", "28"),
        ("L png", "28"),
        ("P png", "28"),
        ("I;16 png", "28"),
        ("CMYK jpg", "28"),
        ("RGB jpg turned", "28"),
        ("RGB png", "any"),
        ("array (10000, 10000, 3)", "28"),
    ],
)
def test_a_hundred_million_pixels_in_bounded_memory(kind, size, tmp_path):
    if kind.startswith("array"):
        given = kind
    else:
        mode, suffix, *turned = kind.split()
        exif = Image.Exif()
        exif[0x0112] = 6 if turned else 1
        given = str(tmp_path / f"large.{suffix}")
        options = {"transparency": 0} if mode == "P" else {}
        Image.new(mode, (10_000, 10_000)).save(given, exif=exif, **options)
    ran = subprocess.run(
        [sys.executable, "-c", MEMORY, given, size],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout) < 1.5  # GiB more than for a small image


def test_pillow_reads_what_is_tested():
    assert all(features.check(name) for name in ("jpg", "jpg_2000", "webp", "zlib", "libtiff"))
    assert picture_of(image_files.Picture(GOOD, None)).pixels is GOOD
