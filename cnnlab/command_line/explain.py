"""`cnnlab explain`: what a model sees in an image, or what a layer looks for."""

import contextlib
import os
import re
import sys
from pathlib import Path

from cnnlab import drawings, image_files, preprocessing, pretrained, runtime
from cnnlab.command_line.options import check_writable, option, whole_number, writing
from cnnlab.preprocessing import OUTPUTS
from cnnlab.validation import HEATMAP_METHODS

FIGURE_SUFFIXES = (".png", ".pdf", ".svg")
IMAGE = "any image; it is said how it is converted"
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
OUT = "the figure, in an existing folder: .png, .pdf or .svg"


def add(subcommands):
    """Add the parser of `explain`."""
    parser = subcommands.add_parser(
        "explain",
        help="look inside a Keras model: activations, heatmaps, filters",
        description="An image alone: the activations of every layer, and a heatmap for each head. "
        "A layer alone: its filters. Both: that image's activations and heatmaps at that layer.",
        epilog=f"The models of this repository have short names: {', '.join(pretrained.MODELS)}.",
    )
    add_option = parser.add_argument
    add_option("--model", metavar="FILE", required=True, help="a .keras or .h5 file, or short name")
    add_option("--image", metavar="FILE", type=Path, help=IMAGE)
    add_option("--layer", metavar="NAME", help="a wrong name lists the right ones")
    add_option("--head", metavar="NAME", help="explain this output (default: each)")
    add_option("--target", metavar="N", type=whole_number(0), help=TARGET)
    add_option("--outputs", choices=OUTPUTS, help=OUTPUT_KINDS)
    add_option("--method", choices=HEATMAP_METHODS, default=HEATMAP_METHODS[0], help=METHOD)
    add_option("--preprocess", metavar="HOW", help=PREPROCESS)
    add_option("--bgr", action="store_true", help=BGR)
    add_option("--invert", action="store_true", help=INVERT)
    add_option("--as-is", action="store_true", help=AS_IS)
    add_option("--out", metavar="FILE", type=Path, required=True, help=OUT)
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
    # Numbers are not the classes of our models: those with one unit have two.
    names = None
    if options.outputs != "numbers":
        names = pretrained.class_names(options.model, heads)
    asked = image, options.layer, options.head, options.target
    with _computing(options.model):
        explanation = interpret.explain(
            model,
            *asked,
            method=options.method,
            real_images=pretrained.images_for(options.model) if image is None else None,
            preprocess=options.preprocess,
            bgr=options.bgr,
            outputs=options.outputs,
            names=names,
            progress=_say,
        )
    with writing("--out", options.out):
        interpret.save(explanation.figure, options.out)
    print(f"{options.out}: {explanation.summary}")


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
    if options.out.suffix.lower() not in FIGURE_SUFFIXES:
        options.parser.error(f"--out: {options.out} must end in {', '.join(FIGURE_SUFFIXES)}")
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
        raise ValueError(f"--out: {options.out} is the image itself, and would be replaced")
    check_writable("--out", options.out)
    with option("--model"):
        pretrained.find(options.model)
    if options.preprocess is not None:
        with option("--preprocess"):
            preprocessing.named(options.preprocess)
    with option("--image"):
        return options.image and _read(options)


def _read(options):
    """Return the image, inverted or made as the model's own images if it is to be."""
    image = image_files.read(options.image)
    if options.invert:
        image = drawings.inverted(image)
    return image if options.as_is else pretrained.as_its_images(options.model, image)


def _say(step):
    print(f"{step} ...", file=sys.stderr, flush=True)
