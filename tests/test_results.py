"""The committed models are the ones that the committed results speak of."""

import json
from pathlib import Path

import numpy as np
import pytest

from cnnlab import lines, mnist, runtime, splits
from cnnlab.training import heads

runtime.start(seed=0)

import keras  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
FOLDER, FOUR_HEADS = ROOT / "Task-1", ROOT / "Task-2"
MODELS = ("part1-mnist", "part1-lines", "final-mnist", "final-lines")


def results(folder=FOLDER):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tested():
    """The test part of each dataset: images and classes."""
    digits, digit_classes = mnist.pool()
    drawn = lines.load()
    parts = {
        "mnist": (digits[..., None], digit_classes),
        "lines": (drawn.images, lines.encode(drawn.labels)),
    }
    return {
        name: splits.partition(images, classes, splits.held_out(classes)).test
        for name, (images, classes) in parts.items()
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


def test_four_headed_model_errs_as_reported():
    model = keras.models.load_model(FOUR_HEADS / "models" / "final.keras")
    assert not model.compiled
    assert set(model.output) == set(lines.HEADS)
    assert model.count_params() <= 250_000
    drawn = lines.load()
    split = splits.held_out(lines.encode(drawn.labels))
    predicted = heads.predict(model, drawn.images[split.test])
    wrong = predicted != drawn.labels[split.test]
    reported = results(FOUR_HEADS)
    # Another processor rounds differently, which can turn an undecided image.
    assert abs(int(wrong.any(axis=1).sum()) - reported["joint"]["errors"]) <= 2
    for column, name in enumerate(lines.HEADS):
        assert abs(int(wrong[:, column].sum()) - reported["heads"][name]["errors"]) <= 2


def test_heat_lies_where_task_3_says():
    from cnnlab.interpret import checks, grad_cam

    drawn, shuffled = lines.load(), np.random.default_rng(0)
    test = splits.held_out(lines.encode(drawn.labels)).test
    chosen = shuffled.permutation(test)[:960]
    some = lines.Lines(*(column[chosen] for column in drawn))
    model = keras.models.load_model(FOLDER / "models" / "part1-lines.keras")
    share = checks.pointing_game(grad_cam(model, some.images), checks.line_masks(some)).share
    reported = results(ROOT / "Task-3")["pointing game"]["Part 1, lines"]["hottest pixel"]
    assert abs(share - reported) < 0.06  # a quarter of the images: four standard errors


def test_models_are_light():
    for folder in (FOLDER, FOUR_HEADS):
        files = list((folder / "models").glob("*.keras"))
        assert files and sum(file.stat().st_size for file in files) < 40e6
