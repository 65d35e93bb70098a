"""Figures of activations, filters and heatmaps on a `Sheet`; images are (n, h, w, 1 or 3), 0..1."""

import numpy as np

from cnnlab.interpret.figures.sheet import Sheet, Tile, as_colors, fitting_columns, through_colormap

POSITIVE, SIGNED, HEAT = "viridis", "RdBu_r", "inferno"
UNITS = {"probabilities": "logits", "logits": "logits", "numbers": "the units of its number"}
OTHER_UNITS = {  # of methods whose maps are no parts of a score
    **dict.fromkeys(("gradients", "smoothgrad"), "logits for a unit of a pixel"),
    "score-cam": "activations",
}
METHOD_NAMES = {
    "grad-cam": "Grad-CAM",
    "grad-cam++": "Grad-CAM++",
    "layercam": "LayerCAM",
    "gradients": "Gradients",
    "smoothgrad": "SmoothGrad",
    "integrated-gradients": "Integrated Gradients",
    "occlusion": "Occlusion",
    "score-cam": "Score-CAM",
}
SIDE = 0.5  # inches a tile of a channel or filter is wide, about
IN_A_ROW = 4  # heads next to each other
STRIP = 128  # units of a layer without positions in a row
EMPTY = np.full((1, 1, 3), 0.85, np.float32)  # a tile with nothing to show


def shown_scale(values):
    """Return (low, high, colormap) for activations: from 0, or symmetric about it."""
    highest, lowest = float(np.max(values)), float(np.min(values))
    if lowest >= 0:
        return 0.0, highest, POSITIVE
    most = max(highest, -lowest)
    return -most, most, SIGNED


def most_active(maps, count: int) -> np.ndarray:
    """Return the numbers of the `count` channels of (h, w, channels) with the highest mean size.

    They are in order, the most active first.
    """
    size = np.abs(np.asarray(maps, np.float32)).mean(axis=(0, 1))
    return np.argsort(-size, kind="stable")[:count]


