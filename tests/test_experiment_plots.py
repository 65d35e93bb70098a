"""Figures of repeated experiments: their seeds, means and intervals, on scales that have a 0."""

import numpy as np
import pytest
from drawn import colors, markers, overlapping, refused, titles, words

from cnnlab import lines, metrics, plots
from cnnlab.plots.palette import HEAD_COLORS

COUNTS = {
    "equal": {"joint": [12, 30, 21], "length": [0, 1, 0], "angle": [12, 29, 21], "color": [0, 0]},
    "5, 2, 1, 50": {"joint": [4, 9, 5], "length": [2, 0, 3], "angle": [2, 9, 2], "color": [0, 1]},
    "angle alone": {"angle": [7]},
}


def test_method_errors_draw_seeds_mean_and_interval_on_a_scale_that_has_zero():
    figure = plots.method_errors(COUNTS, 9600, "small network")
    assert titles(figure.axes) == ["joint", "length", "angle", "color"]
    joint, length, angle, color = figure.axes
    assert [line.get_xdata()[0] for line in markers(joint, "o")] == [21, 6]
    assert [list(line.get_xdata()) for line in markers(length, ".")] == [[0, 1, 0], [2, 0, 3]]
    heights = [markers(axis, ".")[0].get_ydata() for axis in (joint, length, angle)]
    assert all(np.array_equal(heights[0], others) for others in heights)
    low, high = markers(joint, "None")[0].get_xdata()
    assert (low, high) == (0, pytest.approx(metrics.mean_interval([12, 30, 21])[2]))  # cut off
    assert [line.get_ydata()[0] for line in markers(angle, "o")] == [0, 1, 2]
    assert [len(markers(axis, "o")) for axis in figure.axes] == [2, 2, 3, 2]
    drawn = colors(markers(axis, "o")[0] for axis in figure.axes)
    assert drawn == ["#000000", *(HEAD_COLORS[h] for h in ("length", "angle", "color"))]
    assert words(joint.get_yticklabels()) == list(COUNTS)
    assert figure.get_supxlabel().startswith("errors in 9,600 test images")
    assert not overlapping(figure)
    assert len({axis.get_xlim() for axis in figure.axes}) == 1
    assert joint.get_xlim()[0] < 0 and joint.get_xlim()[1] > 30
    assert words(joint.get_xticklabels()) == ["0", "1", "10"]
    useless = dict.fromkeys(("joint", *lines.HEADS), [33000, 31000])
    assert not overlapping(plots.method_errors({"a rather long method name": useless}, 38400))


def test_learning_speed_marks_who_never_passed():
    passed = {"length": [0.5, 1.5], "angle": [4, None, 6]}
    figure = plots.learning_speed({"equal": passed, "learned": {"angle": [None] * 20}})
    axis, never = figure.axes
    length, angle = markers(axis, "o")
    assert [length.get_xdata()[0], angle.get_xdata()[0]] == [1, 5]
    assert colors([length, angle]) == [HEAD_COLORS["length"], HEAD_COLORS["angle"]]
    assert angle.get_markerfacecolor() == "white"  # a mean of only those that passed
    assert [list(line.get_xdata()) for line in markers(axis, "|")] == [[0.5, 1.5], [4, 6], []]
    failures = [line.get_xdata() for line in markers(never, "|")]
    assert [len(positions) for positions in failures] == [0, 1, 20]
    assert 0 < min(failures[2]) < max(failures[2]) < 1
    assert words(never.get_xticklabels()) == ["never"]
    assert axis.get_ylim() == never.get_ylim() == (1.5, -0.5)
    assert not overlapping(figure)


SIZES = [480, 1920, 7680]
SHARES = {
    "together": {
        "length": np.array([[0.02, 0.04], [0.001, 0.003], [0, 0]]),
        "angle": np.array([[0.2, 0.4], [0.05, 0.05], [0.0002, 0]]),
    },
    "alone": {"angle": np.array([[0.5, 0.6], [0.1, 0.2], [0.01, 0.01]])},
}


