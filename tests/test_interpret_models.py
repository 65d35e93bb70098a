"""Every kind of Keras model can be looked into, and none of them is changed by it.

Each builder below makes one kind of model. All of them go through the same tests: activations as a
second Keras model gives them, logits that give the model's own predictions, nothing changed.
"""

import gc
import weakref
from pathlib import Path

import numpy as np
import psutil
import pytest

from cnnlab import runtime

runtime.start(seed=0)

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers, ops  # noqa: E402

from cnnlab.interpret import activations, grad_cam  # noqa: E402
from cnnlab.interpret.model import network  # noqa: E402
from cnnlab.interpret.model.loading import load  # noqa: E402

DATA = Path(__file__).parent / "data"
SIZE = 8
BUILDERS = {}


def kind(builder):
    """Register a builder of one kind of model, under its name."""
    BUILDERS[builder.__name__] = builder
    return builder


def pixels(channels=3, **options):
    return keras.Input((SIZE, SIZE, channels), name="pixels", **options)


def images_for(model, count=3):
    """Images in 0..1, or 0..255 for integer inputs, of the model's size (SIZE where it is open)."""
    tensor = model.inputs[0]
    shape = [size or SIZE for size in tensor.shape[1:]]
    images = np.random.default_rng(0).uniform(0, 1, (count, *shape))
    is_integer = "int" in keras.backend.standardize_dtype(tensor.dtype)
    return (255 * images).astype("uint8") if is_integer else images.astype("float32")


def conv(filters=4, activation="relu", **options):
    return layers.Conv2D(filters, 3, activation=activation, **options)


def head(features, units=3, activation="softmax", name="head"):
    return layers.Dense(units, activation, name=name)(layers.Flatten()(features))


def with_random_weights(model):
    """Give every weight a value of its own; variances and scales above 0."""
    random = np.random.default_rng(1)
    for variable in model.weights:
        positive = variable.path.endswith(("variance", "gamma"))
        values = random.uniform(0.5, 1.5, variable.shape)
        if not positive:
            values = random.normal(
                0, 1.5 / max(1, np.prod(variable.shape[:-1])) ** 0.5, values.shape
            )
        if "float" in variable.dtype:
            variable.assign(values)
    return model


# --- the kinds of models


@kind
def sequential():
    return keras.Sequential(
        [keras.Input((SIZE, SIZE, 3)), conv(), layers.MaxPooling2D(), conv(), layers.Flatten()]
        + [layers.Dense(3, "softmax")]
    )


@kind
def sequential_built_by_fit():
    model = keras.Sequential([conv(), layers.Flatten(), layers.Dense(3, "softmax")])
    model.compile("sgd", "categorical_crossentropy")
    model.fit(np.ones((4, SIZE, SIZE, 3)), np.eye(3)[[0, 1, 2, 0]], verbose=0)
    return model


@kind
def sequential_built_by_a_call():
    model = keras.Sequential([conv(), layers.Flatten(), layers.Dense(3, "softmax")])
    model(np.ones((2, SIZE, SIZE, 3), "float32"))
    return model


@kind
def functional():
    image = pixels()
    return keras.Model(image, head(conv(padding="same")(layers.AveragePooling2D(2)(conv()(image)))))


@kind
def gray():
    image = pixels(channels=1)
    return keras.Model(image, head(conv()(image)))


@kind
def heads_as_list():
    image = pixels()
    trunk = conv()(image)
    return keras.Model(image, [head(trunk, 4, name="zebra"), head(trunk, 2, name="ant")])


@kind
def heads_as_dict():
    image = pixels()
    trunk = conv()(image)
    inner = {"b": head(trunk, 1, "sigmoid", name="c")}
    return keras.Model(image, {"z": head(trunk, 4, name="a"), "nested": inner})


@kind
def a_branch_for_each_head():
    image = pixels()
    trunk = conv(name="trunk")(image)
    shape = layers.ReLU(name="shape_relu")(conv(name="shape_conv")(trunk))
    color = conv(name="color_conv")(trunk)
    return keras.Model(image, {"shape": head(shape, name="s"), "color": head(color, name="c")})


@kind
def the_same_tensor_twice():
    image = pixels()
    output = head(conv()(image))
    return keras.Model(image, [output, output])


@kind
def nested_in_two_levels():
    deepest = keras.Sequential([keras.Input((SIZE, SIZE, 3)), conv(name="conv")], name="deepest")
    middle_input = keras.Input((SIZE, SIZE, 3))
    middle = keras.Model(middle_input, conv(name="conv")(deepest(middle_input)), name="middle")
    image = pixels()
    return keras.Model(image, head(conv(name="conv")(middle(image))))


@kind
def nested_sequential_without_input():
    features = keras.Sequential([conv(), layers.MaxPooling2D()], name="features")
    return keras.Sequential([pixels(), features, layers.Flatten(), layers.Dense(3, "softmax")])


