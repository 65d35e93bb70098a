"""`cnnlab explain`: what a model sees in an image, or what a layer looks for."""

import argparse
import contextlib
import functools
import os
import re
import sys
from pathlib import Path

from cnnlab import drawings, image_files, preprocessing, pretrained, runtime
from cnnlab.command_line.options import check_writable, option, whole_number, writing
from cnnlab.preprocessing import OUTPUTS
from cnnlab.validation import HEATMAP_METHODS

OUT_SUFFIXES = (".png", ".pdf", ".svg", ".html")
IMAGE = "any image, and it is said how it is converted; or a folder of images: a table and a page"
TARGET = "the class, or number, to explain (default: the predicted class, the highest number)"
OUTPUT_KINDS = "what the head gives (default: numbers, unless it ends on a softmax or the like)"
METHOD = "of the heatmaps (default: %(default)s)"
PREPROCESS = (
    "black..white for the model, such as 0..1, or caffe, torch, or a module of keras.applications "
    "(default: read from its first layers)"
)
BGR = "the model takes blue first"
INVERT = "exchange black and white in the image"
AS_IS = "do not turn a drawing into a digit of MNIST for the models of MNIST"
FIT = "an image of another shape: stretch it, crop its middle, pad it (default: %(default)s)"
LAYERS = "show these layers of the image, with commas (default: six telling ones)"
CHANNELS = "most active channels of each layer (default: 16)"
FILTERS = "filters of a layer alone (default: 64)"
ALL = "every layer, channel and filter: with --out in .pdf, .html, or a folder"
NAMES = "the classes' names, a line each"
OUT = "a picture (.png, .svg), pages (.pdf), one page to fold (.html), or the name of a folder"
EXAMPLES = """examples:
  cnnlab explain --model mine.keras --image photo.jpg --out photo.html
  cnnlab explain --model mine.keras --layer conv2d_3 --out filters.png
  cnnlab explain --model task2 --image line.png --head angle --target 3 --out angle.pdf

Models of this repository by name: {models}"""
METHODS = (*HEATMAP_METHODS, *preprocessing.PIXEL_METHODS)


def add(subcommands):
    """Add the parser of `explain`."""
    parser = subcommands.add_parser(
        "explain",
        help="look inside a Keras model: activations, heatmaps, filters",
        description="An image alone: a heatmap for each head, its answers, the activations of a "
        "few layers. A layer alone: its filters. Both: the image at that layer.",
        epilog=EXAMPLES.format(models=", ".join(pretrained.MODELS)),
        usage="%(prog)s --model FILE [--image FILE] [--layer NAME] --out FILE [options]",
        formatter_class=_wide,
    )
    add_option = parser.add_argument
    add_option("--model", metavar="FILE", required=True, help="a .keras or .h5 file, or short name")
    add_option("--image", metavar="PATH", type=_path, help=IMAGE)
    add_option("--layer", metavar="NAME", help="a wrong name lists the right ones")
    add_option("--head", metavar="NAME", help="explain this output (default: each)")
    add_option("--target", metavar="N", type=whole_number(0), help=TARGET)
    add_option("--outputs", choices=OUTPUTS, help=OUTPUT_KINDS)
    add_option("--method", choices=METHODS, default=HEATMAP_METHODS[0], help=METHOD)
    add_option("--preprocess", metavar="HOW", help=PREPROCESS)
    add_option("--bgr", action="store_true", help=BGR)
    add_option("--invert", action="store_true", help=INVERT)
    add_option("--as-is", action="store_true", help=AS_IS)
    add_option("--fit", choices=preprocessing.FITS, default=preprocessing.FITS[0], help=FIT)
    add_option("--layers", metavar="A,B", type=_names, help=LAYERS)
    add_option("--channels", metavar="N", type=whole_number(1), help=CHANNELS)
    add_option("--filters", metavar="N", type=whole_number(1), help=FILTERS)
    add_option("--all", action="store_true", help=ALL)
    add_option("--names", metavar="FILE", type=_path, help=NAMES)
    add_option("--out", metavar="PATH", type=_path, required=True, help=OUT)
    # As in Python 3.14: -1..1 is a value, too.
    parser._negative_number_matcher = re.compile(r"-\.?\d")
    parser.set_defaults(run=_run, parser=parser)


def _run(options):
    image = _checked_before_tensorflow(options)
    _say("starting TensorFlow")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever the user's own programs work with
    runtime.start(seed=0)
    from cnnlab import interpret
    from cnnlab.interpret.model import loading
    from cnnlab.interpret.model.network import inspect_model

    _say(f"loading {options.model}")
    with option("--model"):
        model = loading.load(options.model)
        heads = list(inspect_model(model).heads)
    with option("--names"):
        names = class_names(options, heads, options.head)
        if options.names is None and options.outputs == "numbers":
            names = {}  # numbers are not the classes of our models: those with one unit have two
    given = {
        "method": options.method,
        "preprocess": options.preprocess,
        "bgr": options.bgr,
        "outputs": options.outputs,
        "names": names,
        "fit": options.fit,
        "progress": _say,
    }
    asked = options.layer, options.head, options.target
    with _computing(options.model):
        if options.image and os.path.isdir(options.image):
            read = functools.partial(_read, options)
            made = interpret.explain_folder(model, options.image, *asked, read=read, **given)
        else:
            made = interpret.explain(
                model,
                image,
                *asked,
                **given,
                real_images=pretrained.images_for(options.model) if image is None else None,
                layers="all" if options.all and image is not None else options.layers,
                channels=0 if options.all else options.channels,
                filters=0 if options.all else options.filters,
            )
    with writing("--out", options.out):
        shown = os.path.basename(os.path.normpath(options.image or options.layer))
        made.save(options.out, f"{os.path.basename(options.model)}: {shown}", _say)
    print(f"{options.out}: {made.summary}")


