"""Images as they come: damaged, huge, odd. A picture, or one sentence; never a silent change."""

import io
import os
import struct
import subprocess
import sys
import zlib

import keras
import numpy as np
import pytest
from damage import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from keras import layers
from PIL import Image, ImageOps

from cnnlab import image_files, interpret
from cnnlab.interpret.model import images
from cnnlab.interpret.model.network import inspect_model

BYTES = (0.0, 255.0)
FORMATS = ("png", "jpg", "gif", "bmp", "tif", "webp", "ppm", "tga", "jp2", "ico", "pcx")


pytestmark = pytest.mark.filterwarnings("error")  # nothing here may warn


def convolutional(*shape):
    """Return a model with a head and feature maps."""
    keras.utils.set_random_seed(0)
    image = keras.Input(shape)
    maps = layers.Conv2D(2, 3, padding="same", activation="relu", name="maps")(image)
    head = layers.Dense(2, activation="softmax", name="class")
    return keras.Model(image, head(layers.GlobalAveragePooling2D()(maps)))


COLOR = convolutional(8, 6, 3)  # one model for all examples


def batch_of(image, value_range=BYTES, model=COLOR):
    """Return an image as the model needs it, (1, height, width, channels)."""
    return images.prepare(inspect_model(model), image, value_range).batch


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def content(suffix, pixels):
    """Return the bytes of an image file."""
    file = io.BytesIO()
    kind = {"jpg": "jpeg", "tif": "tiff", "jp2": "jpeg2000"}.get(suffix, suffix)
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def refused(path):
    """Return what is said of a file that is no whole image."""
    with pytest.raises(ValueError) as caught:
        image_files.read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


