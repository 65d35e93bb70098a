"""This repository's models by name, and others by their file, found without TensorFlow."""

import difflib
import os
from pathlib import Path

from cnnlab import drawings, lines, mnist
from cnnlab.runtime import repository_root
from cnnlab.saving import read_class_names

MODELS = {  # the project's own, below its root
    "task1-part1-mnist": "Task-1/models/part1-mnist.keras",
    "task1-part1-lines": "Task-1/models/part1-lines.keras",
    "task1-mnist": "Task-1/models/final-mnist.keras",
    "task1-mnist-long": "Task-1/long-mnist.keras",  # of the study: the official split, 48 epochs
    "task1-lines": "Task-1/models/final-lines.keras",
    "task2": "Task-2/models/final.keras",
    "task2-plain": "Task-2/models/plain.keras",
}
DIGITS = ("task1-mnist", "task1-mnist-long", "task1-part1-mnist")
LINES = ("task1-lines", "task1-part1-lines")
HEADS = ("task2", "task2-plain")
HDF5 = (".h5", ".hdf5")
ENDS = "its name must end in .keras, .h5 or .hdf5"
COUNT = 960  # images to look for the best one of each filter
SEED = 1  # of the lines: other centers than those of the dataset, which has seed 0


def find(name_or_path) -> Path:
    """Return the path of a model's file, which exists, can be read, and is not empty.

    Takes a key of MODELS, or the path of a file with a known suffix.

    Raises:
        TypeError: neither a string nor a path.
        FileNotFoundError: no such file, its notebook was not run, or no repository around.
        ValueError: no such name, a folder, an empty or unreadable file, or another suffix.
    """
    if not isinstance(name_or_path, (str, Path)):
        raise TypeError(f"a model is loaded by its name or path, not from {name_or_path!r}")
    path, name = Path(name_or_path), str(name_or_path)
    if name in MODELS:
        try:
            path = repository_root() / MODELS[name]
        except FileNotFoundError:
            raise FileNotFoundError(
                f"the model {name} belongs to the cnnlab repository, and this is not inside a copy "
                "of it: go there, or give the path of a model"
            ) from None
        task = MODELS[name].partition("/")[0]
        if not path.is_file():
            made = f"{task}.ipynb makes it: make notebooks TASKS={task}"
            raise FileNotFoundError(f"the model {name} is not there yet ({path}); {made}")
    exists = os.path.exists(path)  # `Path.exists` raises an error where a name is too long
    if exists and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "not a file"
        raise ValueError(f"{path} is {kind}; a model is one file, and {ENDS}")
    if path.suffix not in (".keras", *HDF5):
        if exists:
            raise ValueError(f"{path} is not a model of Keras: {ENDS}")
        close = difflib.get_close_matches(name, MODELS, n=1, cutoff=0.5)
        meant = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(
            f"no model {name!r}{meant}; there are {', '.join(MODELS)}, and any file: {ENDS}"
        )
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise ValueError(f"{path} is empty")
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    return path


def class_names(name_or_path, heads) -> dict[str, list[str]]:
    """Return {head: names of its classes}, for those heads of which a model's file keeps names."""
    kept = read_class_names(find(name_or_path))
    return {head: kept[head] for head in heads if head in kept}


def as_its_images(name, picture):
    """Return a `Picture` as the images that a model of ours was trained on, if that is known."""
    return drawings.as_mnist(picture) if name in DIGITS else picture


def images_for(name):
    """Return images that a model of ours never saw, (960, 28, 28[, 3]) uint8; None for others."""
    # Of MNIST they are in both test parts, Task 1's and the official; lines have other centers.
    if name in DIGITS:
        from cnnlab import splits  # here, because it imports scikit-learn, which takes seconds

        images, classes = mnist.pool()
        unseen = splits.held_out(classes).test
        unseen = unseen[unseen >= mnist.TRAINING]
        return images[unseen[:: len(unseen) // COUNT][:COUNT]]
    if name in LINES + HEADS:
        return lines.generate(per_class=COUNT // lines.CLASSES, seed=SEED).images
    return None
