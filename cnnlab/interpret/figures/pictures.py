"""The figures of the visualizer: activations, filters and heatmaps on one `Sheet`.

Each `add_*` adds to a sheet, so that `explain` can put several below each other.
"""

import numpy as np

from cnnlab.interpret.figures.sheet import Sheet, Tile, as_colors, fitting_columns, through_colormap

POSITIVE, SIGNED, HEAT = "viridis", "RdBu_r", "inferno"
METHOD_NAMES = {"grad-cam": "Grad-CAM", "grad-cam++": "Grad-CAM++", "layercam": "LayerCAM"}
STRIP = 128  # units of a layer without places in a row
EMPTY = np.full((1, 1, 3), 0.85, np.float32)  # a tile with nothing to show


def shown_scale(values):
    """Return (low, high, colormap) for activations: from 0, or symmetric about it."""
    highest, lowest = float(np.max(values)), float(np.min(values))
    if lowest >= 0:
        return 0.0, highest, POSITIVE
    most = max(highest, -lowest)
    return -most, most, SIGNED


def add_activations(sheet: Sheet, name: str, maps, side=0.5, dead=None):
    """Add the channels of one layer for one image, all on one color scale.

    Args:
        sheet: to add to.
        name: of the layer, for the heading.
        maps: (h, w, channels), or (units,) of a dense layer.
        side: inches a tile is wide, about.
        dead: (channels,) bool, channels known to be 0 for many images; left out, the channels that
            are 0 everywhere here are marked as off.
    """
    maps = np.asarray(maps, np.float32)
    flat = maps.ndim == 1
    maps = maps[None, None] if flat else maps
    height, width, channels = maps.shape
    low, high, colormap = shown_scale(maps)
    colors = through_colormap(maps, low, high, colormap)  # (h, w, channels, 3)
    word, marked = ("dead", dead) if dead is not None else ("off", ~maps.any(axis=(0, 1)))
    what = f"{channels} units" if flat else f"{channels} channels of {height} × {width}"
    sheet.heading(f"{name}: {what}" + (f", {marked.sum()} {word}" if marked.any() else ""))
    sheet.color_bar("activation, one scale for the layer", low, high, colormap)
    if flat:
        sheet.tiles([Tile(_strips(colors[0, 0]), f"{STRIP} units in a row")], side=sheet.width)
        return
    tiles = [Tile(colors[:, :, k], f"{k} {word}" if marked[k] else f"{k}") for k in range(channels)]
    sheet.tiles(tiles, side=side)


