"""What the heads of a model say of images, also those that have no heatmap."""

from typing import NamedTuple

import numpy as np

from cnnlab.interpret.model import scores
from cnnlab.interpret.model.batches import in_batches
from cnnlab.interpret.model.heads import find_head
from cnnlab.interpret.model.memory import images_that_fit
from cnnlab.interpret.model.network import as_batch, inspect_model

BATCH = 256  # images in one call of the compiled function: bounds the memory


class Answers(NamedTuple):
    """What a head says of n images."""

    head: str
    outputs: str  # what it gives: "probabilities", "logits" or "numbers"
    values: np.ndarray  # (n, classes) float32, the probabilities of all classes; all numbers
    of_area: bool = False  # whether they are shares of the area of a map

    def top(self, index: int, names=None, most: int = 5, also=None) -> list[tuple[str, float]]:
        """Return the (name, value) of the most likely classes of an image, or the first numbers.

        Names are those of the classes or numbers; left out, they are counted. The one numbered
        `also` is among them.
        """
        values, is_number = self.values[index], self.outputs == "numbers"
        order = np.arange(len(values)) if is_number else np.argsort(-values, kind="stable")
        what = "output" if is_number else "class"
        names = names or [f"{what} {number}" for number in range(len(values))]
        shown = order[:most]
        if also is not None and also not in shown:
            shown[-1] = also
        return [(names[number], float(values[number])) for number in shown]


def answers(model, images, head=None, outputs=None) -> Answers:
    """Return what a head says of images; head and `outputs` are as in `grad_cam`.

    Raises:
        ValueError: an unknown head, or `outputs` that it does not give.
    """
    view = inspect_model(model, images)
    images = as_batch(view, images)
    head = find_head(view, head, outputs)
    compute = view.function(("answers", *head.key), lambda: _compile(view, head))
    count = images_that_fit(view, images.shape[1:3], BATCH, [head.value])
    values = in_batches(view.graph, compute, count, images)
    return Answers(head.name, head.outputs, values, head.is_map)


def _compile(view, head):
    @view.traced(view.signature())
    def compute(images):
        outputs, _ = scores.answers(view.graph, head, images)
        return scores.of_all(head, outputs)

    return compute
