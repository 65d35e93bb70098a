"""Draw overview.png, the README's picture, from the committed models: python -m tools.overview"""

import numpy as np

from cnnlab import runtime

runtime.start(seed=0)

from cnnlab import (  # noqa: E402
    lines,
    mnist,
    pretrained,
    splits,
)
from cnnlab.interpret import grad_cam, load, maximize_filters  # noqa: E402
from cnnlab.interpret.figures.pictures import overlay  # noqa: E402
from cnnlab.interpret.figures.sheet import Sheet, Tile, as_colors  # noqa: E402
from cnnlab.interpret.model.network import inspect_model  # noqa: E402
from cnnlab.saving import save_small  # noqa: E402

COLUMNS = 10
DIGITS = 1000  # among which the mistakes are looked for


def draw(root):
    """Write overview.png; returns its path. The images are ones that no network was trained on."""
    sheet = Sheet()
    sheet.heading("One network, four questions, and where in the image each answer comes from")
    sheet.tiles(line_tiles(), columns=COLUMNS)
    sheet.heading(
        "Digits never seen before, and what spoke for the answer; the last two are mistakes"
    )
    sheet.tiles(digit_tiles(), columns=COLUMNS)
    sheet.heading(
        "What filters look for: three of the first layer, three of the middle, four of the last"
    )
    sheet.tiles(filter_tiles(), columns=COLUMNS)
    return save_small(sheet.figure(), root / "overview.png")


def line_tiles(count=2):
    """Return tiles of lines, each followed by its overlay for each of the four heads."""
    model = load("task2")
    drawn = lines.generate(per_class=1, seed=pretrained.SEED)
    chosen = np.random.default_rng(0).permutation(lines.CLASSES)[:count]
    images = drawn.images[chosen]
    found = {head: grad_cam(model, images, head) for head in lines.HEADS}
    names = pretrained.class_names("task2", list(inspect_model(model).heads))
    tiles = []
    for index, image in enumerate(images / 255):
        tiles.append(Tile(image, "line"))
        for head, maps in found.items():
            answer = f"{head}:\n{names[head][maps.targets[index]]}"
            tiles.append(Tile(overlay(image, maps.maps[index]), answer))
    return tiles


def digit_tiles(right=3, wrong=2):
    """Return tiles of digits, each followed by its overlay: first ones, and first mistakes."""
    model = load("task1-mnist")
    images, classes = unseen_digits()
    answers = model.predict(images, batch_size=500, verbose=0).argmax(axis=1)
    is_right = answers == classes
    chosen = np.concatenate([np.flatnonzero(is_right)[:right], np.flatnonzero(~is_right)[:wrong]])
    third = rectifiers(model)[2]
    found = grad_cam(model, images[chosen], layer=third, method="layercam")
    tiles = []
    for digit, heat in zip(chosen, found.maps, strict=True):
        image = as_colors(images[digit] / 255)
        tiles += [
            Tile(image, f"true {classes[digit]}"),
            Tile(overlay(image, heat), f"read as {answers[digit]}"),
        ]
    return tiles


def filter_tiles(counts=(3, 3, 4)):
    """Return tiles of filters that look for a pattern, of first, middle and last convolution."""
    model = load("task1-mnist")
    layers = inspect_model(model).convolutions()
    tiles = []
    for layer, count in zip((layers[0], layers[len(layers) // 2], layers[-1]), counts, strict=True):
        found = maximize_filters(model, layer)
        clear = [index for index, note in enumerate(found.note) if not note][:count]
        tiles += [Tile(as_colors(found.images[index]), f"filter {index}") for index in clear]
    return tiles


def unseen_digits():
    """Return (n, 28, 28) uint8 digits of Task 1's test part and their (n,) classes."""
    images, classes = mnist.pool()
    test = np.random.default_rng(0).permutation(splits.held_out(classes).test)[:DIGITS]
    return images[test], classes[test]


def rectifiers(model):
    """Return the names of a model's rectifiers of feature maps, from first to last."""
    calls = inspect_model(model).layers.values()
    return [c.name for c in calls if type(c.operation).__name__ == "ReLU" and len(c.shape) == 3]


if __name__ == "__main__":
    print(draw(runtime.repository_root()).name)
