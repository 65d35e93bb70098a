"""The figures of Task 3's lesson: several images, or filters of several layers, on one page."""

import numpy as np

from cnnlab.interpret.figures import pictures
from cnnlab.interpret.figures.sheet import Sheet, Tile, as_colors, through_colormap
from cnnlab.interpret.gradcam import grad_cam
from cnnlab.interpret.model.network import inspect_model

IN_A_ROW = 15  # filters, of all layers of a network together
WIDTH = 6.5  # inches, as on a page of the report: so its labels are printed in their size


def heatmaps(model, images, names, layer=None):
    """Draw images with the heatmaps of all heads, or of those that `names` {head: classes} has.

    Images are (n, h, w) or (n, h, w, 3) uint8.
    """
    every = inspect_model(model).heads
    heads = [head for head in names if head in every] or list(every)
    maps = {head: grad_cam(model, images, head, layer=layer) for head in heads}
    sheet = Sheet(WIDTH)
    pictures.add_heatmaps(sheet, _colors(images), maps, names=names)
    return sheet.figure()


def activations(images, made, channels):
    """Draw for each layer the channels that respond most to images, a row for each image.

    `made` is {title: (n, height, width, channels)} of the images (n, h, w[, 3]) uint8.
    """
    sheet, rows = Sheet(WIDTH), [[Tile(as_colors(image))] for image in _colors(images)]
    for title, maps in made.items():
        most = np.argsort(-np.abs(maps).mean(axis=(0, 1, 2)), kind="stable")[:channels]
        low, high, colormap = pictures.shown_scale(maps)
        sheet.color_bar(f"{title}, {maps.shape[-1]} channels", low, high, colormap)
        for number, (row, of_image) in enumerate(zip(rows, maps, strict=True)):
            colors = through_colormap(of_image, low, high, colormap)
            row += [
                Tile(colors[:, :, k], title if not number and k == min(most) else "")
                for k in np.sort(most)
            ]
    sheet.tiles(
        sum(rows, []), columns=len(rows[0]), side=min(0.6, sheet.width / len(rows[0]) - 0.06)
    )
    return sheet.figure()


def filters(rows):
    """Draw the pictures of filters: {title: {layer: FilterImages}}, a row for each title."""
    sheet = Sheet(WIDTH)
    for title, of_layers in rows.items():
        sheet.heading(title)
        tiles = [
            Tile(as_colors(image), layer if number == 0 else "")
            for layer, made in of_layers.items()
            for number, image in enumerate(made.images)
        ]
        sheet.tiles(tiles, columns=IN_A_ROW)
    return sheet.figure()


def _colors(images):
    images = np.asarray(images) / 255
    return images[..., None] if images.ndim == 3 else images
