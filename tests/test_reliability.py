"""Calibration: the error worked out by hand, the bins, and what is drawn of them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from test_head_plots import markers, overlapping, refused

from cnnlab import metrics, plots
from cnnlab.plots.palette import HEAD_COLORS


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize(
    ("confidence", "right", "bins", "expected"),
    [
        ([1, 1], [True, True], 15, 0),
        ([1, 1], [True, False], 15, 0.5),
        ([0.75, 0.75, 0.75, 0.75], [True, True, True, False], 15, 0),
        ([0.9, 0.6], [True, False], 1, 0.25),  # |1.5 - 1| / 2
        ([0.9, 0.6], [True, False], 4, 0.35),  # (|0.9 - 1| + |0.6 - 0|) / 2
        ([0.5, 0.4], [False, True], 2, 0.05),  # 0.5 belongs to the lower half: |0.9 - 1| / 2
        ([0, 0.2], [False, False], 5, 0.1),  # 0 belongs to the first bin
        ([0.3, 0.21], [True, False], 10, 0.245),  # 0.3 * 10 rounds to 3: (|0.51 - 1|) / 2
    ],
)
def test_expected_calibration_error_by_hand(confidence, right, bins, expected):
    error = metrics.expected_calibration_error(confidence, right, bins)
    assert error == pytest.approx(expected)


@pytest.mark.parametrize(
    ("confidence", "right", "bins", "message"),
    [
        ([0.5], [True, False], 15, r"answers, right has shape \(2,\), but \(1,\)"),
        ([], [], 15, r"confidence has shape \(0,\), but \(n,\)"),
        ([1.1], [True], 15, r"confidence: 1.1 .* 0\.\.1"),
        ([np.nan], [True], 15, "confidence: nan"),
        ([0.5], [2], 15, "right: 2.0"),
        ([0.5], [0.5], 15, "right: 0.5 .* boolean"),
        ([0.5], [True], 0, "bins 0"),
    ],
)
def test_expected_calibration_error_refuses(confidence, right, bins, message):
    with refused(message):
        metrics.expected_calibration_error(confidence, right, bins)


def test_a_softmax_rounded_above_one_is_one():
    confidence = np.array([np.nextafter(np.float32(1), np.float32(2))])
    assert metrics.expected_calibration_error(confidence, [True]) == 0


def test_doubt_bins_join_the_small_ones():
    confidence = 1 - np.repeat([1e-9, 1e-4, 2e-2, 0.2, 0.5], [30, 5, 30, 25, 3])
    right = np.ones(93, bool)
    right[[33, 36, 92]] = False
    bins = plots.doubt_bins(confidence, right)
    assert [(errors, n) for _, errors, n in bins] == [(0, 30), (2, 35), (1, 28)]
    assert [doubt for doubt, _, _ in bins] == pytest.approx(
        [1e-7, (5 * 1e-4 + 30 * 2e-2) / 35, (25 * 0.2 + 3 * 0.5) / 28]
    )


def test_doubt_bins_are_half_a_decade_wide():
    confidence = 1 - np.repeat([1.1e-3, 3e-3, 3.3e-3, 9e-3], 20)
    bins = plots.doubt_bins(confidence, np.ones(80, bool))
    assert [n for _, _, n in bins] == [40, 40]


def test_doubt_bins_of_few_images_are_one():
    assert plots.doubt_bins([0.9, 0.2], [True, False]) == [(pytest.approx(0.45), 1, 2)]


def answers():
    """Return confidences and answers: 40 sure and right, 50 of doubt 0.2 and 10 of these wrong."""
    return 1 - np.repeat([1e-5, 0.2], [40, 50]), np.arange(90) < 80


def test_reliability_draws_rates_intervals_and_upper_limits():
    figure = plots.reliability({"angle": answers(), "96 classes": answers()})
    (axis,) = figure.axes
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    (rate,) = markers(axis, "o")
    assert rate.get_xdata() == pytest.approx([0.2])
    assert rate.get_ydata() == pytest.approx([0.2])
    assert to_hex(rate.get_color()).upper() == HEAD_COLORS["angle"]
    (bar,) = axis.collections[0].get_segments()
    assert bar[:, 1] == pytest.approx(metrics.wilson_interval(10, 50))
    limit = markers(axis, "v")[0]
    assert limit.get_xdata() == pytest.approx([1e-5])
    assert limit.get_ydata() == pytest.approx([metrics.wilson_interval(0, 40)[1]])
    assert np.array_equal(*axis.lines[0].get_data())  # the diagonal
    low, high = axis.get_ylim()
    assert low < bar[0, 1] and high > 1
    assert not overlapping(figure)


def test_reliability_legend_states_calibration_and_images():
    figure = plots.reliability({"angle": answers()})
    written = [text.get_text() for text in figure.legends[0].get_texts()]
    assert written[:2] == ["as sure as it says", "angle\nECE 0.00044 %, n = 90"]


def test_reliability_refuses():
    with refused("no curve"):
        plots.reliability({})
    with refused("angle, right has shape"):
        plots.reliability({"angle": ([0.5], [True, False])})