def test_training_size_draws_percent_on_shared_scales_with_a_line_for_zero():
    figure = plots.training_size(SHARES, SIZES)
    length, width, angle, color = figure.axes
    assert titles(figure.axes) == list(lines.HEADS)
    zero = 0.01 / 4  # the least mean above 0 is 0.01 %
    assert markers(length, "o")[0].get_ydata() == pytest.approx([3, 0.2, zero])
    assert [line.get_linestyle() for line in markers(angle, "o")] == ["-", "--"]
    assert markers(angle, "o")[0].get_ydata() == pytest.approx([30, 5, 0.01])
    seeds = np.array([line.get_ydata() for line in markers(angle, ".")[:2]])
    assert seeds[:, 2] == pytest.approx([0.02, zero])
    assert not any(len(line.get_xdata()) for line in markers(width, "o") + markers(color, "o"))
    cut_off, equal = (bar[:, 1] for bar in angle.collections[0].get_segments()[:2])
    assert equal == pytest.approx([5, 5])  # two equal seeds
    assert cut_off == pytest.approx([zero, 100])
    assert not overlapping(figure)
    assert len({(axis.get_xlim(), axis.get_ylim()) for axis in figure.axes}) == 1
    assert words(length.get_yticklabels()) == ["0", "0.01", "0.1", "1", "10", "100"]
    assert words(angle.get_xticklabels()) == ["480", "1,920", "7,680"]


def test_training_size_with_many_sizes_and_without_any_error():
    shares = np.linspace(0.5, 0.001, 39)[:, None]
    figure = plots.training_size({"alone": {"angle": shares}}, np.arange(1, 40) * 960)
    assert not overlapping(figure)
    assert words(figure.axes[2].get_xticklabels())[-1] == "37,440"

    figure = plots.training_size({"together": {"color": np.zeros((2, 3))}}, [10, 100])
    low, high = figure.axes[3].get_ylim()
    assert low < markers(figure.axes[3], "o")[0].get_ydata()[0] < high
    assert words(figure.axes[2].get_yticklabels())[0] == "0"


FRACTIONS = [0, 0.001, 0.01, 0.1, 0.5]
ACCURACIES = {
    "length": np.array([[0.5, 0.52], [0.6, 0.7], [0.9, 0.9], [1, 1], [1, 1]]),
    "width": np.array([[0.5, 0.5], [0.5, 0.6], [0.8, 0.9], [1, 1], [1, 1]]),
    "angle": np.array([[0.08, 0.1], [0.2, 0.3], [0.5, 0.7], [0.98, 1], [1, 1]]),
}


def test_accuracy_by_recolored_fraction_draws_means_and_chance_and_zero_left_of_a_break():
    figure = plots.accuracy_by_recolored_fraction(FRACTIONS, ACCURACIES)
    (axis,) = figure.axes
    means = {line.get_label(): line for line in markers(axis, "o") if line.get_linestyle() == "-"}
    assert list(means) == ["length", "width", "angle"]
    assert means["angle"].get_ydata() == pytest.approx([25, 60, 99, 100])
    assert colors(means.values()) == [HEAD_COLORS[head] for head in means]
    assert len(markers(axis, ".")) == 3 * 2
    dashes = [line.get_ydata()[0] for line in axis.lines if line.get_linestyle() == "--"]
    assert sorted(dashes) == pytest.approx([100 / 12, 50, 50])
    chances = ["chance, 50 %:\nlength, width", "chance, 8.3 %:\nangle"]
    assert sorted(words(axis.texts)) == chances
    assert not overlapping(figure)
    joined = [line for line in axis.lines if line.get_linestyle() == ":"]
    assert joined[0].get_xdata() == pytest.approx([0.00025, 0.001])
    assert joined[2].get_ydata() == pytest.approx([9, 25])
    ticks = {text.get_text(): text.get_position()[0] for text in axis.get_xticklabels()}
    assert ticks == {"0": 0.00025} | {f"{fraction:g}": fraction for fraction in FRACTIONS[1:]}
    assert axis.get_xlim()[0] < 0.00025
    # Without zero, its position stays empty.
    (axis,) = plots.accuracy_by_recolored_fraction([0.01, 0.1], {"angle": np.ones((2, 1))}).axes
    assert {x for line in markers(axis, "o") for x in line.get_xdata()} == {0.01, 0.1}
    assert words(axis.get_xticklabels()) == ["0", "0.01", "0.1"]


def test_another_shape_and_percents_are_refused():
    with refused(r"a, joint has shape \(0,\), but \(seeds,\)"):
        plots.method_errors({"a": {"joint": []}}, 10)
    with refused(r"a, joint: 11.0 .* 0\.\.10"):
        plots.method_errors({"a": {"joint": [1, 11]}}, 10)
    with refused(r"together, length has shape \(3, 2\), but \(2, seeds\)"):
        plots.training_size(SHARES, [480, 960])