def _strips(colors):
    """Return (units, 3) colors as (rows, STRIP, 3), white where there is no unit."""
    rows = -(-len(colors) // STRIP)
    strips = np.ones((rows * STRIP, 3), np.float32)
    strips[: len(colors)] = colors
    return strips.reshape(rows, STRIP, 3)


def add_activation_rows(sheet: Sheet, name: str, images, maps, channels, dead=None):
    """Add chosen channels of one layer for several images: a row for an image, one color scale.

    Args:
        sheet: to add to.
        name: of the layer.
        images: (n, h, w, 1 or 3), 0..1.
        maps: (n, h, w, channels) activations of all channels.
        channels: numbers of those to show.
        dead: (channels,) bool, those known to be dead, or None.
    """
    maps = np.asarray(maps, np.float32)
    low, high, colormap = shown_scale(maps)
    size = f"{maps.shape[3]} channels of {maps.shape[1]} × {maps.shape[2]}"
    shown = "" if len(channels) == maps.shape[3] else f", {len(channels)} of them shown"
    count = "" if dead is None or not dead.any() else f", {dead.sum()} dead"
    sheet.heading(f"{name}: {size}{shown}{count}")
    sheet.color_bar("activation, one scale for the layer", low, high, colormap)
    for row, (image, of_image) in enumerate(zip(images, maps, strict=True)):
        tiles = [Tile(as_colors(image))]
        for k in channels:
            mark = " dead" if dead is not None and dead[k] else ""
            label = f"{k}{mark}" if row == 0 else ""
            tiles.append(Tile(through_colormap(of_image[..., k], low, high, colormap), label))
        sheet.tiles(tiles, columns=len(tiles))


def add_filters(sheet: Sheet, found, images=None, weights=None, side=0.5, most=None):
    """Add the pictures that filters answer to most, with a word where there is little to see.

    Args:
        sheet: to add to.
        found: `filters.FilterImages`.
        images: (n, h, w, 1 or 3), 0..1, the real images that `found.best` counts in: the best one
            of each filter is drawn below its picture.
        weights: (count, h, w, 1 or 3) of a first layer, drawn above.
        side: inches a tile is wide, about.
        most: draw so many filters at most, the first ones; left out, all.
    """
    shown = range(len(found.images))[:most]
    heading = f"{found.layer}: {len(found.images)} filters"
    heading += f", the first {len(shown)} shown" if len(shown) < len(found.images) else ""
    sheet.heading(heading + (f", {found.dead.sum()} dead" if found.dead.any() else ""))
    real = images is not None
    below = "; below it the real image with the highest response, and that response" if real else ""
    sheet.text(
        f"Over each picture: {found.objective}, for the blank image → for the picture{below}."
    )
    if weights is not None:
        largest = float(np.abs(weights).max())
        _explain_weights(sheet, weights, largest)
    tiles = []
    for index in shown:
        label = _filter_label(found, index, real)
        if weights is not None:
            tiles.append(Tile(_weight_colors(weights[index], largest), label))
        tiles.append(Tile(as_colors(found.images[index]), label))
        if real:
            tiles.append(Tile(as_colors(images[found.best[index]])))
    columns = fitting_columns(len(shown), side)
    sheet.tiles(tiles, columns=columns, stacked=len(tiles) // len(shown))
    for note in dict.fromkeys(filter(None, (found.note[index] for index in shown))):
        numbers = [str(found.filters[index]) for index in shown if found.note[index] == note]
        sheet.text(f"* {', '.join(numbers)}: {note}.")


def _filter_label(found, index, real):
    star = "*" if found.note[index] else ""
    rise = f"{_short(found.start[index])}\n→ {_short(found.end[index])}"
    response = f"\nreal {_short(found.best_response[index])}" if real else ""
    return f"{found.filters[index]}{star}\n{rise}{response}"


def _short(number):
    """Write a number in few characters: -.08, 1.8, 14."""
    if abs(number) >= 0.995:
        return f"{number:.2g}"
    rounded = float(f"{number:.1g}" if number < 0 else f"{number:.2g}")
    return f"{rounded:.4f}".rstrip("0").rstrip(".").replace("0.", ".", 1).replace("-0", "0")


def _explain_weights(sheet, weights, largest):
    if weights.shape[3] == 3:
        sheet.text(f"Top: the filter's weights as colors; grey is 0, the ends are ±{largest:.2g}.")
    else:
        sheet.color_bar("top: the filter's weights, one scale", -largest, largest, SIGNED)


def _weight_colors(weights, most):
    """Return weights (h, w, 1 or 3) as colors: one channel by sign, three as a picture."""
    if weights.shape[2] == 3:
        return 0.5 + 0.5 * weights / most
    return through_colormap(weights[..., 0], -most, most, SIGNED)


def add_heatmaps(sheet: Sheet, images, heatmaps, titles=None, names=None, shared=None):
    """Add, for each image, the image and for each head its heatmap and the overlay of both.

    Args:
        sheet: to add to.
        images: (n, h, w, 1 or 3), 0..1.
        heatmaps: {head: gradcam.Heatmaps} of these images.
        titles: n strings over the images, or None.
        names: {head: names of its classes}, or None to number them.
        shared: one color scale in logits for all maps, which can be compared; else each map goes
            up to its own peak. Left out, shared where there are several heads.
    """
    first = next(iter(heatmaps.values()))
    shared = len(heatmaps) > 1 if shared is None else shared
    most = max(float(np.max(found.peak, initial=0)) for found in heatmaps.values())
    layers = ", ".join(dict.fromkeys(found.layer for found in heatmaps.values()))
    sheet.heading(f"{METHOD_NAMES[first.method]} at {layers}")
    if shared and most > 0:
        label = "logits that speak for the class, one scale for all maps; overlays: up to own peak"
        sheet.color_bar(label, 0, most, HEAT)
    else:
        label = "share of the map's own peak, which is written over it in logits"
        sheet.color_bar(label, 0, 1, HEAT)
    tiles = []
    for index, image in enumerate(images):
        colors = as_colors(image)
        tiles.append(Tile(colors, titles[index] if titles else ""))
        for found in heatmaps.values():
            scale = found.peak[index] / most if shared and most > 0 else 1
            label = _answer(found, index, names, several=len(heatmaps) > 1)
            tiles += _heat_tiles(colors, found, index, scale, label)
    columns = 9 if len(heatmaps) == 1 and len(images) > 2 else 1 + 2 * len(heatmaps)
    sheet.tiles(tiles, columns=columns, side=None if columns > 5 else 1.2)


def _answer(found, index, names, several):
    """Say what a heatmap explains: head, class, its probability; and the peak."""
    number = found.targets[index]
    answer = names[found.head][number] if names and found.head in names else f"class {number}"
    head = f"{found.head}: " if several else ""
    sure = f"{100 * found.probabilities[index]:.1f} %"
    return f"{head}{answer} ({sure})\npeak {found.peak[index]:.3g}"


def _heat_tiles(colors, found, index, scale, label):
    """Return two tiles: the heatmap, or why it is empty, and the overlay."""
    note = found.note[index]
    if note.startswith("empty"):
        return [Tile(EMPTY, label, note), Tile(colors)]
    heat = found.maps[index]
    return [
        Tile(through_colormap(heat * scale, 0, 1, HEAT), label),
        Tile(overlay(colors, heat)),
    ]


def overlay(image, heat):
    """Return a heatmap laid over an image: (h, w, 3), 0..1.

    Args:
        image: (h, w, 3), 0..1; turned gray, so that only the heat has color.
        heat: (h, w), 0..1; the hotter, the less is seen of the image.
    """
    gray = np.repeat(image.max(axis=2, keepdims=True), 3, axis=2)
    opacity = 0.7 * heat[..., None]
    return (1 - opacity) * gray + opacity * through_colormap(heat, 0, 1, HEAT)