@kind
def nested_called_twice():
    image = pixels(channels=4)
    shared = keras.Sequential([keras.Input((SIZE, SIZE, 4)), conv(padding="same")], name="shared")
    return keras.Model(image, head(shared(shared(image))))


@kind
def nested_with_several_outputs():
    inner_input = keras.Input((SIZE, SIZE, 3))
    first = conv(name="first")(inner_input)
    inner = keras.Model(inner_input, [first, conv(padding="same", name="second")(first)])
    image = pixels()
    first, second = inner(image)
    return keras.Model(image, [head(first, name="one"), head(first - second, name="two")])


@kind
def nested_that_makes_the_outputs():
    inner_input = keras.Input((SIZE, SIZE, 3))
    trunk = conv()(inner_input)
    outputs = {"b": head(trunk, name="b_dense"), "a": head(trunk, 1, "sigmoid", name="a_dense")}
    return keras.Sequential([pixels(), keras.Model(inner_input, outputs, name="inner")])


@kind
def nested_whose_output_is_its_input():
    inner_input = keras.Input((SIZE, SIZE, 3))
    passing = keras.Model(inner_input, [inner_input, conv()(inner_input)], name="passing")
    image = pixels()
    same, features = passing(image)
    return keras.Model(image, [head(conv()(same), name="one"), head(features, name="two")])


def difference(names, as_dict):
    """A model of two inputs that shows which one came first."""
    left, right = (keras.Input((SIZE, SIZE, 3), name=name) for name in names)
    inputs = dict(zip(names, (left, right), strict=True)) if as_dict else [left, right]
    return keras.Model(inputs, conv()(2 * left - right), name="difference")


@kind
def nested_with_two_inputs():
    image = pixels()
    return keras.Model(image, head(difference(["b", "a"], False)([image, layers.ReLU()(-image)])))


@kind
def nested_with_a_dict_of_inputs():
    image = pixels()
    given = {"left": image, "right": image**2}
    return keras.Model(image, head(difference(["left", "right"], True)(given)))


@kind
def nested_with_a_dict_for_a_list():
    image = pixels()
    given = {"a": image**2, "b": image}  # Keras finds them by name, not by position
    return keras.Model(image, head(difference(["b", "a"], False)(given)))


class WithCall(keras.Model):
    """A subclassed model, which has no graph, in the middle of one that has."""

    def __init__(self):
        super().__init__(name="subclassed")
        self.conv = conv(padding="same")
        self.dropout = layers.Dropout(0.5)

    def call(self, inputs, training=None):
        return self.dropout(self.conv(inputs), training=training)


@kind
def nested_subclassed():
    image = pixels()
    return keras.Model(image, head(WithCall()(image)))


class Doubling(keras.Model):
    """A functional model with a call() of its own."""

    def __init__(self):
        image = keras.Input((SIZE, SIZE, 3))
        super().__init__(image, conv()(image), name="doubling")

    def call(self, inputs, training=None):
        return 2 * super().call(inputs, training=training)


@kind
def nested_functional_with_its_own_call():
    image = pixels()
    return keras.Model(image, head(Doubling()(image)))


@kind
def shared_layer():
    image = pixels(channels=4)
    shared = conv(padding="same", name="shared")
    return keras.Model(image, head(shared(shared(image)) + shared(image)))


@kind
def residual():
    image = pixels()
    start = conv(padding="same")(image)
    onward = layers.BatchNormalization()(conv(padding="same", activation=None)(start))
    return keras.Model(image, head(layers.ReLU()(layers.Add()([start, onward]))))


@kind
def concatenated():
    image = pixels()
    parts = [conv(2, padding="same")(image), conv(3, padding="same")(image)]
    return keras.Model(image, head(layers.Concatenate()(parts)))


@kind
def operations():
    image = pixels()
    scaled = (image - 0.5) / np.float32(0.25)
    features = conv()(scaled[:, ::2, 1:])
    left, right = ops.split(features, 2, axis=-1)
    merged = ops.concatenate([ops.maximum(left, right), ops.sqrt(ops.abs(right) + 1)], axis=-1)
    return keras.Model(image, head(conv(4, padding="same")(merged)))


@kind
def one_of_several_outputs_of_an_operation():
    image = pixels()
    logits = layers.Dense(5)(layers.Flatten()(conv()(image)))
    _, second = ops.split(logits, [2], axis=-1)  # (n, 2) and (n, 3)
    return keras.Model(image, second)


@kind
def unsigned_integers():
    image = pixels(dtype="uint8")
    return keras.Model(image, head(conv()(layers.Rescaling(1 / 255)(image))))


@kind
def open_size():
    image = keras.Input((None, None, 3))
    return keras.Model(image, head(layers.GlobalAveragePooling2D()(conv()(image))))


