"""Draw overview.png, the README's picture, from the committed models.

python -m tools.overview
"""

import numpy as np

from cnnlab import runtime

runtime.start(seed=0)

from cnnlab import lines, mnist, pretrained, splits  # noqa: E402
from cnnlab.interpret import grad_cam, load, maximize_filters  # noqa: E402
from cnnlab.interpret.figures.pictures import overlay  # noqa: E402
from cnnlab.interpret.figures.sheet import Sheet, Tile, as_colors  # noqa: E402
from cnnlab.interpret.model.network import inspect_model  # noqa: E402
from cnnlab.saving import save_figure  # noqa: E402


def draw(root):
    """Write overview.png; returns its path. The images are ones that no network was trained on."""
    sheet = Sheet()
    for tiles in (line_tiles, digit_tiles, filter_tiles):
        sheet.heading(tiles.__doc__)
        sheet.tiles(tiles(), columns=10)
    return save_figure(sheet.figure(), root / "overview.png", small=True)


def line_tiles(count=2):
    """One network, four questions, and where in the image each prediction comes from"""
    model = load("task2")
    drawn = lines.generate(per_class=1, seed=pretrained.SEED)
    images = drawn.images[np.random.default_rng(0).permutation(lines.CLASSES)[:count]]
    heatmaps = {head: grad_cam(model, images, head) for head in lines.HEADS}
    names = pretrained.class_names("task2", lines.HEADS)
    tiles = []
    for index, image in enumerate(images / 255):
        tiles.append(Tile(image, "line"))
        for head, maps in heatmaps.items():
            predicted = f"{head}:\n{names[head][maps.targets[index]]}"
            tiles.append(Tile(overlay(image, maps.maps[index]), predicted))
    return tiles


def digit_tiles(right=3, wrong=2):
    """Digits never seen before, and what spoke for the prediction; the last two are mistakes"""
    model = load("task1-mnist")
    pool, classes = mnist.pool()
    test = np.random.default_rng(0).permutation(splits.held_out(classes).test)[:1000]
    images, labels = pool[test], classes[test]
    predictions = model.predict(images, batch_size=500, verbose=0).argmax(axis=1)
    is_right = predictions == labels
    chosen = np.concatenate([np.flatnonzero(is_right)[:right], np.flatnonzero(~is_right)[:wrong]])
    rectifiers = [
        call.name
        for call in inspect_model(model).layers.values()
        if type(call.operation).__name__ == "ReLU" and len(call.shape) == 3  # of feature maps
    ]
    heatmaps = grad_cam(model, images[chosen], layer=rectifiers[2], method="layercam")
    tiles = []
    for digit, heat in zip(chosen, heatmaps.maps, strict=True):
        image = as_colors(images[digit] / 255)
        tiles.append(Tile(image, f"true {labels[digit]}"))
        tiles.append(Tile(overlay(image, heat), f"read as {predictions[digit]}"))
    return tiles


def filter_tiles(counts=(3, 3, 4)):
    """What filters look for: three of the first layer, three of the middle, four of the last"""
    model = load("task1-mnist")
    layers = inspect_model(model).convolutions()
    chosen, tiles = (layers[0], layers[len(layers) // 2], layers[-1]), []
    for layer, count in zip(chosen, counts, strict=True):
        filters = maximize_filters(model, layer)
        clear = [index for index, note in enumerate(filters.note) if not note][:count]
        tiles += [Tile(as_colors(filters.images[index]), f"filter {index}") for index in clear]
    return tiles


if __name__ == "__main__":
    print(draw(runtime.repository_root()).name)
