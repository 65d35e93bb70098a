"""The charts of the notebooks and the report; each function returns the figure that it drew.

Numbers are computed elsewhere; pictures of what a network sees are in `interpret.figures`.
"""

from pathlib import Path

import matplotlib.pyplot as plt

from cnnlab.plots.classifier import class_scores, confusion, image_grid, learning_curves
from cnnlab.plots.experiments import (
    accuracy_by_recolored_fraction,
    factor_curves,
    factor_effects,
    ladder,
    learning_speed,
    method_errors,
    robustness,
    training_size,
)
from cnnlab.plots.heads import channel_weights, head_confusions, learning_progress
from cnnlab.plots.network import network_diagram
from cnnlab.plots.palette import CYCLE, HEAD_COLORS
from cnnlab.plots.reliability import reliability
from cnnlab.plots.responses import angle_responses, crossings_of, size_responses

plt.style.use(Path(__file__).with_name("style.mplstyle"))
plt.rcParams["axes.prop_cycle"] = plt.cycler(color=CYCLE)
