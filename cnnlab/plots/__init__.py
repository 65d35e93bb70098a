"""Every figure of the notebooks and the report; plotters return the figure that they drew.

Numbers are computed elsewhere; pictures of what a network sees are in `interpret.figures`.
"""

from pathlib import Path

import matplotlib.pyplot as plt

plt.style.use(Path(__file__).with_name("style.mplstyle"))

from cnnlab.plots.classifier import (  # noqa: E402  (the style comes first)
    class_scores,
    confusion,
    factor_effects,
    image_grid,
    learning_curves,
)
from cnnlab.plots.experiments import dose, learning_speed, method_errors, training_size  # noqa: E402
from cnnlab.plots.heads import channel_weights, head_confusions, learning_progress  # noqa: E402
from cnnlab.plots.palette import HEAD_COLORS, JOINT_COLOR  # noqa: E402
from cnnlab.plots.reliability import doubt_bins, reliability  # noqa: E402
from cnnlab.plots.responses import angle_responses, crossings_of, size_responses  # noqa: E402
