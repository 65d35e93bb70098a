"""What a notebook shows while it trains: one line for an epoch, and how long each step took."""

import contextlib
import time
from collections.abc import Iterator


def epoch_lines(every: int = 1, names: tuple[str, ...] | None = None):
    """Return a Keras callback that prints one line for an epoch, to be used with `verbose=0`.

    It prints no times, so that two runs of a notebook print the same text:
    `epoch  3/12  loss 0.0312  accuracy 0.9904  val_loss 0.0290  val_accuracy 0.9911`

    Args:
        every: print each so many epochs, and the last one.
        names: the numbers to print, in this order; left out, every loss and metric.
    """
    import keras

    class EpochLines(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.last = self.line(epoch + 1, logs or {})
            if (epoch + 1) % every == 0:
                self.flush()

        def on_train_end(self, logs=None):
            self.flush()

        def flush(self):
            if self.last:
                print(self.last)
            self.last = None

        def line(self, epoch, logs):
            total = self.params["epochs"]
            shown = names or sorted(logs, key=_training_first)
            numbers = [f"{name} {logs[name]:.4f}" for name in shown if name in logs]
            return "  ".join([f"epoch {epoch:{len(str(total))}}/{total}", *numbers])

    return EpochLines()


def _training_first(name: str) -> tuple[bool, bool, str]:
    """Sort training before validation, and the loss before the metrics."""
    return name.startswith("val_"), name.removeprefix("val_") != "loss", name


class Stopwatch:
    """Collect seconds by name, for the one table of times at the end of a notebook.

    ```
    stopwatch = Stopwatch()
    with stopwatch.measure("final network, training"):
        model.fit(...)
    stopwatch.seconds  # {"final network, training": 41.3}
    ```
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to `name`, also when it fails."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - begin
            self.seconds[name] = round(self.seconds.get(name, 0.0) + elapsed, 1)
