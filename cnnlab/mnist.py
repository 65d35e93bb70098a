"""MNIST from `data/mnist.npz`, verified; Keras's own loader when the file is missing."""

import contextlib
import hashlib
import io
from pathlib import Path

import numpy as np

from cnnlab import archives

DEFAULT_PATH = Path(__file__).resolve().parents[1] / "data" / "mnist.npz"
TRAINING = 60_000  # official training images; in the pool, the official test images follow them
REMEDY = "put the mnist.npz that Keras distributes (11 MB, see data/README.md) into data/."

# Of each array: shape and sha256 of its bytes, so that a file compressed again still counts.
ARRAYS = {
    "x_train": (
        (60000, 28, 28),
        "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    ),
    "y_train": ((60000,), "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13"),
    "x_test": ((10000, 28, 28), "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161"),
    "y_test": ((10000,), "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5"),
}


class DataError(ValueError):
    """MNIST is missing or is not the MNIST everybody else has; the message says what to do."""


def load(path=None):
    """Load MNIST as `keras.datasets.mnist.load_data` does, from `data/mnist.npz` or another path.

    If `data/mnist.npz` is missing, Keras downloads it. Returns `(x_train, y_train), (x_test,
    y_test)`, uint8: images (60000, 28, 28) and (10000, 28, 28), 0 paper to 255 ink, labels 0..9.

    Raises:
        DataError: the file is missing and cannot be downloaded, or it is broken or altered.

    Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits" (1998).
    """
    try:
        arrays = _read(path)
        _verify(arrays, path or DEFAULT_PATH)
    except (ValueError, FileNotFoundError) as error:
        raise DataError(f"{error}; {REMEDY}") from error
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])


def pool():
    """Return all 70,000 images (n, 28, 28) and classes (n,), uint8; official test images last."""
    (x_train, y_train), (x_test, y_test) = load()
    return np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])


def small_digits(size):
    """Return scikit-learn's 1,797 digits of 8x8 pixels, enlarged to `size` and set on 28x28.

    Other people wrote them, and other software scanned them. Images are (1797, 28, 28, 1) uint8,
    0 paper to 255 ink, interpolated bicubically; classes (1797,) int64. `size` is even, 8..28.
    """
    import cv2
    from sklearn.datasets import load_digits

    small, margin = load_digits(), (28 - size) // 2
    images = np.zeros((len(small.images), 28, 28, 1), np.uint8)
    for image, pixels in zip(images, small.images * (255 / 16), strict=True):
        large = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_CUBIC)
        image[margin : margin + size, margin : margin + size, 0] = np.clip(np.rint(large), 0, 255)
    return images, small.target


def _read(path):
    try:
        return archives.read(path or DEFAULT_PATH, ARRAYS)
    except FileNotFoundError:
        if path is not None:
            raise
        return _download()


def _download():
    try:
        import keras

        with contextlib.redirect_stdout(io.StringIO()):  # no progress bar in a notebook's outputs
            train, test = keras.datasets.mnist.load_data()
    except Exception as error:
        raise ValueError("data/mnist.npz is missing and Keras could not download it") from error
    return dict(zip(ARRAYS, (*train, *test), strict=True))


def _verify(arrays, source):
    for name, (shape, checksum) in ARRAYS.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.uint8:
            given = f"{array.dtype} {array.shape}"
            raise ValueError(f"{name} in {source} is {given}, not uint8 {shape}")
        if hashlib.sha256(np.ascontiguousarray(array)).hexdigest() != checksum:
            raise ValueError(f"{name} in {source} is not MNIST (sha256 differs)")
