"""The line dataset on disk: .npz files and folders of images."""

import io
import re
from collections import Counter

import numpy as np

from cnnlab import archives
from cnnlab.lines import labels as line_data
from cnnlab.saving import atomic_path

FORMATS = ("png", "jpg", "npz")
_PILLOW_FORMATS = ("PNG", "JPEG")  # whatever the name says; for others Pillow may start a program
_UNFINISHED = "UNFINISHED"  # a file in a folder that is not written to its end
_NUMBER = "(0|[1-9][0-9]*)"
_NAME = re.compile("_".join([_NUMBER] * 5) + r"\.(?:png|jpg)")  # length_width_angle_color_number


def read_npz(path, recipe=None):
    """Read Lines from an .npz file; ValueError if it is broken, or its recipe is not `recipe`."""
    arrays = archives.read(path, (*line_data.Lines._fields, "recipe"))
    stored_recipe = arrays.pop("recipe")
    if recipe is not None and str(stored_recipe) != recipe:
        raise ValueError(f"{path} is out of date: it has {stored_recipe}, not {recipe}")
    lines = line_data.Lines(**arrays)
    size, count = line_data.SIZE, len(lines.labels) if lines.labels.ndim else 0
    for name, shape, dtype in (
        ("images", (count, size, size, 3), np.uint8),
        ("labels", (count, 4), np.uint8),
        ("centers", (count, 2), np.float32),
    ):
        array = arrays[name]
        if array.shape != shape or array.dtype != dtype:
            given, needed = f"{array.dtype} {array.shape}", f"{np.dtype(dtype)} {shape}"
            raise ValueError(f"{path} is not a line dataset: {name} are {given}, not {needed}")
    try:
        line_data.encode(lines.labels)
    except ValueError as error:
        raise ValueError(f"{path} is not a line dataset: {error}") from None
    return lines


def write_npz(path, lines, recipe):
    """Write Lines to an .npz file, whole or not at all; zip makes 5 MB of 226 and has checksums."""
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **lines._asdict(), recipe=np.array(recipe))


def read_folder(folder):
    """Read Lines, without centers, from length_width_angle_color_number.png or .jpg images.

    They are sorted by class and number; hidden files are skipped. Only a png has checksums.

    Raises:
        ValueError: the folder's writing was killed, or a file, which is named, is misnamed, broken,
            or not an RGB image of 28 x 28 pixels.
    """
    try:
        paths = _shown(folder)
    except OSError as error:
        raise ValueError(f"{folder} cannot be read: {error.strerror}") from error
    if folder / _UNFINISHED in paths:
        raise ValueError(f"{folder} was not written to its end: remove it and write it again")
    files = {}
    for path in paths:
        key = _parse_name(path)
        if key in files:
            raise ValueError(f"{path} is the same image as {files[key].name}: remove one")
        files[key] = path
    if not files:
        raise ValueError(f"{folder} holds no images")
    keys = sorted(files)
    images = np.stack([_read_image(files[key]) for key in keys])
    return line_data.Lines(images, np.array([key[:4] for key in keys], np.uint8), None)


def _shown(folder):
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _parse_name(path):
    """Return (length, width, angle, color, number) of an image file's name."""
    match = _NAME.fullmatch(path.name)
    if not match:
        form = "_".join((*line_data.HEADS, "number"))
        raise ValueError(f"{path} is misnamed: it must be {form}.png or .jpg")
    key = tuple(map(int, match.groups()))
    try:
        line_data.encode(np.array(key[:4], np.int64))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path} is misnamed: {error}") from None
    return key


def _read_image(path):
    from PIL import Image  # here, because an .npz needs no Pillow

    try:
        if not path.is_file():
            raise ValueError("it is not a file")
        content = io.BytesIO(path.read_bytes())
        with Image.open(content, formats=_PILLOW_FORMATS) as image:
            image.verify()  # only here does Pillow look at a png's checksums; it must be reopened
        with Image.open(content, formats=_PILLOW_FORMATS) as image:
            if (image.size, image.mode) == ((line_data.SIZE, line_data.SIZE), "RGB"):
                return np.asarray(image)
    except Exception as error:  # a damaged image raises whatever its damaged part leads to
        raise ValueError(f"{path} is not a readable image: {error}") from error
    width, height = image.size
    raise ValueError(f"{path} is {image.mode}, {width} x {height} pixels, not RGB, 28 x 28")


def write_folder(folder, lines, file_format, recipe):
    """Write Lines into a new or empty folder, as png or jpg images or as one lines.npz.

    png keeps every pixel; jpg (quality 95, color at full resolution) changes them a little. When
    writing fails, what was written is removed; killed, a file UNFINISHED makes it unreadable.

    Raises:
        FileExistsError: the folder holds anything but hidden files; nothing is overwritten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark, written = folder / _UNFINISHED, []
    try:
        mark.touch(exist_ok=False)  # half a dataset looks like a whole one
    except FileExistsError:
        raise FileExistsError(
            f"{folder} was not written to its end, or is being written: give another folder"
        ) from None
    if _shown(folder) != [mark]:
        mark.unlink()
        raise FileExistsError(f"{folder} is not empty: give a new or an empty folder")
    try:
        if file_format == "npz":
            write_npz(folder / "lines.npz", lines, recipe)
        else:
            _write_images(folder, lines, file_format, written)
    except BaseException:  # also when the user stops it
        for path in (*written, mark):
            path.unlink(missing_ok=True)
        raise
    mark.unlink()


def _write_images(folder, lines, file_format, written):
    from PIL import Image

    options = {"png": {}, "jpg": {"quality": 95, "subsampling": 0}}[file_format]
    numbers = Counter()
    for image, label in zip(lines.images, map(tuple, lines.labels.tolist()), strict=True):
        name = "_".join(map(str, (*label, numbers[label])))
        written.append(folder / f"{name}.{file_format}")
        Image.fromarray(image).save(written[-1], **options)
        numbers[label] += 1
