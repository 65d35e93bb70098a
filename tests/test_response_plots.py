"""Figures of how the heads answer between what they were trained on."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from test_head_plots import markers, overlapping, refused

from cnnlab import lines, plots


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def softmax_of_angles(angles, shift=0.0):
    distance = (angles[:, None] - shift - np.array(lines.ANGLES) + 90) % 180 - 90
    weights = np.exp(-((distance / 4) ** 2))
    return weights / weights.sum(axis=1, keepdims=True)


def test_angle_responses_go_all_the_way_around():
    angles = np.arange(0, 181.0)
    probabilities = softmax_of_angles(angles)
    figure = plots.angle_responses(angles, probabilities, "thin lines")
    around, _ = figure.axes
    assert len(around.lines) == len(around.patches) == 12
    turned, drawn = around.lines[3].get_data()
    assert turned[:181] == pytest.approx(np.radians(angles))
    assert turned[181:-1] == pytest.approx(np.radians(angles + 180))
    assert drawn == pytest.approx([*probabilities[:, 3], *probabilities[:, 3], drawn[0]])
    assert len({to_hex(line.get_color()) for line in around.lines}) == 12
    assert (around.get_theta_direction(), around.get_theta_offset()) == (1, 0)
    labels = [text.get_text() for text in around.get_xticklabels()]
    assert labels == [f"{angle}°" for angle in (*lines.ANGLES, *lines.ANGLES)]
    assert not overlapping(figure)


def test_angle_responses_find_the_crossovers():
    angles = np.arange(0, 180, 0.5)
    figure = plots.angle_responses(angles, softmax_of_angles(angles, shift=0.3))
    flat = figure.axes[1]
    dots = [line.get_data() for line in markers(flat, "o")]
    assert [x for x, _ in dots] == pytest.approx([7.8, 22.8, 37.8], abs=0.02)
    assert [y for _, y in dots] == pytest.approx([0.5, 0.5, 0.5], abs=0.02)
    assert flat.get_title(loc="left") == "neighbors are equal at 7.8°, 22.8°, 37.8°"
    assert flat.get_xlim() == (0, 45)
    dotted = [line.get_xdata()[0] for line in flat.lines if line.get_linestyle() == ":"]
    assert dotted == [7.5, 22.5, 37.5]


def test_angle_responses_may_never_cross():
    figure = plots.angle_responses([0, 90, 180], np.full((3, 12), 1 / 12))
    assert figure.axes[1].get_title(loc="left") == "neighbors are equal at no angle"


@pytest.mark.parametrize(
    ("angles", "probabilities", "message"),
    [
        ([0, 200], np.ones((2, 12)), r"angles must be .* 0\.\.180"),
        ([10, 0], np.ones((2, 12)), "angles must be two or more ascending"),
        ([0, np.inf], np.ones((2, 12)), "angles must be two or more ascending"),
        ([0, 90], np.ones((2, 11)), r"\(2, 11\), but \(2, 12\)"),
        ([0, 90], np.full((2, 12), -0.1), r"probabilities: -0.1 .* 0\.\.1"),
    ],
)
def test_angle_responses_refuse(angles, probabilities, message):
    with refused(message):
        plots.angle_responses(angles, probabilities)


@pytest.mark.parametrize(
    ("heights", "expected"),
    [([-1, 1, 3], [0.5]), ([-1, 0, 1], [1]), ([1, -3, 1], [0.25, 1.75]), ([1, 2, 3], [])],
)
def test_crossings(heights, expected):
    found = plots.crossings_of(np.arange(3.0), np.array(heights, float))
    assert found == pytest.approx(expected)


def test_size_responses_mark_where_half_is_crossed():
    lengths, widths = np.arange(5, 18), np.linspace(0.5, 4, 15)
    ramp = np.clip((lengths - 7) / 8, 0, 1)
    figure = plots.size_responses(
        lengths,
        {"thin": ramp, "blue": np.zeros(13)},
        widths,
        {"short": np.clip((widths - 1) / 2, 0, 1)},
    )
    left, right = figure.axes
    assert [list(line.get_xdata()) for line in markers(left, "o")] == [[11], []]
    labels = [text.get_text() for text in left.get_legend().get_texts()]
    assert labels == ["thin: half at 11.00 pixels", "blue: never half"]
    assert right.get_legend().get_texts()[0].get_text() == "short: half at 2.00 pixels"
    for axis, trained in ((left, [7, 15]), (right, [1, 3])):
        dotted = [ln.get_xdata()[0] for ln in axis.lines if ln.get_linestyle() == ":"]
        assert dotted == trained
    assert [text.get_text() for text in right.texts] == ["thin", "thick"]
    assert left.get_ylim() == right.get_ylim()
    assert not overlapping(figure)


@pytest.mark.parametrize(
    ("lengths", "curves", "message"),
    [
        ([7], {"thin": [1]}, "lengths must be two or more ascending"),
        ([7, 15], {}, "no length curve"),
        ([7, 15], {"thin": [1]}, r"length curve 'thin' has shape \(1,\), but \(2,\)"),
        ([7, 15], {"thin": [0, 2]}, "length curve 'thin': 2.0"),
    ],
)
def test_size_responses_refuse(lengths, curves, message):
    with refused(message):
        plots.size_responses(lengths, curves, [1, 3], {"short": [0, 1]})


def test_many_crossings_are_summed_up():
    lengths = np.arange(3.0, 9.0)
    wavy = {"wavy": np.array([0.4, 0.6, 0.4, 0.6, 0.4, 0.6])}
    figure = plots.size_responses(lengths, wavy, lengths, wavy)
    (text,) = (each.get_text() for each in figure.axes[0].get_legend().get_texts())
    assert text == "wavy: half 5 times, at 3.50 … 7.50 pixels"
