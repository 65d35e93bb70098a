"""The command line, `python -m cnnlab`: each subcommand is a function that adds its parser."""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from cnnlab import console, image_files, line_files, line_pictures, lines, model_files

FIGURE_SUFFIXES = (".png", ".pdf", ".svg")
METHODS = ("grad-cam", "grad-cam++", "layercam")  # here too, to be known without TensorFlow
STOPPED = 130  # the exit code of a program that Ctrl-C has ended


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """Say what is wrong in one sentence; argparse would print the usage before it."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(arguments=None):
    """Run one subcommand; returns the exit code.

    It is 0, 2 after one sentence on stderr that says what is wrong, or 130 after Ctrl-C.
    """
    parser = _Parser(
        prog="python -m cnnlab", description="The datasets and pictures of the three tasks."
    )
    subcommands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (add_lines, add_explain):
        add(subcommands)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
        console.flush()
    except (ValueError, OSError, MemoryError) as error:
        print(f"{options.parser.prog}: error: {_sentence(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return STOPPED
    return 0


def _sentence(error):
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the files could not be written'}: {error.strerror}"
    return " ".join(str(error).split()) or "there is not enough memory"


@contextlib.contextmanager
def _option(name):
    """Put the name of an option before what is wrong with its value."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise ValueError(f"{name}: {_sentence(error)}") from error


@contextlib.contextmanager
def _writing(path):
    """Say of an error of the system that it is --out that cannot be written."""
    try:
        yield
    except OSError as error:  # its own words would name a temporary file
        why = error.strerror or _sentence(error)
        raise ValueError(f"--out: {path} cannot be written: {why}") from error


def _whole_number(least):
    """Return a function that reads a whole number of at least `least`."""

    def read(text):
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or number < least:
            message = f"{text!r} is not allowed: it must be a whole number >= {least}"
            raise argparse.ArgumentTypeError(message)
        return number

    return read


def add_lines(subcommands):
    """Add `lines`, which writes the line dataset as files, a contact sheet or a film."""
    parser = subcommands.add_parser(
        "lines",
        help="write the line dataset as images, as .npz, as a contact sheet or as a film",
        description="Write the line dataset: 96 classes of straight lines, 28 x 28 pixels, RGB.",
        epilog="Images are named length_width_angle_color_number, each part counted from 0: "
        "1_1_9_0_3.png is long, thick, 135°, red, number 3. The same seed gives the same images, "
        "and fewer images per class are the first ones of many.",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help="write the dataset here; the folder must be new or empty, so that nothing is "
        "overwritten and no two datasets mix",
    )
    parser.add_argument(
        "--format",
        choices=line_files.FORMATS,
        default="png",
        help="of --out: png keeps every pixel, jpg is lossy (quality 95), npz is one file, "
        "DIR/lines.npz (default: png)",
    )
    parser.add_argument(
        "--per-class",
        metavar="N",
        type=_whole_number(1),
        default=lines.PER_CLASS,
        help="images of each of the 96 classes (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        metavar="S",
        type=_whole_number(0),
        default=0,
        help="of the centres (default: %(default)s)",
    )
    parser.add_argument(
        "--sheet", metavar="FILE", type=Path, help="draw one image of each class: .png or .pdf"
    )
    parser.add_argument(
        "--video",
        metavar="FILE",
        type=Path,
        help="film all classes, .mp4 or .avi: 3 x 3 images a frame, 2 frames a second, "
        "up to 90 images a class",
    )
    parser.set_defaults(run=_run_lines, parser=parser)


def _run_lines(options):
    if not (options.out or options.sheet or options.video):
        options.parser.error("nothing to do: give --out DIR, --sheet FILE or --video FILE")
    for path, suffixes in (
        (options.sheet, line_pictures.SHEET_SUFFIXES),
        (options.video, line_pictures.FILM_CODECS),
    ):
        if path and path.suffix not in suffixes:
            options.parser.error(f"{path} must end in {' or '.join(suffixes)}")
    dataset = lines.generate(options.per_class, options.seed)
    if options.out:
        recipe = lines.recipe(options.per_class, options.seed)
        line_files.write_folder(options.out, dataset, options.format, recipe)
        print(f"{options.out}: {len(dataset.images):,} images as {options.format}")
    if options.sheet:
        line_pictures.draw_sheet(options.sheet, dataset)
        print(f"{options.sheet}: one image of each of the {lines.CLASSES} classes")
    if options.video:
        line_pictures.write_film(options.video, dataset)
        print(f"{options.video}: a film of all classes")


