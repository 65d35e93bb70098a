"""The line dataset: its classes, how a line is drawn, how the dataset is made, stored, varied.

Nothing here needs TensorFlow; what networks do with lines is in `training` and the notebooks.
"""

# `other_programs` is imported by those who want it: it needs OpenCV, the dataset NumPy alone.
from cnnlab.lines import files, pictures, variants
from cnnlab.lines.dataset import generate, load, recipe
from cnnlab.lines.labels import (
    ANGLES,
    CLASS_NAMES,
    CLASSES,
    COLORS,
    HEADS,
    LENGTHS,
    NUM_CLASSES,
    PER_CLASS,
    SIZE,
    WIDTHS,
    Lines,
    class_name,
    decode,
    encode,
    geometry,
)
from cnnlab.lines.measure import measured
from cnnlab.lines.render import center_limits, render
