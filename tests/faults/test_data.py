"""Damaged data: it is refused, or made again, and never trained on."""

import hashlib
import io
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from damage import FLIPS, SHARES, SPECIAL, cut, flip, flipped, put, without_permission
from PIL import Image

from cnnlab import lines, mnist, runtime
from cnnlab.lines import dataset as line_dataset
from cnnlab.lines import files

RUNS = b"cposix\nsystem\n(S'touch was-run'\ntR."  # a pickle that calls a shell


def test_the_pickle_would_run(tmp_path, monkeypatch):
    """Else the tests with it would show nothing."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(RUNS)
    assert (tmp_path / "was-run").exists()


# --- archives: a small mnist.npz goes the way of the large one; lines are read, or made again


class Archive(NamedTuple):
    """An .npz file.

    Attributes:
        path: of the file.
        arrays: {name: array}, what it holds.
        read: reads it, and returns the arrays in their order.
    """

    path: Path
    arrays: dict[str, np.ndarray]
    read: Callable

    def is_refused(self):
        """Read the file; say whether it was refused. What is read must be the right arrays."""
        try:
            loaded = self.read(self.path)
        except ValueError as error:
            assert self.path.name in str(error) and "\n" not in str(error)
            return True
        assert same(loaded, self.arrays.values())
        return False


def same(first, second):
    """Compare arrays; a recipe at the end of one of them is left out."""
    pairs = zip(first, second, strict=False)
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def digits():
    generator = np.random.default_rng(0)
    shapes = {"x_train": (60, 28, 28), "y_train": 60, "x_test": (10, 28, 28), "y_test": 10}
    return {
        name: generator.integers(0, 256 if name[0] == "x" else 10, shape, np.uint8)
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def dataset():
    return lines.generate(per_class=1)


@pytest.fixture
def of_digits(tmp_path, digits, monkeypatch):
    """A small mnist.npz, which is the right one for `mnist`."""
    known = {name: (a.shape, hashlib.sha256(a).hexdigest()) for name, a in digits.items()}
    monkeypatch.setattr(mnist, "ARRAYS", known)
    path = tmp_path / "mnist.npz"
    np.savez_compressed(path, **digits)
    return Archive(path, digits, lambda path: [a for part in mnist.load(path) for a in part])


@pytest.fixture
def of_lines(tmp_path, dataset, monkeypatch):
    """The cache of `lines.load`, with one image of each class."""
    monkeypatch.setattr(runtime, "data_folder", lambda: tmp_path)
    monkeypatch.setattr(line_dataset, "PER_CLASS", 1)
    files.write_npz(tmp_path / "lines.npz", dataset, lines.recipe(1, 0))
    arrays = dataset._asdict() | {"recipe": np.array(lines.recipe(1, 0))}
    return Archive(tmp_path / "lines.npz", arrays, lines.load)


@pytest.fixture(params=["digits", "lines"])
def archive(request):
    return request.getfixturevalue(f"of_{request.param}")


def test_whole_archives_are_read(archive):
    assert not archive.is_refused()
    # Not compressed, columns first: another file, the same arrays.
    np.savez(archive.path, **{n: np.asfortranarray(a) for n, a in archive.arrays.items()})
    assert not archive.is_refused()


@pytest.mark.parametrize("share", SHARES)
def test_a_cut_archive(archive, share):
    archive.path.write_bytes(cut(archive.path.read_bytes(), share))
    assert archive.is_refused()


@pytest.mark.parametrize("is_compressed", [True, False])
@pytest.mark.filterwarnings("error")
def test_a_flipped_bit(archive, is_compressed):
    """Somewhere, and in each byte of the names, sizes and headers, which have no checksum."""
    if not is_compressed:
        np.savez(archive.path, **archive.arrays)
    whole = archive.path.read_bytes()
    with zipfile.ZipFile(archive.path) as opened:
        starts = [entry.header_offset for entry in opened.infolist()]
        positions = [*range(opened.start_dir, len(whole))]
    positions += [start + step for start in starts for step in range(40)]
    positions += [int(share * len(whole)) for share, _ in FLIPS]
    refused = 0
    for position in positions:
        archive.path.write_bytes(flipped(whole, position, position % 8))
        refused += archive.is_refused()
    assert refused > 100


@pytest.mark.parametrize("kind", SPECIAL)
def test_something_else_in_the_place_of_an_archive(archive, kind):
    archive.path.unlink()
    put(kind, archive.path)
    assert archive.is_refused()


def with_header(array, **changes):
    """Return an .npy file's bytes whose header says something else about the array."""
    written = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array) | changes
    np.lib.format.write_array_header_1_0(written, header)
    return written.getvalue() + array.tobytes()


