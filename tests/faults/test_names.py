"""Names that are wrong: of layers, heads, classes, methods. The message says which are right.

One function gets every kind of wrong name, and every function gets one wrong name; `explain` gets
its own in `test_interpret_explain.py`.
"""

import keras
import numpy as np
import pytest
from damage import attempt
from keras import layers

from cnnlab import interpret
from cnnlab.interpret import checks
from cnnlab.interpret.activations import dead_channels
from cnnlab.interpret.checks.probes import linear_probes
from cnnlab.interpret.filters import first_layer_weights
from cnnlab.interpret.gradcam import GradCam

IMAGES = np.random.default_rng(0).random((2, 8, 8, 1)).astype(np.float32)
HEAT = IMAGES[..., 0]

# Nothing here may warn, but for Keras at each `np.array(variable)` under NumPy 2.
pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy"),
]


@pytest.fixture(scope="module")
def model():
    """Two heads of 3 and 2 classes, each with a convolution that the other does not see."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 1))
    left = layers.Conv2D(2, 3, name="left")(image)
    right = layers.Conv2D(2, 3, name="right")(image)
    rows = layers.Reshape((12, 6), name="rows")(left)
    heads = {
        "kind": layers.Dense(3, "softmax", name="units")(layers.Flatten(name="flat")(rows)),
        "big": layers.Dense(1, activation="sigmoid")(layers.Flatten()(right)),
    }
    return keras.Model(image, heads)


def assert_refused(parts, function, *arguments, **options):
    """The call raises a ValueError of one line with these words."""
    _, said = attempt(function, *arguments, **options)
    assert said and [part for part in parts if part not in said] == [], said


def name_of(value):
    return f"{value!r}"[:30]


NO_NAMES = ["lfet", "", "left ", "LEFT", 0, True, b"left", ("left",), ["left"], {}]
NO_NAMES += [np.str_("lfet"), np.array(["left", "right"]), float("nan"), object]


# --- layers

LAYERS = ("left", "right", "rows", "flat", "units")
TAKE_A_LAYER = {
    "grad_cam": lambda model, layer: interpret.grad_cam(model, IMAGES, "kind", layer=layer),
    "activations": lambda model, layer: interpret.activations(model, IMAGES, [layer]),
    "maximize_filters": interpret.maximize_filters,
    "first_layer_weights": first_layer_weights,
    "dead_channels": lambda model, layer: dead_channels(model, IMAGES, [layer]),
    "linear_probes": lambda model, layer: linear_probes(
        model, IMAGES, {"kind": np.array([0, 1])}, [layer]
    ),
    "randomization": lambda model, layer: checks.randomization(
        model, IMAGES, "kind", method=GradCam(layer)
    ),
    "compare_methods": lambda model, layer: checks.compare_methods(
        model, IMAGES, "kind", methods=GradCam(layer)
    ),
}


@pytest.mark.parametrize("layer", NO_NAMES, ids=name_of)
def test_no_layer(layer, model):
    for function in ("grad_cam", "activations"):
        assert_refused((repr(layer), *LAYERS), TAKE_A_LAYER[function], model, layer)


@pytest.mark.parametrize("function", TAKE_A_LAYER)
def test_every_function_names_the_layers(function, model):
    assert_refused(["'lfet'", *LAYERS], TAKE_A_LAYER[function], model, "lfet")


@pytest.mark.parametrize("filters", [2, True, "0", [0, 2], [[0], [1, 2]], {}], ids=name_of)
def test_no_filter(filters, model):
    parts = ("'left'", "0..1", repr(filters))
    assert_refused(parts, interpret.maximize_filters, model, "left", filters)


# --- heads and their classes

TAKE_A_HEAD = {
    "grad_cam": lambda model, **head: interpret.grad_cam(model, IMAGES, **head),
    "randomization": lambda model, **head: checks.randomization(model, IMAGES, **head),
    "deletion": lambda model, **head: checks.deletion(model, IMAGES, HEAT, **head),
    "insertion": lambda model, **head: checks.insertion(model, IMAGES, HEAT, **head),
    "compare_methods": lambda model, **head: checks.compare_methods(model, IMAGES, **head),
}


@pytest.mark.parametrize("head", NO_NAMES, ids=name_of)
def test_no_head(head, model):
    assert_refused([repr(head), "kind", "big"], interpret.grad_cam, model, IMAGES, head)


@pytest.mark.parametrize("function", TAKE_A_HEAD)
def test_every_function_names_the_heads_and_classes(function, model):
    call = TAKE_A_HEAD[function]
    assert_refused(["'knid'", "kind", "big"], call, model, head="knid")
    assert_refused(["kind", "big"], call, model, target=0)  # of which head?
    assert_refused(["3", "'kind'", "0..2"], call, model, head="kind", target=3)


NO_CLASSES = [3, -1, 10**30, True, 1.0, float("nan"), "1", b"1", np.int8(-1), np.uint64(2**64 - 1)]
NO_CLASSES += [1j, {}, [], [0, 1, 2], [[0], [1, 2]], [0, 3], [0, None], np.array([[0]]), object]


@pytest.mark.parametrize("target", NO_CLASSES, ids=name_of)
def test_no_class(target, model):
    with pytest.raises(ValueError) as caught:
        interpret.grad_cam(model, IMAGES, "kind", target)
    said = str(caught.value)
    assert "target" in said and ("'kind': 0..2" in said or repr(target) in said)


# --- methods, ranges

METHODS = ("grad-cam", "grad-cam++", "layercam")


@pytest.mark.parametrize("method", ["gradcam", "Grad-CAM", "", 0, None, b"layercam", ["layercam"]])
def test_no_method(method, model):
    parts = (repr(method), *METHODS)
    assert_refused(parts, interpret.grad_cam, model, IMAGES, "kind", method=method)


def test_every_function_names_the_methods(model):
    parts = ("'cam'", *METHODS)
    assert_refused(parts, checks.randomization, model, IMAGES, "kind", method="cam")
    for methods in ("cam", ("cam",)):
        assert_refused(parts, checks.compare_methods, model, IMAGES, "kind", methods=methods)


NO_RANGES = [(1, 0), (0, 0), (0, 1, 2), 1, (0, np.nan), (0, np.inf), (0, 1j), {}]
NO_RANGES += [("0", "1"), (None, 1), [[0], [1, 2]], np.array([[0, 1]]), (0, 10**400)]
NO_RANGES += [(-1e30, 1e30), (0, 1e-12), (1e8, 1e8 + 1)]  # float32 cannot calculate with these


@pytest.mark.parametrize("ends", NO_RANGES, ids=name_of)
def test_no_range(ends, model):
    parts = ("the range must be two numbers, low < high", repr(ends))
    assert_refused(parts, interpret.explain, model, layer="left", preprocess=ends)
