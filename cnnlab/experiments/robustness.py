"""What networks are tested on besides the test images as they are.

The same images as a scanner, a camera, a file format or another program may leave them, and digits
of other people. The strength of the changes in training was chosen on other images; two of the six
programs that draw lines (`other_programs.DEVELOPMENT`) took part in that choice.
"""

import keras

from cnnlab import corruptions, datasets, lines, mnist, runtime, splits
from cnnlab.experiments import recoloring
from cnnlab.lines import other_programs, variants

AS_THEY_ARE = "as they are"
CALLS = ("matched", "same numbers")  # of other programs: our length and width, or their own
EVERY = 1 if runtime.in_smoke() else 4  # of the test lines, so many are drawn by other programs


def digit_tests(part):
    """Yield (name, Part) for all tests of digits, the test part as it is first."""
    yield AS_THEY_ARE, part
    for name, images in corruptions.corrupted(part.images, corruptions.DIGITS):
        yield name, part._replace(images=images)
    for size in () if runtime.in_smoke() else (20, 28):
        yield f"scikit-learn's digits, {size} px", splits.Part(*mnist.small_digits(size))


def line_tests(part):
    """Yield (name, Part) for all tests of lines, the test part as it is first."""
    yield AS_THEY_ARE, part
    for name, images in corruptions.corrupted(part.images, corruptions.LINES):
        yield name, part._replace(images=images)
    yield "40 % bright", part._replace(images=variants.dimmed(part.images, 0.4))
    drawn = lines.Lines(*(column[::EVERY] for column in datasets.part_of_lines("test")))
    classes = lines.encode(drawn.labels)
    for program in (*other_programs.TEST, *other_programs.DEVELOPMENT):
        for call in CALLS:
            options = {"matched": call == "matched"}
            images = other_programs.draw(program, drawn.labels, drawn.centers, **options)
            yield f"{program}, {call}", splits.Part(images, classes)


def head_tests(part, every=EVERY):
    """Yield (name, Lines) for all tests of a four-headed network besides the lines as they are.

    Other programs draw `every` so many of them.
    """
    for name, images in recoloring.drawn_otherwise(part).items():
        yield name, part._replace(images=images)
    for name, images in corruptions.corrupted(part.images, corruptions.LINES):
        yield name, part._replace(images=images)
    some = lines.Lines(*(column[::every] for column in part))
    for program in other_programs.TEST:
        yield program, drawn_by(program, some)


def drawn_by(program, part):
    """Return the same `lines.Lines` as another program draws them."""
    images = other_programs.draw(program, part.labels, part.centers)
    return part._replace(images=images)


CEILINGS = (*other_programs.TEST, "JPEG 75")


def train_ceiling(recipe, drawing, seed):
    """Train the final layers of Task 2 on training lines as one program draws them.

    How much of such a drawing can be read is known then. `recipe` is {name: object}, what Task-2.py
    defines. Returns the network, and test lines that the program has drawn.
    """
    drawn = {}
    for name in ("train", "test"):
        part = getattr(datasets.line_heads(), name)
        if drawing == "JPEG 75":
            drawn[name] = part._replace(images=corruptions.jpeg(part.images, 75))
        else:
            drawn[name] = drawn_by(drawing, part)
    keras.utils.set_random_seed(seed)
    network = recipe["build_network"](**recipe["NETWORKS"]["final"])
    how = recipe["Recipe"](recipe["FINAL_EPOCHS"], recipe["LEARNING_RATE"], seed)
    recipe["train"](network, drawn["train"], how)
    return network, drawn["test"]