# --- damaged files


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_damaged_file_is_refused_or_read(suffix, tmp_path):
    whole = content(suffix, noise(64, 64, 3))
    path = tmp_path / f"damaged.{suffix}"
    for kept in (0, 1, 40, len(whole) // 2, len(whole) * 9 // 10):
        path.write_bytes(whole[:kept])
        assert "not an image" in (said := refused(path)) or "is damaged" in said
    generator = np.random.default_rng(1)
    for near in [64, 512, len(whole)] * 10:
        changed = np.frombuffer(whole, np.uint8).copy()
        positions = generator.integers(0, min(near, len(whole)), generator.integers(1, 6))
        changed[positions] = generator.integers(0, 256, len(positions))
        path.write_bytes(changed.tobytes())
        try:
            pixels = image_files.read(path).pixels
        except ValueError as error:
            assert str(path) in str(error) and "\n" not in str(error)
        else:
            assert pixels.ndim in (2, 3) and pixels.size > 0


def test_what_only_begins_like_an_image(tmp_path):
    starts = [
        b"",
        b"\0",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"II*\0",
        b"%PDF-1.7",
    ]
    for start in (*starts, b"<svg/>", b"P6\n-1 5\n255\n", b"P6\n99999 99999\n255\n"):
        (tmp_path / "start.png").write_bytes(start)
        refused(tmp_path / "start.png")


@pytest.mark.parametrize("side", [12_000, 30_000, 2**31 - 1])
def test_more_pixels_than_are_read(side, tmp_path):
    whole = bytearray(content("png", noise(4, 4)))
    whole[16:24] = struct.pack(">II", side, side)
    whole[29:33] = struct.pack(">I", zlib.crc32(bytes(whole[12:29])))
    (tmp_path / "vast.png").write_bytes(whole)
    assert "120,000,000" in refused(tmp_path / "vast.png")


def test_damaged_exif_is_no_orientation(tmp_path):
    path = tmp_path / "exif.jpg"
    Image.fromarray(noise(8, 6, 3)).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\1" * 99)
    try:
        assert image_files.read(path).pixels.shape == (8, 6, 3)
    except ValueError as error:
        assert "damaged" in str(error)


@pytest.mark.parametrize("path", ["", "none.png", "none/none.png", "x" * 400 + ".png", "nul\0.png"])
def test_no_file_is_an_error_of_the_system(path):
    with pytest.raises(ValueError if "\0" in path else OSError):
        image_files.read(path)


# --- kinds of files


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_smallest_images(suffix, tmp_path):
    shape = (16, 16, 3) if suffix == "ico" else (1, 40, 3)  # an icon is not smaller
    path = tmp_path / f"small.{suffix}"
    path.write_bytes(content(suffix, np.full(shape, 255, np.uint8)))
    assert image_files.read(path).pixels.shape[:2] == shape[:2]
    assert batch_of(path).max() == pytest.approx(255, abs=3)


def palette():
    image = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    return image


def gray(*values, dtype=np.uint8):
    return Image.fromarray(np.array([values], dtype))


RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
FILES = {  # name: an image, how it is saved, its first row
    "inks.jpg": (lambda: Image.new("CMYK", (8, 8), (255, 0, 0, 0)), {}, [(0, 255, 255)] * 8),
    "palette.png": (palette, {}, [RED, GREEN, BLUE]),
    "clear palette.png": (
        palette,
        {"transparency": b"\x00\x80\xff"},
        [(*RED, 0), (*GREEN, 128), (*BLUE, 255)],
    ),
    "clear gray.png": (lambda: gray(7, 9), {"transparency": 7}, [(7, 7, 7, 0), (9, 9, 9, 255)]),
    "clear color.png": (
        lambda: Image.new("RGB", (1, 1), RED),
        {"transparency": RED},
        [(*RED, 0)],
    ),
    "clear black.png": (
        lambda: gray(0, 255).convert("1"),
        {"transparency": 0},
        [(0, 0, 0, 0), (255, 255, 255, 255)],
    ),
    "deep.png": (lambda: gray(0, 256, 65535, dtype=np.uint16), {}, [0, 256, 65535]),
    "motorola.tif": (lambda: Image.frombytes("I;16B", (2, 1), b"\0\1\2\3"), {}, [1, 515]),
    "film.tif": (
        lambda: Image.new("RGB", (1, 1), RED),
        {"save_all": True, "append_images": [Image.new("RGB", (1, 1), BLUE)]},
        [RED],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_what_files_hold(name, tmp_path):
    make, options, first_row = FILES[name]
    make().save(tmp_path / name, **options)
    pixels = image_files.read(tmp_path / name).pixels
    np.testing.assert_allclose(pixels[0], first_row, atol=6 if name.endswith("jpg") else 0)


@pytest.mark.parametrize(
    ("pixel", "words"),
    [(np.int32(-1), "-1..-1"), (np.int32(65536), "65536..65536"), (np.float32(0.5), "floating")],
)
def test_numbers_of_unknown_range_are_not_cut_off(pixel, words, tmp_path):
    Image.fromarray(np.full((2, 2), pixel)).save(tmp_path / "deep.tif")
    assert words in refused(tmp_path / "deep.tif")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_all_orientations(suffix, tmp_path):
    upright = Image.fromarray(np.kron(noise(2, 3), np.ones((16, 16), np.uint8))).convert("RGB")
    for orientation in range(10):  # 0 and 9 mean nothing
        exif = Image.Exif()
        exif[0x0112] = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, 1)
        file = io.BytesIO()
        upright.save(file, "png", exif=exif)
        exif[0x0112] = orientation
        stored = ImageOps.exif_transpose(Image.open(file))
        stored.save(tmp_path / f"turned.{suffix}", exif=exif)
        picture = image_files.read(tmp_path / f"turned.{suffix}")
        middles = [
            np.asarray(image)[8::16, 8::16].astype(int) for image in (picture.pixels, upright)
        ]
        np.testing.assert_allclose(*middles, atol=12)
        assert any("EXIF" in step for step in picture.steps) == (orientation in range(2, 9))


# --- arrays

GOOD = np.arange(144, dtype=np.float64).reshape(8, 6, 3) + 50
SAME_NUMBERS = {
    "read-only": lambda a: np.broadcast_to(a, a.shape),
    "columns first": np.asfortranarray,
    "backwards": lambda a: a[::-1].copy()[::-1],
    "a batch of one": lambda a: a[None],
    "a list": lambda a: a.tolist(),
    "the other byte order": lambda a: a.astype(">f8"),
    "half precision": lambda a: a.astype("<f2"),
    "more than double precision": lambda a: a.astype(np.longdouble),
    "bytes": lambda a: a.astype(np.uint8),
    "an image of Pillow": lambda a: Image.fromarray(a.astype(np.uint8)),
    "a tensor": lambda a: keras.ops.convert_to_tensor(a.astype(np.float32)),
}


@pytest.mark.parametrize("kind", SAME_NUMBERS)
def test_every_way_to_hold_the_same_numbers(kind):
    made = SAME_NUMBERS[kind](GOOD)
    before = np.array(made).copy()
    np.testing.assert_allclose(batch_of(made)[0], GOOD, rtol=1e-5)
    np.testing.assert_array_equal(np.array(made), before)


NO_IMAGES = {
    "one NaN": np.where(GOOD == 60, np.nan, GOOD),
    "no channels": GOOD[..., :0],
    "2 channels": GOOD[..., :2],
    "two images": np.stack([GOOD, GOOD]),
    "ragged": [[1, 2], [3]],
    "objects": GOOD.astype(object),
    "complex": GOOD.astype(complex),
    "a dictionary": {"image": GOOD},
    "negative": np.full((8, 6), -1),
    "more than 16 bits": np.full((8, 6), 65536),
    "64 bits": np.full((8, 6), 2**64 - 1, np.uint64),
    "more than double precision": np.full((8, 6), np.finfo(np.longdouble).max),
}


@pytest.mark.parametrize("name", NO_IMAGES)
def test_no_image(name):
    with pytest.raises(ValueError) as caught:
        interpret.explain(COLOR, NO_IMAGES[name], value_range=BYTES)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_tiny_and_large_floats_are_explained_in_finite_numbers():
    values = np.array([5e-324, 1e-45, -1e-300, -0.0, 1e4]).repeat(6).reshape(5, 6)
    explained = interpret.explain(COLOR, values, value_range=BYTES)
    for maps in explained.activations.values():
        assert np.isfinite(maps).all()
    for heat in explained.heatmaps.values():
        assert np.isfinite(heat.maps).all() and np.isfinite(heat.probabilities).all()


def test_a_wrong_image_builds_no_model():
    model = keras.Sequential([layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ValueError):
        interpret.explain(model, np.zeros((8, 6, 2)))
    assert not model.built


KINDS = st.one_of(
    st.sampled_from(["?", "u1", "i1", "<u2", ">u2", ">i4", "<i8", ">u8", "O", "S3", "U3", "M8[s]"]),
    st.sampled_from(["<f2", ">f4", "<f8", ">f8", "c8", "c16", "m8[s]", "V4", "g"]),
).map(np.dtype)


@settings(deadline=None, max_examples=150, derandomize=True)
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
        batch = batch_of(array, ends)
    except ValueError as error:
        assert "\n" not in str(error)
        return
    assert batch.shape == (1, 8, 6, 3) and batch.dtype == np.float32
    assert np.isfinite(batch).all()


# --- any size


@pytest.mark.parametrize("shape", [(1, 9), (700, 30), (30, 1025), (3, 4, 3)])
def test_a_model_of_any_size(shape):
    batch = batch_of(np.full(shape, 255, np.uint8), model=convolutional(None, None, 3))
    assert (batch == 255).all()  # no black is added
    scale = min(1, images.OPEN_MOST / max(shape[:2]))
    assert batch.shape[1:3] == tuple(max(1, round(side * scale)) for side in shape[:2])


def test_an_image_too_small_for_a_model_of_any_size():
    image = keras.Input((None, None, 1))
    maps = layers.MaxPooling2D(2)(layers.Conv2D(2, 3, name="early")(image))
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(maps)))
    small = np.zeros((2, 2), np.uint8)
    for technique in (interpret.explain, interpret.activations, interpret.grad_cam):
        with pytest.raises(ValueError, match="2 × 2 pixels"):
            technique(model, small)
    with pytest.raises(ValueError, match="2 × 2 pixels"):
        interpret.maximize_filters(model, "early", size=(2, 2))


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
side = None if sys.argv[2] == "any" else 28
image = keras.Input((side, side, 3))
maps = keras.layers.Conv2D(4, 3)(image)
model = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(maps)))
interpret.explain(model, np.zeros((28, 28), np.uint8))
def peak():
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used * (1 if sys.platform == "darwin" else 1024) / 2**30
before = peak()
name = sys.argv[1]
given = np.full((10_000, 10_000, 3), 7, np.uint8) if name == "array" else name
explained = interpret.explain(model, given)
assert all(np.isfinite(maps).all() for maps in explained.activations.values())
print(peak() - before)
"""


@pytest.mark.fault
@pytest.mark.parametrize(
    ("kind", "size"),
    [("RGBA png", "28"), ("P png", "28"), ("I;16 png", "any"), ("RGB jpg turned", "28")]
    + [("array", "28")],
)
def test_a_hundred_million_pixels_in_bounded_memory(kind, size, tmp_path):
    given = kind
    if kind != "array":
        mode, suffix, *turned = kind.split()
        given = str(tmp_path / f"large.{suffix}")
        exif = Image.Exif()
        exif[0x0112] = 6 if turned else 1
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
