"""How fast each head of a network learns: validation accuracies many times an epoch."""

import keras

from cnnlab import lines, metrics
from cnnlab.training import heads


class HeadWatch(keras.callbacks.Callback):
    """Notes the accuracy of each head on some lines, after so many steps of each epoch.

    Attributes:
        epochs: of the checks, with fractions.
        accuracies: {head: list of 0..1, one for each check}.
    """

    def __init__(self, part, steps_between):
        super().__init__()
        self.part, self.steps_between = part, steps_between

    def on_train_begin(self, logs=None):
        """Forget an earlier training."""
        self.epoch, self.epochs, self.accuracies = 0, [], {}

    def on_epoch_begin(self, epoch, logs=None):
        """Note the epoch."""
        self.epoch, self.checks = epoch, 0

    def on_train_batch_end(self, batch, logs=None):
        """Look at the accuracies, if it is time."""
        # Keras calls after every ten steps, and counts ten even where the epoch ends before.
        step = min(batch + 1, self.params["steps"])
        if step // self.steps_between > self.checks:
            self.checks = step // self.steps_between
            self.epochs.append(self.epoch + step / self.params["steps"])
            predicted = heads.to_labels(heads.probabilities(self.model, self.part.images))
            for name, labels in predicted.items():
                true = self.part.labels[:, lines.HEADS.index(name)]
                self.accuracies.setdefault(name, []).append(metrics.accuracy(true, labels))

    def first_passed(self, threshold=0.99):
        """Return {head: epoch at which it first was right that often, None if it never was}."""
        return {
            name: next(
                (e for e, a in zip(self.epochs, of_head, strict=True) if a >= threshold), None
            )
            for name, of_head in self.accuracies.items()
        }
