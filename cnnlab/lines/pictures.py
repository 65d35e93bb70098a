"""Pictures of the line dataset: a contact sheet and a film."""

import math

import numpy as np

from cnnlab.lines import labels as line_data
from cnnlab.saving import atomic_path

SHEET_SUFFIXES = (".png", ".pdf")
FILM_CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
FRAMES_PER_SECOND = 2
FRAMES_PER_CLASS = 10  # of 3 x 3 images each


def draw_sheet(path, lines):
    """Draw the first image of each of the 96 classes, 12 angles wide, as .png or .pdf.

    Raises:
        ValueError: another suffix, or a class has no image.
    """
    import matplotlib.style  # here, so that the film needs no Matplotlib

    if path.suffix not in SHEET_SUFFIXES:
        raise ValueError(f"{path}: a contact sheet is {' or '.join(SHEET_SUFFIXES)}")
    _, first = np.unique(line_data.encode(lines.labels), return_index=True)
    if len(first) != line_data.CLASSES:
        raise ValueError(f"a contact sheet needs all 96 classes, not {len(first)}")
    tiles = lines.images[first].reshape(4, 12, 2, *lines.images.shape[1:]).swapaxes(1, 2)
    tiles = tiles.reshape(96, *lines.images.shape[1:])
    picture = _mosaic(tiles, columns=12, gap=2, scale=4)
    with matplotlib.style.context("default"), atomic_path(path) as temporary:
        figure = _sheet_figure(picture)
        undated = {".png": {"Software": None}, ".pdf": {"CreationDate": None}}[path.suffix]
        figure.savefig(temporary, metadata=undated)


def _sheet_figure(picture):
    """Return the figure with the picture in it, one pixel of the file for each of its pixels."""
    from matplotlib.figure import Figure

    height, width = picture.shape[:2]
    left, right, top, bottom, dots_per_inch = 250, 50, 150, 50, 150
    whole = np.array([left + width + right, top + height + bottom])
    figure = Figure(figsize=whole / dots_per_inch, dpi=dots_per_inch)
    box = left / whole[0], bottom / whole[1], width / whole[0], height / whole[1]
    axis = figure.add_axes(box)
    axis.imshow(picture, interpolation="none")
    _label_sheet(axis, picture.shape)
    return figure


def _label_sheet(axis, shape):
    names = [line_data.class_name(c).split() for c in range(line_data.CLASSES)]
    rows = [f"{n[0]} {n[1]} {n[3]}" for i in range(0, 96, 24) for n in names[i : i + 2]]
    columns = [f"{angle}°" for angle in line_data.ANGLES]
    axis.set_xticks((np.arange(12) + 0.5) * shape[1] / 12, columns, fontsize=11)
    axis.set_yticks((np.arange(8) + 0.5) * shape[0] / 8, rows, fontsize=11)
    axis.tick_params(length=0, labeltop=True, labelbottom=False)
    axis.spines[:].set_visible(False)
    axis.set_title(
        "The 96 classes of lines, the first image of each", fontsize=15, loc="left", pad=14
    )


def _mosaic(images, columns, gap, scale):
    """Lay images (n, h, w, 3) out in rows on white; each pixel becomes scale x scale pixels."""
    n, height, width, _ = images.shape
    rows = math.ceil(n / columns)
    tiles = np.full((rows * columns, height + 2 * gap, width + 2 * gap, 3), 255, np.uint8)
    tiles[:n, gap:-gap, gap:-gap] = images
    tiles = tiles.reshape(rows, columns, *tiles.shape[1:]).swapaxes(1, 2)
    return tiles.reshape(rows * tiles.shape[1], -1, 3).repeat(scale, 0).repeat(scale, 1)


def write_film(path, lines):
    """Film all classes, one after another: 3 x 3 images a frame, 2 frames a second, .mp4 or .avi.

    Each class has ten frames, its first 90 images, or fewer when it has fewer images; its name
    stands below.

    Raises:
        ValueError: another suffix.
        OSError: the film cannot be written.
    """
    import cv2

    if path.suffix not in FILM_CODECS:
        raise ValueError(f"{path}: a film is {' or '.join(FILM_CODECS)}")
    frames = list(_film_frames(lines))
    with atomic_path(path) as temporary:
        temporary.touch()  # a folder that cannot be written to is reported here, in Python's words
        _encode_film(temporary, FILM_CODECS[path.suffix], frames)
        written = int(cv2.VideoCapture(str(temporary)).get(cv2.CAP_PROP_FRAME_COUNT))
        if written != len(frames):  # OpenCV raises no error, not even for a full disk
            raise OSError(f"{path}: the film could not be written, the disk may be full")


def _encode_film(path, codec, frames):
    import cv2

    log = cv2.utils.logging
    level = log.setLogLevel(log.LOG_LEVEL_SILENT)  # a full disk would print a line for each frame
    film = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*codec), FRAMES_PER_SECOND, frames[0].shape[1::-1]
    )
    for frame in frames:
        film.write(frame[:, :, ::-1])  # OpenCV's order is blue, green, red
    film.release()
    log.setLogLevel(level)


def _film_frames(lines):
    """Yield the frames, uint8 RGB, each with its class's name in a strip below."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(24)
    classes = line_data.encode(lines.labels)
    for class_index in np.unique(classes):
        images = lines.images[classes == class_index][: 9 * FRAMES_PER_CLASS]
        for start in range(0, len(images), 9):
            part = images[start : start + 9]
            blank = np.full((9 - len(part), *part.shape[1:]), 255, np.uint8)
            picture = _mosaic(np.concatenate([part, blank]), columns=3, gap=1, scale=4)
            frame = np.pad(picture, ((0, 40), (0, 0), (0, 0)), constant_values=255)
            canvas = Image.fromarray(frame)
            middle = frame.shape[1] / 2, frame.shape[0] - 22
            name = line_data.class_name(class_index)
            ImageDraw.Draw(canvas).text(middle, name, "black", font, anchor="mm")
            yield np.asarray(canvas)
