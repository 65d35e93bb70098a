"""`cnnlab lines`: the line dataset as files, a contact sheet or a film."""

from pathlib import Path

from cnnlab import lines
from cnnlab.command_line.options import check_writable, whole_number, writing
from cnnlab.lines import files, pictures


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
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help="write the dataset here; the folder must be new or empty, so that nothing is "
        "overwritten and no two datasets mix",
    )
    parser.add_argument(
        "--format",
        choices=files.FORMATS,
        default="png",
        help="of --out: png keeps every pixel, jpg is lossy (quality 95), npz is one file, "
        "DIR/lines.npz (default: png)",
    )
    parser.add_argument(
        "--per-class",
        metavar="N",
        type=whole_number(1),
        default=lines.PER_CLASS,
        help="images of each of the 96 classes (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        metavar="S",
        type=whole_number(0),
        default=0,
        help="of the centers (default: %(default)s)",
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
