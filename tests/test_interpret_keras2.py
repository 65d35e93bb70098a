"""Files of Keras 2, written here by hand as its versions wrote them; NumPy says what they compute.

Files that Keras 2 itself has written are in `test_interpret_models.py`.
"""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest

from cnnlab.interpret import grad_cam
from cnnlab.interpret.model import ranges
from cnnlab.interpret.model.loading import load
from cnnlab.interpret.model.network import inspect_model

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(0, 1, (2, 6, 6, 3)).astype("f4")
KERNEL, BIAS = RANDOM.normal(0, 0.5, (3, 3, 3, 4)).astype("f4"), np.float32([-1, 0, 1, 2])
CONV = {"kernel": KERNEL, "bias": BIAS}


def convolved(images, kernel=KERNEL, bias=BIAS):
    windows = np.lib.stride_tricks.sliding_window_view(images, kernel.shape[:2], (1, 2))
    return np.einsum("nyxchw,hwco->nyxo", windows, kernel) + bias


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def softmax(x, axis):
    return np.exp(x) / np.exp(x).sum(axis, keepdims=True)


# --- how Keras 2 wrote files


def layer(kind, name, *calls, **config):
    """Describe a layer; the calls are those of a functional model."""
    return {
        "class_name": kind,
        "config": {"name": name, "trainable": True, "dtype": "float32", **config},
        "name": name,
        "inbound_nodes": list(calls),
    }


def conv(name="conv", *calls, **config):
    initializer = {"class_name": "GlorotUniform", "config": {"seed": None, "dtype": "float32"}}
    options = {"filters": 4, "kernel_size": [3, 3], "data_format": "channels_last"}
    return layer("Conv2D", name, *calls, **options, kernel_initializer=initializer, **config)


def image(shape=(None, 6, 6, 3), **config):
    return layer("InputLayer", "image", batch_input_shape=list(shape), sparse=False, **config)


def functional(*layers, kind="Functional", output=None):
    """Describe a model of layers from an image to the last one."""
    ends = {"input_layers": [["image", 0, 0]], "output_layers": [[layers[-1]["name"], 0, 0]]}
    return {
        "class_name": kind,
        "config": {"name": "model", "layers": [image(), *layers], **ends},
    }


def of(name, call=0, **arguments):
    """The call of a layer on what another one gives."""
    return [[name, call, 0, arguments]]


