"""What all methods ask a model: the scores of images, and their gradients."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from cnnlab.interpret.model import scores
from cnnlab.interpret.model.batches import in_batches
from cnnlab.interpret.model.heads import Head
from cnnlab.interpret.model.memory import images_that_fit

BATCH = 64  # images in one call of the compiled function: bounds the memory


class Scorer(NamedTuple):
    """A head of a model, and the images that it takes."""

    view: object  # of the model
    head: Head
    layer: str | None  # for methods that work at one; None for its default
    black: np.ndarray | float  # what a pixel is that is not there, in the model's own numbers
    white: np.ndarray | float
    weights: tuple = ()  # [(variable, array)] used instead of the variables' own values

    def ask(self, images, targets, gradients=False) -> dict[str, np.ndarray]:
        """Return {"score": (n,), "answers": (n, classes)}, and maybe "gradients" like the images.

        Images are (n, height, width, channels), as many as needed; targets (n,) int32, or -1 for
        the predicted ones, which are returned as "targets".
        """
        variables, values = zip(*self.weights, strict=True) if self.weights else ((), ())
        key = ("ask", gradients, *self.head.key, *map(id, variables))
        compute = self.view.function(key, lambda: _compile(self, variables, gradients))
        value, size = [self.head.value], images.shape[1:3]
        count = images_that_fit(self.view, size, BATCH, value, [0] if gradients else ())
        given = images.astype(self.view.graph.dtype, copy=False), targets.astype(np.int32)
        return in_batches(self.view.graph, lambda *part: compute(*part, values), count, *given)

    def scores(self, images, targets) -> np.ndarray:
        """Return the (n,) scores of the targets."""
        return self.ask(images, targets)["score"]

    def gradients(self, images, targets) -> np.ndarray:
        """Return the gradients of the scores, (n, height, width, channels) as the images."""
        return self.ask(images, targets, gradients=True)["gradients"]

    def blank(self, images) -> np.ndarray:
        """Return black images (n, height, width, channels), as many as these."""
        return np.zeros_like(images) + np.asarray(self.black, images.dtype)


def _compile(scorer, variables, gradients):
    view, head = scorer.view, scorer.head
    values = tuple(tf.TensorSpec(variable.shape, variable.dtype) for variable in variables)

    @view.traced(view.signature(), tf.TensorSpec((None,), tf.int32), values)
    def compute(images, targets, values):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            weights = list(zip(variables, values, strict=True))
            outputs, of_all = scores.answers(view.graph, head, images, None, weights)
            targets = tf.where(targets < 0, scores.predicted(head, outputs), targets)
            score = scores.of_targets(head, of_all, targets)
        made = {"score": score, "answers": scores.of_all(head, outputs), "targets": targets}
        made["probabilities"] = scores.probabilities(head, outputs, targets)
        if gradients:
            made["gradients"] = tape.gradient(score, images, unconnected_gradients="zero")
        return made

    return compute
