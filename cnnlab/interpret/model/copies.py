"""Copies of model files with another description, for Keras to load."""

import contextlib
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py

from cnnlab.interpret.model.files import WEIGHTS

OLD_GROUP, GROUP = "_layer_checkpoint_dependencies", "layers"  # of weights in a `.keras` file


@contextlib.contextmanager
def described(path: Path, description: dict) -> Iterator[Path]:
    """Give a copy of a `.keras` file with that description; it is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="cnnlab-model-") as folder:
        copied = Path(folder) / "model.keras"
        _copy_archive(path, copied, json.dumps(description))
        yield copied


@contextlib.contextmanager
def named(path: Path, name: str) -> Iterator[Path]:
    """Give a copy of a file with that name; it is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="cnnlab-model-") as folder:
        yield Path(shutil.copyfile(path, Path(folder) / name))


def _copy_archive(path, copied, description):
    weights = copied.with_name(WEIGHTS)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copied, "w") as new:
        for name in old.namelist():
            if name == WEIGHTS:
                old.extract(name, copied.parent)
                with h5py.File(weights, "r+") as file:
                    _rename_groups(file)
                new.write(weights, name)
            elif name == "config.json":
                new.writestr(name, description)
            else:
                new.writestr(name, old.read(name))


def _rename_groups(group):
    """Name the groups of weights as Keras has since 2.15."""
    # Before, it counted a layer with weights twice: conv2d, conv2d_2, conv2d_4.
    if OLD_GROUP in group:
        group.move(OLD_GROUP, GROUP)
        numbers = {}
        for name in sorted(group[GROUP], key=_kind_and_number):
            kind, _ = _kind_and_number(name)
            numbers[kind] = number = numbers.get(kind, -1) + 1
            wanted = f"{kind}_{number}" if number else kind
            if name != wanted:
                group.move(f"{GROUP}/{name}", f"{GROUP}/{wanted}")
    for name in group:
        is_inside = isinstance(group.get(name, getlink=True), h5py.HardLink)  # of this file
        if is_inside and isinstance(group[name], h5py.Group):
            _rename_groups(group[name])


def _kind_and_number(name):
    """Return ("conv2d", 3) for "conv2d_3", and ("conv2d", 0) for the first one, "conv2d"."""
    kind, number = re.fullmatch(r"(.*?)(?:_(\d+))?", name).groups()
    return kind, int(number or 0)
