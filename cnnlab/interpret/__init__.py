"""Look inside a Keras model: activations, filters, heatmaps, and whether to trust them.

`explain` is the entry point; the others do one thing each. Everywhere `model` is a Keras model,
which stays as it was, and `images` are what its own input needs, one or many; see
`model.network.as_batch`. What is not a Keras model raises TypeError, and a value that is not usable
ValueError, which says what would be right. No network is trained here; charts of networks and their
errors are in `plots`. With another backend of Keras than TensorFlow, the import raises ValueError.
"""

from cnnlab.backend import require_tensorflow_backend

require_tensorflow_backend()  # before anything imports Keras

from cnnlab.interpret.activations import activations
from cnnlab.interpret.answers import Answers, answers
from cnnlab.interpret.attribution import attribute
from cnnlab.interpret.explain import Explanation, explain
from cnnlab.interpret.filters import FilterImages, maximize_filters
from cnnlab.interpret.folder import Gallery, explain_folder
from cnnlab.interpret.gradcam import Heatmaps, grad_cam
from cnnlab.interpret.model.given import with_given
from cnnlab.interpret.model.loading import load
from cnnlab.saving import save_figure as save