def replace(archive, name, content):
    """Write the archive with other bytes for one array."""
    with zipfile.ZipFile(archive.path, "w") as file:
        for other, array in archive.arrays.items():
            file.writestr(f"{other}.npy", content if other == name else with_header(array))


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": (10**15,)},
        {"shape": ("10",)},
        {"descr": "|O"},
        {"descr": [("a", "u1"), ("b", "<u4")]},
        {"descr": "no type"},
    ],
    ids=str,
)
def test_a_header_that_lies(archive, changes):
    name = list(archive.arrays)[1]
    replace(archive, name, with_header(archive.arrays[name], **changes))
    assert archive.is_refused()


def test_a_pickled_object(archive, monkeypatch):
    monkeypatch.chdir(archive.path.parent)
    for name, array in archive.arrays.items():
        objects = with_header(array, descr="|O", shape=(10,))[: -array.nbytes or None]
        replace(archive, name, objects + RUNS)
        assert archive.is_refused()
    archive.path.write_bytes(RUNS)  # np.load reads a bare pickle, too, if it is allowed to
    assert archive.is_refused()
    assert os.listdir(archive.path.parent) == [archive.path.name]


OTHER_DIGITS = {
    "another type": lambda a: {"x_train": a["x_train"].view(np.int8)},
    "another byte order": lambda a: {"x_train": a["x_train"].astype(">u2")},
    "text": lambda a: {"x_train": a["x_train"].astype("S1")},
    "an axis more": lambda a: {"x_train": a["x_train"][..., None]},
    "turned": lambda a: {"x_train": a["x_train"].transpose(0, 2, 1)},
    "another order": lambda a: {"x_train": a["x_train"][::-1]},
    "one image less": lambda a: {"x_train": a["x_train"][:-1]},
    "parts exchanged": lambda a: {"x_train": a["x_test"], "x_test": a["x_train"]},
    "labels of others": lambda a: {"y_train": np.roll(a["y_train"], 1)},
    "a number": lambda a: {"y_test": np.uint8(3)},
}


@pytest.mark.parametrize("kind", OTHER_DIGITS)
def test_mnist_with_other_arrays(of_digits, digits, kind):
    np.savez(of_digits.path, **digits | OTHER_DIGITS[kind](digits))
    assert of_digits.is_refused()


def test_mnist_without_its_arrays(of_digits, digits):
    np.savez(of_digits.path, train_images=digits["x_train"])
    with pytest.raises(mnist.DataError, match=r"has no array x_test, .*; put the mnist\.npz"):
        mnist.load(of_digits.path)


def test_a_damaged_default_file_is_not_replaced_by_a_download(of_digits, monkeypatch):
    monkeypatch.setattr(mnist, "DEFAULT_PATH", of_digits.path)
    monkeypatch.setattr(mnist, "_download", lambda: pytest.fail("it was downloaded"))
    of_digits.path.write_bytes(cut(of_digits.path.read_bytes(), 0.5))
    with pytest.raises(mnist.DataError, match=r"mnist\.npz cannot be read"):
        mnist.load()


OTHER_LINES = {
    "another type": lambda a: {"images": a["images"].astype(np.int16)},
    "an axis less": lambda a: {"images": a["images"][..., 0]},
    "an image less": lambda a: {"images": a["images"][:-1]},
    "no such class": lambda a: {"labels": a["labels"] + np.uint8(1)},
    "another type of centers": lambda a: {"centers": a["centers"].astype(np.float64)},
    "another number": lambda a: {"recipe": np.array(lines.recipe(2, 0))},
    "another seed": lambda a: {"recipe": np.array(lines.recipe(1, 1))},
    "a recipe of numbers": lambda a: {"recipe": np.zeros(3)},
    "objects": lambda a: {"labels": np.array([print] * 96)},
    "half of it": lambda a: {n: b[:48] for n, b in a.items() if b.ndim},
    "another order": lambda a: {n: b[::-1] for n, b in a.items() if b.ndim},
    "nothing": lambda a: {n: b[:0] for n, b in a.items() if b.ndim},
}


