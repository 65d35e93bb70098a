"""Is what the network needs really at the hot places? Deletion and insertion of pixels.

The pixels are taken away from the hottest to the coldest, or put on an empty image in that order,
and the probability of the explained class is watched (Samek et al., 2017, "Evaluating the
visualization of what a deep neural network has learned"; Petsiuk et al., 2018, "RISE", for the
areas under the curves). A good map makes it fall early, or rise early.

Two controls say what is early. Random pixels are the usual one, but another kind of order: a few of
them, scattered over the image, spoil every stroke at once, where a heatmap takes away whole
patches. So there is also the moved map: the same heatmap in the wrong place, its cells mirrored and
shifted around before they are enlarged. It has the same patches, and only their place is random.

The area also depends on what the network makes of an empty image: the answer that it gives there
stays probable to the end of a deletion, so heads and classes are compared by the gain alone.
"""

from typing import NamedTuple

import numpy as np

from cnnlab.interpret.checks.masking import as_blank, explained, measure, moved_maps, pixel_ranks
from cnnlab.interpret.checks.statistics import heat_of, known_interval
from cnnlab.interpret.model.network import as_batch, as_list, inspect_model
from cnnlab.validation import require_whole

CONTROLS = ("random", "moved")


class Curves(NamedTuple):
    """Deletion or insertion curves of n images; the rows of empty maps are NaN.

    Attributes:
        kind: "deletion" or "insertion".
        fractions: (steps + 1,) float64, 0..1, the share of the pixels deleted or inserted.
        curves: (n, steps + 1) float64, 0..1, the probability of the explained class.
        random, moved: the same for the controls, the mean of their repetitions; NaN if left out.
        empty: the number of images whose map is empty.
        targets: (n,) int32, the classes explained.
        head: the name of the head.
    """

    kind: str
    fractions: np.ndarray
    curves: np.ndarray
    random: np.ndarray
    moved: np.ndarray
    empty: int
    targets: np.ndarray
    head: str

    def areas(self, of="curves"):
        """Return (n,) float64, 0..1, the areas under the "curves", or of a control."""
        return np.trapezoid(getattr(self, of), self.fractions, axis=1)

    def gain(self, control="moved"):
        """Return how much better the maps are than a control: (mean, low, high) of the areas.

        Above 0 the maps are better, for both kinds. The interval is that of Student's t with 95 %
        over the images, paired; its bounds are NaN for a single image.
        """
        sign = -1 if self.kind == "deletion" else 1
        return known_interval(sign * (self.areas() - self.areas(control)))


def deletion(
    model,
    images,
    heatmaps,
    head=None,
    target=None,
    *,
    steps=20,
    blank=0,
    repeats=3,
    seed=0,
    controls=CONTROLS,
) -> Curves:
    """Take pixels away, the hottest first, and watch the probability of the explained class.

    Args:
        model: a Keras model; see `inspect_model`. It stays as it was.
        images: what the model's own input needs, one or many.
        heatmaps: `Heatmaps` of these images, or numbers (n, height, width) >= 0. Pixels of the same
            heat go in an order that is drawn once for all images.
        head, target: as in `grad_cam`, for an array; `Heatmaps` know their own.
        steps: parts into which the pixels are divided.
        blank: what stands for a missing pixel, a number or an image; 0 is the ground of MNIST
            and of the lines. Where a pixel is blank anyway, nothing changes.
        repeats: random orders, and moved maps for the controls. They are the same for all images,
            so the intervals speak of other images, not of other orders.
        seed: of these draws.
        controls: which of CONTROLS to compute.

    Returns:
        `Curves`; the smaller their areas the better.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: heatmaps of another number or size, or negative; a head or target besides
            `Heatmaps`; steps or repeats that are no whole number >= 1, a seed that is none >= 0; an
            unknown control; a blank that does not fit; and as `grad_cam`.
    """
    shared = (head, target, steps, blank, repeats, seed, controls)
    return _curves("deletion", model, images, heatmaps, *shared)


def insertion(
    model,
    images,
    heatmaps,
    head=None,
    target=None,
    *,
    steps=20,
    blank=0,
    repeats=3,
    seed=0,
    controls=CONTROLS,
) -> Curves:
    """Put pixels on an empty image, the hottest first, and watch the probability of the class.

    Everything is as in `deletion`, except that larger areas are better.
    """
    shared = (head, target, steps, blank, repeats, seed, controls)
    return _curves("insertion", model, images, heatmaps, *shared)


def _curves(kind, model, images, heatmaps, head, target, steps, blank, repeats, seed, controls):
    for name, value, least in (("steps", steps, 1), ("repeats", repeats, 1), ("seed", seed, 0)):
        require_whole(name, value, least)
    controls = as_list(controls)
    if unknown := [name for name in controls if name not in CONTROLS]:
        raise ValueError(f"no control {unknown[0]!r}; there are {', '.join(CONTROLS)}")
    network = inspect_model(model, images)
    images = as_batch(network, images)
    heat, there = heat_of(heatmaps)
    if heat.shape != images.shape[:3]:
        raise ValueError(f"heatmaps have the shape {heat.shape}; {images.shape[:3]} is needed")
    head, targets = explained(network, images, heatmaps, head, target)
    pair = (images, as_blank(blank, images))
    pair = [part[there] for part in (pair if kind == "deletion" else pair[::-1])]
    pixels = heat[0].size
    counts = np.rint(np.linspace(0, pixels, steps + 1)).astype(np.int32)
    generator = np.random.default_rng(seed)
    ties, *orders = (generator.permutation(pixels).astype(np.int32) for _ in range(repeats + 1))
    of_all, moved = heat[there], moved_maps(network, heatmaps, heat, there, repeats, generator)
    ranks = {
        "curves": [pixel_ranks(of_all, ties)],
        "random": [
            np.broadcast_to(order.reshape(heat.shape[1:]), of_all.shape) for order in orders
        ],
        "moved": (pixel_ranks(maps, ties) for maps in moved),
    }
    found = {name: np.full((len(heat), len(counts)), np.nan) for name in ranks}
    for name in ("curves", *controls):
        if there.any():
            repeated = [
                measure(network, head, pair, r, counts, targets[there]) for r in ranks[name]
            ]
            found[name][there] = np.mean(repeated, axis=0)
    return Curves(
        kind=kind,
        fractions=counts / pixels,
        **found,
        empty=int(np.sum(~there)),
        targets=targets,
        head=head.name,
    )