@kind
def fixed_batch_size():
    image = keras.Input(batch_shape=(3, SIZE, SIZE, 3))
    return keras.Model(image, head(conv()(image)))


@kind
def regularized():
    image = pixels()
    features = conv(activity_regularizer="l2", kernel_regularizer="l1")(image)
    return keras.Model(image, head(layers.ActivityRegularization(0.1)(features)))


@kind
def random_while_training():
    image = pixels()
    changed = layers.RandomRotation(0.2)(layers.RandomFlip()(image))
    features = layers.SpatialDropout2D(0.5)(layers.BatchNormalization()(conv()(changed)))
    return keras.Model(image, head(layers.GaussianNoise(1.0)(features)))


@kind
def told_to_train():
    image = pixels()
    features = layers.Dropout(0.5)(conv()(image), training=True)  # predict() overrules it
    return keras.Model(image, head(layers.BatchNormalization()(features, training=True)))


@kind
def frozen():
    model = functional()
    model.layers[1].trainable = False
    return model


@kind
def unusual_convolutions():
    image = pixels()
    features = layers.DepthwiseConv2D(3, activation="relu")(image)
    features = layers.SeparableConv2D(4, 3, activation="relu")(features)
    return keras.Model(image, head(layers.Conv2DTranspose(3, 3, strides=2)(features)))


class Block(layers.Layer):
    """A convolution inside a layer of the user's own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.conv = conv()

    def call(self, inputs):
        return 1 - self.conv(inputs)


@kind
def convolution_inside_a_layer():
    image = pixels()
    return keras.Model(image, head(Block(name="block")(conv(name="stem")(image))))


@kind
def keras2_sequential():
    return load(DATA / "keras2_sequential.h5")


@kind
def keras2_functional():
    return load(DATA / "keras2_functional.h5")


@kind
def keras2_nested():
    return load(DATA / "keras2_nested.h5")


def mixed(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        image = pixels()
        logits = layers.Dense(3)(layers.Flatten()(conv()(image)))
        model = keras.Model(image, layers.Activation("softmax", dtype="float32")(logits))
    finally:
        keras.config.set_dtype_policy(before)
    return model


@kind
def mixed_float16():
    return mixed("mixed_float16")


@kind
def mixed_bfloat16():
    return mixed("mixed_bfloat16")


# --- endings, each on a row of logits: (layers on them, how a score becomes a prediction)


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


def sigmoid(scores):
    return 1 / (1 + np.exp(-scores))


def same(scores):
    return scores


def dense(units, activation):
    return layers.Dense(units, activation)


ENDINGS = {
    "softmax inside": (dense(3, "softmax"), softmax),
    "softmax of TensorFlow": (dense(3, tf.nn.softmax), softmax),
    "a Softmax layer inside": (dense(3, layers.Softmax()), softmax),
    "sigmoid inside": (dense(3, "sigmoid"), sigmoid),
    "one sigmoid unit": (dense(1, "sigmoid"), sigmoid),
    "one softmax unit": (dense(1, "softmax"), softmax),
    "linear": (dense(3, None), same),
    "one linear unit": (dense(1, None), same),
    "relu is no squeezing": (dense(3, "relu"), same),
    "hard sigmoid": (dense(1, "hard_sigmoid"), lambda s: np.clip(s / 6 + 0.5, 0, 1)),
    "tanh": (dense(1, "tanh"), np.tanh),
    "log softmax": (dense(3, "log_softmax"), lambda s: np.log(softmax(s))),
    "an Activation layer": ([dense(3, None), layers.Activation("softmax")], softmax),
    "a Softmax layer": ([dense(3, None), layers.Softmax()], softmax),
    "softmax operation": ([dense(3, None), ops.softmax], softmax),
    "softmax function": ([dense(3, None), keras.activations.softmax], softmax),
    "sigmoid operation": ([dense(1, None), ops.sigmoid], sigmoid),
    "Reshape after": ([dense(3, "softmax"), layers.Reshape((1, 1, 3))], softmax),
    "Flatten after": (
        [layers.Reshape((1, 1, -1)), layers.Conv2D(3, 1, activation="sigmoid"), layers.Flatten()],
        sigmoid,
    ),
    "operations after": (
        [dense(3, "softmax"), lambda x: ops.cast(ops.reshape(x, (-1, 1, 3)), "float32")],
        softmax,
    ),
    "squeezed": ([dense(1, "sigmoid"), lambda x: ops.expand_dims(x, 1)], sigmoid),
    "passing layers after": (
        [dense(3, "softmax"), layers.Dropout(0.5), layers.Activation("linear", dtype="float32")],
        softmax,
    ),
    "softmax in groups": (
        # Each pair adds up to 1: there is no softmax over all four to undo.
        [dense(4, None), layers.Reshape((2, 2)), layers.Softmax(), layers.Flatten()],
        same,
    ),
    "a temperature": ([dense(3, None), lambda x: ops.softmax(x / 10)], softmax),
}


def with_ending(parts):
    image = pixels()
    row = layers.Flatten()(conv()(image))
    for part in parts if isinstance(parts, list) else [parts]:
        row = part(row)
    return with_random_weights(keras.Model(image, row))


# --- what must hold for all of them


def state(model):
    """Everything about a model that must stay as it was."""
    found = [model, *model._flatten_layers(include_self=False)]
    operations = {id(part): part for layer in found for part in getattr(layer, "operations", [])}
    parts = [*found, *operations.values()]
    return {
        "layers": list(map(id, found)),
        "weights": [np.asarray(value).tobytes() for value in model.get_weights()],
        "variables": list(map(id, model.weights)),
        "trainable": [layer.trainable for layer in found],
        "activations": [id(getattr(layer, "activation", None)) for layer in found],
        "attributes": [sorted(vars(part)) for part in parts],
        "calls": [(len(part._inbound_nodes), len(part._outbound_nodes)) for part in parts],
        "losses": len(model.losses),
        "seeds": [np.asarray(variable).tobytes() for variable in model.non_trainable_variables],
    }


def predictions(model, images):
    """{name: (n, units)} of the outputs, in the model's order."""
    found = keras.tree.flatten(model(images, training=False))
    return {
        name: np.asarray(tf.cast(value, "float32")).reshape(len(images), -1)
        for name, value in zip(network.inspect_model(model).graph.outputs, found, strict=True)
    }


