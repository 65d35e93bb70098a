"""Damaged data: it is refused, or made again, and never trained on.

Files that are cut, or hold other arrays, are in `test_mnist.py` and `test_line_files.py`.
"""

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
from damage import SPECIAL, attempt, flipped, printed_without_permission, put
from PIL import Image

from cnnlab import lines, mnist, runtime
from cnnlab.lines import dataset as line_dataset
from cnnlab.lines import files

RECIPE = lines.recipe(1, 0)
RUNS = b"cposix\nsystem\n(S'touch was-run'\ntR."  # a pickle that calls a shell


# --- archives: a small mnist.npz goes the way of the large one; lines are read, or made again


class Archive(NamedTuple):
    """An .npz file."""

    path: Path
    arrays: dict[str, np.ndarray]  # what it holds
    read: Callable  # reads it, and returns the arrays in their order

    def is_refused(self):
        """Read the file; say whether it was refused. What is read must be the right arrays."""
        loaded, said = attempt(self.read, self.path)
        assert same(loaded, self.arrays.values()) if said is None else self.path.name in said
        return said is not None


def same(first, second):
    """Compare arrays; a recipe at the end of one of them is left out."""
    pairs = zip(first, second, strict=False)
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def dataset():
    return lines.generate(per_class=1)


@pytest.fixture
def of_digits(tmp_path, monkeypatch):
    """A small mnist.npz, which is the right one for `mnist`."""
    generator = np.random.default_rng(0)
    shapes = {"x_train": (60, 28, 28), "y_train": 60, "x_test": (10, 28, 28), "y_test": 10}
    digits = {name: generator.integers(0, 10, shape, np.uint8) for name, shape in shapes.items()}
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
    files.write_npz(tmp_path / "lines.npz", dataset, RECIPE)
    arrays = dataset._asdict() | {"recipe": np.array(RECIPE)}
    return Archive(tmp_path / "lines.npz", arrays, lines.load)


@pytest.fixture(params=["digits", "lines"])
def archive(request):
    return request.getfixturevalue(f"of_{request.param}")