@pytest.mark.parametrize("kind", [*OTHER_LINES, "no images", "cut", "flipped", *SPECIAL])
def test_a_cache_that_is_not_right_is_made_again(of_lines, dataset, kind):
    whole = of_lines.path.read_bytes()
    of_lines.path.unlink()
    if kind in SPECIAL:
        put(kind, of_lines.path)
    elif kind in ("cut", "flipped"):
        of_lines.path.write_bytes(cut(whole, 0.5) if kind == "cut" else flip(whole, 0.5, 0))
    elif kind == "no images":
        np.savez(of_lines.path, labels=dataset.labels, recipe=of_lines.arrays["recipe"])
    else:
        np.savez(of_lines.path, **of_lines.arrays | OTHER_LINES[kind](of_lines.arrays))
    assert same(lines.load(), dataset)
    if kind != "directory":  # which may hold something of the user's
        assert of_lines.path.read_bytes() == whole


# --- lines from a folder


@pytest.fixture(scope="module")
def images(tmp_path_factory, dataset):
    """A folder with the first image of eight classes."""
    folder = tmp_path_factory.mktemp("images") / "png"
    part = lines.Lines(*(array[::12] for array in dataset))
    files.write_folder(folder, part, "png", lines.recipe(1, 0))
    return folder


@pytest.fixture
def image(tmp_path, images):
    """One image of a copy of the folder."""
    return sorted(shutil.copytree(images, tmp_path / "images").iterdir())[5]


def is_folder_refused(image, dataset):
    try:
        loaded = lines.load(image.parent)
    except ValueError as error:
        assert str(image) in str(error)
        return True
    assert same(loaded[:2], (dataset.images[::12], dataset.labels[::12]))
    return False


@pytest.mark.parametrize("share", SHARES)
def test_png_cut(image, dataset, share):
    image.write_bytes(cut(image.read_bytes(), share))
    assert is_folder_refused(image, dataset)


def test_png_with_a_flipped_bit(image, dataset):
    """Every byte of a png but the first and the last few lies under a checksum."""
    whole = image.read_bytes()
    refused = 0
    for position in range(len(whole)):
        image.write_bytes(flipped(whole, position, position % 8))
        refused += is_folder_refused(image, dataset)
    assert refused > len(whole) - 20


@pytest.mark.parametrize("kind", SPECIAL)
def test_something_else_in_the_place_of_an_image(image, dataset, kind):
    image.unlink()
    put(kind, image)
    assert is_folder_refused(image, dataset)


@pytest.mark.parametrize("kind", ["EPS", "GIF", "TIFF"])
def test_another_format_by_the_name_of_a_png(image, dataset, kind):
    """A lossy or exotic one; and Pillow would start Ghostscript, an interpreter, for EPS."""
    Image.fromarray(dataset.images[0]).save(image, kind)
    assert is_folder_refused(image, dataset)


# --- no permission to read

PREPARE = """
    import os
    from pathlib import Path
    import numpy as np
    from PIL import Image, JpegImagePlugin, PngImagePlugin
    from cnnlab import lines, mnist, pretrained, runtime
    from cnnlab.lines import dataset
    dataset.PER_CLASS = 1
    runtime.data_folder = lambda: Path("data")
    lines.generate(1)
"""
REFUSED = """
    for read, name in (
        (mnist.load, "data/mnist.npz"), (mnist.load, "inside/mnist.npz"),
        (lines.load, "data/lines.npz"), (lines.load, "inside/lines.npz"),
        (lines.load, "inside"), (lines.load, "data/images"),
        (pretrained.find, "data/own.keras"), (pretrained.find, "inside/own.keras"),
    ):
        try:
            read(name)
        except ValueError as error:
            assert name.split("/")[-1] in str(error) and "Permission denied" in str(error), error
        else:
            raise AssertionError(name)
    print(lines.load().images.sum())  # the cache can be made again, in memory at least
"""


@pytest.fixture
def closed(tmp_path, dataset, images):
    """A folder in which one can neither read the files nor look into the folder `inside`."""
    data, inside = tmp_path / "data", tmp_path / "inside"
    shutil.copytree(images, data / "images")
    files.write_npz(data / "lines.npz", dataset, lines.recipe(1, 0))
    np.savez(data / "mnist.npz", x_train=np.zeros(3))
    (data / "own.keras").write_bytes(b"a model")
    for path in (*data.glob("*.*"), sorted((data / "images").iterdir())[0]):
        path.chmod(0)
    shutil.copytree(images, inside)
    inside.chmod(0)
    for folder in (tmp_path, data, data / "images"):
        folder.chmod(0o755)
    yield tmp_path
    inside.chmod(0o755)


def test_without_permission(closed, dataset):
    assert without_permission(closed, PREPARE, REFUSED) == str(dataset.images.sum())