def values(model, tensors, images):
    """What Keras computes for symbolic tensors of a model."""
    return keras.tree.flatten(keras.Model(model.inputs[0], list(tensors))(images, training=False))


def by_a_second_model(model, images, prefix=""):
    """{name: output} of every layer that Keras can show, by other models of the same layers.

    Layers that are called several times, and nested models with several inputs, are left out.
    """
    shown = {}
    for layer in model.layers:
        if len(layer._inbound_nodes) != 1 or isinstance(layer, layers.InputLayer):
            continue
        (node,) = layer._inbound_nodes
        if getattr(layer, "inputs", None) and type(layer) is not Doubling:
            if len(layer.inputs) == 1:
                (given,) = values(model, node.input_tensors, images)
                shown |= by_a_second_model(layer, given, f"{prefix}{layer.name}/")
            continue
        output = values(model, node.output_tensors, images)[0]
        shown[prefix + layer.name] = np.asarray(tf.cast(output, "float32"))
    return shown


def tolerance(model):
    """How much a compiled function may round differently: a few units of the last place."""
    policies = {layer.compute_dtype for layer in model.layers}
    return 0.02 if policies & {"float16", "bfloat16"} else 1e-5


@pytest.fixture(scope="module", params=BUILDERS)
def model(request):
    return with_random_weights(BUILDERS[request.param]())


# The first of these compiles what the others use again.


def test_nothing_about_the_model_changes(model):
    images = images_for(model)
    predicted = predictions(model, images)
    network._views.clear()  # the layers are called while a function is compiled
    before = state(model)
    activations(model, images)
    for name in network.inspect_model(model).heads:
        grad_cam(model, images, name)
    after = state(model)
    for part in before:
        assert after[part] == before[part], part
    assert {n: p.tobytes() for n, p in predictions(model, images).items()} == {
        n: p.tobytes() for n, p in predicted.items()
    }


def test_activations_are_those_of_a_second_model(model):
    images = images_for(model)
    expected = by_a_second_model(model, images)
    assert expected
    found = activations(model, images, list(expected))
    assert list(found) == list(expected)
    for name, maps in found.items():
        assert maps.dtype == "float32"
        np.testing.assert_allclose(
            maps, expected[name], tolerance(model), tolerance(model), err_msg=name
        )


def test_without_names_every_layer_with_feature_maps(model):
    found = activations(model, images_for(model))
    assert found
    assert all(maps.ndim == 4 and len(maps) == 3 for maps in found.values())
    shown = by_a_second_model(model, images_for(model))
    assert {name for name, maps in shown.items() if maps.ndim == 4} <= set(found)


def test_scores_and_probabilities_are_the_models_own(model):
    images = images_for(model)
    expected = predictions(model, images)
    heads = network.inspect_model(model).heads
    assert list(heads) == list(expected)
    for name, predicted in expected.items():
        found = [grad_cam(model, images, name, target) for target in range(heads[name].classes)]
        scores_of = np.stack([one.scores for one in found], axis=1)
        of_classes = np.stack([one.probabilities for one in found], axis=1)
        if heads[name].ending == "sigmoid":
            if heads[name].units == 1:
                predicted = np.concatenate([1 - predicted, predicted], axis=1)
            np.testing.assert_allclose(sigmoid(scores_of), predicted, 0, tolerance(model))
        elif heads[name].ending == "softmax":
            np.testing.assert_allclose(softmax(scores_of), predicted, 0, tolerance(model))
        else:
            np.testing.assert_allclose(scores_of, predicted, 1e-5, tolerance(model))
            predicted = softmax(predicted)
        np.testing.assert_allclose(of_classes, predicted, 0, tolerance(model), err_msg=name)


