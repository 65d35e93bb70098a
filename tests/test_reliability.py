"""Reliability: the bins of stated errors, and what is drawn of them."""

import numpy as np
import pytest
from drawn import colors, markers, overlapping, refused, words

from cnnlab import metrics, plots
from cnnlab.plots.palette import HEAD_COLORS
from cnnlab.plots.reliability import error_bins


def test_error_bins_are_half_a_decade_wide_and_join_the_small_ones():
    confidence = 1 - np.repeat([1e-9, 1e-4, 2e-2, 0.2, 0.5], [30, 5, 30, 25, 3])
    right = np.ones(93, bool)
    right[[33, 36, 92]] = False
    bins = error_bins(confidence, right)
    assert [(errors, n) for _, errors, n in bins] == [(0, 30), (2, 35), (1, 28)]
    assert [stated for stated, _, _ in bins] == pytest.approx(
        [1e-7, (5 * 1e-4 + 30 * 2e-2) / 35, (25 * 0.2 + 3 * 0.5) / 28]
    )
    confidence = 1 - np.repeat([1.1e-3, 3e-3, 3.3e-3, 9e-3], 20)
    assert [n for _, _, n in error_bins(confidence, np.ones(80, bool))] == [40, 40]
    assert error_bins([0.9, 0.2], [True, False]) == [(pytest.approx(0.45), 1, 2)]


def test_reliability_draws_rates_intervals_and_upper_limits():
    # 40 images of stated error 1e-5, all right; 50 of 0.2, and 10 of these wrong.
    curve = 1 - np.repeat([1e-5, 0.2], [40, 50]), np.arange(90) < 80
    figure = plots.reliability({"angle": curve, "96 classes": curve})
    (axis,) = figure.axes
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    (rate,) = markers(axis, "o")
    assert rate.get_data() == (pytest.approx([0.2]), pytest.approx([0.2]))
    assert colors([rate]) == [HEAD_COLORS["angle"]]
    (bar,) = axis.collections[0].get_segments()
    assert bar[:, 1] == pytest.approx(metrics.wilson_interval(10, 50))
    limit = markers(axis, "v")[0]
    assert limit.get_xdata() == pytest.approx([1e-5])
    assert limit.get_ydata() == pytest.approx([metrics.wilson_interval(0, 40)[1]])
    assert np.array_equal(*axis.lines[0].get_data())  # the diagonal
    low, high = axis.get_ylim()
    assert low < bar[0, 1] and high > 1
    legend = words(figure.legends[0].get_texts())
    assert legend[:2] == ["error rate = 1 − confidence", "angle\nECE 0.00044 %, n = 90"]
    assert not overlapping(figure)


def test_another_shape_is_refused():
    with refused("angle, right has shape"):
        plots.reliability({"angle": ([0.5], [True, False])})
