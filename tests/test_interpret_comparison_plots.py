"""The figure of the comparison shows the numbers that it is given."""

import numpy as np
import pytest

from cnnlab.interpret.figures import checks as check_plots


def row(method, layer, *gains):
    return {"method": method, "layer": layer} | {
        f"{kind}_gain": gain for kind, gain in zip(("deletion", "insertion"), gains, strict=True)
    }


def test_a_dot_with_its_interval_for_each_row():
    rows = [
        row("grad-cam", "conv", (-0.1, -0.2, 0.0), (0.3, 0.2, 0.4)),
        row("contrast", "", (0.5, 0.4, 0.6), (0.6, 0.5, 0.7)),
    ]
    figure = check_plots.gains({"one": rows, "two": rows}, bare={"conv"})
    deletion, insertion = figure.axes
    dots = [line for line in deletion.lines if line.get_marker() == "o"]
    assert [dot.get_xdata()[0] for dot in dots] == [-0.1, 0.5, -0.1, 0.5]
    heights = [dot.get_ydata()[0] for dot in dots]
    assert heights == sorted(heights) and np.all(np.diff(heights) > 0)
    assert [dot.get_markerfacecolor() == "white" for dot in dots] == [True, False, True, False]
    bars = [list(line.get_xdata()) for line in insertion.lines if len(line.get_xdata()) == 2]
    assert [0.2, 0.4] in bars and [0.5, 0.7] in bars
    assert [label.get_text() for label in deletion.get_yticklabels()] == ["one", "two"]


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="nothing to draw"):
        check_plots.gains({}, bare=())
