"""Pictures of the line dataset: a contact sheet and a film."""

import itertools

import numpy as np

from cnnlab.lines import labels as line_data
from cnnlab.saving import UNDATED, atomic_path

SHEET_SUFFIXES = (".png", ".pdf")
FILM_CODECS = {".mp4": "mp4v", ".avi": "MJPG"}  # by suffix
FRAMES_PER_SECOND = 2
FRAMES_PER_CLASS = 10  # of 3 x 3 images each


def draw_sheet(path, lines):
    """Draw the first image of each of the 96 classes, 12 angles wide, as in SHEET_SUFFIXES."""
    import matplotlib.style  # here, so that the film needs no Matplotlib

    _, first = np.unique(line_data.encode(lines.labels), return_index=True)
    shape = lines.images.shape[1:]
    tiles = lines.images[first].reshape(4, 12, 2, *shape).swapaxes(1, 2).reshape(96, *shape)
    with matplotlib.style.context("default"), atomic_path(path) as temporary:
        figure = _sheet_figure(_mosaic(tiles, rows=8, columns=12, gap=2))
        figure.savefig(temporary, metadata=UNDATED[path.suffix])


def _sheet_figure(picture):
    """Draw the picture in a figure, one pixel of the file for each of its pixels."""
    from matplotlib.figure import Figure

    height, width = picture.shape[:2]
    left, right, top, bottom, dots_per_inch = 250, 50, 150, 50, 150
    whole = np.array([left + width + right, top + height + bottom])
    figure = Figure(figsize=whole / dots_per_inch, dpi=dots_per_inch)
    box = left / whole[0], bottom / whole[1], width / whole[0], height / whole[1]
    axis = figure.add_axes(box)
    axis.imshow(picture, interpolation="none")
    names = line_data.CLASS_NAMES
    rows = map(" ".join, itertools.product(names["length"], names["width"], names["color"]))
    axis.set_xticks((np.arange(12) + 0.5) * width / 12, names["angle"], fontsize=11)
    axis.set_yticks((np.arange(8) + 0.5) * height / 8, list(rows), fontsize=11)
    axis.tick_params(length=0, labeltop=True, labelbottom=False)
    axis.spines[:].set_visible(False)
    title = "The 96 classes of lines, the first image of each"
    axis.set_title(title, fontsize=15, loc="left", pad=14)
    return figure


def _mosaic(images, rows, columns, gap, scale=4):
    """Lay images (n, h, w, 3) out in rows on white; each pixel becomes scale x scale pixels."""
    n, height, width, _ = images.shape
    tiles = np.full((rows * columns, height + 2 * gap, width + 2 * gap, 3), 255, np.uint8)
    tiles[:n, gap:-gap, gap:-gap] = images
    tiles = tiles.reshape(rows, columns, *tiles.shape[1:]).swapaxes(1, 2)
    return tiles.reshape(rows * tiles.shape[1], -1, 3).repeat(scale, 0).repeat(scale, 1)


def write_film(path, lines):
    """Film the first 90 images of each class, its name below: 3 x 3 a frame, 2 frames a second.

    Raises:
        OSError: the film cannot be written.
    """
    import cv2

    frames = list(_film_frames(lines))
    codec, size = cv2.VideoWriter_fourcc(*FILM_CODECS[path.suffix]), frames[0].shape[1::-1]
    log = cv2.utils.logging
    with atomic_path(path) as temporary:
        temporary.touch()  # a folder that cannot be written to is reported here, in Python's words
        level = log.setLogLevel(log.LOG_LEVEL_SILENT)  # a full disk would print a line a frame
        film = cv2.VideoWriter(str(temporary), codec, FRAMES_PER_SECOND, size)
        for frame in frames:
            film.write(frame[:, :, ::-1])  # OpenCV's order is blue, green, red
        film.release()
        log.setLogLevel(level)
        written = int(cv2.VideoCapture(str(temporary)).get(cv2.CAP_PROP_FRAME_COUNT))
        if written != len(frames):  # OpenCV raises no error, not even for a full disk
            raise OSError(f"{path}: the film could not be written, the disk may be full")


def _film_frames(lines):
    """Yield the frames, uint8 RGB, each with its class's name in a strip below."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(24)
    classes = line_data.encode(lines.labels)
    for class_index in np.unique(classes):
        images = lines.images[classes == class_index][: 9 * FRAMES_PER_CLASS]
        for start in range(0, len(images), 9):
            picture = _mosaic(images[start : start + 9], rows=3, columns=3, gap=1)
            frame = np.pad(picture, ((0, 40), (0, 0), (0, 0)), constant_values=255)
            canvas = Image.fromarray(frame)
            middle = frame.shape[1] / 2, frame.shape[0] - 22
            name = line_data.class_name(class_index)
            ImageDraw.Draw(canvas).text(middle, name, "black", font, anchor="mm")
            yield np.asarray(canvas)