def test_a_change_would_be_noticed():
    """The comparison above can fail: each of these is one of the ways others change a model."""
    for change in (
        lambda model: setattr(model.layers[-1], "activation", keras.activations.linear),
        lambda model: model.layers[1](keras.Input((SIZE, SIZE, 3))),
        lambda model: model.layers[1].add_loss(ops.ones(())),
        lambda model: setattr(model.layers[1], "trainable", False),
        lambda model: model.layers[1].kernel.assign_add(0 * model.layers[1].kernel + 1e-7),
        lambda model: setattr(model.layers[1], "kept", 1),
    ):
        model = functional()
        before = state(model)
        change(model)
        assert state(model) != before


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1")
@pytest.mark.parametrize("name", ENDINGS)
def test_a_score_is_what_enters_the_ending(name):
    model, squeeze = with_ending(ENDINGS[name][0]), ENDINGS[name][1]
    images = images_for(model)
    ((head_name, predicted),) = predictions(model, images).items()
    head = network.inspect_model(model).heads[head_name]
    found = [grad_cam(model, images, target=target) for target in range(head.classes)]
    scores_of = np.stack([one.scores for one in found], axis=1)
    if head.units < head.classes:
        np.testing.assert_array_equal(scores_of[:, 0], -scores_of[:, 1])
        scores_of = scores_of[:, 1:]
    assert scores_of.std() > 0.01
    np.testing.assert_allclose(squeeze(scores_of), predicted, 1e-5, 1e-6)
    assert (squeeze is same) == (head.ending == "linear")
    best = np.stack([one.probabilities for one in found], axis=1).argmax(axis=1)
    np.testing.assert_array_equal(grad_cam(model, images).targets, best)


@pytest.mark.parametrize("name", ["hard sigmoid", "tanh", "sigmoid inside"])
def test_probabilities_of_units_that_stand_alone(name):
    model = with_ending(ENDINGS[name][0])
    images = images_for(model)
    (predicted,) = predictions(model, images).values()
    predicted = (1 + predicted) / 2 if name == "tanh" else predicted
    last = predicted.shape[1] - 1
    column = predicted[:, last]
    target = 1 if last == 0 else last
    np.testing.assert_allclose(grad_cam(model, images, target=target).probabilities, column, 1e-5)
    if last == 0:
        found = grad_cam(model, images, target=0).probabilities
        np.testing.assert_allclose(found, 1 - column, 0, 1e-6)


# --- one kind at a time


def test_names_of_heads():
    def names(model):
        return list(network.inspect_model(model).heads)

    assert names(heads_as_list()) == ["zebra", "ant"]
    assert names(heads_as_dict()) == ["nested/b", "z"]  # Keras sorts them
    assert names(nested_that_makes_the_outputs()) == ["a", "b"]
    assert names(the_same_tensor_twice()) == ["head (output 1)", "head (output 2)"]


def test_names_in_nested_models_and_of_second_calls():
    nested = network.inspect_model(nested_in_two_levels())
    assert [name for name in nested.layers if "conv" in name] == [
        "middle/deepest/conv",
        "middle/conv",
        "conv",
    ]
    assert nested.layer("conv").name == "conv"
    assert nested.layer("deepest/conv").name == "middle/deepest/conv"
    shared = network.inspect_model(nested_called_twice())
    assert [name.split("/")[0] for name in shared.convolutions()] == ["shared", "shared"]
    assert shared.convolutions()[1].endswith(" (call 2)")
    thrice = network.inspect_model(shared_layer())
    assert thrice.convolutions() == ["shared", "shared (call 2)", "shared (call 3)"]


def test_each_call_of_a_shared_layer_has_its_own_activations():
    model = with_random_weights(nested_called_twice())
    images = images_for(model)
    first, second = network.inspect_model(model).convolutions()
    found = activations(model, images)
    inner = model.get_layer("shared")
    np.testing.assert_allclose(found[first], inner(images), 1e-5, 1e-5)
    np.testing.assert_allclose(found[second], inner(inner(images)), 1e-5, 1e-5)
    assert not np.allclose(found[first], found[second])


