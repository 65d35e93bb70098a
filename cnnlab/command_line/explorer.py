"""`cnnlab explorer`: a web page that computes a model live, in a folder of its own."""

import os
from pathlib import Path

from cnnlab import pretrained, runtime
from cnnlab.command_line.explain import class_names
from cnnlab.command_line.options import check_writable, option, writing

NAMES = "the classes' names, a line each, of a model with one head"
OUT = "the folder of the page, new or empty; open its index.html"


def add(subcommands):
    """Add the parser of `explorer`."""
    parser = subcommands.add_parser(
        "explorer",
        help="write a web page that shows live what a model makes of images",
        description="Write a folder with a web page: drop an image on it, and see the answers, "
        "heatmaps and activations of a model of small images. It needs no server, and no image "
        "leaves it.",
    )
    add_option = parser.add_argument
    add_option("--model", metavar="FILE", required=True, help="a .keras or .h5 file, or short name")
    add_option("--names", metavar="FILE", type=Path, help=NAMES)
    add_option("--out", metavar="FOLDER", type=Path, required=True, help=OUT)
    parser.set_defaults(run=_run, parser=parser)


def _run(options):
    folder = options.out
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"--out: {folder} is not empty: name a new folder")
    if not folder.is_dir():
        check_writable("--out", folder)
    with option("--model"):
        file = pretrained.find(options.model)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    runtime.start(seed=0)
    from cnnlab import explorer
    from cnnlab.interpret.model import loading
    from cnnlab.interpret.model.network import inspect_model

    with option("--model"):
        model = loading.load(options.model)
        heads = list(inspect_model(model).heads)
    with option("--names"):
        names = class_names(options, heads)
    title = Path(options.model).name
    shown = {"name": "model", "label": title, "title": title, "mode": "image"}
    with writing("--out", folder), option("--model"):
        script = explorer.scripted(model, "model", file, names)
        explorer.write_page(folder, [shown], {"model": script})
    print(f"{folder}: open index.html; {len(heads)} heads, {model.count_params():,} parameters")
