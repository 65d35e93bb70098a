"""Names that are wrong: of layers, heads, classes, methods. The message says which are right."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from cnnlab import interpret
from cnnlab.interpret import checks
from cnnlab.interpret.activations import dead_channels
from cnnlab.interpret.ascent import Ascent
from cnnlab.interpret.checks.probes import linear_probes
from cnnlab.interpret.filters import first_layer_weights
from cnnlab.interpret.gradcam import GradCam

IMAGES = np.random.default_rng(0).random((2, 8, 8, 1)).astype(np.float32)
HEAT = IMAGES[..., 0]
ONE_STEP = Ascent(steps=1)


@pytest.fixture(autouse=True)
def no_warnings():
    """Nothing here may warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Keras's own, at each `np.array(variable)` under NumPy 2.
        warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy")
        yield


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


NO_NAMES = ["lfet", "", "left ", "LEFT", 0, -1, True, 1.5, b"left", ("left",), ["left"], {}]
NO_NAMES += [np.str_("lfet"), np.int64(0), np.array(["left", "right"]), float("nan"), object]


def name_of(value):
    return f"{value!r}"[:30]


# --- layers

TAKE_A_LAYER = {
    "explain": lambda model, layer: interpret.explain(model, IMAGES[0], layer),
    "explain a layer alone": lambda model, layer: interpret.explain(model, layer=layer),
    "grad_cam": lambda model, layer: interpret.grad_cam(model, IMAGES, "kind", layer=layer),
    "activations": lambda model, layer: interpret.activations(model, IMAGES, [layer]),
    "maximize_filters": lambda model, layer: interpret.maximize_filters(
        model, layer, ascent=ONE_STEP
    ),
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
@pytest.mark.parametrize("function", TAKE_A_LAYER)
def test_no_layer(function, layer, model):
    with pytest.raises(ValueError) as caught:
        TAKE_A_LAYER[function](model, layer)
    said = str(caught.value)
    assert f"no layer {layer!r}" in said and "\n" not in said
    assert all(name in said for name in model_layers(model))


def model_layers(model):
    return [layer.name for layer in model.layers if not isinstance(layer, layers.InputLayer)]


@pytest.mark.parametrize("layers_given", [5, True, 1.5, "lfet", b"left", object], ids=name_of)
@pytest.mark.parametrize("function", ["activations", "dead_channels", "linear_probes"])
def test_layers_that_are_no_list_of_names(function, layers_given, model):
    call = {
        "activations": lambda given: interpret.activations(model, IMAGES, given),
        "dead_channels": lambda given: dead_channels(model, IMAGES, given),
        "linear_probes": lambda given: linear_probes(
            model, IMAGES, {"kind": np.array([0, 1])}, given
        ),
    }[function]
    with pytest.raises(ValueError, match="no layer .*the layers are "):
        call(layers_given)


@pytest.mark.parametrize("layer", ["rows", "flat", "units"])
@pytest.mark.parametrize("function", ["grad_cam", "randomization", "compare_methods"])
def test_a_layer_without_feature_maps(function, layer, model):
    with pytest.raises(ValueError) as caught:
        TAKE_A_LAYER[function](model, layer)
    assert f"layer {layer!r} " in str(caught.value)
    assert str(caught.value).endswith("usable are left")


@pytest.mark.parametrize("function", ["grad_cam", "randomization", "compare_methods"])
def test_a_layer_that_is_not_on_the_way_to_the_head(function, model):
    with pytest.raises(ValueError, match="layer 'right' does not feed .*'kind'; usable are left"):
        TAKE_A_LAYER[function](model, "right")
    with pytest.raises(ValueError, match="layer 'right' does not feed .*'kind'; usable are left"):
        interpret.explain(model, IMAGES[0], "right", "kind")


def test_a_layer_without_filters(model):
    for function in ("explain a layer alone", "maximize_filters"):
        with pytest.raises(ValueError, match="layer 'rows' gives .*; usable are right, "):
            TAKE_A_LAYER[function](model, "rows")


@pytest.mark.parametrize("layer", ["rows", "flat"])
def test_a_layer_that_is_no_convolution(layer, model):
    with pytest.raises(ValueError, match=f"'{layer}' is no convolution .*; usable are right, left"):
        first_layer_weights(model, layer)


@pytest.mark.parametrize(
    "filters",
    [2, -1, True, 0.0, "0", [0, 2], [], [[0]], [[0], [1, 2]], None, {}, 10**30, np.uint8(2)],
    ids=name_of,
)
def test_no_filter(filters, model):
    if filters is None:
        assert len(interpret.maximize_filters(model, "left", filters, ascent=ONE_STEP).images) == 2
        return
    with pytest.raises(ValueError) as caught:
        interpret.maximize_filters(model, "left", filters, ascent=ONE_STEP)
    assert f"filters of 'left' are 0..1, not {filters!r}" in str(caught.value)


# --- heads

TAKE_A_HEAD = {
    "explain": lambda model, **head: interpret.explain(model, IMAGES[0], **head),
    "grad_cam": lambda model, **head: interpret.grad_cam(model, IMAGES, **head),
    "randomization": lambda model, **head: checks.randomization(
        model, IMAGES, **head, shuffling=checks.Shuffling(draws=1)
    ),
    "deletion": lambda model, **head: checks.deletion(model, IMAGES, HEAT, **head),
    "insertion": lambda model, **head: checks.insertion(model, IMAGES, HEAT, **head),
    "compare_methods": lambda model, **head: checks.compare_methods(model, IMAGES, **head),
}


@pytest.mark.parametrize("head", NO_NAMES, ids=name_of)
@pytest.mark.parametrize("function", TAKE_A_HEAD)
def test_no_head(function, head, model):
    with pytest.raises(ValueError) as caught:
        TAKE_A_HEAD[function](model, head=head)
    assert f"no head {head!r}; the model has " in str(caught.value)
    assert "kind" in str(caught.value) and "big" in str(caught.value)


@pytest.mark.parametrize("function", TAKE_A_HEAD)
def test_which_of_two_heads(function, model):
    with pytest.raises(ValueError, match="say which.*(kind, big|big, kind)"):
        TAKE_A_HEAD[function](model, target=0)


# --- classes

NO_CLASSES = [3, -1, -4, 10**30, True, np.True_, 1.0, np.float32(1), float("nan"), "1", b"1", "one"]
NO_CLASSES += [np.int64(3), np.int8(-1), np.uint64(2**64 - 1), 1j, {}, [], [0, 1, 2], [[0], [1, 2]]]
NO_CLASSES += [[0, 3], [0, None], np.array([[0]]), np.datetime64("2000"), object]


@pytest.mark.parametrize("target", NO_CLASSES, ids=name_of)
@pytest.mark.parametrize("function", TAKE_A_HEAD)
def test_no_class(function, target, model):
    with pytest.raises(ValueError) as caught:
        TAKE_A_HEAD[function](model, head="kind", target=target)
    said = str(caught.value)
    assert "target" in said
    assert "is not a class of head 'kind': 0..2" in said or f"not {target!r}" in said


@pytest.mark.parametrize("target", [2, -1, np.int32(2)])
@pytest.mark.parametrize("function", TAKE_A_HEAD)
def test_a_single_unit_has_two_classes(function, target, model):
    with pytest.raises(ValueError, match=f"target {target} is not a class of head 'big': 0..1"):
        TAKE_A_HEAD[function](model, head="big", target=target)


@pytest.mark.parametrize("target", [np.int8(2), np.uint64(2), np.int64(2), np.array(2), 2])
def test_whole_numbers_of_any_kind_are_classes(target, model):
    found = interpret.grad_cam(model, IMAGES, "kind", target)
    assert found.targets.tolist() == [2, 2]


# --- methods, controls, ranges, names of classes

NO_METHODS = ["gradcam", "Grad-CAM", "", "grad-cam ", 0, True, None, b"layercam", ["layercam"], {}]


@pytest.mark.parametrize("method", NO_METHODS, ids=name_of)
@pytest.mark.parametrize("function", ["explain", "grad_cam", "randomization", "compare_methods"])
def test_no_method(function, method, model):
    options = {"methods": (method,)} if function == "compare_methods" else {"method": method}
    with pytest.raises(ValueError) as caught:
        TAKE_A_HEAD[function](model, head="kind", **options)
    assert f"no method {method!r}; there are grad-cam, grad-cam++, layercam" in str(caught.value)


def test_one_method_needs_no_list(model):
    masking = checks.Masking(steps=2, repeats=1)
    for method in ("layercam", GradCam("left", "layercam")):
        rows = checks.compare_methods(model, IMAGES, "kind", methods=method, masking=masking)
        assert [row["method"] for row in rows] == ["layercam", "contrast"]
    with pytest.raises(ValueError, match="no method 'cam'"):
        checks.compare_methods(model, IMAGES, "kind", methods="cam")


@pytest.mark.parametrize("controls", ["shuffled", ["random", "x"], 5, None, [[]], b"moved"])
def test_no_control(controls):
    with pytest.raises(ValueError, match="no control .*; there are random, displaced"):
        checks.Masking(controls=controls)


NO_RANGES = [(1, 0), (0, 0), (0,), (0, 1, 2), 1, "01", (0, np.nan), (0, np.inf), (0, 1j), {}, "x"]
NO_RANGES += [
    ("0", "1"),
    ("a", "b"),
    (None, 1),
    np.array([[0], [1]]),
    [[0], [1]],
    np.array([[0, 1]]),
    (0, 10**400),
    (-1e30, 1e30),
]


@pytest.mark.parametrize("value_range", NO_RANGES, ids=name_of)
@pytest.mark.parametrize("layer_alone", [False, True], ids=["image", "layer"])
def test_no_range(layer_alone, value_range, model):
    options = {"layer": "left"} if layer_alone else {"image": IMAGES[0]}
    with pytest.raises(ValueError) as caught:
        interpret.explain(model, **options, value_range=value_range)
    assert "value_range must be two numbers, low < high" in str(caught.value)
    assert f"not {value_range!r}" in str(caught.value)
    with pytest.raises(ValueError, match="value_range must be two numbers, low < high"):
        interpret.maximize_filters(model, "left", value_range=value_range, ascent=ONE_STEP)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"knid": ["a", "b", "c"]}, "no head 'knid'; the model has "),
        ({0: ["a", "b", "c"]}, "no head 0; the model has "),
        ({"kind": 3}, "head 'kind' has 3 classes, but 3 names are given"),
        ({"kind": None}, "head 'kind' has 3 classes, but None names are given"),
        ({"kind": []}, "head 'kind' has 3 classes, but 0 names are given"),
        ({"big": ["yes"]}, "head 'big' has 2 classes, but 1 names are given"),
        ("kind", "names must be a dict"),
        (["a", "b", "c"], "names must be a dict"),
    ],
)
def test_no_names_of_classes(names, message, model):
    with pytest.raises(ValueError, match=message):
        interpret.explain(model, IMAGES[0], names=names)
