"""The blocks of code in docs/ run, those of tf-keras-vis too where it is installed."""

import re
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from models import with_random_weights
from PIL import Image

DOCS = Path(__file__).resolve().parents[1] / "docs"
BLOCKS = re.findall(
    r"## (.*?)\n|```python\n(.*?)```", (DOCS / "coming-from.md").read_text("utf-8"), re.S
)


def blocks():
    """(heading, whose, code) of each block."""
    found, heading = [], ""
    for title, code in BLOCKS:
        heading = title or heading
        if code:
            found.append((heading, code.split("\n")[0].removeprefix("# "), code))
    return found


@pytest.fixture(scope="module")
def given():
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    row = layers.Dense(5, "softmax")(layers.Flatten()(x))
    model = with_random_weights(keras.Model(image, row))
    segmenting = with_random_weights(
        keras.Model(image, layers.Conv2D(2, 1, activation="softmax")(x))
    )
    images = np.random.default_rng(0).random((2, 16, 16, 3)).astype(np.float32)
    mask = np.zeros((14, 14), bool)
    mask[3:6, 3:6] = True
    return {"model": model, "segmenting": segmenting, "images": images, "mask": mask}


@pytest.mark.parametrize(("heading", "whose", "code"), blocks(), ids=lambda part: part[:24])
def test_a_block_runs(heading, whose, code, given, tmp_path, monkeypatch):
    if whose == "tf-keras-vis":
        pytest.importorskip("tf_keras_vis")
    else:
        assert whose == "cnnlab"
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save("photo.png")
    names = dict(given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they use names of SciPy's that are going
        exec(code, names)
    results = [names[name] for name in ("maps", "pictures", "curves") if name in names]
    assert results or (tmp_path / "photo.html").exists()
    for maps in results:
        if isinstance(maps, np.ndarray):
            assert np.isfinite(maps).all() and maps.shape.count(16) == 2


def test_each_heading_has_our_way():
    headings = {heading for heading, whose, _ in blocks() if whose == "cnnlab"}
    assert headings == {title for title, code in BLOCKS if title} - {"What each has"}
