"""Is what the network needs really at the hot places? Deletion and insertion of pixels.

The pixels are taken away from the hottest to the coldest, or put on an empty image in that order,
and the probability of the explained class is watched (Samek et al., 2017, "Evaluating the
visualization of what a deep neural network has learned"; Petsiuk et al., 2018, "RISE", for the
areas under the curves). Random pixels, the usual control, spoil every stroke at once, where a map
takes away whole patches. The displaced map has the same patches, only elsewhere: its cells are
mirrored and shifted around before they are enlarged. Heads are compared by the gain alone, and
curves class by class, since the class predicted for an empty image stays probable to the end of a
deletion: a mean over both of two classes ends at their share.
"""

from typing import NamedTuple

import numpy as np

from cnnlab.interpret.checks.masking import (
    DEFAULT_MASKING,
    displaced_maps,
    explained,
    measure,
    pixel_ranks,
)
from cnnlab.interpret.checks.statistics import heat_of, known_interval
from cnnlab.interpret.model.network import as_batch, as_list, inspect_model


class Curves(NamedTuple):
    """Deletion or insertion curves of n images; the rows of empty maps are NaN."""

    kind: str  # "deletion" or "insertion"
    fractions: np.ndarray  # (steps + 1,) float64, 0..1, the share of the pixels exchanged
    curves: np.ndarray  # (n, steps + 1) float64, 0..1, the probability of the explained class
    random: np.ndarray  # the same for the control, the mean of its repetitions; NaN if left out
    displaced: np.ndarray  # as `random`
    empty: int  # the number of images whose map is empty
    targets: np.ndarray  # (n,) int32, the classes explained
    head: str

    def of_target(self, target):
        """Return the curves of the images of which this class is explained."""
        chosen = self.targets == target
        columns = {name: getattr(self, name)[chosen] for name in ("curves", "random", "displaced")}
        empty = int(np.isnan(columns["curves"][:, 0]).sum())
        return self._replace(**columns, empty=empty, targets=self.targets[chosen])

    def areas(self, of="curves"):
        """Return (n,) float64, 0..1, the areas under the "curves", or of a control."""
        return np.trapezoid(getattr(self, of), self.fractions, axis=1)

    def gain(self, control="displaced"):
        """Return how much better, above 0, the maps are than a control: (mean, low, high)."""
        # For both kinds; the interval is Student's, 95 %, paired over the images, NaN for one.
        sign = -1 if self.kind == "deletion" else 1
        return known_interval(sign * (self.areas() - self.areas(control)))


def deletion(
    model, images, heatmaps, head=None, target=None, masking=DEFAULT_MASKING, outputs=None
) -> Curves:
    """Take pixels away, the hottest first, and watch the probability of the explained class.

    `heatmaps` are `Heatmaps` of these images, which know their head, target and outputs, or numbers
    (n, height, width) >= 0, which need a target, else as in `grad_cam`. Pixels of the same heat go
    in an order that is drawn once for all images. The smaller the areas of the `Curves` the better.
    ValueError for heat of another number or size, or negative, a head or target that is known, or
    a head that gives numbers.
    """
    return _curves("deletion", model, images, heatmaps, (head, target, outputs), masking)


def insertion(
    model, images, heatmaps, head=None, target=None, masking=DEFAULT_MASKING, outputs=None
) -> Curves:
    """Put pixels on an empty image, the hottest first: as `deletion`, but more area is better."""
    return _curves("insertion", model, images, heatmaps, (head, target, outputs), masking)


def _curves(kind, model, images, heatmaps, asked, masking):
    view = inspect_model(model, images)
    images = as_batch(view, images)
    heat, nonempty = heat_of(heatmaps)
    if heat.shape != images.shape[:3]:
        raise ValueError(f"heatmaps have the shape {heat.shape}; {images.shape[:3]} is needed")
    head, targets = explained(view, images, heatmaps, *asked)
    pair = (images, np.full_like(images, masking.blank))
    pair = [part[nonempty] for part in (pair if kind == "deletion" else pair[::-1])]
    pixels, repeats = heat[0].size, masking.repeats
    counts = np.rint(np.linspace(0, pixels, masking.steps + 1)).astype(np.int32)
    generator = np.random.default_rng(masking.seed)
    ties, *orders = (generator.permutation(pixels).astype(np.int32) for _ in range(repeats + 1))
    shown, given = heat[nonempty], (counts, targets[nonempty])
    displaced = displaced_maps(view, heatmaps, heat, nonempty, repeats, generator)
    ranks = {
        "curves": [pixel_ranks(shown, ties)],
        "random": [np.broadcast_to(order.reshape(heat.shape[1:]), shown.shape) for order in orders],
        "displaced": (pixel_ranks(maps, ties) for maps in displaced),
    }
    probabilities = {name: np.full((len(heat), len(counts)), np.nan) for name in ranks}
    for name in ("curves", *as_list(masking.controls)):
        if nonempty.any():
            repeated = [measure(view, head, pair, part, *given) for part in ranks[name]]
            probabilities[name][nonempty] = np.mean(repeated, axis=0)
    facts = {"empty": int(np.sum(~nonempty)), "targets": targets, "head": head.name}
    return Curves(kind, counts / pixels, **probabilities, **facts)
