"""The committed models are the ones that the committed results speak of."""

import json
from pathlib import Path

import numpy as np
import pytest

from cnnlab import lines, mnist, runtime, splits

runtime.start(seed=0)

import keras  # noqa: E402

FOLDER = Path(__file__).resolve().parents[1] / "Task-1"
MODELS = ("part1-mnist", "part1-lines", "final-mnist", "final-lines")


def results():
    return json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tested():
    """The test part of each dataset: images and classes."""
    (x_train, y_train), (x_test, y_test) = mnist.load()
    images, classes = (
        np.concatenate([x_train, x_test])[..., None],
        np.concatenate([y_train, y_test]),
    )
    digits = splits.divide(images, classes, splits.stratified(classes, 0.4, seed=0)).test
    drawn = lines.load()
    classes = lines.encode(drawn.labels)
    return {
        "mnist": digits,
        "lines": splits.divide(drawn.images, classes, splits.stratified(classes, 0.4, seed=0)).test,
    }


@pytest.mark.parametrize("name", MODELS)
def test_model_takes_raw_pixels_and_errs_as_reported(name, tested):
    model = keras.models.load_model(FOLDER / "models" / f"{name}.keras")
    assert not model.compiled
    assert any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers)
    part, dataset = name.split("-")
    images, classes = tested[dataset]
    errors = int(np.sum(model.predict(images, batch_size=1000, verbose=0).argmax(-1) != classes))
    title = {"part1": "Part 1", "final": "final"}[part]
    title += {"mnist": ", MNIST", "lines": ", lines"}[dataset]
    report = results()["reports"][title]
    assert report["n"] == len(classes)
    # Another processor rounds differently, which can turn an undecided image.
    assert abs(errors - report["errors"]) <= 2


def test_models_are_light():
    files = [FOLDER / "models" / f"{name}.keras" for name in MODELS]
    assert sum(file.stat().st_size for file in files) < 40e6


def test_every_figure_is_there_and_no_other():
    script = (FOLDER / "Task-1.py").read_text(encoding="utf-8")
    figures = {path.stem for path in (FOLDER / "figures").glob("*.png")}
    assert figures
    for name in figures:
        assert f'"{name}")' in script, f"figures/{name}.png is not made by the notebook"


def test_readme_tells_the_results():
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    for row in results()["headline"]:
        if "mean of" in row["conditions"]:
            assert row["value"] in readme, f"README.md lacks {row['what']}: {row['value']}"
