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


def test_a_ladder_has_a_row_for_each_change_and_a_scale_that_has_zero():
    errors = {
        "MNIST": {"as they are": {"as given": [90, 110], "depth": [40, 50]}},
        "lines": {"as they are": {"as given": [0, 0, 3]}, "on gray": {"as given": [9, 9, 12]}},
    }
    digits, drawn = plots.ladder(errors, {"MNIST": 10000, "lines": 38400}).axes
    assert list(markers(digits, "o")[0].get_xdata()) == [100, 45]
    assert [list(line.get_xdata()) for line in markers(digits, ".")] == [[90, 110], [40, 50]]
    assert words(digits.get_yticklabels()) == ["as given", "+ depth"]
    assert titles([drawn]) == ["lines: errors in 38,400"]
    assert [list(line.get_xdata()) for line in markers(drawn, "o", "s")] == [[1], [10]]
    assert words(drawn.get_legend().get_texts()) == ["as they are", "on gray"]
    with pytest.raises(ValueError, match="as given"):
        plots.ladder({"MNIST": {"as they are": {"as given": [11]}}}, {"MNIST": 10})


def test_learning_speed_marks_who_never_passed():
    passed = {"length": [0.5, 1.5], "angle": [4, None, 6]}
    figure = plots.learning_speed({"equal": passed, "learned": {"angle": [None] * 20}})
    axis, never = figure.axes
    length, angle = markers(axis, "o", "^")  # each head has its mark
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
    joined = [line for line in markers(axis, *"os^") if line.get_linestyle() == "-"]
    means = {line.get_label(): line for line in joined}
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
    assert {x for line in markers(axis, "^") for x in line.get_xdata()} == {0.01, 0.1}
    assert words(axis.get_xticklabels()) == ["0", "0.01", "0.1"]


def test_another_shape_and_percents_are_refused():
    with refused(r"a, joint has shape \(0,\), but \(seeds,\)"):
        plots.method_errors({"a": {"joint": []}}, 10)
    with refused(r"a, joint: 11.0 .* 0\.\.10"):
        plots.method_errors({"a": {"joint": [1, 11]}}, 10)
    with refused(r"together, length has shape \(3, 2\), but \(2, seeds\)"):
        plots.training_size(SHARES, [480, 960])


def test_robustness_draws_two_networks_on_each_test():
    rows = {"lines": [{"test": "noise", "a": 0.9, "b": 1.0}, {"test": "blur", "a": 0.5, "b": 0.99}]}
    figure = plots.robustness(rows, {"lines": {"given": "a", "final": "b"}})
    given, final = markers(figure.axes[0], "v", "o")
    assert given.get_xdata() == pytest.approx([10, 50])
    assert final.get_xdata() == pytest.approx([0, 1])
    assert words(figure.legends[0].get_texts()) == ["given", "final"]
    assert words(figure.axes[0].get_yticklabels()) == ["noise", "blur"]
    assert not overlapping(figure)


def test_factor_effects_draw_differences_and_what_is_certain():
    rows = [
        {"factor": "size", "variant": "3", "effects": None},
        {
            "factor": "size",
            "variant": "5",
            "effects": {"a": (-0.4, -0.6, -0.2, 0.01), "b": (0.1,) * 4},
        },
        {
            "factor": "depth",
            "variant": "1",
            "effects": {"a": (9, 5, 13, 0.001), "b": (2, 1, 3, 0.2)},
        },
    ]
    figure = plots.factor_effects(rows)
    assert titles(figure.axes) == ["a", "b"] and not overlapping(figure)
    dots = markers(figure.axes[0], "o")
    assert [line.get_xdata()[0] for line in dots] == [-0.4, 9]
    assert len({line.get_color() for line in dots}) == 2  # better is not worse
    assert [line.get_markerfacecolor() for line in markers(figure.axes[1], "o")] == ["white"] * 2
    assert words(figure.axes[0].get_yticklabels()) == ["size:  3", "5", "depth:  1"]


def test_factor_curves_are_means_in_percent():
    curves = {"size": {"3": [[0.5, 0.02], [0.3, 0.04]], "5": [[0.4, 0.01], [0.4, 0.01]]}}
    figure = plots.factor_curves(curves, [100, 200])
    drawn = [list(line.get_ydata()) for line in figure.axes[0].lines]
    assert drawn == [pytest.approx([40, 3]), pytest.approx([40, 1])]
    assert figure.axes[0].get_yscale() == "log"
