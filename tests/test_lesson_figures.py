"""The figures of Task 3's lesson."""

import numpy as np

from cnnlab import lines
from cnnlab.interpret import activations, load, maximize_filters
from cnnlab.interpret.ascent import Ascent
from cnnlab.interpret.figures import lesson

IMAGES = lines.generate(per_class=1, seed=4).images[:3]


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_heatmaps_of_all_heads_in_the_order_of_the_names():
    shown = words(lesson.heatmaps(load("task2"), IMAGES, lines.CLASS_NAMES))
    heads = [text.split(":")[0] for text in shown if "\npeak" in text]
    assert heads == 3 * list(lines.HEADS)


def test_activations_of_several_layers_stand_side_by_side():
    made = activations(load("task2"), IMAGES, ["relu_1", "relu_3"])
    figure = lesson.activations(IMAGES, {"first": made["relu_1"], "last": made["relu_3"]}, 4)
    drawn = figure.axes[0].images[2:]  # after the color bars
    assert len(drawn) == len(IMAGES) * (1 + 2 * 4)
    assert words(figure).count("first") == words(figure).count("last") == 1
    np.testing.assert_allclose(drawn[0].get_array(), IMAGES[0] / 255)


def test_filters_have_a_row_for_each_title():
    made = maximize_filters(load("task1-lines"), "conv_1", range(3), ascent=Ascent(steps=2))
    figure = lesson.filters({"a": {"conv_1": made}, "b": {"conv_1": made}})
    assert len(figure.axes[0].images) == 6
    assert [text for text in words(figure) if text] == ["a", "conv_1", "b", "conv_1"]
