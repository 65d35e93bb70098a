"""Write results, models and figures: whole or not at all, and equal bytes for equal content."""

import contextlib
import io
import json
import math
import os
import re
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

# A zip archive cannot hold an earlier date. Keras never reads the dates of its archives.
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
# What Matplotlib must leave out of a figure's file.
UNDATED = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
SMALL_DPI = 110  # of a small PNG
MARGIN = 0.1  # inches around a figure, as Matplotlib's own for "tight"


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path next to `path`; what was written there becomes `path` at the end.

    Its name is hidden, unique and keeps the suffix, at which Keras and NumPy look. When the block
    fails, or nothing was written (FileNotFoundError), an existing `path` stays as it was. Missing
    folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}-{uuid.uuid4().hex[:12]}-{path.name}")
    try:
        yield temporary
        with open(temporary, "r+b") as file:  # Windows syncs only what can be written
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_json(data, path: str | os.PathLike) -> Path:
    """Write `data`, also NumPy's, as JSON with sorted keys and 8 significant digits of a float.

    Returns the path. Raises ValueError for NaN and infinity, TypeError for a value that JSON has no
    word for and a key that is not a string; the message says where.
    """
    text = json.dumps(_plain(data), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return Path(path)


def _plain(value, where: str = "data"):
    """Turn NumPy values into Python ones and round floats; `where` is for the error message."""
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        value = value.tolist()
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where}: the key {key!r} is not a string")
        return {key: _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}: a result must be a finite number")
        return float(f"{value:.8g}")
    if value is None or isinstance(value, (str, int)):
        return value
    raise TypeError(f"{where} is a {type(value).__name__}, which JSON cannot hold")


def save_figure(figure, path: str | os.PathLike, small: bool = False) -> Path:
    """Save a Matplotlib figure in the style's resolution and margins; returns the path.

    Equal figures make equal files: no date or version is inside, and an SVG's names come from the
    style's `svg.hashsalt` or else the file's name. A `small` PNG has 256 colors, a third as large.

    Raises:
        ValueError: the path does not end in .png, .pdf or .svg; OSError if it cannot be written.
    """
    import matplotlib

    path = Path(path)
    if path.suffix.lower() not in UNDATED:
        raise ValueError(f"{path.name}: a figure is saved as {', '.join(UNDATED)}")
    salt = matplotlib.rcParams["svg.hashsalt"] or path.stem
    with atomic_path(path) as temporary, matplotlib.rc_context({"svg.hashsalt": salt}):
        if small:
            _with_palette(figure).save(temporary, optimize=True, dpi=(SMALL_DPI, SMALL_DPI))
        else:
            figure.savefig(temporary, metadata=UNDATED[path.suffix.lower()])
    return path


def _with_palette(figure):
    """Return a figure as an image of 256 colors."""
    from PIL import Image  # here, because the datasets need no Pillow

    drawn = io.BytesIO()
    # For "tight", Matplotlib draws everything twice, which only a layout engine needs.
    edges = "tight" if figure.get_layout_engine() else figure.get_tightbbox().padded(MARGIN)
    figure.savefig(drawn, format="png", dpi=SMALL_DPI, bbox_inches=edges, metadata=UNDATED[".png"])
    # So that no color moves by more than a few of 255 steps: by frequency, rare bright ones would.
    method = Image.Quantize.MAXCOVERAGE
    with Image.open(drawn) as image:
        return image.convert("RGB").quantize(256, method, kmeans=2, dither=Image.Dither.NONE)


def uncompiled(model):
    """Copy a built `keras.Model` with its weights, without optimizer (twice as large) or loss."""
    network = type(model).from_config(model.get_config())  # `clone_model` would copy the optimizer
    network.set_weights(model.get_weights())
    return network


CLASS_NAMES = "class_names.json"  # an entry of our models' archives, which Keras does not read


def save_model(model, path: str | os.PathLike, class_names=None) -> Path:
    """Save the network of a built `keras.Model` as a `.keras` file for use; returns the path.

    Class names, {head: [name, ...]}, are kept in the file; `read_class_names` finds them.

    What is saved is an uncompiled copy, because Keras 3 ignores `include_optimizer=False` for them.
    Equal models make equal files. Keras alone would write dates (one in `metadata.json`, one for
    each entry of the archive) and, in `config.json`, memory addresses that tell which objects are
    shared. The dates are set to the first day that an archive can hold, the objects numbered.
    """
    with atomic_path(path) as temporary:
        uncompiled(model).save(temporary)
        with zipfile.ZipFile(temporary) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        metadata = json.loads(entries["metadata.json"])
        metadata["date_saved"] = "{}-{:02}-{:02}@00:00:00".format(*ZIP_EPOCH)
        entries["metadata.json"] = json.dumps(metadata).encode()
        entries["config.json"] = _numbered(entries["config.json"])
        if class_names:
            entries[CLASS_NAMES] = json.dumps(class_names, ensure_ascii=False).encode()
        with zipfile.ZipFile(temporary, "w") as archive:
            for name, content in entries.items():
                entry = zipfile.ZipInfo(name, date_time=ZIP_EPOCH)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return Path(path)


def read_class_names(path: str | os.PathLike) -> dict[str, list[str]]:
    """Return {head: [name, ...]} that a `.keras` file keeps, {} for another file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(CLASS_NAMES))
    except (KeyError, ValueError, OSError, zipfile.BadZipFile):
        return {}


def _numbered(config: bytes) -> bytes:
    numbers: dict[bytes, int] = {}
    return re.sub(
        rb'(?<="shared_object_id": )\d+',
        lambda address: b"%d" % numbers.setdefault(address.group(), len(numbers) + 1),
        config,
    )