def saved_h5(path, description, weights, version="2.15.0", backend="tensorflow"):
    """Write a file; weights are {layer: {name: array}} in the order of the layers."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version.encode()
        file.attrs["model_config"] = json.dumps(description).encode()
        group = file.create_group("model_weights")
        group.attrs.update({"layer_names": [name.encode() for name in weights], "backend": backend})
        for name, arrays in weights.items():
            names = [f"{name}/{array}:0" for array in arrays]
            group.create_group(name).attrs["weight_names"] = [one.encode() for one in names]
            for one, array in zip(names, arrays.values(), strict=True):
                group[name][one] = array
    return path


def assert_computes(path, expected, images=IMAGES):
    model = load(path)
    output = np.asarray(model(images, training=False))
    np.testing.assert_allclose(output, expected, 1e-5, 1e-5)
    return model


# --- one layer after a convolution


LSTM = {key: RANDOM.normal(0, 1, shape) for key, shape in (("kernel", (4, 8)), ("own", (2, 8)))}
GRU = {key: RANDOM.normal(0, 1, shape) for key, shape in (("kernel", (4, 6)), ("own", (2, 6)))}
RECURRENT = {"units": 2, "recurrent_activation": "hard_sigmoid", "time_major": False}
NORM = dict(zip(("gamma", "beta", "mean", "variance"), RANDOM.uniform(0.5, 2, (4, 4)), strict=True))


def lstm(x):
    """Over the rows, at each column of its own; by Hochreiter and Schmidhuber, 1997."""
    state = cell = np.zeros((len(x), 2))
    for now in np.moveaxis(x, 1, 0):
        parts = np.split(now @ LSTM["kernel"] + state @ LSTM["own"], 4, axis=1)
        into, forget, out = (hard_sigmoid(parts[number]) for number in (0, 1, 3))
        cell = forget * cell + into * np.tanh(parts[2])
        state = out * np.tanh(cell)
    return state


def gru(x):
    """As Cho et al. have it, the reset before the product, which Keras 2.0 does."""
    state, (update, reset, new) = np.zeros((len(x), 2)), np.split(GRU["own"], 3, axis=1)
    for now in np.moveaxis(x, 1, 0):
        parts = np.split(now @ GRU["kernel"], 3, axis=1)
        keep, use = hard_sigmoid(parts[0] + state @ update), hard_sigmoid(parts[1] + state @ reset)
        state = keep * state + (1 - keep) * np.tanh(parts[2] + (use * state) @ new)
    return state


def normalized(x):
    scaled = (x - NORM["mean"]) / np.sqrt(NORM["variance"] + 0.01)
    return NORM["gamma"] * scaled + NORM["beta"]


ROWS = layer("Reshape", "rows", of("conv"), target_shape=[16, 4])
LAYERS = {  # {case: (layers after the convolution, their weights, what they compute)}
    "hard sigmoid": (
        [layer("Activation", "a", of("conv"), activation="hard_sigmoid")],
        {},
        hard_sigmoid,
    ),
    "hard sigmoid in a wrapper": (
        [
            layer(
                "TimeDistributed",
                "wrapped",
                of("conv"),
                layer=layer("Activation", "a", activation="hard_sigmoid"),
            )
        ],
        {},
        hard_sigmoid,
    ),
    "ThresholdedReLU": (
        [layer("ThresholdedReLU", "a", of("conv"), theta=0.7)],
        {},
        lambda x: np.where(x > 0.7, x, 0),
    ),
    "LeakyReLU": (
        [layer("LeakyReLU", "a", of("conv"), alpha={"type": "ndarray", "value": 0.3})],
        {},
        lambda x: np.where(x > 0, x, 0.3 * x),
    ),
    "softmax of two axes": (
        [layer("Softmax", "a", of("conv"), axis=[1, 2])],
        {},
        lambda x: softmax(x, (1, 2)),
    ),
    "nothing to do in a prediction": (
        [
            layer("RandomHeight", "a", of("conv"), factor=0.5, interpolation="bilinear", seed=None),
            layer("SpatialDropout2D", "b", of("a"), rate=0.5, noise_shape=None, data_format=None),
        ],
        {},
        lambda x: x,
    ),
    "BatchNormalizationV1": (
        [layer("BatchNormalizationV1", "norm", of("conv"), axis=[3], epsilon=0.01)],
        {"norm": NORM},
        normalized,
    ),
    "a name with a slash": (
        [layer("Activation", "a/b", of("conv"), activation="relu")]
        + [layer("Activation", "c", of("a/b"), activation="tanh")],
        {},
        lambda x: np.tanh(np.maximum(x, 0)),
    ),
    "LSTM": (
        [ROWS, layer("LSTM", "lstm", of("rows"), use_bias=False, **RECURRENT)],
        {"lstm": LSTM},
        lambda x: lstm(x.reshape(2, 16, 4)),
    ),
    "GRU before reset_after": (
        [ROWS, layer("GRU", "gru", of("rows"), use_bias=False, **RECURRENT)],
        {"gru": GRU},
        lambda x: gru(x.reshape(2, 16, 4)),
    ),
}


@pytest.mark.parametrize("case", LAYERS)
def test_layers_compute_what_they_did_in_keras_2(tmp_path, case):
    layers, weights, compute = LAYERS[case]
    description = functional(conv("conv", of("image")), *layers)
    path = saved_h5(tmp_path / "model.h5", description, {"conv": CONV, **weights})
    model = assert_computes(path, compute(convolved(IMAGES)))
    model.save(tmp_path / "again.keras")
    assert_computes(tmp_path / "again.keras", compute(convolved(IMAGES)))


# --- functions of TensorFlow, one after another


SIDE = {"start": None, "stop": None, "step": None}
BACK, HALF = SIDE | {"step": -1}, SIDE | {"start": 1, "step": 2}
ALL, ELLIPSIS = SIDE, {"class_name": "__ellipsis__"}
# {case: (function, its arguments after x, which the convolution gives, what it computes)}
FUNCTIONS = {
    "x / 127.5": ("math.truediv", {"y": 127.5, "name": None}, lambda x: x / 127.5),
    "x + x": ("__operators__.add", {"y": ["conv", 0, 0], "name": None}, lambda x: 2 * x),
    "x * x": ("math.multiply", {"y": ["conv", 0, 0]}, lambda x: x * x),
    "per channel": ("math.subtract", {"y": [1.0, 2.0, 3.0, 4.0]}, lambda x: x - [1, 2, 3, 4]),
    "bias_add": (
        "nn.bias_add",
        {"bias": [1.5, 2.0, 3.0, 4.0], "data_format": "NHWC"},
        lambda x: x + [1.5, 2, 3, 4],
    ),
    "x[:, 1::2, ::-1]": ("", {"slice_spec": [ALL, HALF, BACK]}, lambda x: x[:, 1::2, ::-1]),
    "x[..., ::-1]": ("", {"slice_spec": [ELLIPSIS, BACK]}, lambda x: x[..., ::-1]),
    "x[..., 0]": ("", {"slice_spec": [ELLIPSIS, 0]}, lambda x: x[..., 0]),
    "cast": ("cast", {"dtype": "float32"}, lambda x: x),
    "clip": (
        "clip_by_value",
        {"clip_value_min": -0.5, "clip_value_max": 0.5},
        lambda x: np.clip(x, -0.5, 0.5),
    ),
    "mean": (
        "math.reduce_mean",
        {"axis": [1, 2], "keepdims": True},
        lambda x: x.mean((1, 2), keepdims=True),
    ),
    "reshape": ("reshape", {"shape": [-1, 8, 8]}, lambda x: x.reshape(-1, 8, 8)),
    "transpose": (
        "compat.v1.transpose",
        {"perm": [0, 2, 1, 3], "name": "transpose", "conjugate": False},
        lambda x: x.transpose(0, 2, 1, 3),
    ),
    "pad": (
        "compat.v1.pad",
        {"paddings": [[0, 0], [1, 2], [0, 1], [0, 0]], "mode": "CONSTANT", "constant_values": 0},
        lambda x: np.pad(x, [(0, 0), (1, 2), (0, 1), (0, 0)]),
    ),
    "softmax": ("nn.softmax", {"axis": 1}, lambda x: softmax(x, 1)),
    "relu6": ("nn.relu6", {}, lambda x: np.clip(x, 0, 6)),
    "leaky_relu": ("nn.leaky_relu", {}, lambda x: np.where(x > 0, x, 0.2 * x)),
    "sigmoid": ("math.sigmoid", {"name": None}, lambda x: 1 / (1 + np.exp(-x))),
}


def call(function, name, *calls):
    kind = "TFOpLambda" if function else "SlicingOpLambda"
    return layer(kind, f"tf.{name}", *calls, **({"function": function} if function else {}))


@pytest.mark.parametrize("case", FUNCTIONS)
def test_functions_of_tensorflow_become_operations(tmp_path, case):
    function, arguments, compute = FUNCTIONS[case]
    description = functional(
        conv("conv", of("image")), call(function, "f", ["conv", 0, 0, arguments])
    )
    path = saved_h5(tmp_path / "model.h5", description, {"conv": CONV})
    assert_computes(path, compute(convolved(IMAGES)))


@pytest.mark.parametrize("calls", [[], [["conv", 0, 0, {}], ["conv", 0, 0, {}]], [[]]])
def test_functions_called_never_or_twice_are_refused_in_a_sentence(tmp_path, calls):
    description = functional(conv("conv", of("image")), call("nn.relu", "f", *calls))
    with pytest.raises(ValueError, match=r"model\.h5 (is not loaded|cannot be)"):
        load(saved_h5(tmp_path / "model.h5", description, {"conv": CONV}))


def test_functions_of_several_tensors_and_of_a_number(tmp_path):
    difference = ["_CONSTANT_VALUE", -1, 1.0, {"y": ["conv", 0, 0], "name": None}]
    together = [["conv", 0, 0, {"axis": -1}], ["tf.subtract", 0, 0, {"axis": -1}]]
    description = functional(
        conv("conv", of("image")),
        call("math.subtract", "subtract", difference),
        call("concat", "concat", together),
    )
    x = convolved(IMAGES)
    path = saved_h5(tmp_path / "model.h5", description, {"conv": CONV})
    assert_computes(path, np.concatenate([x, 1 - x], axis=-1))


@pytest.mark.parametrize(
    ("kind", "config", "words"),
    [
        ("TFOpLambda", {"function": "linalg.svd"}, "'tf.f' calls tf.linalg.svd"),
        ("TFOpLambda", {"function": "__class__.__init__"}, "calls tf.__class__.__init__"),
        ("TFOpLambda", {"function": "nn.relu"}, "calls tf.nn.relu"),  # with what is not known
        ("TensorFlowOpLayer", {"node_def": 'op: "RealDiv"'}, "calls a function of TensorFlow"),
    ],
)
def test_other_functions_are_refused(tmp_path, kind, config, words):
    arguments = ["conv", 0, 0, {"mine": 3}]
    description = functional(conv("conv", of("image")), layer(kind, "tf.f", arguments, **config))
    with pytest.raises(ValueError, match=f"{words}, in a way .*save it$"):
        load(saved_h5(tmp_path / "model.h5", description, {"conv": CONV}))


# --- models as older versions wrote them


def without_names(*layers):
    return {"class_name": "Sequential", "config": list(layers)}


def sequential(*layers, **config):
    return {"class_name": "Sequential", "config": {"name": "outer", "layers": list(layers)}}


FIRST = conv(batch_input_shape=[None, 6, 6, 3])
TANH = layer("Activation", "tanh", activation="tanh")
INNER = functional(conv("conv", of("image")), kind="Model")
ADAPTED = layer("Normalization", "adapted", batch_input_shape=[None] * 4, axis=[-1])
UNKNOWN = layer("InputLayer", "unknown", batch_input_shape=[None] * 4)
ADAPTING = {"mean": np.float32([1, 2, 3]), "variance": np.float32([4, 5, 6]), "count": 7}
OLD = {  # {case: (version, description, weights)}
    "a list of layers": ("2.0.5", without_names(FIRST, TANH), {"conv": CONV}),
    "no input layer": ("2.2.4", sequential(FIRST, TANH), {"conv": CONV}),
    "a model first": ("2.2.4", sequential(INNER | {"name": "inner"}, TANH), {"inner": CONV}),
    "a list in a list": ("2.0.5", without_names(without_names(FIRST), TANH), {"inner": CONV}),
    "0 for false": ("2.3.0", sequential(image(), conv(trainable=0), TANH), {"conv": CONV}),
}


@pytest.mark.parametrize("case", OLD)
def test_models_of_older_versions(tmp_path, case):
    version, description, weights = OLD[case]
    path = saved_h5(tmp_path / "model.h5", description, weights, version)
    assert_computes(path, np.tanh(convolved(IMAGES)))


def test_a_normalization_in_a_model_whose_input_was_not_known(tmp_path):
    inner = sequential(UNKNOWN, ADAPTED, conv())
    inner["config"]["name"] = "inner"
    description = functional(inner | {"name": "inner", "inbound_nodes": [of("image")]})
    description["config"]["output_layers"] = [["inner", 1, 0]]
    weights = {f"conv/{name}": array for name, array in CONV.items()}
    path = saved_h5(tmp_path / "model.h5", description, {"inner": weights | ADAPTING})
    scaled = (IMAGES - ADAPTING["mean"]) / np.sqrt(ADAPTING["variance"])
    assert_computes(path, convolved(scaled))


def test_kernels_of_theano_are_turned(tmp_path):
    path = saved_h5(tmp_path / "m.h5", sequential(FIRST), {"conv": CONV}, "2.2.4", "theano")
    assert_computes(path, convolved(IMAGES, KERNEL[::-1, ::-1]))


def test_mixed_precision(tmp_path):
    policy = {"class_name": "Policy", "config": {"name": "mixed_float16"}}
    description = sequential(image(), conv(dtype=policy))
    model = load(saved_h5(tmp_path / "model.h5", description, {"conv": CONV}))
    assert [layer.compute_dtype for layer in model.layers] == ["float16"]
    output = np.asarray(model(IMAGES))
    np.testing.assert_allclose(output, convolved(IMAGES), rtol=0.01, atol=0.01)


# --- `.keras` files of Keras 2


def saved_keras(path, description, weights, version):
    """Write a file; weights are {group: arrays}."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for group, arrays in weights.items():
            file.create_group(f"{group}/vars")
            for number, array in enumerate(arrays):
                file[f"{group}/vars/{number}"] = array
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(description))
        archive.writestr("model.weights.h5", content.getvalue())
    return path


