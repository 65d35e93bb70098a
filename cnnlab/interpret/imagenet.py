"""The names of ImageNet's 1,000 classes, for models of keras.applications that tell them apart."""

from pathlib import Path

import keras

FILE = Path(__file__).with_name("imagenet_classes.txt")  # with its source and terms
COUNT = 1000
HEAD = "predictions"  # the layer that all these models end on


def class_names() -> list[str]:
    """Return the names in the order of the classes."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def names_for(model, heads) -> dict[str, list[str]]:
    """Return {head: names of its classes} for those heads that tell ImageNet's classes apart."""
    return {head.name: class_names() for head in heads.values() if is_for(model, head)}


def is_for(model, head) -> bool:
    """Say whether a head tells ImageNet's classes apart, as models of keras.applications do."""
    return head.units == COUNT and head.name == HEAD and _is_application(model.name)


def _is_application(name):
    known = {_plain(one) for one in vars(keras.applications) if one[0].isupper()}
    return any(_plain(name).startswith(start) for start in (*known, "nasnet", "mobilenet"))


def _plain(name):
    return name.replace("_", "").lower()
