"""Figures of the four heads: what is drawn where, on which scales, and what is refused."""

from contextlib import contextmanager
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from cnnlab import lines, plots
from cnnlab.plots.palette import HEAD_COLORS


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def overlapping(figure):
    """Return the pairs of visible texts of a figure that lie on one another."""
    figure.draw_without_rendering()
    texts, legends = list(figure.texts), list(figure.legends)
    insets = [inset for axis in figure.axes for inset in axis.child_axes]
    for axis in figure.axes + insets:
        texts += [child for child in axis.get_children() if isinstance(child, Text)]
        for scale in (axis.xaxis, axis.yaxis):
            # Only ticks in view: Matplotlib keeps labels of others, undrawn.
            texts += [scale.label, *(tick.label1 for tick in scale._update_ticks())]
        legends += [axis.get_legend()] if axis.get_legend() else []
    texts += [text for legend in legends for text in legend.get_texts()]
    shown = [text for text in texts if text.get_visible() and text.get_text().strip()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
    return [(a, b) for (a, p), (b, q) in combinations(boxes, 2) if p.overlaps(q)]


@contextmanager
def refused(message):
    """Expect a ValueError, and that no figure was begun."""
    with pytest.raises(ValueError, match=message):
        yield
    assert not plt.get_fignums()


def markers(axis, marker):
    return [line for line in axis.lines if line.get_marker() == marker]


def titles(axes):
    return [axis.get_title() or axis.get_title(loc="left") for axis in axes]


def labels_with_errors():
    true = lines.decode(np.arange(960) % 96)
    predicted = true.copy()
    predicted[5, 2] = 11 - predicted[5, 2]
    predicted[:3, 0] = 1 - predicted[:3, 0]
    return true, predicted


def test_head_confusions_count_on_one_scale_with_one_bar():
    figure = plots.head_confusions(*labels_with_errors())
    *matrices, bar = figure.axes
    assert sorted(titles(matrices)) == [
        "angle: 1 error",
        "color: 0 errors",
        "length: 3 errors",
        "width: 0 errors",
    ]
    assert [len(axis.images) for axis in matrices] == [1] * 4
    assert {axis.images[0].get_clim() for axis in matrices} == {(1, 960)}
    assert "log" in bar.get_ylabel()
    angle = matrices[0]
    assert [text.get_text() for text in angle.get_xticklabels()][:3] == ["0°", "15°", "30°"]
    assert angle.images[0].get_array().count() == 13  # the diagonal and the error; others masked
    assert sorted(text.get_text() for text in matrices[1].texts) == ["3", "477", "480"]
    assert not overlapping(figure)


def test_head_confusions_refuse_bad_labels():
    true, predicted = labels_with_errors()
    with refused("shapes"):
        plots.head_confusions(true, predicted[:5])
    with refused(r"angle label 12 .* in 0\.\.11"):
        plots.head_confusions(true, predicted + np.array([0, 0, 12, 0]))


EPOCHS = np.arange(1, 7) / 2
PROGRESS = {
    "length": [0.6, 0.98, 0.995, 0.98, 1, 0.9995],
    "angle": [0.1, 0.5, 0.9, 0.95, 0.97, 0.98],
    "color": [1, 1, 1, 1, 1, 1],
}


def test_learning_progress_draws_errors_in_percent_and_gaps_without_any():
    figure = plots.learning_progress(EPOCHS, PROGRESS)
    (axis,) = figure.axes
    curves = [line for line in axis.lines if line.get_label()[0] != "_"]
    assert [to_hex(line.get_color()).upper() for line in curves] == [
        HEAD_COLORS[head] for head in PROGRESS
    ]
    length = [40, 2, 0.5, 2, np.nan, 0.05]
    assert curves[0].get_ydata() == pytest.approx(length, nan_ok=True)
    assert np.isnan(curves[2].get_ydata()).all()
    assert axis.get_yscale() == "log"
    assert not overlapping(figure)


def test_learning_progress_has_a_band_for_no_error():
    figure = plots.learning_progress(EPOCHS, PROGRESS)
    figure.draw_without_rendering()
    (axis,) = figure.axes
    length, angle, color = (line.get_ydata() for line in markers(axis, "."))
    assert length[:4] == pytest.approx([40, 2, 0.5, 2])
    assert len({length[4], *color}) == 2  # a row for each head
    assert axis.get_ylim()[0] < min(color) < max(length[4], *color) < 0.05
    assert angle[-1] == pytest.approx(2)
    ticks = [text.get_text() for text in axis.get_yticklabels()]
    assert ticks == ["0.1", "1", "10", "100"]
    assert [text.get_text() for text in axis.texts] == ["99 % right", "no error"]


def test_learning_progress_marks_where_the_threshold_is_first_reached():
    figure = plots.learning_progress(EPOCHS, PROGRESS)
    (axis,) = figure.axes
    dots = [list(line.get_xdata()) for line in markers(axis, "o")]
    assert dots == [[1.5], [], [0.5]]
    assert markers(axis, "o")[0].get_ydata() == pytest.approx([0.5])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "length: 99 % right at epoch 1.5",
        "angle: never 99 % right",
        "color: 99 % right at epoch 0.5",
    ]
    (dashed,) = (line for line in axis.lines if line.get_linestyle() == "--")
    assert dashed.get_ydata() == pytest.approx([1, 1])