SECOND = RANDOM.normal(0, 0.5, (3, 3, 4, 4)).astype("f4")
OLD_GROUP = "_layer_checkpoint_dependencies"


@pytest.mark.parametrize(
    ("version", "layers", "numbers"),
    [("2.15.0", "layers", ("", "_1", "_2")), ("2.13.1", OLD_GROUP, ("", "_2", "_4"))],
)
def test_keras_files_of_keras_2(tmp_path, version, layers, numbers):
    """The second and third convolution are of the same shape, and one model in the other."""
    inner = {"class_name": "Sequential", "module": "keras", "registered_name": None}
    inner["config"] = {"name": "inner", "layers": [image((None, 2, 2, 4)), TANH]}
    three = [conv("a", of("image")), conv("b", of("a"), padding="same"), conv("c", of("b"))]
    last = inner | {"name": "inner", "inbound_nodes": [of("c")]}
    description = functional(*three, last)
    description["config"]["output_layers"] = [["inner", 1, 0]]
    for part in description["config"]["layers"][:4]:
        part |= {"module": "keras.layers", "registered_name": None}
        part["build_config"] = {"input_shape": [None, 6, 6, 3]}
    description |= {"module": "keras.src.engine.functional", "registered_name": "Functional"}
    kernels = (KERNEL, SECOND, 2 * SECOND)
    weights = {
        f"{layers}/conv2d{number}": [kernel, BIAS]
        for number, kernel in zip(numbers, kernels, strict=True)
    }
    path = saved_keras(tmp_path / "model.keras", description, weights, version)
    wide = np.pad(convolved(IMAGES), [(0, 0), (1, 1), (1, 1), (0, 0)])
    expected = np.tanh(convolved(convolved(wide, SECOND), 2 * SECOND))
    before = path.read_bytes()
    assert_computes(path, expected)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


