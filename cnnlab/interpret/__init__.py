"""Look inside a Keras model: activations, filters, heatmaps, and whether to trust them.

`explain` is the one door; the others do one thing each.
"""

from cnnlab.interpret.activations import activations
from cnnlab.interpret.gradcam import Heatmaps, grad_cam

__all__ = ["Heatmaps", "activations", "grad_cam"]
