"""What every classifier of the notebooks needs: to be served a part of a dataset, and asked."""

import keras

from cnnlab import metrics
from cnnlab.training import batches as image_batches


def served(part, classes, batch_size=128, shuffle_seed=None):
    """Serve a `splits.Part` with one-hot targets (n, classes) to `fit`; None if it is empty.

    With a `shuffle_seed` all images are shuffled before each epoch; see `batches`.
    """
    if len(part.labels) == 0:
        return None
    targets = keras.utils.to_categorical(part.labels, classes)
    return image_batches.batches(part.images, targets, batch_size, shuffle_seed)


def predict(network, images):
    """Return the predicted class of each image (n, height, width, channels): (n,) int64."""
    return image_batches.predict(network, images).argmax(axis=-1)


def evaluate(network, part, classes):
    """Test a network on a `splits.Part`: its predictions (n,), and a report.

    The report is that of `metrics.class_report`, with "n", "errors", and "interval_95", Wilson's of
    the accuracy.
    """
    predicted = predict(network, part.images)
    report = metrics.class_report(part.labels, predicted, classes)
    correct, n = int((predicted == part.labels).sum()), len(predicted)
    interval = metrics.wilson_interval(correct, n)
    return predicted, report | {"n": n, "errors": n - correct, "interval_95": interval}