def test_inputs_of_a_nested_model_are_not_confused():
    for builder in (
        nested_with_two_inputs,
        nested_with_a_dict_of_inputs,
        nested_with_a_dict_for_a_list,
    ):
        model = with_random_weights(builder())
        images = images_for(model) - 0.5
        inner = model.get_layer("difference")
        node = inner._inbound_nodes[0]
        given = values(model, keras.tree.flatten(node.arguments.args[0]), images)
        names = sorted(["left", "right"]) if builder is nested_with_a_dict_of_inputs else None
        if builder is nested_with_a_dict_for_a_list:
            names = ["a", "b"]
        expected = inner(dict(zip(names, given, strict=True)) if names else given)
        conv_name = next(name for name in activations(model, images) if "difference/" in name)
        np.testing.assert_allclose(activations(model, images)[conv_name], expected, 1e-5, 1e-5)


def test_the_default_layer_is_the_last_convolution_on_the_way_to_the_head():
    model = with_random_weights(a_branch_for_each_head())
    images = images_for(model)
    for name in ("shape", "color"):
        found = grad_cam(model, images, name, 0)
        assert found.layer == f"{name}_conv"
        # The raw sum is not 0 as it would be on the other branch.
        assert np.abs(found.raw).max() > 1e-3
        assert "trunk" in network.inspect_model(model).convolutions(
            network.inspect_model(model).heads[name]
        )


def test_a_layer_that_does_not_feed_the_head_is_refused():
    model = a_branch_for_each_head()
    message = (
        "layer 'color_conv' does not feed the head 'shape'; "
        "usable are trunk, shape_conv, shape_relu"
    )
    with pytest.raises(ValueError, match=message):
        grad_cam(model, images_for(model), "shape", layer="color_conv")


def test_a_convolution_inside_a_layer_of_ones_own_counts():
    model = convolution_inside_a_layer()
    assert grad_cam(model, images_for(model)).layer == "block"


def test_a_convolution_with_a_single_place_is_not_the_default():
    image = pixels()
    wide = conv(name="wide")(image)
    squeezed = layers.Conv2D(2, SIZE - 2, name="squeezed")(wide)  # (1, 1, 2)
    model = with_random_weights(keras.Model(image, layers.Flatten()(squeezed)))
    assert grad_cam(model, images_for(model)).layer == "wide"
    found = grad_cam(model, images_for(model), target=0, layer="squeezed")
    assert all("a single place" in note or note.startswith("empty") for note in found.note)


def test_without_a_convolution_the_last_feature_map():
    image = pixels()
    pooled = layers.MaxPooling2D(name="pooled")(layers.AveragePooling2D(2, name="average")(image))
    model = with_random_weights(keras.Model(image, head(pooled)))
    assert grad_cam(model, images_for(model)).layer == "pooled"


def test_an_unbuilt_sequential_is_built_for_the_images():
    images = images_for(functional())
    for given, channels in [
        (images, 3),
        (images[0], 3),
        (images[..., 0], 1),
        (images[0, ..., 0], 1),
    ]:
        model = keras.Sequential([conv(), layers.Flatten(), layers.Dense(3, "softmax")])
        found = grad_cam(model, given)
        assert model.inputs[0].shape == (None, SIZE, SIZE, channels)
        assert found.maps.shape == (3 if len(given) == 3 else 1, SIZE, SIZE)
        before = state(model)
        grad_cam(model, given)
        assert state(model) == before


def test_an_output_that_is_no_row_has_activations_but_no_heatmap():
    image = pixels()
    features = conv(name="map")(image)
    only_map = keras.Model(image, features)
    assert list(activations(only_map, images_for(only_map))) == ["map"]
    with pytest.raises(ValueError, match="no output of the model is a row of numbers"):
        grad_cam(only_map, images_for(only_map))
    with_map = keras.Model(image, {"map": features, "class": head(features)})
    assert grad_cam(with_map, images_for(with_map)).head == "class"
    with pytest.raises(ValueError, match="no head 'map'; the model has class"):
        grad_cam(with_map, images_for(with_map), "map")
    with pytest.raises(ValueError, match="no output of the model is a row of numbers"):
        grad_cam(keras.Model(image, image), images_for(only_map))


def test_keras2_models_answer_as_they_did():
    for name in ("keras2_sequential", "keras2_functional", "keras2_nested"):
        with np.load(DATA / f"{name}.npz") as file:
            expected = dict(file)
        model, images = load(DATA / f"{name}.h5"), expected.pop("images")
        found = predictions(model, images.astype("float32"))
        assert list(found) == list(expected)
        for output, answers in expected.items():
            np.testing.assert_allclose(found[output], answers, 1e-5, 1e-6)
            assert answers.std(axis=0).max() > 0.003
        assert network.inspect_model(model).convolutions()


# --- clear errors


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="mine")
        self.dense = layers.Dense(2)

    def call(self, inputs):
        return self.dense(ops.mean(inputs, axis=(1, 2)))


def two_inputs():
    return difference(["left", "right"], False)


def channels_first():
    image = keras.Input((3, SIZE, SIZE))
    pooled = layers.GlobalAveragePooling2D(data_format="channels_first", name="pool")(image)
    return keras.Model(image, layers.Dense(2)(pooled))


