"""Write figures to files: whole or not at all, without a date inside."""

import io
from pathlib import Path

from PIL import Image

from cnnlab.saving import atomic_path

MARGIN = 0.1  # inches, as Matplotlib's own for "tight"


def save(figure, path) -> Path:
    """Save a figure as .png, .pdf or .svg, without a date inside; returns the path.

    Nothing is left half-written: the file appears when it is whole.

    Raises:
        ValueError: another suffix.
        OSError: the file cannot be written.
    """
    path = Path(path)
    undated = {
        ".png": {"Software": None},
        ".pdf": {"CreationDate": None},
        ".svg": {"Date": None},
    }
    if path.suffix.lower() not in undated:
        raise ValueError(f"{path.name}: a figure is saved as {', '.join(undated)}")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, bbox_inches=None, metadata=undated[path.suffix.lower()])
    return path


def save_small(figure, path) -> Path:
    """Save a figure as a PNG with a palette of 256 colors, a third of the size; returns the path.

    The palette covers all colors that there are, so that none moves by more than a few of 255
    steps; a palette by frequency gives up rare bright ones.
    """
    drawn = io.BytesIO()
    # For "tight", Matplotlib draws everything twice, which only a layout engine needs.
    edges = "tight" if figure.get_layout_engine() else figure.get_tightbbox().padded(MARGIN)
    figure.savefig(drawn, format="png", dpi=110, bbox_inches=edges, metadata={"Software": None})
    with Image.open(drawn) as image:
        method = Image.Quantize.MAXCOVERAGE
        small = image.convert("RGB").quantize(256, method, kmeans=2, dither=Image.Dither.NONE)
    with atomic_path(path) as temporary:
        small.save(temporary, optimize=True)
    return Path(path)