def add_activations(sheet: Sheet, name: str, maps, shown=None):
    """Add the channels (h, w, channels) or (units,) of one layer for one image, on one scale.

    `shown` are the numbers of channels, in the order in which they are drawn; None for all.
    """
    maps = np.asarray(maps, np.float32)
    flat = maps.ndim == 1
    maps = maps[None, None] if flat else maps
    height, width, channels = maps.shape
    off = ~maps.any(axis=(0, 1))
    what = f"{channels} units" if flat else f"{channels} channels of {height} × {width}"
    what += f", {off.sum()} off" if off.any() else ""
    if shown is not None and len(shown) < channels:
        what += f"; the {len(shown)} most active"
    scale = _head(sheet, f"{name}: {what}", maps)
    colors = through_colormap(maps, *scale)  # (h, w, channels, 3)
    if flat:
        rows = -(-channels // STRIP)
        strips = np.ones((rows * STRIP, 3), np.float32)  # white where there is no unit
        strips[:channels] = colors[0, 0]
        strips = Tile(strips.reshape(rows, STRIP, 3), f"{min(channels, STRIP)} units in a row")
        sheet.tiles([strips], side=sheet.width)
        return
    shown = range(channels) if shown is None else shown
    tiles = [Tile(colors[:, :, k], f"{k} off" if off[k] else f"{k}") for k in shown]
    sheet.tiles(tiles, side=SIDE)


def _head(sheet, heading, maps):
    """Add a heading and the color scale of activations; returns (low, high, colormap)."""
    scale = shown_scale(maps)
    sheet.heading(heading)
    sheet.color_bar("activation, one scale for the layer", *scale)
    return scale


def add_activation_rows(sheet: Sheet, name: str, images, maps, channels, dead):
    """Add some channels of maps (n, h, w, channels), a row for an image; dead (channels,) bool."""
    maps = np.asarray(maps, np.float32)
    size = f"{maps.shape[3]} channels of {maps.shape[1]} × {maps.shape[2]}"
    shown = "" if len(channels) == maps.shape[3] else f", {len(channels)} of them shown"
    count = f", {dead.sum()} dead" if dead.any() else ""
    scale = _head(sheet, f"{name}: {size}{shown}{count}", maps)
    for row, (image, of_image) in enumerate(zip(images, maps, strict=True)):
        tiles = [Tile(as_colors(image))]
        for k in channels:
            label = f"{k} dead" if dead[k] else f"{k}"
            colors = through_colormap(of_image[..., k], *scale)
            tiles.append(Tile(colors, label if row == 0 else ""))
        sheet.tiles(tiles, columns=len(tiles))


def add_filters(sheet: Sheet, filters, images=None, weights=None, most=None):
    """Add the pictures that filters respond to most, with a word where there is little to see.

    Below each is the best of `images`, those that `filters.best` counts in; above, the `weights`
    (count, h, w, 1 or 3) of a first layer. Only the first `most` are drawn.
    """
    shown = range(len(filters.images))[:most]
    heading = f"{filters.layer}: {len(filters.images)} filters"
    heading += f", the first {len(shown)} shown" if len(shown) < len(filters.images) else ""
    sheet.heading(heading + (f", {filters.dead.sum()} dead" if filters.dead.any() else ""))
    real = images is not None
    below = "; below it the real image with the highest response, and that response" if real else ""
    over = f"{filters.objective}, for the blank image → for the picture"
    sheet.text(f"Over each picture: {over}{below}.")
    if weights is not None:
        largest = float(np.abs(weights).max())
        if weights.shape[3] == 3:
            ends = f"gray is 0, the ends are ±{largest:.2g}"
            sheet.text(f"Top: the filter's weights as colors; {ends}.")
            colors = 0.5 + 0.5 * weights / largest
        else:
            sheet.color_bar("top: the filter's weights, one scale", -largest, largest, SIGNED)
            colors = through_colormap(weights[..., 0], -largest, largest, SIGNED)
    tiles = []
    for index in shown:
        label = _filter_label(filters, index, real)
        if weights is not None:
            tiles.append(Tile(colors[index], label))
        tiles.append(Tile(as_colors(filters.images[index]), label))
        if real:
            tiles.append(Tile(as_colors(images[filters.best[index]])))
    columns = fitting_columns(len(shown), SIDE)
    sheet.tiles(tiles, columns=columns, stacked=len(tiles) // len(shown))
    for note in dict.fromkeys(filter(None, (filters.note[index] for index in shown))):
        numbers = [str(filters.filters[index]) for index in shown if filters.note[index] == note]
        sheet.text(f"* {', '.join(numbers)}: {note}.")


def _filter_label(filters, index, real):
    star = "*" if filters.note[index] else ""
    rise = f"{_short(filters.start[index])}\n→ {_short(filters.end[index])}"
    response = f"\nreal {_short(filters.best_response[index])}" if real else ""
    return f"{filters.filters[index]}{star}\n{rise}{response}"


def _short(number):
    """Write a number in few characters: -.08, 1.8, 14."""
    if abs(number) >= 0.995:
        return f"{number:.2g}"
    rounded = float(f"{number:.1g}" if number < 0 else f"{number:.2g}")
    return f"{rounded:.4f}".rstrip("0").rstrip(".").replace("0.", ".", 1).replace("-0", "0")


def add_heatmaps(sheet: Sheet, images, heatmaps, titles=None, names=None):
    """Add each of the images (n, h, w, 3), and for each head its heatmap and the overlay of both.

    Heatmaps are {head: Heatmaps}; several heads of classes share one color scale in logits, so that
    they can be compared; a single one, or numbers, go up to their own peaks. Titles are n strings,
    names {head: names of its classes or numbers}; None counts them.
    """
    several = len(heatmaps) > 1
    most = max(float(np.max(maps.peak, initial=0)) for maps in heatmaps.values())
    units = {OTHER_UNITS.get(maps.method, UNITS[maps.outputs]) for maps in heatmaps.values()}
    shared = several and most > 0 and units == {"logits"}
    layers = ", ".join(dict.fromkeys(maps.layer for maps in heatmaps.values()))
    sheet.heading(f"{METHOD_NAMES[next(iter(heatmaps.values())).method]} at {layers}")
    if shared:
        label = "logits that speak for the class, one scale for all maps; overlays: up to own peak"
    else:
        label = "share of the map's own peak, which is written over it in "
        label += " or ".join(sorted(units))
    sheet.color_bar(label, 0, most if shared else 1, HEAT)
    for start in range(0, len(heatmaps), IN_A_ROW):
        part = list(heatmaps.values())[start : start + IN_A_ROW]
        tiles = _heat_tiles(images, part, titles, names, most if shared else None, several)
        columns = 9 if not several and len(images) > 2 else 1 + 2 * len(part)
        sheet.tiles(tiles, columns=columns, side=None if columns > 5 else 1.2)
    for maps in heatmaps.values():
        for note in dict.fromkeys(maps.note):
            if note and not note.startswith("empty"):
                sheet.text(f"{maps.head}: {note}.")


def _heat_tiles(images, heads, titles, names, most, several):
    """Return the tiles of a row for each image; `most` is the end of a scale that all share."""
    tiles = []
    for index, image in enumerate(images):
        colors = as_colors(image)
        tiles.append(Tile(colors, titles[index] if titles else ""))
        for maps in heads:
            scale = maps.peak[index] / most if most else 1
            label = (f"{maps.head}: " if several else "") + answer(maps, index, names)
            label += f"\npeak {maps.peak[index]:.3g}"
            heat, note = maps.maps[index], maps.note[index]
            if note.startswith("empty"):
                tiles += [Tile(EMPTY, label, note), Tile(colors)]
                continue
            tiles.append(Tile(through_colormap(heat * scale, 0, 1, HEAT), label))
            tiles.append(Tile(overlay(colors, heat)))
    return tiles


def answer(maps, index, names):
    """Say what a map of `Heatmaps` explains, as in `add_heatmaps`: a class, or a number."""
    target, is_number = maps.targets[index], maps.outputs == "numbers"
    name = f"{'output' if is_number else 'class'} {target}"
    if names and maps.head in names:
        name = names[maps.head][target]
    if is_number:
        return f"{name} = {maps.scores[index]:.4g}"
    share = f"{100 * maps.probabilities[index]:.1f} %"
    return f"{name} ({share} of the area)" if maps.of_area else f"{name} ({share})"


def overlay(image, heat):
    """Return a heatmap (h, w), 0..1, laid over an image turned gray: (h, w, 3), 0..1."""
    gray = np.repeat(image.max(axis=2, keepdims=True), 3, axis=2)
    opacity = 0.7 * heat[..., None]
    return (1 - opacity) * gray + opacity * through_colormap(heat, 0, 1, HEAT)