@pytest.mark.parametrize("is_compressed", [True, False])
@pytest.mark.filterwarnings("error")
def test_a_flipped_bit(archive, is_compressed):
    """Somewhere, and in each byte of the names, sizes and headers, which have no checksum."""
    if not is_compressed:  # columns first: another file, the same arrays
        np.savez(archive.path, **{n: np.asfortranarray(a) for n, a in archive.arrays.items()})
    assert not archive.is_refused()
    whole = archive.path.read_bytes()
    with zipfile.ZipFile(archive.path) as opened:
        starts = [entry.header_offset for entry in opened.infolist()]
        positions = [*range(opened.start_dir, len(whole))]
    positions += [start + step for start in starts for step in range(40)]
    positions += range(0, len(whole), len(whole) // 8)
    refused = 0
    for position in positions:
        archive.path.write_bytes(flipped(whole, position))
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


@pytest.mark.parametrize("changes", [{"shape": (10**15,)}, {"descr": "no type"}])
def test_a_header_that_lies(archive, changes):
    name = list(archive.arrays)[1]
    replace(archive, name, with_header(archive.arrays[name], **changes))
    assert archive.is_refused()


def test_a_pickled_object_is_not_run(archive, monkeypatch):
    folder = archive.path.parent
    monkeypatch.chdir(folder)
    for name, array in archive.arrays.items():
        objects = with_header(array, descr="|O", shape=(10,))[: -array.nbytes or None]
        replace(archive, name, objects + RUNS)
        assert archive.is_refused()
    archive.path.write_bytes(RUNS)  # np.load reads a bare pickle, too, if it is allowed to
    assert archive.is_refused()
    assert os.listdir(folder) == [archive.path.name]
    pickle.loads(RUNS)
    assert (folder / "was-run").exists()  # else the test would show nothing


def test_a_damaged_default_file_is_not_replaced_by_a_download(of_digits, monkeypatch):
    monkeypatch.setattr(mnist, "DEFAULT_PATH", of_digits.path)
    monkeypatch.setattr(mnist, "_download", lambda: pytest.fail("it was downloaded"))
    of_digits.path.write_bytes(of_digits.path.read_bytes()[:2000])
    with pytest.raises(mnist.DataError, match=r"mnist\.npz cannot be read"):
        mnist.load()


@pytest.mark.parametrize("kind", ["half of it", "objects", *SPECIAL])
def test_a_cache_that_is_not_right_is_made_again(of_lines, dataset, kind):
    whole = of_lines.path.read_bytes()
    of_lines.path.unlink()
    if kind in SPECIAL:
        put(kind, of_lines.path)
    else:
        arrays = {name: array[:48] for name, array in of_lines.arrays.items() if array.ndim}
        arrays |= {"labels": np.array([print] * 96)} if kind == "objects" else {}
        np.savez(of_lines.path, **arrays, recipe=of_lines.arrays["recipe"])
    assert same(lines.load(), dataset)
    if kind != "directory":  # which may hold something of the user's
        assert of_lines.path.read_bytes() == whole


# --- lines from a folder


@pytest.fixture(scope="module")
def images(tmp_path_factory, dataset):
    """A folder with the first image of eight classes."""
    folder = tmp_path_factory.mktemp("images") / "png"
    files.write_folder(folder, lines.Lines(*(array[::12] for array in dataset)), "png", RECIPE)
    return folder


@pytest.fixture
def image(tmp_path, images):
    """One image of a copy of the folder."""
    return sorted(shutil.copytree(images, tmp_path / "images").iterdir())[5]


def test_png_with_a_flipped_bit(image, dataset):
    """Every byte of a png but the first and the last few lies under a checksum."""
    whole = image.read_bytes()
    refused = 0
    for position in range(len(whole)):
        image.write_bytes(flipped(whole, position))
        loaded, said = attempt(lines.load, image.parent)
        assert str(image) in said if said else same(loaded[:2], [a[::12] for a in dataset[:2]])
        refused += said is not None
    assert refused > len(whole) - 20


@pytest.mark.parametrize("kind", [*SPECIAL, "TIFF"])
def test_something_else_in_the_place_of_an_image(image, dataset, kind):
    """EPS, for which Pillow would start an interpreter, is in `test_security.py`."""
    image.unlink()
    if kind in SPECIAL:
        put(kind, image)
    else:
        Image.fromarray(dataset.images[0]).save(image, kind)
    with pytest.raises(ValueError, match=str(image)):
        lines.load(image.parent)


# --- no permission to read

PREPARE = """
    import os
    from pathlib import Path
    import numpy as np
    from PIL import Image, JpegImagePlugin, PngImagePlugin
    from cnnlab import lines, mnist, pretrained
    lines.generate(1)
"""
REFUSED = """
    reads = {
        mnist.load: ("mnist.npz", "inside/mnist.npz"), pretrained.find: ("own.keras",),
        lines.load: ("lines.npz", "inside/lines.npz", "inside", "images"),
    }
    for read, names in reads.items():
        for name in names:
            try:
                read(name)
            except ValueError as error:
                assert name in str(error) and "Permission denied" in str(error), error
                print(name)
"""


def test_without_permission(tmp_path, images):
    """One can neither read the files nor look into the folder `inside`."""
    first = sorted(shutil.copytree(images, tmp_path / "images").iterdir())[0]
    for path in (first, *(tmp_path / name for name in ("mnist.npz", "own.keras", "lines.npz"))):
        path.touch()
        path.chmod(0)
    (tmp_path / "inside").mkdir(0)
    for folder in (tmp_path, tmp_path / "images"):
        folder.chmod(0o755)
    assert len(printed_without_permission(tmp_path, PREPARE, REFUSED).split()) == 7
