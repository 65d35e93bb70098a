"""What the notebooks share: tables, lines while training, times, and where results go.

Importing this module does not import TensorFlow.
"""

import contextlib
import filecmp
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from cnnlab.runtime import in_smoke, repository_root
from cnnlab.saving import save_figure, save_json, save_model

RUN = "run"  # the folder of the results, below the root; git ignores it
OF_RUN = "CNNLAB_MODELS_OF_RUN"  # tasks whose models are those of the run: "Task-1 Task-2"


class Outputs:
    """Where a task's results go: `figures/`, `models/` and JSON files below its `folder`."""

    def __init__(self, folder: Path, keeper: tempfile.TemporaryDirectory | None = None) -> None:
        self.folder = folder
        self._keeper = keeper  # removes a temporary folder when this object goes away

    def figure(self, figure, name: str) -> None:
        """Save a Matplotlib figure as a small `figures/NAME.png`; a notebook shows that file."""
        path = self.folder / "figures" / f"{name}.png"
        show_saved(figure, save_figure(figure, path, small=True))

    def chart(self, figure, name: str) -> None:
        """Save and show a figure of curves and text, and save it as SVG, too, for the report."""
        save_figure(figure, self.folder / "figures" / f"{name}.svg")
        self.figure(figure, name)

    def model(self, model, name: str, class_names=None) -> None:
        """Save the network of a Keras model as `models/NAME.keras`; see `save_model`."""
        save_model(model, self.folder / "models" / f"{name}.keras", class_names)

    def json(self, data, name: str = "results.json") -> None:
        """Save `data` as JSON; see `save_json`."""
        save_json(data, self.folder / name)


def outputs(task: str) -> Outputs:
    """Return where the results of `task` (say, "Task-1") go: `run/Task-1` in the repository.

    The committed results stay as they are; `make notebooks` replaces them by those of its run. A
    smoke run writes into a temporary folder that goes away with the process. So do results of a
    checkout that cannot be written, except that their folder stays and its name is printed.
    """
    if in_smoke():
        keeper = tempfile.TemporaryDirectory(prefix=f"cnnlab-{task}-")
        return Outputs(Path(keeper.name), keeper)
    folder = repository_root() / RUN / task
    if can_be_made(folder):
        return Outputs(folder)
    elsewhere = Path(tempfile.mkdtemp(prefix=f"cnnlab-{task}-"))
    print(f"This copy of the repository cannot be written: the results go to {elsewhere}.")
    return Outputs(elsewhere)


def can_be_made(folder: Path) -> bool:
    """Say whether files can be written into a folder, which may not be there yet."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    return os.access(nearest, os.W_OK | os.X_OK)


def model_files(committed: Iterable[Path]) -> list[Path]:
    """Return the files of models that other notebooks have trained, and print their folders.

    These are the `committed` paths. Only where CNNLAB_MODELS_OF_RUN names their task are they those
    in `run/`; `make run` sets it to the tasks that it has just executed, so nothing that an earlier
    run has left is opened. A model of the run with the same bytes as the committed one counts as
    that: on one machine, `make run` prints what `make notebooks` prints.
    """
    root, tasks = repository_root(), os.environ.get(OF_RUN, "").split()
    files = []
    for file in committed:
        name = file.relative_to(root)
        made = root / RUN / name if name.parts[0] in tasks else file
        is_same = file.is_file() and made.is_file() and filecmp.cmp(made, file, shallow=False)
        files.append(file if is_same else made)
    folders = dict.fromkeys(file.parent.relative_to(root).as_posix() for file in files)
    print("models:", ", ".join(folders))
    return files


def show_saved(figure, path) -> None:
    """Show the PNG that a figure was saved as, in the figure's own size, if this is a notebook."""
    import matplotlib.pyplot as plt
    import PIL.Image
    from IPython import get_ipython
    from IPython.display import Image, display

    plt.close(figure)  # Jupyter would draw it a second time at the end of the cell
    if get_ipython() is None:
        return
    with PIL.Image.open(path) as picture:
        inches = picture.width / picture.info["dpi"][0]
    display(Image(path, width=round(inches * figure.dpi)))


def table(rows):
    """Return a table for Jupyter of one or more dicts, or ValueError if their keys differ."""
    from IPython.display import Markdown

    if not rows or any(list(row) != list(rows[0]) for row in rows):
        raise ValueError("a table needs at least one row, and all rows the same keys")
    cells = [rows[0], ["---"] * len(rows[0]), *(row.values() for row in rows)]
    lines = [[str(cell).replace("|", "\\|") for cell in line] for line in cells]
    return Markdown("\n".join(f"| {' | '.join(line)} |" for line in lines))


def percent(share, decimals=2):
    """Write a share 0..1 as percent: 0.9971 -> '99.71 %'."""
    return f"{100 * share:.{decimals}f} %"


def percent_range(low, high, decimals=2):
    """Write an interval of shares as percent: '99.60–99.80 %'."""
    return f"{100 * low:.{decimals}f}–{100 * high:.{decimals}f} %"


def scores(reports):
    """Return a table of what reports of `classifier.evaluate`, {name: report}, say of a test."""
    return table(
        [
            {
                "network": name,
                "test images": f"{report['n']:,}",
                "errors": report["errors"],
                "accuracy": percent(report["accuracy"], 3),
                "95 % interval": percent_range(*report["interval_95"], 3),
            }
            | {
                f"macro {score.replace('f_score', 'F-score')}": percent(value, 3)
                for score, value in report["macro"].items()
            }
            for name, report in reports.items()
        ]
    )


def epoch_lines(names: tuple[str, ...] | None = None, halves: bool = False):
    """Return a Keras callback that prints one line for an epoch, to be used with `verbose=0`.

    It prints the named numbers, or all; no times, so that two runs of a notebook print the same:
    `epoch  3/12  loss 0.0312  accuracy 0.9904  val_loss 0.0290  val_accuracy 0.9911`. Where epochs
    take long, `halves` also prints a line in the middle of each.
    """
    import keras

    def training_and_loss_first(name):
        return name.startswith("val_"), name.removeprefix("val_") != "loss", name

    class EpochLines(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.begun = epoch
            self.is_half = not halves

        def on_train_batch_end(self, batch, logs=None):
            if not self.is_half and batch + 1 >= self.params["steps"] / 2:
                self.is_half = True
                self.say(f"{self.begun}½", logs)

        def on_epoch_end(self, epoch, logs=None):
            self.say(epoch + 1, logs)

        def say(self, epoch, logs):
            total = str(self.params["epochs"])
            shown = names or sorted(logs, key=training_and_loss_first)
            numbers = [f"{name} {logs[name]:.4f}" for name in shown if name in logs]
            print("  ".join([f"epoch {epoch:>{len(total) + halves}}/{total}", *numbers]))

    return EpochLines()


class Claims:
    """Collects statements about the outputs of a run, and whether they hold in it."""

    def __init__(self) -> None:
        self.holds: dict[str, bool] = {}

    def __call__(self, statement: str, holds) -> None:
        """Note whether a statement holds in this run, and print it."""
        self.holds[statement] = bool(holds)
        print(f"{'holds' if holds else 'DOES NOT HOLD'}: {statement}")

    def table(self):
        """Return all statements as a table."""
        rows = [
            {"statement": statement, "in this run": "holds" if holds else "**does not hold**"}
            for statement, holds in self.holds.items()
        ]
        return table(rows)


class Stopwatch:
    """Collect seconds by name, {"final network": 41.3}, for the table at the end of a notebook."""

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