@contextlib.contextmanager
def _computing(model):
    """Name the option of a wrong value, and what TensorFlow cannot compute, in a sentence."""
    import tensorflow as tf

    try:
        yield
    except ValueError as error:
        name = f"--{error.argument}: " if hasattr(error, "argument") else ""
        raise ValueError(f"{name}{error}") from error
    except (TypeError, tf.errors.OpError) as error:  # a layer that takes no such numbers, say
        reason = getattr(error, "message", str(error)).strip().splitlines()
        if not reason:  # Ctrl-C inside of TensorFlow ends as a TypeError without words
            raise KeyboardInterrupt from error
        raise ValueError(f"{model} cannot be computed: {reason[0]}") from error


def _checked_before_tensorflow(options):
    """Return the image, or None if there is none; starting TensorFlow takes seconds."""
    is_folder = options.image is not None and os.path.isdir(options.image)
    _require_used(options, is_folder)
    if not options.out.is_dir() and options.out.suffix.lower() not in (*OUT_SUFFIXES, ""):
        options.parser.error(
            f"--out: {options.out} must end in {', '.join(OUT_SUFFIXES)}, or name a folder"
        )
    if options.image is None and options.layer is None:
        options.parser.error("nothing to explain: give --image FILE, --layer NAME or both")
    of_an_image = options.head is not None or options.target is not None
    if options.image is None and (of_an_image or options.invert or options.as_is):
        options.parser.error(
            "--head, --target, --invert and --as-is are for an image: give --image FILE, too"
        )
    if not options.out.parent.is_dir():
        raise ValueError(f"--out: there is no folder {options.out.parent}")
    both = options.out, options.image
    if all(path and path.exists() for path in both) and options.out.samefile(options.image):
        what = (
            "the folder of the images" if is_folder else "the image itself, and would be replaced"
        )
        raise ValueError(f"--out: {options.out} is {what}")
    if is_folder and options.out.suffix and not options.out.is_dir():
        raise ValueError(
            f"--image: {options.image} is a folder, so --out must name one, too, not {options.out}"
        )
    if not options.out.is_dir():
        check_writable("--out", options.out)
    elif not is_folder and any(options.out.iterdir()):
        raise ValueError(f"--out: {options.out} is not empty: name a new folder")
    with option("--model"):
        pretrained.find(options.model)
    if options.preprocess is not None:
        with option("--preprocess"):
            preprocessing.named(options.preprocess)
    with option("--image"):
        return None if options.image is None or is_folder else _read(options, options.image)


def _require_used(options, is_folder):
    """End with a word where an option would do nothing."""
    given = {
        "--layers": options.layers,
        "--channels": options.channels,
        "--all": options.all,
        "--filters": options.filters,
        "--method": options.method != HEATMAP_METHODS[0],
        "--fit": options.fit != preprocessing.FITS[0],
    }
    useless, where = (), ""
    if is_folder:
        useless, where = ("--layers", "--channels", "--all", "--filters"), "a folder of images"
    elif options.image is not None:
        useless, where = ("--filters",), "an image"
    elif options.layer is not None:
        useless, where = ("--layers", "--channels", "--method", "--fit"), "a layer alone"
    for name in useless:
        if given[name]:
            options.parser.error(f"{name} does nothing for {where}")
    if options.all and options.image and options.out.suffix.lower() in (".png", ".svg"):
        options.parser.error(f"--all fills more than a picture: --out {ALL.partition('--out ')[2]}")


def _read(options, path):
    """Return the image, inverted or made as the model's own images if it is to be."""
    image = image_files.read(path)
    if options.invert:
        image = drawings.inverted(image)
    return image if options.as_is else pretrained.as_its_images(options.model, image)


def _wide(prog):
    """Return what writes the help, so that it fits on a screen."""
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=110)


def class_names(options, heads, head=None):
    """Return {head: names of its classes}: those of --names, or that a model of ours has."""
    if options.names is None:
        return pretrained.class_names(options.model, heads)
    if head is None and len(heads) != 1:
        raise ValueError(f"say with --head whose names they are: {', '.join(heads)}")
    try:
        lines = options.names.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{options.names} is not text in UTF-8") from None
    return {head or heads[0]: [line.strip() for line in lines if line.strip()]}


def _names(text):
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} names no layer")
    return names


def _path(text):
    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    return Path(text)


def _say(step):
    print(f"{step} ...", file=sys.stderr, flush=True)
