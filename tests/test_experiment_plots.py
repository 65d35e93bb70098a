"""Figures of repeated experiments: their seeds, means and intervals, on scales that have a 0."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from test_head_plots import markers, overlapping, refused, titles

from cnnlab import lines, metrics, plots
from cnnlab.plots.palette import HEAD_COLORS


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


COUNTS = {
    "equal": {
        "joint": [12, 30, 21],
        "length": [0, 1, 0],
        "angle": [12, 29, 21],
        "color": [0, 0, 0],
    },
    "5, 2, 1, 50": {
        "joint": [4, 9, 5],
        "length": [2, 0, 3],
        "angle": [2, 9, 2],
        "color": [0, 0, 1],
    },
    "angle alone": {"angle": [7]},
}


def test_method_errors_draw_seeds_mean_and_interval():
    figure = plots.method_errors(COUNTS, 9600, "small network")
    assert titles(figure.axes) == ["joint", "length", "angle", "color"]
    joint, length, angle, color = figure.axes
    assert [line.get_xdata()[0] for line in markers(joint, "o")] == [21, 6]
    assert [list(line.get_xdata()) for line in markers(length, ".")] == [[0, 1, 0], [2, 0, 3]]
    bars = [line.get_xdata() for line in markers(joint, "None")]
    assert bars[0][1] == pytest.approx(metrics.mean_interval([12, 30, 21])[2])
    assert bars[0][0] == 0  # the interval reaches below
    assert [line.get_ydata()[0] for line in markers(angle, "o")] == [0, 1, 2]
    assert [len(markers(axis, "o")) for axis in figure.axes] == [2, 2, 3, 2]
    drawn = [to_hex(markers(axis, "o")[0].get_color()).upper() for axis in figure.axes]
    assert drawn == ["#000000", *(HEAD_COLORS[h] for h in ("length", "angle", "color"))]
    assert [text.get_text() for text in joint.get_yticklabels()] == list(COUNTS)
    assert figure.get_supxlabel().startswith("errors in 9,600 test images")


def test_method_errors_share_a_scale_that_has_zero():
    figure = plots.method_errors(COUNTS, 9600)
    assert not overlapping(figure)
    assert len({axis.get_xlim() for axis in figure.axes}) == 1
    for axis in figure.axes:
        assert axis.get_xscale() == "symlog"
        assert axis.get_xlim()[0] < 0 and axis.get_xlim()[1] > 30
        assert [text.get_text() for text in axis.get_xticklabels()] == ["0", "1", "10"]


def test_method_errors_jitter_is_the_same_in_every_panel():
    figure = plots.method_errors(COUNTS, 9600)
    heights = [markers(axis, ".")[0].get_ydata() for axis in figure.axes]
    assert all(np.array_equal(heights[0], others) for others in heights)
    assert len(set(heights[0])) == 3


def test_method_errors_of_a_useless_network_have_room_for_their_ticks():
    heads = ("joint", *lines.HEADS)
    counts = {"a rather long method name": dict.fromkeys(heads, [33000, 31000])}
    assert not overlapping(plots.method_errors(counts, 38400))


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ({}, "nothing to draw"),
        ({"a": {}}, "no head to draw"),
        ({"a": {"hue": [1]}}, r"head 'hue' .*'joint', 'length', 'width', 'angle', 'color'"),
        ({"a": {"joint": []}}, r"a, joint has shape \(0,\), but \(seeds,\)"),
        ({"a": {"joint": [1, 11]}}, r"a, joint: 11.0 .* 0\.\.10"),
        ({"a": {"joint": [-1]}}, "a, joint: -1.0"),
    ],
)
def test_method_errors_refuse(errors, message):
    with refused(message):
        plots.method_errors(errors, 10)


def test_learning_speed_marks_who_never_passed():
    figure = plots.learning_speed(
        {
            "equal": {"length": [0.5, 1.5], "angle": [4, None, 6]},
            "learned": {"angle": [None, None]},
        }
    )
    axis, never = figure.axes
    length, angle = markers(axis, "o")
    assert [length.get_xdata()[0], angle.get_xdata()[0]] == [1, 5]
    assert [to_hex(line.get_color()).upper() for line in (length, angle)] == [
        HEAD_COLORS["length"],
        HEAD_COLORS["angle"],
    ]
    assert length.get_markerfacecolor() == length.get_color()
    assert angle.get_markerfacecolor() == "white"  # a mean of only those that passed
    assert [list(line.get_xdata()) for line in markers(axis, "|")] == [[0.5, 1.5], [4, 6], []]
    assert [len(line.get_xdata()) for line in markers(never, "|")] == [0, 1, 2]
    assert never.get_xticklabels()[0].get_text() == "never"
    assert axis.get_xscale() == "log"
    assert axis.get_ylim() == never.get_ylim() == (1.5, -0.5)
    assert not overlapping(figure)


def test_learning_speed_keeps_many_failures_inside_the_column():
    figure = plots.learning_speed({"equal": {"angle": [None] * 20}})
    places = markers(figure.axes[1], "|")[0].get_xdata()
    assert 0 < min(places) < max(places) < 1


@pytest.mark.parametrize(
    ("first_passed", "message"),
    [
        ({}, "nothing to draw"),
        ({"a": {"hue": [1]}}, r"head 'hue' .*'length', 'width', 'angle', 'color'"),
        ({"a": {"angle": []}}, r"a, angle has shape \(0,\)"),
        ({"a": {"angle": [0.0]}}, r"a, angle: epoch 0.0 .* positive"),
        ({"a": {"angle": [np.nan]}}, "a, angle: nan"),
    ],
)
def test_learning_speed_refuses(first_passed, message):
    with refused(message):
        plots.learning_speed(first_passed)


SIZES = [480, 1920, 7680]
SHARES = {
    "together": {
        "length": np.array([[0.02, 0.04], [0.001, 0.003], [0, 0]]),
        "angle": np.array([[0.2, 0.4], [0.05, 0.05], [0.0002, 0]]),
    },
    "alone": {"angle": np.array([[0.5, 0.6], [0.1, 0.2], [0.01, 0.01]])},
}


def test_training_size_draws_percent_and_puts_zero_at_its_line():
    figure = plots.training_size(SHARES, SIZES)
    length, width, angle, color = figure.axes
    assert titles(figure.axes) == list(lines.HEADS)
    zero = 0.01 / 4  # the least mean above 0 is 0.01 %
    means = [line.get_ydata() for line in markers(length, "o")]
    assert means[0] == pytest.approx([3, 0.2, zero])
    assert [line.get_linestyle() for line in markers(angle, "o")] == ["-", "--"]
    assert markers(angle, "o")[0].get_ydata() == pytest.approx([30, 5, 0.01])
    seeds = np.array([line.get_ydata() for line in markers(angle, ".")[:2]])
    assert seeds[:, 2] == pytest.approx([0.02, zero])
    assert not any(len(line.get_xdata()) for line in markers(width, "o") + markers(color, "o"))
    bar = angle.collections[0].get_segments()[1][:, 1]
    assert bar == pytest.approx([5, 5])  # two equal seeds
    bar = angle.collections[0].get_segments()[0][:, 1]
    assert bar == pytest.approx([zero, 100])  # cut off


def test_training_size_shares_scales_and_labels_zero():
    figure = plots.training_size(SHARES, SIZES)
    assert not overlapping(figure)
    assert len({(axis.get_xlim(), axis.get_ylim()) for axis in figure.axes}) == 1
    ticks = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert ticks == ["0", "0.01", "0.1", "1", "10", "100"]
    ticks = [text.get_text() for text in figure.axes[2].get_xticklabels()]
    assert ticks == ["480", "1,920", "7,680"]


def test_training_size_thins_out_its_labels():
    sizes = np.arange(1, 40) * 960
    shares = np.linspace(0.5, 0.001, 39)[:, None]
    figure = plots.training_size({"alone": {"angle": shares}}, sizes)
    assert not overlapping(figure)
    assert figure.axes[2].get_xticklabels()[-1].get_text() == "37,440"


def test_training_size_without_any_error():
    figure = plots.training_size({"together": {"color": np.zeros((2, 3))}}, [10, 100])
    line = markers(figure.axes[3], "o")[0]
    low, high = figure.axes[3].get_ylim()
    assert low < line.get_ydata()[0] < high
    assert figure.axes[2].get_yticklabels()[0].get_text() == "0"


@pytest.mark.parametrize(
    ("errors", "sizes", "message"),
    [
        (SHARES, [480, 480, 960], "sizes must be two or more ascending"),
        (SHARES, [0, 1, 2], r"sizes must be .* in 1\.\."),
        (SHARES, [480, 960], r"together, length has shape \(3, 2\), but \(2, seeds\)"),
        ({}, [1, 2], "no training to draw"),
        ({"apart": {}}, [1, 2], r"training 'apart' .*'together', 'alone'"),
        ({"alone": {"hue": [[0], [0]]}}, [1, 2], "head 'hue'"),
        ({"alone": {"angle": [[0], [1.5]]}}, [1, 2], r"alone, angle: 1.5 .* 0\.\.1"),
    ],
)
def test_training_size_refuses(errors, sizes, message):
    with refused(message):
        plots.training_size(errors, sizes)


DOSES = [0, 0.001, 0.01, 0.1, 0.5]
ACCURACIES = {
    "length": np.array([[0.5, 0.52], [0.6, 0.7], [0.9, 0.9], [1, 1], [1, 1]]),
    "width": np.array([[0.5, 0.5], [0.5, 0.6], [0.8, 0.9], [1, 1], [1, 1]]),
    "angle": np.array([[0.08, 0.1], [0.2, 0.3], [0.5, 0.7], [0.98, 1], [1, 1]]),
}


def test_dose_draws_means_seeds_and_chance():
    figure = plots.dose(DOSES, ACCURACIES)
    (axis,) = figure.axes
    means = {line.get_label(): line for line in markers(axis, "o") if line.get_linestyle() == "-"}
    assert list(means) == ["length", "width", "angle"]
    assert means["angle"].get_ydata() == pytest.approx([25, 60, 99, 100])
    assert {name: to_hex(line.get_color()).upper() for name, line in means.items()} == {
        head: HEAD_COLORS[head] for head in means
    }
    assert len(markers(axis, ".")) == 3 * 2
    dashes = [line.get_ydata()[0] for line in axis.lines if line.get_linestyle() == "--"]
    assert sorted(dashes) == pytest.approx([100 / 12, 50, 50])
    written = sorted(text.get_text() for text in axis.texts)
    assert written == ["chance, 50 %:\nlength, width", "chance, 8.3 %:\nangle"]
    assert not overlapping(figure)


def test_dose_puts_zero_left_of_a_break():
    figure = plots.dose(DOSES, ACCURACIES)
    figure.draw_without_rendering()
    (axis,) = figure.axes
    joined = [line for line in axis.lines if line.get_linestyle() == ":"]
    assert joined[0].get_xdata() == pytest.approx([0.00025, 0.001])
    assert joined[2].get_ydata() == pytest.approx([9, 25])
    ticks = {text.get_text(): text.get_position()[0] for text in axis.get_xticklabels()}
    assert ticks == {"0": 0.00025} | {f"{share:g}": share for share in DOSES[1:]}
    assert axis.get_xlim()[0] < 0.00025


def test_dose_without_zero_leaves_its_place_empty():
    figure = plots.dose([0.01, 0.1], {"angle": np.ones((2, 1))})
    (axis,) = figure.axes
    assert {x for line in markers(axis, "o") for x in line.get_xdata()} == {0.01, 0.1}
    assert [text.get_text() for text in axis.get_xticklabels()] == ["0", "0.01", "0.1"]


@pytest.mark.parametrize(
    ("shares", "accuracies", "message"),
    [
        ([0.1, 0], ACCURACIES, "shares must be two or more ascending"),
        ([0.1, 2], ACCURACIES, r"shares must be .* 0\.\.1"),
        ([0, 1], {"color": np.ones((2, 1))}, r"head 'color' .*'length', 'width', 'angle'"),
        ([0, 1], {"angle": np.ones(2)}, r"angle has shape \(2,\), but \(2, seeds\)"),
        ([0, 1], {"angle": [[0], [99]]}, "angle: 99"),
    ],
)
def test_dose_refuses(shares, accuracies, message):
    with refused(message):
        plots.dose(shares, accuracies)
