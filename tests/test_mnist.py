"""MNIST: the embedded file is the real one, and a wrong one is named, never used."""

import shutil

import numpy as np
import pytest

from cnnlab import mnist


@pytest.fixture(scope="module")
def arrays():
    (x_train, y_train), (x_test, y_test) = mnist.load()
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def test_shapes_types_and_counts(arrays):
    for name, (shape, _) in mnist.ARRAYS.items():
        assert arrays[name].shape == shape
        assert arrays[name].dtype == np.uint8
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]  # as LeCun's files have
    assert np.bincount(arrays["y_train"]).tolist() == counts


def test_truncated_file_is_named(tmp_path):
    path = tmp_path / "mnist.npz"
    content = mnist.DEFAULT_PATH.read_bytes()
    for share in (0.0, 0.1, 0.5, 0.99):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(mnist.DataError, match=r"mnist\.npz.*put the mnist\.npz"):
            mnist.load(path)


def test_flipped_bytes_are_noticed(tmp_path):
    path = tmp_path / "mnist.npz"
    content = bytearray(mnist.DEFAULT_PATH.read_bytes())
    for offset in np.random.default_rng(0).integers(200, len(content) - 1000, size=5):
        content[offset] ^= 0x40
        path.write_bytes(content)
        with pytest.raises(mnist.DataError):
            mnist.load(path)
        content[offset] ^= 0x40


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("y_test"), "no array y_test"),
        (lambda a: a.update(x_test=a["x_test"][:, :14]), r"x_test .* is uint8 \(10000, 14, 28\)"),
        (lambda a: a.update(y_train=a["y_train"].astype("int64")), "y_train .* is int64"),
        (lambda a: a.update(y_test=a["y_test"][::-1]), r"y_test .* is not MNIST"),
        (lambda a: a.update(y_test=np.array([{}], dtype=object)), "cannot be read"),
    ],
)
def test_wrong_content_is_named(arrays, tmp_path, change, message):
    changed = dict(arrays)
    change(changed)
    path = tmp_path / "mnist.npz"
    np.savez(path, **changed)
    with pytest.raises(mnist.DataError, match=message):
        mnist.load(path)


def test_named_file_that_is_missing(tmp_path):
    with pytest.raises(mnist.DataError, match=r"absent\.npz does not exist"):
        mnist.load(tmp_path / "absent.npz")


def test_a_directory_in_the_files_place(tmp_path):
    (tmp_path / "mnist.npz").mkdir()
    with pytest.raises(mnist.DataError):
        mnist.load(tmp_path / "mnist.npz")


def test_missing_file_is_downloaded_by_keras(arrays, monkeypatch, tmp_path):
    monkeypatch.setattr(mnist, "DEFAULT_PATH", tmp_path / "mnist.npz")
    loaded = (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
    monkeypatch.setattr("keras.datasets.mnist.load_data", lambda: loaded)
    assert mnist.load()[1][0] is arrays["x_test"]


def test_missing_file_without_network(monkeypatch, tmp_path, capsys):
    def unreachable():
        print("Downloading data ...")
        raise OSError("no route")

    monkeypatch.setattr(mnist, "DEFAULT_PATH", tmp_path / "mnist.npz")
    monkeypatch.setattr("keras.datasets.mnist.load_data", unreachable)
    with pytest.raises(mnist.DataError, match="missing and Keras could not download it; put"):
        mnist.load()
    assert capsys.readouterr().out == ""


def test_a_recompressed_file_is_as_good(arrays, tmp_path):
    path = tmp_path / "plain.npz"
    np.savez(path, **arrays)
    assert np.array_equal(mnist.load(path)[1][1], arrays["y_test"])
    shutil.copy(mnist.DEFAULT_PATH, tmp_path / "copy.npz")
    assert np.array_equal(mnist.load(tmp_path / "copy.npz")[0][1], arrays["y_train"])