# --- what the rest of the package knows of them


def test_a_hard_sigmoid_of_keras_2_is_a_head_with_its_own_probabilities(tmp_path):
    description = sequential(image(), conv(), layer("Flatten", "flat"))
    dense = layer("Dense", "yes", units=1, activation="hard_sigmoid", use_bias=False)
    description["config"]["layers"].append(dense)
    weights = {"conv": CONV, "yes": {"kernel": RANDOM.normal(0, 0.1, (64, 1))}}
    model = load(saved_h5(tmp_path / "model.h5", description, weights))
    heat = grad_cam(model, IMAGES, target=1)
    logits = convolved(IMAGES).reshape(2, 64) @ weights["yes"]["kernel"]
    np.testing.assert_allclose(heat.scores, logits[:, 0], 1e-4, 1e-4)
    np.testing.assert_allclose(heat.probabilities, hard_sigmoid(logits[:, 0]), 1e-4, 1e-4)


@pytest.mark.parametrize(
    ("functions", "expected"),
    [
        ([("math.truediv", {"y": 127.5}), ("math.subtract", {"y": 1.0})], (0, 255)),
        (
            [
                ("", {"slice_spec": [ELLIPSIS, BACK]}),
                ("nn.bias_add", {"bias": [-104.0, -117.0, -124.0]}),
            ],
            (0, 255),
        ),
        ([("math.subtract", {"y": 0.5})], (0, 1)),
    ],
    ids=["MobileNet", "VGG", "0..1"],
)
def test_the_range_of_an_image_is_read_from_preprocess_input(tmp_path, functions, expected):
    calls, before = [], "image"
    for number, (function, arguments) in enumerate(functions):
        calls.append(call(function, str(number), [before, 0, 0, arguments]))
        before = f"tf.{number}"
    description = functional(*calls, conv("conv", of(before)))
    model = load(saved_h5(tmp_path / "model.h5", description, {"conv": CONV}))
    assert ranges.input_range(inspect_model(model)) == expected
