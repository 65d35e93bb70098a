"""The line dataset on disk: nothing broken is ever read or left behind; pictures show the truth."""

import errno
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image

from cnnlab import __main__ as main
from cnnlab import lines
from cnnlab.lines import files, pictures

RECIPE = lines.recipe(3, 0)


@pytest.fixture(scope="module")
def dataset():
    return lines.generate(per_class=3)


@pytest.fixture
def folder(tmp_path, dataset):
    """A folder with the first image of eight classes, and its "0_0_0_1_0.png"."""
    folder = tmp_path / "images"
    files.write_folder(folder, lines.Lines(*(array[:24:3] for array in dataset)), "png", RECIPE)
    return folder, folder / "0_0_0_1_0.png"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Point `load` to a cache of its own, with two images a class."""
    path = tmp_path / "data" / "lines.npz"
    monkeypatch.setattr("cnnlab.lines.dataset._cache_file", lambda: path)
    monkeypatch.setattr("cnnlab.lines.dataset.PER_CLASS", 2)
    return path


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_an_npz_comes_back_and_is_rejected_wherever_it_is_cut(tmp_path, dataset):
    path = tmp_path / "some.npz"
    files.write_npz(path, dataset, RECIPE)
    assert same(lines.load(str(path)), dataset)
    whole = path.read_bytes()
    for position in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:position])
        with pytest.raises(ValueError, match="some.npz"):
            lines.load(path)
    with pytest.raises(FileNotFoundError, match="absent.npz does not exist"):
        lines.load(tmp_path / "absent.npz")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"images": None}, "has no array images"),
        ({"images": np.zeros((288, 28, 28, 3), np.float32)}, "images are float32"),
        ({"images": np.zeros((287, 28, 28, 3), np.uint8)}, r"not uint8 \(288, 28, 28, 3\)"),
        ({"labels": np.full((288, 4), 2, np.uint8)}, "length label 2"),
        ({"labels": np.array([None])}, "cannot be read as an .npz file"),
    ],
)
def test_a_foreign_npz_is_rejected(tmp_path, dataset, change, message):
    path = tmp_path / "foreign.npz"
    arrays = dataset._asdict() | {"recipe": np.array(RECIPE)} | change
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(ValueError, match=message) as caught:
        lines.load(path)
    assert str(path) in str(caught.value)


def test_cache_is_made_once(cache, monkeypatch):
    first = lines.load()
    assert first.images.shape == (192, 28, 28, 3)
    assert os.listdir(cache.parent) == ["lines.npz"]
    monkeypatch.setattr("cnnlab.lines.dataset.generate", None)  # a second generation would fail
    assert same(lines.load(), first)


@pytest.mark.parametrize("recipe", ["an older drawing", lines.recipe(1, 0)])
def test_an_old_cache_or_one_of_another_size_is_made_again(cache, recipe):
    first = lines.load()
    files.write_npz(cache, lines.generate(1), recipe)
    assert same(lines.load(), first)
    assert same(lines.load(cache), first)


def test_full_disk_leaves_no_file(cache, monkeypatch):
    def fill_disk(path, **arrays):
        path.write_bytes(b"the first part")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", fill_disk)
    assert len(lines.load().images) == 192
    assert os.listdir(cache.parent) == []


def test_two_at_once(cache):
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: lines.load(), range(4)))
    assert all(same(result, results[0]) for result in results)
    assert os.listdir(cache.parent) == ["lines.npz"]


@pytest.mark.parametrize(("kind", "worst", "mean"), [("png", 0, 0), ("jpg", 40, 1)])
def test_a_folder_comes_back(tmp_path, dataset, kind, worst, mean):
    files.write_folder(tmp_path / kind, dataset, kind, RECIPE)
    parts = [(*label, n) for label in lines.decode(range(96)) for n in range(3)]
    assert set(os.listdir(tmp_path / kind)) == {f"{'_'.join(map(str, p))}.{kind}" for p in parts}
    stored = lines.load(tmp_path / kind)
    difference = np.abs(stored.images.astype(int) - dataset.images)
    assert difference.max() <= worst and difference.mean() <= mean
    assert np.array_equal(stored.labels, dataset.labels) and stored.labels.dtype == np.uint8
    assert stored.centers is None


@pytest.mark.parametrize("name", ["1_1_9_0.png", "0_0_12_0_0.png", "0_0_0_0_07.png"])
def test_misnamed_image_is_rejected(folder, name):
    folder, image = folder
    shutil.copy(image, folder / name)
    with pytest.raises(ValueError, match=re.escape(name) + " is misnamed"):
        lines.load(folder)


def test_bad_images_are_rejected(folder):
    folder, whole = folder
    path = folder / "0_0_0_0_5.png"
    Image.new("L", (28, 27)).save(path)
    with pytest.raises(ValueError, match="5.png is L, 28 x 27 pixels, not RGB"):
        lines.load(folder)
    path.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(ValueError, match="0_0_0_0_5.png is not a readable image"):
        lines.load(folder)
    path.unlink()
    shutil.copy(whole, folder / "0_0_0_1_0.jpg")
    with pytest.raises(ValueError, match="is the same image as"):
        lines.load(folder)


def test_numbers_sort_as_numbers(folder):
    folder, image = folder
    for number in (2, 10):
        shutil.copy(image, folder / f"0_0_0_0_{number}.png")
    Image.new("RGB", (28, 28)).save(folder / "0_0_0_0_9.png")
    assert [image.any() for image in lines.load(folder).images[:4]] == [True, True, False, True]


def test_empty_folder_is_rejected(tmp_path):
    (tmp_path / ".hidden").write_text("")
    with pytest.raises(ValueError, match="holds no images"):
        lines.load(tmp_path)


def test_nothing_is_overwritten(tmp_path, dataset):
    (tmp_path / "thesis.txt").write_text("dear")
    with pytest.raises(FileExistsError, match="is not empty"):
        files.write_folder(tmp_path, dataset, "png", RECIPE)
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_sheet_shows_every_class_unsmoothed(tmp_path, dataset):
    pictures.draw_sheet(tmp_path / "sheet.png", dataset)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    left, top, tile, scale = 250, 150, 32, 4
    for index, (length, width, angle, color) in enumerate(lines.decode(range(96)).astype(int)):
        row = (length * 2 + width) * 2 + color
        y, x = top + (row * tile + 2) * scale, left + (angle * tile + 2) * scale
        shown = sheet[y : y + 28 * scale, x : x + 28 * scale]
        expected = dataset.images[3 * index].repeat(scale, 0).repeat(scale, 1)
        assert np.array_equal(shown, expected), lines.class_name(index)


def test_film_shows_every_class(tmp_path):
    dataset = lines.generate(per_class=10)
    path = tmp_path / "film.mp4"
    pictures.write_film(path, dataset)
    film = cv2.VideoCapture(str(path))
    assert film.get(cv2.CAP_PROP_FPS) == 2
    frames = []
    while (read := film.read())[0]:
        frames.append(read[1][:, :, ::-1])
    assert len(frames) == 192  # nine images and one more of each of 96 classes
    for class_index in range(96):
        tiles = frames[2 * class_index][:360].reshape(3, 120, 3, 120, 3).swapaxes(1, 2)
        tiles = tiles.reshape(9, 120, 120, 3)[:, 4:-4, 4:-4]
        shown = tiles.reshape(9, 28, 4, 28, 4, 3).mean((2, 4))
        expected = dataset.images[10 * class_index :][:9]
        assert np.abs(shown - expected).mean() < 4  # of 255; films are compressed
        assert np.abs(shown - expected[::-1]).mean() > np.abs(shown - expected).mean()


def test_command_line_writes_everything(tmp_path, monkeypatch, dataset, capsys):
    monkeypatch.chdir(tmp_path)
    command = "lines --per-class 3 --out deep/out --format npz --sheet sheet.png"
    assert main.main(command.split()) == 0
    assert same(lines.load("deep/out/lines.npz"), dataset)
    assert (tmp_path / "sheet.png").exists()
    assert "288 images as npz" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("lines", "give --out DIR, --sheet FILE or --video FILE"),
        ("lines --out NEW --per-class 0", "--per-class: '0' is not allowed"),
        ("lines --out FULL --per-class 1", "is not empty"),
        ("lines --out NEW --format gif", "invalid choice: 'gif'"),
        ("lines --sheet sheet.gif", "must end in .png or .pdf"),
        ("lines --per-class 1 --video FULL/file/film.mp4", "FULL/file"),
        ("", "required"),
    ],
)
def test_command_line_errors_are_one_sentence(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FULL").mkdir()
    (tmp_path / "FULL" / "file").write_text("")
    try:
        code = main.main(arguments.split())
    except SystemExit as end:
        code = end.code
    error = capsys.readouterr().err
    assert code == 2
    assert message in error and "cnnlab" in error and error.count("\n") == 1
    assert os.listdir(tmp_path) == ["FULL"]