@pytest.mark.parametrize(
    ("builder", "error", "message"),
    [
        (
            Subclassed,
            ValueError,
            "'mine' has no graph to look into: only Sequential and functional",
        ),
        (Doubling, ValueError, "without a call\\(\\) of their own"),
        (
            two_inputs,
            ValueError,
            r"takes \(None, 8, 8, 3\), \(None, 8, 8, 3\); one image is needed",
        ),
        (channels_first, ValueError, "layer 'pool' has the channels first"),
        (lambda: keras.Sequential([keras.Input((5,)), layers.Dense(2)]), ValueError, "one image"),
        (lambda: "a name", TypeError, "not a Keras model: 'a name'"),
        (lambda: layers.Dense(2), TypeError, "not a Keras model"),
        (lambda: None, TypeError, "not a Keras model"),
    ],
)
def test_models_that_cannot_be_looked_into(builder, error, message):
    images = np.zeros((1, SIZE, SIZE, 3))
    for technique in (activations, grad_cam):
        with pytest.raises(error, match=message):
            technique(builder(), images)


def test_an_unbuilt_sequential_without_images_says_how_to_build_it():
    with pytest.raises(ValueError, match="build it first, with model.build"):
        network.inspect_model(keras.Sequential([conv()], name="unbuilt"))
    model = keras.Sequential([conv(), layers.Flatten()])
    with pytest.raises(ValueError, match="build it first"):
        grad_cam(model, np.zeros(5))
    assert not model.built


ONE = np.zeros((1, SIZE, SIZE, 3))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (ONE[:, :5], r"the shape \(1, 5, 8, 3\); the model needs \(n, 8, 8, 3\)"),
        (ONE[..., :1], r"the shape \(1, 8, 8, 1\)"),
        (ONE[0, :, :, 0], r"the shape \(8, 8\)"),
        (ONE[:0], r"the shape \(0, 8, 8, 3\).*n at least 1"),
        (ONE + np.nan, "NaN or infinite"),
        (ONE + np.inf, "NaN or infinite"),
        (ONE + 1e300, "float32 input cannot hold"),
        (ONE.astype(object), "must be numbers, not object"),
        (ONE.astype(complex), "must be numbers, not complex128"),
        ([ONE[0], ONE[0, :5]], "differ in shape"),
        ("image.png", "must be numbers"),
        (None, "must be numbers"),
    ],
)
def test_images_that_do_not_fit(images, message):
    for technique in (activations, grad_cam):
        with pytest.raises(ValueError, match=message):
            technique(functional(), images)


@pytest.mark.parametrize(
    ("value", "fits"), [(0.5, False), (256, False), (-1, False), (255.0, True)]
)
def test_an_integer_input_takes_no_other_values(value, fits):
    model = unsigned_integers()
    if fits:
        assert network.as_batch(network.inspect_model(model), ONE + value).dtype == "uint8"
    else:
        with pytest.raises(ValueError, match="uint8 input cannot hold"):
            grad_cam(model, ONE + value)


def test_unknown_names_and_targets():
    model, one_unit = heads_as_list(), with_ending(dense(1, "sigmoid"))
    for options, message in [
        ({}, "the model has 2 heads: say which, with head=...: zebra, ant"),
        ({"head": "zebr"}, "no head 'zebr'; the model has zebra, ant"),
        ({"head": 0}, "no head 0; the model has zebra, ant"),
        ({"head": "zebra", "target": 4}, r"target 4 is not a class of head 'zebra': 0..3"),
        ({"head": "zebra", "target": -1}, "target -1 is not a class"),
        ({"head": "zebra", "target": [0, 1]}, "one for each of the 3 images"),
        ({"head": "zebra", "target": 1.0}, "must be one whole number"),
        ({"head": "zebra", "target": "1"}, "must be one whole number"),
        ({"head": "zebra", "layer": "zebar"}, r"no layer 'zebar' \(did you mean 'zebra'\?\)"),
        ({"head": "zebra", "layer": "ant"}, r"gives \(2,\) for an image"),
        ({"head": "zebra", "method": "cam"}, "no method 'cam'; there are grad-cam"),
    ]:
        with pytest.raises(ValueError, match=message):
            grad_cam(model, images_for(model), **options)
    with pytest.raises(ValueError, match=r"target 2 is not a class of head .*: 0..1"):
        grad_cam(one_unit, images_for(one_unit), target=2)
    with pytest.raises(ValueError, match="several layers are called 'conv'"):
        grad_cam(keras.Sequential([nested_in_two_levels()]), images_for(model), layer="conv")
    with pytest.raises(ValueError, match="no layer 'nothing'"):
        activations(model, images_for(model), ["nothing"])


# --- a model that changes between two calls


