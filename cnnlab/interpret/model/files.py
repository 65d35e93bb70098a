"""What is in the file of a model, read without Keras: no code in it is run."""

import json
import stat
import zipfile

import h5py

from cnnlab import memory
from cnnlab.pretrained import HDF5

LONGEST = 100_000_000  # bytes of a description; a thousand layers need about one million
WEIGHTS = "model.weights.h5"  # in a `.keras` file


def description(path) -> tuple[dict, str]:
    """Return what a file says about its model as plain JSON data, and the version of Keras.

    Raises:
        ValueError: a damaged file, one that is no model or has the wrong name, or weights alone.
    """
    is_hdf5 = path.suffix in HDF5
    if (zipfile.is_zipfile if is_hdf5 else h5py.is_hdf5)(path):
        raise ValueError(f"{path} should be called {path.stem}{'.keras' if is_hdf5 else '.h5'}")
    try:
        text, version = _in_hdf5(path) if is_hdf5 else _in_zip(path)
        described = json.loads(text) if text else None
    except Exception as error:  # a damaged file raises whatever its damaged part leads to
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} is damaged, or not a model of Keras: {reason}") from None
    if not isinstance(described, dict):
        raise ValueError(
            f"{path} does not say what its model is made of; if it holds weights only, load them "
            "into that model and save it whole, as .keras"
        )
    described.pop("compile_config", None)  # not read by Keras either
    return described, version


def _in_hdf5(path):
    with h5py.File(path, "r") as file:
        return [_text(file.attrs.get(name)) for name in ("model_config", "keras_version")]


def _text(attribute):
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute or "")


def _in_zip(path):
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            parts = entry.filename.replace("\\", "/").split("/")
            if parts[0] == "" or ".." in parts or stat.S_ISLNK(entry.external_attr >> 16):
                raise ValueError(f"{entry.filename!r} in it leads out of the archive")
        if "config.json" not in archive.namelist():
            return None, ""
        if archive.getinfo("config.json").file_size > LONGEST:
            raise ValueError("the description of the layers is too long")
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} in it is not as it was written")
        about = archive.read("metadata.json") if "metadata.json" in archive.namelist() else "{}"
        version = json.loads(about).get("keras_version", "")
        return archive.read("config.json"), str(version)


def backend(path) -> str:
    """Return the backend with which Keras wrote an `.h5` file, "" where it does not say so."""
    with h5py.File(path, "r") as file:
        return _text(file["model_weights"].attrs.get("backend"))


def weights_size(path) -> int:
    """Return how many bytes the weights are, without those of the optimizer; 0 for a few."""
    if path.suffix in HDF5:
        with h5py.File(path, "r") as file:
            return _size(file["model_weights"])
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist() if entry.filename == WEIGHTS)
        if size < memory.free_memory():
            return 0
        with archive.open(WEIGHTS) as member, h5py.File(member, "r") as file:
            return _size(file)


def _size(group):
    sizes = []

    def add(name, item):
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer/"):
            sizes.append(item.nbytes)

    group.visititems(add)  # no links
    return sum(sizes)
