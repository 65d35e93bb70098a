"""`cnnlab lines`: the line dataset as files, a contact sheet or a film."""

from pathlib import Path

from cnnlab import lines
from cnnlab.command_line.options import check_writable, whole_number, writing
from cnnlab.lines import files, pictures

OUT = "write the dataset here; the folder must be new or empty, so that no two datasets mix"
FORMAT = "of --out: png keeps every pixel, jpg is lossy, npz is one file (default: %(default)s)"
COUNT = "images of each of the 96 classes (default: %(default)s)"
SEED = "of the centers (default: %(default)s)"
SHEET = "draw one image of each class: .png or .pdf"
VIDEO = "film up to 90 images a class, 3 x 3 a frame, 2 frames a second: .mp4 or .avi"


def add(subcommands):
    """Add the parser of `lines`."""
    parser = subcommands.add_parser(
        "lines",
        help="write the line dataset as images, as .npz, as a contact sheet or as a film",
        description="Write the line dataset: 96 classes of straight lines, 28 x 28 pixels, RGB.",
        epilog="Images are named length_width_angle_color_number, each part counted from 0: "
        "1_1_9_0_3.png is long, thick, 135°, red, number 3. The same seed gives the same images, "
        "and fewer images per class are the first ones of many.",
    )
    add_option = parser.add_argument
    add_option("--out", metavar="DIR", type=Path, help=OUT)
    add_option("--format", choices=files.FORMATS, default="png", help=FORMAT)
    add_option(
        "--per-class", metavar="N", type=whole_number(1), default=lines.PER_CLASS, help=COUNT
    )
    add_option("--seed", metavar="S", type=whole_number(0), default=0, help=SEED)
    add_option("--sheet", metavar="FILE", type=Path, help=SHEET)
    add_option("--video", metavar="FILE", type=Path, help=VIDEO)
    parser.set_defaults(run=_run, parser=parser)


def _run(options):
    if not (options.out or options.sheet or options.video):
        options.parser.error("nothing to do: give --out DIR, --sheet FILE or --video FILE")
    for name, path, suffixes in (
        ("--sheet", options.sheet, pictures.SHEET_SUFFIXES),
        ("--video", options.video, pictures.FILM_CODECS),
    ):
        if path and path.suffix not in suffixes:
            options.parser.error(f"{path} must end in {' or '.join(suffixes)}")
        if path:
            check_writable(name, path)
    dataset = lines.generate(options.per_class, options.seed)
    if options.out:
        recipe = lines.recipe(options.per_class, options.seed)
        files.write_folder(options.out, dataset, options.format, recipe)
        print(f"{options.out}: {len(dataset.images):,} images as {options.format}")
    if options.sheet:
        with writing("--sheet", options.sheet):
            pictures.draw_sheet(options.sheet, dataset)
        print(f"{options.sheet}: one image of each of the {lines.CLASSES} classes")
    if options.video:
        with writing("--video", options.video):
            pictures.write_film(options.video, dataset)
        print(f"{options.video}: a film of all classes")
