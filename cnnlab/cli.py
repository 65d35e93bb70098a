"""The command line, `python -m cnnlab`: each subcommand is a function that adds its parser."""

import argparse
import sys
from pathlib import Path

from cnnlab import console, line_files, line_pictures, lines

FIGURE_SUFFIXES = (".png", ".pdf", ".svg")


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """Say what is wrong in one sentence; argparse would print the usage before it."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(arguments=None):
    """Run one subcommand; returns the exit code: 0, or 2 after one sentence on stderr."""
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
    return 0


def _sentence(error):
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the files could not be written'}: {error.strerror}"
    return " ".join(str(error).split())


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
        type=int,
        default=lines.PER_CLASS,
        help="images of each of the 96 classes (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", metavar="S", type=int, default=0, help="of the centres (default: %(default)s)"
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
        type=int,
        help="the class to explain; 0 or 1 for a single sigmoid unit (default: the answer)",
    )
    parser.add_argument(
        "--method",
        default="grad-cam",
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
        "--out", metavar="FILE", type=Path, required=True, help="the figure: .png, .pdf or .svg"
    )
    parser.set_defaults(run=_run_explain, parser=parser)


def _run_explain(options):
    if options.out.suffix.lower() not in FIGURE_SUFFIXES:
        options.parser.error(f"{options.out} must end in {', '.join(FIGURE_SUFFIXES)}")
    if not (options.image or options.layer):
        options.parser.error("nothing to explain: give --image FILE, --layer NAME or both")
    _say("starting TensorFlow")
    from cnnlab import runtime

    runtime.start(seed=0)
    from cnnlab import interpret
    from cnnlab.interpret import examples, loading

    _say(f"loading {options.model}")
    model = loading.load(options.model)
    found = interpret.explain(
        model,
        options.image,
        options.layer,
        options.head,
        options.target,
        method=options.method,
        real_images=examples.images_for(options.model) if options.image is None else None,
        value_range=options.range,
        names=examples.class_names(options.model, model),
        progress=_say,
    )
    interpret.save(found.figure, options.out)
    print(f"{options.out}: {found.summary}")


def _say(step):
    print(f"{step} ...", file=sys.stderr, flush=True)