def add_explain(subcommands):
    """Add `explain`, which draws what a model sees in an image, or what a layer looks for."""
    parser = subcommands.add_parser(
        "explain",
        help="look inside a Keras model: activations, heatmaps, filters",
        description="An image alone: the activations of every layer, and a heatmap for each head. "
        "A layer alone: its filters. Both: that image's activations and heatmaps at that layer.",
        epilog="The models of this repository have short names: task1-part1-mnist, "
        "task1-part1-lines, task1-mnist, task1-lines, task2, task2-plain.",
    )
    parser.add_argument(
        "--model",
        metavar="FILE",
        required=True,
        help="a .keras or .h5 file, or a short name; nothing in it is executed but its layers",
    )
    parser.add_argument(
        "--image",
        metavar="FILE",
        type=Path,
        help="any image; its size and colors are converted, and it is said how",
    )
    parser.add_argument("--layer", metavar="NAME", help="a wrong name lists the right ones")
    parser.add_argument("--head", metavar="NAME", help="explain this output (default: each)")
    parser.add_argument(
        "--target",
        metavar="N",
        type=_whole_number(0),
        help="the class to explain; 0 or 1 for a single sigmoid unit (default: the answer)",
    )
    parser.add_argument(
        "--method",
        choices=METHODS,
        default=METHODS[0],
        metavar="NAME",
        help="of the heatmaps: grad-cam, grad-cam++ or layercam (default: %(default)s)",
    )
    parser.add_argument(
        "--range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="black and white in the model's input (default: read from its first layers)",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        required=True,
        help="the figure, in a folder that is there: .png, .pdf or .svg",
    )
    parser.set_defaults(run=_run_explain, parser=parser)


def _run_explain(options):
    image, value_range = _checked_before_tensorflow(options)
    _say("starting TensorFlow")
    from cnnlab import runtime

    runtime.start(seed=0)
    from cnnlab import interpret
    from cnnlab.interpret import examples, loading
    from cnnlab.interpret.network import network_of

    _say(f"loading {options.model}")
    with _option("--model"):
        model = loading.load(options.model)
        network = network_of(model)
    _check_names(network, options)
    with _computing(options.model):
        found = interpret.explain(
            model,
            image,
            options.layer,
            options.head,
            options.target,
            method=options.method,
            real_images=examples.images_for(options.model) if image is None else None,
            value_range=value_range,
            names=examples.class_names(options.model, model),
            progress=_say,
        )
    with _writing(options.out):
        interpret.save(found.figure, options.out)
    print(f"{options.out}: {found.summary}")


@contextlib.contextmanager
def _computing(model):
    """Say in a sentence what TensorFlow cannot compute: a layer that takes no such numbers, say."""
    import tensorflow as tf

    try:
        yield
    except (TypeError, tf.errors.OpError) as error:
        reason = getattr(error, "message", str(error)).strip().splitlines()[0]
        raise ValueError(f"{model} cannot be computed: {reason}") from error


def _checked_before_tensorflow(options):
    """Return the image and the range, or None for what is left out; starting takes seconds."""
    if options.out.suffix.lower() not in FIGURE_SUFFIXES:
        options.parser.error(f"--out: {options.out} must end in {', '.join(FIGURE_SUFFIXES)}")
    if options.image is None and options.layer is None:
        options.parser.error("nothing to explain: give --image FILE, --layer NAME or both")
    if options.image is None and not (options.head is None and options.target is None):
        options.parser.error("--head and --target explain an image: give --image FILE, too")
    _check_out(options.out)
    with _option("--model"):
        model_files.find(options.model)
    value_range = options.range and image_files.checked_range(options.range, "--range")
    with _option("--image"):
        return options.image and image_files.read(options.image), value_range


def _check_out(path):
    """Raise ValueError if a file cannot be written there, by writing another one beside it."""
    if not path.parent.is_dir():
        raise ValueError(f"--out: there is no folder {path.parent}")
    if path.is_dir():
        raise ValueError(f"--out: {path} is a folder")
    # A long prefix, since the file is written under a longer name than its own, too.
    trial = {"dir": path.parent, "prefix": ".cnnlab-trying-", "suffix": path.name}
    with _writing(path), tempfile.NamedTemporaryFile(**trial):
        pass


def _check_names(network, options):
    """Raise ValueError if the model has no such layer, head or class."""
    from cnnlab.interpret import scores

    if options.layer is not None:
        with _option("--layer"):
            network.layer(options.layer)
    if options.head is None and options.target is None:
        return
    if options.head is None and len(network.heads) > 1:
        heads = ", ".join(network.heads)
        raise ValueError(f"--target belongs to one head: say with --head which of {heads}")
    with _option("--head"):
        head = scores.find_head(network.heads, options.head)
    with _option("--target"):
        scores.check_targets(head, options.target, 1)
    if options.head is not None and options.layer is not None:
        with _option("--layer"):
            network.feature_map(options.layer, head)


def _say(step):
    print(f"{step} ...", file=sys.stderr, flush=True)