def test_an_exchanged_activation_is_noticed():
    model = with_random_weights(functional())
    images = images_for(model)
    layer = model.layers[1]
    before = activations(model, images)[layer.name]
    assert before.min() == 0
    for factor in (2.0, 3.0):
        layer.activation = lambda x, factor=factor: -factor * ops.relu(x)
        np.testing.assert_allclose(
            activations(model, images)[layer.name], -factor * before, 1e-5, 1e-6
        )
    model.layers[-1].activation = keras.activations.sigmoid
    (predicted,) = predictions(model, images).values()
    found = grad_cam(model, images, target=1)
    np.testing.assert_allclose(sigmoid(found.scores), predicted[:, 1], 1e-5)


def test_a_function_at_the_address_of_one_that_is_gone_is_not_taken_for_it():
    model = functional()
    images, layer = images_for(model), model.layers[1]
    layer.activation = lambda x: ops.zeros_like(x)
    assert not activations(model, images)[layer.name].any()
    address = id(layer.activation)
    layer.activation = keras.activations.linear
    gc.collect()
    others = []
    for _ in range(1000):
        layer.activation = lambda x: ops.ones_like(x)
        if id(layer.activation) == address:
            break
        others.append(layer.activation)  # so that the next one gets another address
    assert (activations(model, images)[layer.name] == 1).all()


def test_an_exchanged_activation_deep_inside_is_noticed():
    model = with_random_weights(nested_in_two_levels())
    images = images_for(model)
    before = activations(model, images, "middle/deepest/conv")["middle/deepest/conv"]
    inner = model.get_layer("middle").get_layer("deepest").get_layer("conv")
    inner.activation = keras.activations.linear
    after = activations(model, images, "middle/deepest/conv")["middle/deepest/conv"]
    assert before.min() == 0 > after.min()


def test_popped_and_added_layers_are_noticed():
    model = with_random_weights(sequential())
    images = images_for(model)
    old = grad_cam(model, images)
    model.pop()
    model.add(layers.Dense(5, "sigmoid", name="new"))
    with_random_weights(model)
    found = grad_cam(model, images, target=4)
    assert old.head != found.head == "new"
    (predicted,) = predictions(model, images).values()
    np.testing.assert_allclose(sigmoid(found.scores), predicted[:, 4], 1e-5, 1e-6)
    np.testing.assert_allclose(activations(model, images, "new")["new"], predicted, 1e-5, 1e-6)


def test_changed_weights_are_used_at_once():
    model = with_random_weights(functional())
    images = images_for(model)
    before = activations(model, images), grad_cam(model, images, target=0)
    model.set_weights([2 * value for value in model.get_weights()])
    name = model.layers[1].name
    np.testing.assert_allclose(activations(model, images)[name], 2 * before[0][name], 1e-5, 1e-5)
    (predicted,) = predictions(model, images).values()
    found = [grad_cam(model, images, target=target).scores for target in range(3)]
    np.testing.assert_allclose(softmax(np.stack(found, axis=1)), predicted, 1e-5, 1e-6)
    assert not np.allclose(found[0], before[1].scores)


# --- memory


@pytest.mark.parametrize(
    "builder",
    [sequential, sequential_built_by_fit, heads_as_dict, nested_in_two_levels, nested_subclassed],
)
def test_a_model_that_is_dropped_is_freed_with_all_that_was_kept(builder):
    model = builder()
    images = images_for(model)
    activations(model, images)
    for name in network.inspect_model(model).heads:
        grad_cam(model, images, name)
    kept = [weakref.ref(model), weakref.ref(network.inspect_model(model))]
    count = len(network._views)
    del model
    for _ in range(2):  # what the first round frees lets go of more
        gc.collect()
    assert [reference() for reference in kept] == [None, None]
    assert len(network._views) < count


MANY = 300  # calls
FLAT = 20  # MiB


def growth(keep):
    """MiB by which the process grows over many calls; `keep` gets what each returns."""
    model = with_random_weights(open_size())
    images = np.random.default_rng(0).uniform(size=(32, 40, 40, 3)).astype("float32")
    compiled = network.inspect_model(model).compiled
    before = []
    for number in range(50 + MANY):
        if number == 50:
            gc.collect()
            before = [psutil.Process().memory_info().rss, list(compiled)]
        count = 1 + number % 32
        keep(grad_cam(model, images[:count], target=number % 3))
        keep(activations(model, images[:count]))
    gc.collect()
    assert list(compiled) == before[1]
    assert [function.experimental_get_tracing_count() for function in compiled.values()] == [1, 1]
    return (psutil.Process().memory_info().rss - before[0]) / 2**20


def test_memory_and_compilations_stay_the_same_over_many_calls():
    assert growth(keep=lambda found: None) < FLAT


def test_growing_memory_would_be_seen():
    kept = []
    assert growth(keep=kept.append) > FLAT
