"""MNIST: the embedded file is the real one, and a wrong one is named, never used."""

import numpy as np
import pytest

from cnnlab import mnist


@pytest.fixture(scope="module")
def arrays():
    (x_train, y_train), (x_test, y_test) = mnist.load()
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def test_shapes_types_and_counts(arrays):
    for name, (shape, _) in mnist.ARRAYS.items():
        assert arrays[name].shape == shape and arrays[name].dtype == np.uint8
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]  # as LeCun's files have
    assert np.bincount(arrays["y_train"]).tolist() == counts


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "mnist.npz"
    path.write_bytes(mnist.DEFAULT_PATH.read_bytes()[:1_000_000])
    with pytest.raises(mnist.DataError, match=r"mnist\.npz cannot be read.*put the mnist\.npz"):
        mnist.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("y_test"), "no array y_test"),
        (lambda a: a.update(x_test=a["x_test"][:, :14]), r"x_test .* is uint8 \(10000, 14, 28\)"),
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


def test_no_file_of_that_name(tmp_path):
    with pytest.raises(mnist.DataError, match=r"absent\.npz does not exist"):
        mnist.load(tmp_path / "absent.npz")
    with pytest.raises(mnist.DataError, match="is not a file"):
        mnist.load(tmp_path)


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
