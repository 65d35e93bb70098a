"""Figures of the four heads: what is drawn where, on which scales, and what is refused."""

import numpy as np
import pytest
from drawn import colors, markers, overlapping, refused, titles, words

from cnnlab import lines, plots
from cnnlab.plots.palette import HEAD_COLORS


def labels_with_errors():
    true = lines.decode(np.arange(960) % 96)
    predicted = true.copy()
    predicted[5, 2] = 11 - predicted[5, 2]
    predicted[:3, 0] = 1 - predicted[:3, 0]
    return true, predicted


def test_head_confusions_count_on_one_scale_with_one_bar():
    figure = plots.head_confusions(*labels_with_errors())
    *matrices, bar = figure.axes
    counts = ["angle: 1 error", "color: 0 errors", "length: 3 errors", "width: 0 errors"]
    assert sorted(titles(matrices)) == counts
    assert {axis.images[0].get_clim() for axis in matrices} == {(1, 960)}
    assert "log" in bar.get_ylabel()
    angle, length = matrices[:2]
    assert words(angle.get_xticklabels())[:3] == ["0°", "15°", "30°"]
    assert angle.images[0].get_array().count() == 13  # the diagonal and the error; others masked
    assert sorted(words(length.texts)) == ["3", "477", "480"]
    assert not overlapping(figure)


def test_head_confusions_refuse_bad_labels():
    true, predicted = labels_with_errors()
    with refused("has shape"):
        plots.head_confusions(true, predicted[:5])
    with refused(r"predicted label 12 .* in 0\.\.11"):
        plots.head_confusions(true, predicted + np.array([0, 0, 12, 0]))


def test_learning_progress_draws_errors_a_band_for_none_and_where_99_percent_are_reached():
    accuracies = {
        "length": [0.6, 0.98, 0.995, 0.98, 1, 0.9995],
        "angle": [0.1, 0.5, 0.9, 0.95, 0.97, 0.98],
        "color": [1, 1, 1, 1, 1, 1],
    }
    figure = plots.learning_progress({"equal": (np.arange(1, 7) / 2, accuracies)})
    (axis,) = figure.axes
    curves = [line for line in axis.lines if line.get_label()[0] != "_"]
    assert colors(curves) == [HEAD_COLORS[head] for head in accuracies]
    assert curves[0].get_ydata() == pytest.approx([40, 2, 0.5, 2, np.nan, 0.05], nan_ok=True)
    assert np.isnan(curves[2].get_ydata()).all()
    length, angle, color = (line.get_ydata() for line in markers(axis, "."))
    assert len({length[4], *color}) == 2  # a row for each head
    assert axis.get_ylim()[0] < min(color) < max(length[4], *color) < 0.05
    assert angle[-1] == pytest.approx(2)
    assert words(axis.get_yticklabels()) == ["0.1", "1", "10", "100"]
    assert words(axis.texts) == ["99 % right", "no error"]
    assert not overlapping(figure)
    dots = markers(axis, *"o^D")
    assert [list(line.get_xdata()) for line in dots] == [[1.5], [], [0.5]]
    assert dots[0].get_ydata() == pytest.approx([0.5])
    assert words(figure.legends[0].get_texts()) == list(accuracies)
    exactly = {"angle": [0.9, 3168 / 3200]}
    two = plots.learning_progress({"a": ([1, 2], exactly), "b": ([1, 2], accuracies_of(0.5))})
    assert titles(two.axes) == ["a", "b"]
    assert [list(line.get_xdata()) for line in markers(two.axes[0], "^")] == [[2]]


def accuracies_of(accuracy):
    return dict.fromkeys(lines.HEADS, [accuracy] * 2)


@pytest.mark.parametrize("accuracy", [0.1, 1.0])
def test_learning_progress_shows_99_percent_whatever_the_accuracy(accuracy):
    figure = plots.learning_progress({"": ([1, 2], accuracies_of(accuracy))})
    low, high = figure.axes[0].get_ylim()
    assert low < 0.5 and high > 90
    assert not overlapping(figure)


def test_channel_weights_draw_tiles_on_one_scale_and_the_change_of_each_filter():
    weights = np.random.default_rng(0).normal(size=(3, 3, 3, 16))
    before = weights.copy()
    before[:, :, 0] -= 0.5
    figure = plots.channel_weights(weights, before)
    tiles, limit = figure.axes[0], np.abs(weights[..., :12]).max()
    assert len(tiles.images) == 3 * 12
    assert {image.get_clim() for image in tiles.images} == {(-limit, limit)}
    assert np.array_equal(tiles.images[12].get_array(), weights[:, :, 1, 0])
    assert words(tiles.get_yticklabels()) == ["red", "green", "blue"]
    assert titles([tiles]) == ["the first 12 of 16 filters"]
    assert words(figure.axes[1].get_xticklabels()) == [f"−{limit:.2g}", "0", f"{limit:.2g}"]
    (dots,) = tiles.child_axes
    assert markers(dots, "o")[0].get_xdata() == pytest.approx(np.full(16, 0.5))
    assert [line.get_xdata()[0] for line in markers(dots, "|")] == pytest.approx([0.5, 0, 0])
    assert dots.get_ylim() == (2.5, -0.5)  # the rows of the tiles
    assert not overlapping(figure)
    zeros = np.zeros((3, 3, 3, 1))
    assert plots.channel_weights(zeros, zeros).axes[0].images[0].get_clim() == (-1, 1)


def test_another_shape_is_refused():
    with refused(r"angle has shape \(3,\), but \(2,\)"):
        plots.learning_progress({"": ([1, 2], {"angle": [0, 0, 0]})})
    with refused(r"\(3, 3, 1, 2\), before .* the same \(h, w, 3, filters\)"):
        plots.channel_weights(np.ones((3, 3, 1, 2)), np.ones((3, 3, 1, 2)))
    with refused(r"before \(3, 3, 3, 1\)"):
        plots.channel_weights(np.ones((3, 3, 3, 2)), np.ones((3, 3, 3, 1)))
