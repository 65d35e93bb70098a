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
MODELS = {
    "part1-mnist": "given, digits",
    "part1-lines": "given, lines",
    "final-mnist": "final, digits",
    "final-lines": "final, lines",
}
ROUNDED = 2  # another processor rounds differently, which can turn an undecided image


def results(task):
    return json.loads((ROOT / task / "results.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", MODELS)
def test_model_takes_raw_pixels_and_errs_as_reported(name):
    model = keras.models.load_model(ROOT / "Task-1" / "models" / f"{name}.keras")
    assert not model.compiled
    assert any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers)
    if name.endswith("mnist"):
        images, classes = mnist.pool()
        images = images[..., None]
    else:
        drawn = lines.load()
        images, classes = drawn.images, lines.encode(drawn.labels)
    test = splits.held_out(classes).test
    predicted = model.predict(images[test], batch_size=1000, verbose=0).argmax(-1)
    report = results("Task-1")["reports"][MODELS[name]]
    assert report["n"] == len(test)
    assert abs(int(np.sum(predicted != classes[test])) - report["errors"]) <= ROUNDED


def test_four_headed_model_errs_as_reported():
    model = keras.models.load_model(ROOT / "Task-2" / "models" / "final.keras")
    assert not model.compiled
    assert set(model.output) == set(lines.HEADS)
    assert model.count_params() <= 250_000
    drawn = lines.load()
    test = splits.held_out(lines.encode(drawn.labels)).test
    wrong = heads.predict(model, drawn.images[test]) != drawn.labels[test]
    reported = results("Task-2")
    assert abs(int(wrong.any(axis=1).sum()) - reported["joint"]["errors"]) <= ROUNDED
    for column, name in enumerate(lines.HEADS):
        assert abs(int(wrong[:, column].sum()) - reported["heads"][name]["errors"]) <= ROUNDED


def test_heat_lies_where_task_3_says():
    from cnnlab.interpret import checks, grad_cam

    drawn = lines.load()
    test = splits.held_out(lines.encode(drawn.labels)).test
    chosen = np.random.default_rng(0).permutation(test)[:960]
    some = lines.Lines(*(column[chosen] for column in drawn))
    model = keras.models.load_model(ROOT / "Task-1" / "models" / "part1-lines.keras")
    share = checks.pointing_game(grad_cam(model, some.images), checks.line_masks(some)).share
    reported = results("Task-3")["pointing game"]["given, lines"]["hottest pixel"]
    assert abs(share - reported) < 0.06  # a quarter of the images: four standard errors
