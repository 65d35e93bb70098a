"""Small figure files: the same picture as Matplotlib's own, with fewer colors."""

import io

import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from cnnlab.interpret.figures.sheet import Sheet, Tile
from cnnlab.saving import save_figure


def sheet():
    """A page of tiles, which has no layout engine, with text beyond its right edge."""
    page = Sheet(3)
    page.heading("Tiles " * 12)
    page.tiles([Tile(np.full((4, 4, 3), shade), f"{shade}") for shade in (0, 0.5, 1)], columns=3)
    return page.figure()


def chart():
    """A chart whose axes are placed by the style's layout engine."""
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.plot([0, 1], [0, 1])
    axes.set_ylabel("a label")
    plt.close(figure)
    return figure


@pytest.mark.parametrize("make", [sheet, chart])
def test_what_is_drawn_is_cut_as_matplotlib_would(make, tmp_path):
    own = io.BytesIO()
    path = save_figure(make(), tmp_path / "a.png", small=True)
    make().savefig(own, format="png", dpi=110, bbox_inches="tight")
    with Image.open(own) as ours, Image.open(path) as small:
        assert small.mode == "P"
        off = np.asarray(ours.convert("RGB"), int) - np.asarray(small.convert("RGB"), int)
    assert np.abs(off).max() <= 8