def test_learning_progress_counts_the_threshold_itself_as_right():
    figure = plots.learning_progress([1, 2], {"angle": [0.9, 3168 / 3200]})
    assert figure.legends[0].get_texts()[0].get_text() == "angle: 99 % right at epoch 2"


def test_learning_progress_with_another_threshold():
    figure = plots.learning_progress([1, 2], {"angle": [0.9, 0.9996]}, threshold=0.9995)
    (axis,) = figure.axes
    assert axis.texts[0].get_text() == "99.95 % right"
    assert axis.texts[0].get_position()[1] == pytest.approx(0.05)


@pytest.mark.parametrize("accuracy", [0.1, 1.0])
def test_learning_progress_shows_the_threshold_whatever_the_accuracy(accuracy):
    figure = plots.learning_progress([1, 2], dict.fromkeys(lines.HEADS, [accuracy] * 2))
    low, high = figure.axes[0].get_ylim()
    assert low < 0.5 and high > 90
    assert not overlapping(figure)


@pytest.mark.parametrize(
    ("epochs", "accuracies", "threshold", "message"),
    [
        ([2, 1], {"angle": [0, 0]}, 0.99, "epochs must be two or more ascending"),
        ([1, 2], {}, 0.99, "no head to draw"),
        ([1, 2], {"hue": [0, 0]}, 0.99, "head 'hue'"),
        ([1, 2], {"angle": [0, 0, 0]}, 0.99, r"angle has shape \(3,\), but \(2,\)"),
        ([1, 2], {"angle": [0, 99]}, 0.99, r"angle: 99.0 .* 0\.\.1"),
        ([1, 2], {"angle": [0, 0]}, 1, "threshold 1 .* between 0 and 1"),
    ],
)
def test_learning_progress_refuses(epochs, accuracies, threshold, message):
    with refused(message):
        plots.learning_progress(epochs, accuracies, threshold)


def test_numbers_lower_what_float32_rounds_above_the_top():
    values = [np.nextafter(np.float32(1), np.float32(2))]
    assert plots.numbers("share", values, ("n",)) == 1


@pytest.mark.parametrize("count", [0, 1, 4])
def test_spread_is_even_and_around_0(count):
    places = plots.spread(count, 2)
    assert places == pytest.approx([[], [0], [], [], [-0.75, -0.25, 0.25, 0.75]][count])


def kernels(filters=16):
    values = np.random.default_rng(0).normal(size=(3, 3, 3, filters))
    values[:, :, 1] *= 0.1
    return values


def test_channel_weights_draw_square_tiles_on_one_symmetric_scale():
    weights = kernels()
    figure = plots.channel_weights(weights)
    tiles = figure.axes[0]
    limit = np.abs(weights[..., :12]).max()
    assert len(tiles.images) == 3 * 12
    assert {image.get_clim() for image in tiles.images} == {(-limit, limit)}
    assert tiles.get_aspect() == 1
    assert np.array_equal(tiles.images[12].get_array(), weights[:, :, 1, 0])
    assert [text.get_text() for text in tiles.get_yticklabels()] == ["red", "green", "blue"]
    assert tiles.get_title(loc="left") == "the first 12 of 16 filters"
    ends = [text.get_text() for text in figure.axes[1].get_xticklabels()]
    assert ends == [f"−{limit:.2g}", "0", f"{limit:.2g}"]
    assert not overlapping(figure)


def test_channel_weights_state_the_strength_of_every_filter():
    weights = kernels()
    (dots,) = plots.channel_weights(weights).axes[0].child_axes
    strengths = np.sqrt((weights**2).mean(axis=(0, 1)))
    drawn = [line.get_xdata() for line in markers(dots, "o")]
    assert np.array(drawn) == pytest.approx(strengths)
    means = [line.get_xdata()[0] for line in markers(dots, "|")]
    assert means == pytest.approx(np.sqrt((weights**2).mean(axis=(0, 1, 3))))
    assert dots.get_ylim() == (2.5, -0.5)  # the rows of the tiles


def test_channel_weights_show_the_change_when_given_the_start():
    weights = kernels(4)
    start = weights.copy()
    start[:, :, 0] -= 0.5
    figure = plots.channel_weights(weights, before=start)
    (dots,) = figure.axes[0].child_axes
    assert [line.get_xdata()[0] for line in markers(dots, "|")] == pytest.approx([0.5, 0, 0])
    assert "change" in dots.get_title(loc="left")
    assert figure.axes[0].get_title(loc="left") == "all 4 filters"


def test_channel_weights_that_are_all_zero():
    figure = plots.channel_weights(np.zeros((3, 3, 3, 1)))
    assert figure.axes[0].images[0].get_clim() == (-1, 1)


def test_channel_weights_refuse():
    with refused(r"\(3, 3, 4\), but \(h, w, 3, filters\)"):
        plots.channel_weights(np.ones((3, 3, 4)))
    with refused("weight nan"):
        plots.channel_weights(np.full((3, 3, 3, 2), np.nan))
    with refused(r"before has shape \(3, 3, 3, 1\)"):
        plots.channel_weights(np.ones((3, 3, 3, 2)), before=np.ones((3, 3, 3, 1)))
