"""Figures of what the heads predict between the angles and sizes that they were trained on."""

import numpy as np
import pytest
from drawn import colors, markers, overlapping, refused, titles, words

from cnnlab import lines, plots


def softmax_of_angles(angles):
    """Return (n, 12) of a head whose borders are 0.3° too far."""
    distance = (angles[:, None] - 0.3 - np.array(lines.ANGLES) + 90) % 180 - 90
    weights = np.exp(-((distance / 4) ** 2))
    return weights / weights.sum(axis=1, keepdims=True)


def test_angle_responses_go_all_the_way_around():
    angles = np.arange(0, 181.0)
    probabilities = softmax_of_angles(angles)
    figure = plots.angle_responses(angles, probabilities, "thin lines")
    around = figure.axes[0]
    assert len(set(colors(around.lines))) == len(around.patches) == 12
    turned, drawn = around.lines[3].get_data()
    assert turned[:181] == pytest.approx(np.radians(angles))
    assert turned[181:-1] == pytest.approx(np.radians(angles + 180))
    assert drawn == pytest.approx([*probabilities[:, 3], *probabilities[:, 3], drawn[0]])
    assert (around.get_theta_direction(), around.get_theta_offset()) == (1, 0)
    assert words(around.get_xticklabels()) == [f"{angle}°" for angle in 2 * lines.ANGLES]
    assert not overlapping(figure)


def test_angle_responses_find_the_crossovers():
    angles = np.arange(0, 180, 0.5)
    flat = plots.angle_responses(angles, softmax_of_angles(angles)).axes[1]
    dots = [line.get_data() for line in markers(flat, "o")]
    assert [x for x, _ in dots] == pytest.approx([7.8, 22.8, 37.8], abs=0.02)
    assert [y for _, y in dots] == pytest.approx([0.5, 0.5, 0.5], abs=0.02)
    assert titles([flat]) == ["neighbors are equal at 7.8°, 22.8°, 37.8°"]
    dotted = [line.get_xdata()[0] for line in flat.lines if line.get_linestyle() == ":"]
    assert dotted == [7.5, 22.5, 37.5]
    never = plots.angle_responses([0, 90, 180], np.full((3, 12), 1 / 12))
    assert titles(never.axes[1:]) == ["neighbors are equal at no angle"]


@pytest.mark.parametrize(
    ("heights", "expected"),
    [([-1, 1, 3], [0.5]), ([-1, 0, 1], [1]), ([1, -3, 1], [0.25, 1.75]), ([1, 2, 3], [])],
)
def test_crossings(heights, expected):
    assert plots.crossings_of(np.arange(3.0), np.array(heights, float)) == pytest.approx(expected)


def test_size_responses_mark_where_half_is_crossed():
    lengths, widths = np.arange(5, 18), np.linspace(0.5, 4, 15)
    by_length = {"thin": np.clip((lengths - 7) / 8, 0, 1), "blue": np.zeros(13)}
    by_width = {"short": np.clip((widths - 1) / 2, 0, 1), "wavy": np.arange(15) % 2}
    figure = plots.size_responses(lengths, by_length, widths, by_width)
    left, right = figure.axes
    assert [list(line.get_xdata()) for line in markers(left, "o")] == [[11], []]
    legend = words(left.get_legend().get_texts() + right.get_legend().get_texts())
    assert legend == [
        "thin: half at 11.00 pixels",
        "blue: never half",
        "short: half at 2.00 pixels",
        "wavy: half 14 times, at 0.62 … 3.88 pixels",
    ]
    for axis, trained in ((left, [7, 15]), (right, [1, 3])):
        dotted = [ln.get_xdata()[0] for ln in axis.lines if ln.get_linestyle() == ":"]
        assert dotted == trained
    assert words(right.texts) == ["thin", "thick"]
    assert left.get_ylim() == right.get_ylim()
    assert not overlapping(figure)


def test_another_shape_is_refused():
    with refused(r"probabilities has shape \(2, 11\), but \(2, 12\)"):
        plots.angle_responses([0, 90], np.ones((2, 11)))
    with pytest.raises(ValueError, match=r"length curve 'thin' has shape \(1,\), but \(2,\)"):
        plots.size_responses([7, 15], {"thin": [1]}, [1, 3], {"short": [0, 1]})
