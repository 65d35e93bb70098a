"""What a figure shows: its texts and marks, and which texts lie on one another."""

from contextlib import contextmanager
from itertools import combinations
from unittest.mock import patch

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text


def words(texts):
    """Return what Matplotlib's texts say."""
    return [text.get_text() for text in texts]


def titles(axes):
    return [axis.get_title() or axis.get_title(loc="left") for axis in axes]


def markers(axis, *wanted):
    return [line for line in axis.lines if line.get_marker() in wanted]


def colors(lines):
    return [to_hex(line.get_color()).upper() for line in lines]


def overlapping(figure):
    """Return the pairs of visible texts of a figure that lie on one another."""
    texts = []
    with patch.object(Text, "draw", lambda text, renderer: texts.append(text)):
        figure.draw_without_rendering()
    shown = [text for text in texts if text.get_visible() and text.get_text().strip()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
    return [(a, b) for (a, p), (b, q) in combinations(boxes, 2) if p.overlaps(q)]


@contextmanager
def refused(message):
    """Expect a ValueError, and that no figure was begun."""
    with pytest.raises(ValueError, match=message):
        yield
    assert not plt.get_fignums()
