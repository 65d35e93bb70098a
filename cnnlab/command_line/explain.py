"""`cnnlab explain`: what a model sees in an image, or what a layer looks for."""

import contextlib
import os
import sys
from pathlib import Path

from cnnlab import image_files, pretrained, runtime
from cnnlab.command_line.options import check_writable, option, whole_number, writing
from cnnlab.validation import HEATMAP_METHODS, checked_range

FIGURE_SUFFIXES = (".png", ".pdf", ".svg")
IMAGE = "any image; it is said how it is converted"
TARGET = "the class to explain; 0 or 1 for a single sigmoid unit (default: the predicted one)"
METHOD = "of the heatmaps (default: %(default)s)"
RANGE = "black and white in the model's input (default: read from its first layers)"
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
    add_option("--method", choices=HEATMAP_METHODS, default=HEATMAP_METHODS[0], help=METHOD)
    add_option("--range", nargs=2, type=float, metavar=("LOW", "HIGH"), help=RANGE)
    add_option("--out", metavar="FILE", type=Path, required=True, help=OUT)
    parser.set_defaults(run=_run, parser=parser)


def _run(options):
    image, value_range = _checked_before_tensorflow(options)
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
    asked = image, options.layer, options.head, options.target
    with _computing(options.model):
        explanation = interpret.explain(
            model,
            *asked,
            method=options.method,
            real_images=pretrained.images_for(options.model) if image is None else None,
            value_range=value_range,
            names=pretrained.class_names(options.model, heads),
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
    """Return the image and the range, or None for what is left out; starting takes seconds."""
    if options.out.suffix.lower() not in FIGURE_SUFFIXES:
        options.parser.error(f"--out: {options.out} must end in {', '.join(FIGURE_SUFFIXES)}")
    if options.image is None and options.layer is None:
        options.parser.error("nothing to explain: give --image FILE, --layer NAME or both")
    if options.image is None and not (options.head is None and options.target is None):
        options.parser.error("--head and --target explain an image: give --image FILE, too")
    if not options.out.parent.is_dir():
        raise ValueError(f"--out: there is no folder {options.out.parent}")
    check_writable("--out", options.out)
    with option("--model"):
        pretrained.find(options.model)
    value_range = options.range and checked_range(options.range, "--range")
    with option("--image"):
        return options.image and image_files.read(options.image), value_range


def _say(step):
    print(f"{step} ...", file=sys.stderr, flush=True)
