"""Other ways to ask what an image's answer depends on, each a function in a file of its own.

Each takes a `base.Scorer`, (n, height, width, channels) images and (n,) targets, and returns (n,
height, width) float32, how much each pixel speaks for the target, and n remarks.
"""

from cnnlab.interpret.methods.gradients import gradients, smooth_grad
from cnnlab.interpret.methods.integrated import integrated_gradients
from cnnlab.interpret.methods.occlusion import occlusion
from cnnlab.interpret.methods.score_cam import score_cam
from cnnlab.preprocessing import PIXEL_METHODS

_functions = (gradients, smooth_grad, integrated_gradients, occlusion, score_cam)
PIXELWISE = dict(zip(PIXEL_METHODS, _functions, strict=True))
WITHOUT_LAYER = tuple(name for name in PIXELWISE if name != "score-cam")
