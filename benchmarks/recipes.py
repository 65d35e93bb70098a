"""The recipes of the notebooks, for the benchmarks: networks and training, written once."""

from cnnlab.runtime import repository_root
from tools import studies


def of_task(number: int) -> dict:
    """Return what the recipe cells of `Task-N.py` define, by name; starts TensorFlow."""
    return studies.recipe(repository_root() / f"Task-{number}" / f"Task-{number}.py")
