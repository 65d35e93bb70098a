"""Damaged data: it is refused, or made again, and never trained on."""

import hashlib
import io
import os
import pickle
import shutil
import zipfile

import numpy as np
import pytest
from damage import FLIPS, SHARES, cut, flip, without_permission
from PIL import Image

from cnnlab import lines, mnist
from cnnlab.lines import files

SPECIAL = ["directory", "empty file", "text", "npy", "named pipe", "link to itself"]
RUNS = b"cposix\nsystem\n(S'touch was-run'\ntR."  # a pickle that calls a shell


def put(kind, path):
    """Put something else where a file should be."""
    if kind == "directory":
        path.mkdir()
    elif kind == "named pipe":
        os.mkfifo(path)
    elif kind == "link to itself":
        path.symlink_to(path)
    elif kind == "npy":
        with open(path, "wb") as file:
            np.save(file, np.zeros(3))
    else:
        path.write_text("" if kind == "empty file" else "hello")


def with_header(array, **changes):
    """Return an .npy file's bytes whose header says something else about the array."""
    written = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array) | changes
    np.lib.format.write_array_header_1_0(written, header)
    return written.getvalue() + array.tobytes()


def write_members(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def npy(array):
    written = io.BytesIO()
    np.save(written, array)
    return written.getvalue()


def pickled_object():
    """Return an .npy file's bytes that run a command when they are unpickled."""
    header = io.BytesIO()
    description = {"descr": "|O", "fortran_order": False, "shape": (10,)}
    np.lib.format.write_array_header_1_0(header, description)
    return header.getvalue() + RUNS


def test_the_pickle_would_run(tmp_path, monkeypatch):
    """Else the tests with it would show nothing."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(RUNS)
    assert (tmp_path / "was-run").exists()


# --- MNIST: a small archive goes the way of the large one


@pytest.fixture(scope="module")
def digits():
    generator = np.random.default_rng(0)
    return {
        "x_train": generator.integers(0, 256, (60, 28, 28), np.uint8),
        "y_train": generator.integers(0, 10, 60, np.uint8),
        "x_test": generator.integers(0, 256, (10, 28, 28), np.uint8),
        "y_test": generator.integers(0, 10, 10, np.uint8),
    }


@pytest.fixture
def small(tmp_path, digits, monkeypatch):
    """The path of a small mnist.npz, which `mnist` takes for the right one."""
    known = {
        name: (array.shape, hashlib.sha256(array).hexdigest()) for name, array in digits.items()
    }
    monkeypatch.setattr(mnist, "ARRAYS", known)
    path = tmp_path / "mnist.npz"
    np.savez_compressed(path, **digits)
    return path


def is_refused_or_right(path, digits):
    """Load MNIST; say whether it was refused. What is loaded must be the right images."""
    try:
        (x_train, y_train), (x_test, y_test) = mnist.load(path)
    except mnist.DataError as error:
        assert "mnist.npz" in str(error) and "put the mnist.npz" in str(error)
        assert "\n" not in str(error)
        return True
    loaded = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    for name, array in digits.items():
        assert loaded[name].dtype == np.uint8 and np.array_equal(loaded[name], array)
    return False


def test_the_small_mnist_is_loaded(small, digits):
    assert not is_refused_or_right(small, digits)


@pytest.mark.parametrize("share", SHARES)
def test_mnist_cut(small, digits, share):
    small.write_bytes(cut(small.read_bytes(), share))
    assert is_refused_or_right(small, digits)


@pytest.mark.parametrize(("share", "bit"), FLIPS)
def test_mnist_with_a_flipped_bit(small, digits, share, bit):
    small.write_bytes(flip(small.read_bytes(), share, bit))
    assert is_refused_or_right(small, digits)


@pytest.mark.fault
@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("is_compressed", [True, False])
@pytest.mark.filterwarnings("error")
def test_mnist_with_a_flipped_bit_in_what_describes_it(small, digits, bit, is_compressed):
    """The names and headers of the archive are no part of any checksum: each of their bytes."""
    if not is_compressed:
        np.savez(small, **digits)
    whole = small.read_bytes()
    with zipfile.ZipFile(small) as archive:
        start = archive.start_dir
        first = archive.infolist()[0]
    header = range(first.header_offset, first.header_offset + 200)  # of the archive and of .npy
    refused = 0
    for position in (*header, *range(start, len(whole))):
        changed = bytearray(whole)
        changed[position] ^= 1 << bit
        small.write_bytes(changed)
        refused += is_refused_or_right(small, digits)
    assert refused > 200


@pytest.mark.parametrize("kind", SPECIAL)
def test_something_else_in_the_place_of_mnist(small, digits, kind):
    small.unlink()
    put(kind, small)
    assert is_refused_or_right(small, digits)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.update(x_train=a["x_train"].astype(">u2")),
        lambda a: a.update(x_train=a["x_train"].view(np.int8)),
        lambda a: a.update(x_train=a["x_train"] / 255),
        lambda a: a.update(x_train=a["x_train"].astype(bool)),
        lambda a: a.update(x_train=a["x_train"].astype("S1")),
        lambda a: a.update(x_train=a["x_train"][..., None]),
        lambda a: a.update(x_train=a["x_train"].transpose(0, 2, 1)),
        lambda a: a.update(x_train=a["x_train"][::-1]),
        lambda a: a.update(x_train=255 - a["x_train"]),
        lambda a: a.update(x_train=a["x_train"][:-1]),
        lambda a: a.update(x_train=a["x_test"], x_test=a["x_train"]),
        lambda a: a.update(y_train=np.roll(a["y_train"], 1)),
        lambda a: a.update(y_train=np.eye(10, dtype=np.uint8)[a["y_train"]]),
        lambda a: a.update(y_test=np.uint8(3)),
        lambda a: a.update(y_test=np.empty(0, np.uint8)),
        lambda a: a.update(y_test=np.ma.masked_array(a["y_test"] + 1).data),
        lambda a: a.clear(),
        lambda a: a.update(train_images=a.pop("x_train")),
    ],
)
def test_mnist_with_other_arrays(small, digits, change):
    arrays = dict(digits)
    change(arrays)
    np.savez(small, **arrays)
    assert is_refused_or_right(small, digits)


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": (10**15,)},
        {"shape": (2**63,)},
        {"shape": (-1,)},
        {"shape": ("10",)},
        {"descr": "|O"},
        {"descr": "<f8"},
        {"descr": [("a", "u1"), ("b", "<u4")]},
        {"descr": "no type"},
        {"fortran_order": 3},
        {"more": 1},
    ],
)
def test_mnist_with_a_header_that_lies(small, digits, changes):
    members = {f"{name}.npy": npy(array) for name, array in digits.items()}
    members["y_test.npy"] = with_header(digits["y_test"], **changes)
    write_members(small, members)
    assert is_refused_or_right(small, digits)


def test_mnist_with_a_pickled_object(small, digits, monkeypatch):
    monkeypatch.chdir(small.parent)
    members = {f"{name}.npy": npy(array) for name, array in digits.items()}
    write_members(small, members | {"y_test.npy": pickled_object()})
    assert is_refused_or_right(small, digits)
    small.write_bytes(RUNS)  # np.load takes a bare pickle, too, if it is allowed to
    assert is_refused_or_right(small, digits)
    assert os.listdir(small.parent) == ["mnist.npz"]


def test_an_order_in_memory_is_not_content(small, digits):
    """Columns first: another file, the same array."""
    np.savez(small, **digits | {"x_train": np.asfortranarray(digits["x_train"])})
    assert not is_refused_or_right(small, digits)


def test_a_damaged_default_file_is_not_replaced_by_a_download(small, monkeypatch):
    monkeypatch.setattr(mnist, "DEFAULT_PATH", small)
    monkeypatch.setattr(mnist, "_download", lambda: pytest.fail("it was downloaded"))
    small.write_bytes(cut(small.read_bytes(), 0.5))
    with pytest.raises(mnist.DataError, match=r"mnist\.npz cannot be read"):
        mnist.load()


@pytest.mark.fault
@pytest.mark.parametrize("share", SHARES[:5])
def test_the_real_mnist_cut(tmp_path, share):
    path = tmp_path / "mnist.npz"
    path.write_bytes(cut(mnist.DEFAULT_PATH.read_bytes(), share))
    with pytest.raises(mnist.DataError):
        mnist.load(path)


@pytest.fixture(scope="module")
def real_digits():
    (x_train, y_train), (x_test, y_test) = mnist.load()
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


@pytest.mark.fault
@pytest.mark.parametrize(("share", "bit"), FLIPS[:20])
def test_the_real_mnist_with_a_flipped_bit(tmp_path, real_digits, share, bit):
    path = tmp_path / "mnist.npz"
    path.write_bytes(flip(mnist.DEFAULT_PATH.read_bytes(), share, bit))
    assert is_refused_or_right(path, real_digits)


# --- the lines: the cache of the standard dataset, and datasets with a path


@pytest.fixture(scope="module")
def dataset():
    return lines.generate(per_class=1)


@pytest.fixture(scope="module")
def stored(tmp_path_factory, dataset):
    """The bytes of a whole cache."""
    path = tmp_path_factory.mktemp("whole") / "lines.npz"
    files.write_npz(path, dataset, lines.recipe(1, 0))
    return path.read_bytes()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Point `lines.load` to a cache of its own, with one image of each class."""
    path = tmp_path / "lines.npz"
    monkeypatch.setattr(lines, "_cache_file", lambda: path)
    monkeypatch.setattr(lines, "PER_CLASS", 1)
    return path


def same(first, second):
    return all(
        a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(first, second, strict=True)
    )


def is_refused(path, dataset):
    """Load lines; say whether they were refused. What is loaded must be the right images."""
    try:
        loaded = lines.load(path)
    except ValueError as error:
        assert str(path) in str(error)
        return True
    assert same(loaded, dataset)
    return False


@pytest.mark.parametrize("share", SHARES)
def test_cache_cut(cache, stored, dataset, share):
    cache.write_bytes(cut(stored, share))
    assert is_refused(cache, dataset)
    assert same(lines.load(), dataset)
    assert not is_refused(cache, dataset)  # it was made again


@pytest.mark.fault
@pytest.mark.parametrize(("share", "bit"), FLIPS)
def test_cache_with_a_flipped_bit(cache, stored, dataset, share, bit):
    cache.write_bytes(flip(stored, share, bit))
    assert same(lines.load(), dataset)
    assert not is_refused(cache, dataset)


@pytest.mark.fault
@pytest.mark.parametrize("bit", range(8))
@pytest.mark.filterwarnings("error")
def test_lines_with_a_flipped_bit_in_what_describes_them(cache, stored, dataset, bit):
    cache.write_bytes(stored)
    with zipfile.ZipFile(cache) as archive:
        start = archive.start_dir
        headers = [entry.header_offset for entry in archive.infolist()]
    positions = [offset + step for offset in headers for step in range(60)]
    refused = 0
    for position in (*positions, *range(start, len(stored))):
        changed = bytearray(stored)
        changed[position] ^= 1 << bit
        cache.write_bytes(changed)
        refused += is_refused(cache, dataset)
    assert refused > 100


@pytest.mark.parametrize("kind", SPECIAL)
def test_something_else_in_the_place_of_the_cache(cache, dataset, kind):
    put(kind, cache)
    assert same(lines.load(), dataset)
    if kind != "directory":  # which may hold something of the user's
        assert not is_refused(cache, dataset)


def wrong(dataset, **changes):
    return dataset._asdict() | {"recipe": np.array(lines.recipe(1, 0))} | changes


@pytest.mark.parametrize(
    "change",
    [
        lambda d: wrong(d, images=d.images.astype(np.int16)),
        lambda d: wrong(d, images=d.images[..., 0]),
        lambda d: wrong(d, images=d.images[:-1]),
        lambda d: wrong(d, labels=d.labels.astype(np.int64)),
        lambda d: wrong(d, labels=d.labels[:, :3]),
        lambda d: wrong(d, labels=d.labels + np.uint8(1)),
        lambda d: wrong(d, centers=d.centers.astype(np.float64)),
        lambda d: wrong(d, centers=d.centers[:5]),
        lambda d: wrong(d, recipe=np.array(lines.recipe(2, 0))),
        lambda d: wrong(d, recipe=np.array(lines.recipe(1, 1))),
        lambda d: wrong(d, recipe=np.array(["a", "b"])),
        lambda d: wrong(d, recipe=np.zeros(3)),
        lambda d: wrong(d, recipe=np.array({}, object)),
        lambda d: wrong(d, labels=np.array([print] * 96)),
        lambda d: {"labels": d.labels, "recipe": np.array(lines.recipe(1, 0))},
        lambda d: wrong(d, images=d.images[:48], labels=d.labels[:48], centers=d.centers[:48]),
        lambda d: wrong(d, images=d.images[::-1], labels=d.labels[::-1], centers=d.centers[::-1]),
        lambda d: wrong(d, **{name: array[:0] for name, array in d._asdict().items()}),
    ],
)
def test_cache_with_other_arrays(cache, dataset, change):
    np.savez(cache, **change(dataset))
    assert same(lines.load(), dataset)
    assert same(lines.load(), lines.load(cache))


def test_lines_with_a_pickled_object(cache, dataset, monkeypatch):
    monkeypatch.chdir(cache.parent)
    members = {f"{name}.npy": npy(array) for name, array in wrong(dataset).items()}
    for content in ({"images.npy": pickled_object()}, {"recipe.npy": pickled_object()}):
        write_members(cache, members | content)
        assert is_refused(cache, dataset)
    cache.write_bytes(RUNS)
    assert is_refused(cache, dataset)
    assert os.listdir(cache.parent) == ["lines.npz"]


@pytest.mark.parametrize("kind", SPECIAL)
def test_something_else_in_the_place_of_a_dataset(tmp_path, dataset, kind):
    put(kind, tmp_path / "mine.npz")
    assert is_refused(tmp_path / "mine.npz", dataset)


@pytest.mark.fault
@pytest.mark.parametrize("damage", ["cut", "flipped", "half the classes"])
def test_the_real_cache(tmp_path, monkeypatch, damage):
    path = tmp_path / "lines.npz"
    monkeypatch.setattr(lines, "_cache_file", lambda: path)
    right = lines.load()
    whole = path.read_bytes()
    if damage == "half the classes":
        half = lines.Lines(*(array[:48_000] for array in right))
        files.write_npz(path, half, lines.recipe(1000, 0))
    else:
        path.write_bytes(cut(whole, 0.7) if damage == "cut" else flip(whole, 0.6, 3))
    assert same(lines.load(), right)
    assert path.read_bytes() == whole


# --- lines from a folder


@pytest.fixture(scope="module")
def images(tmp_path_factory, dataset):
    """A folder with the first image of eight classes."""
    folder = tmp_path_factory.mktemp("images") / "png"
    part = lines.Lines(*(array[::12] for array in dataset))
    files.write_folder(folder, part, "png", lines.recipe(1, 0))
    return folder


@pytest.fixture
def folder(tmp_path, images):
    return shutil.copytree(images, tmp_path / "images")


@pytest.fixture
def image(folder):
    return sorted(folder.iterdir())[5]


def is_folder_refused(folder, image, dataset):
    try:
        loaded = lines.load(folder)
    except ValueError as error:
        assert str(image) in str(error)
        return True
    assert np.array_equal(loaded.images, dataset.images[::12])
    assert np.array_equal(loaded.labels, dataset.labels[::12])
    return False


@pytest.mark.parametrize("share", SHARES)
def test_png_cut(folder, image, dataset, share):
    image.write_bytes(cut(image.read_bytes(), share))
    assert is_folder_refused(folder, image, dataset)


@pytest.mark.parametrize(("share", "bit"), FLIPS)
def test_png_with_a_flipped_bit(folder, image, dataset, share, bit):
    """Every byte of a png but the first and the last few lies under a checksum."""
    image.write_bytes(flip(image.read_bytes(), share, bit))
    is_folder_refused(folder, image, dataset)


@pytest.mark.parametrize("kind", SPECIAL)
def test_something_else_in_the_place_of_an_image(folder, image, dataset, kind):
    image.unlink()
    put(kind, image)
    assert is_folder_refused(folder, image, dataset)


@pytest.mark.parametrize("kind", ["EPS", "GIF", "BMP", "TIFF", "PPM", "WEBP"])
def test_another_format_by_the_name_of_a_png(folder, image, dataset, kind):
    """A lossy or exotic one; and Pillow would start Ghostscript, an interpreter, for EPS."""
    picture = Image.fromarray(dataset.images[0])
    try:
        picture.save(image, kind)
    except (OSError, KeyError):
        pytest.skip(f"this Pillow does not write {kind}")
    assert is_folder_refused(folder, image, dataset)


# --- no permission to read


PREPARE = """
    import os
    from pathlib import Path
    import numpy as np
    from PIL import Image, JpegImagePlugin, PngImagePlugin
    from cnnlab import line_files, lines, mnist
    lines.PER_CLASS = 1
    lines._cache_file = lambda: Path("data/lines.npz")
    lines.generate(1)
"""
REFUSED = """
    try:
        {call}
    except ValueError as error:
        print(type(error).__name__, error)
"""


@pytest.fixture
def closed(tmp_path, dataset, images):
    """A folder in which one can neither read the files nor look into the folder `inside`."""
    data, inside = tmp_path / "data", tmp_path / "inside"
    data.mkdir()
    files.write_npz(data / "lines.npz", dataset, lines.recipe(1, 0))
    np.savez(data / "mnist.npz", x_train=np.zeros(3))
    shutil.copytree(images, data / "images")
    for path in (data / "lines.npz", data / "mnist.npz", sorted((data / "images").iterdir())[0]):
        path.chmod(0)
    shutil.copytree(images, inside)
    shutil.copy(mnist.__file__, inside / "mnist.npz")
    inside.chmod(0)
    data.chmod(0o755)
    (data / "images").chmod(0o755)
    tmp_path.chmod(0o755)
    yield tmp_path
    inside.chmod(0o755)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("mnist.load('data/mnist.npz')", "DataError mnist.npz cannot be read (Permission denied)"),
        ("mnist.load('inside/mnist.npz')", "DataError mnist.npz cannot be read (Permission denied"),
        ("lines.load('data/lines.npz')", "ValueError data/lines.npz cannot be read: Permission"),
        ("lines.load('inside/lines.npz')", "ValueError inside/lines.npz cannot be read: Permiss"),
        ("lines.load('inside')", "ValueError inside cannot be read: Permission denied"),
        ("lines.load('data/images')", "is not a readable image: [Errno 13] Permission denied"),
        ("print(lines.load().images.sum())", ""),
    ],
)
def test_without_permission(closed, dataset, call, message):
    printed = without_permission(closed, PREPARE, REFUSED.replace("{call}", call))
    assert message in printed and len(printed.splitlines()) == 1
    if not message:  # the cache can be made again, in memory at least
        assert printed == str(dataset.images.sum())
