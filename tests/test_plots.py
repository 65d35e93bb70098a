"""Figures: they draw what they are given, with square pixels and one scale."""

import numpy as np
import pytest
from drawn import titles, words

from cnnlab import plots


def test_learning_curves_lay_no_error_on_a_shelf():
    history = {"accuracy": [0.5, 1.0], "loss": [1, 0.1]}
    validated = history | {"val_accuracy": [0.6, 0.9], "val_loss": [1, 0.2]}
    figure = plots.learning_curves({"net": validated})
    training, validation = (line.get_ydata() for line in figure.axes[0].lines[:2])
    assert training[0] == pytest.approx(50)
    assert 0 < training[1] < 10 / 2
    assert "no error" in words(figure.axes[0].texts)
    assert validation == pytest.approx([40, 10])
    assert not plots.learning_curves({"net": validated | {"accuracy": [0.5, 0.9]}}).axes[0].texts
    assert len(plots.learning_curves({"net": history}).axes[0].lines) == 2  # and that of the shelf


def test_small_confusions_carry_numbers_and_large_ones_ring_every_error():
    image = plots.confusion([[5, 1], [0, 7]], ["a", "b"])
    assert sorted(words(image.axes.texts)) == ["1", "5", "7"]
    assert image.axes.get_aspect() == 1
    matrix = np.diag(np.full(96, 400))
    matrix[3, 50] = matrix[90, 2] = 1
    image = plots.confusion(matrix, list("abcd"), group=24)
    rings = image.axes.collections[0].get_offsets()
    assert sorted(map(tuple, rings)) == [(2, 90), (50, 3)]


def test_class_scores_has_a_dot_for_each_class_or_for_the_worst():
    report = {name: np.array([0.9, 1.0, 0.8]) for name in ("precision", "recall", "f_score")}
    axis = plots.class_scores(report, "abc").axes[0]
    assert [len(line.get_xdata()) for line in axis.lines] == [3, 3, 3]
    axis = plots.class_scores(report, "abc", worst=2).axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["c", "a"]
    assert axis.lines[0].get_ydata() == pytest.approx([80, 90])


@pytest.mark.parametrize("shape", [(5, 28, 28), (5, 28, 28, 1), (5, 28, 28, 3)])
def test_image_grid_is_square_and_on_one_scale(shape):
    images = np.zeros(shape, np.uint8)
    names = [f"image {i}" for i in range(5)]
    figure = plots.image_grid(images, names, columns=3)
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 5
    assert all(axis.get_aspect() == 1 and axis.images[0].get_clim() == (0, 255) for axis in shown)
    assert titles(shown) == names
