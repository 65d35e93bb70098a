"""What every test can count on."""

import os
import re
import sys

import pytest
import small_repository

# The tests draw without a screen, and without asking which one there is.
os.environ["MPLBACKEND"] = "Agg"


# What starts TensorFlow in a test file: not a word in a string, but an import or a start.
STARTS_TENSORFLOW = re.compile(
    r"^ *(import (keras|tensorflow)|from keras|runtime\.start\(|from cnnlab[ .].*interpret)",
    re.MULTILINE,
)


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="only the files without TensorFlow")


def pytest_ignore_collect(collection_path, config):
    """With --quick, leave out the files that start TensorFlow."""
    if config.getoption("quick") and collection_path.suffix == ".py":
        return bool(STARTS_TENSORFLOW.search(collection_path.read_text("utf-8"))) or None


@pytest.fixture(autouse=True)
def full_budget(monkeypatch):
    """Tests say themselves when they want a smoke run, whatever the caller's environment says."""
    monkeypatch.delenv("CNNLAB_BUDGET", raising=False)
    monkeypatch.delenv("CNNLAB_MODELS_OF_RUN", raising=False)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def repository(tmp_path):
    """A small repository with one task, not executed yet."""
    return small_repository.make(tmp_path / "repository")


@pytest.fixture
def executed(repository):
    """The same with a notebook."""
    return small_repository.add_notebook(repository)
