"""Reading .npz files that may be damaged, or something else."""

import os

import numpy as np


def read(path, names) -> dict[str, np.ndarray]:
    """Return arrays by name, none pickled; ValueError or FileNotFoundError begin with the path."""
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe would wait for ever
        raise ValueError(f"{path} is not a file")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in names if name in stored.files}
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged archive raises whatever its damaged part leads to
        raise ValueError(f"{path} cannot be read as an .npz file") from error
    if missing := sorted(set(names) - set(arrays)):
        raise ValueError(f"{path} has no array {', '.join(missing)}")
    return arrays
