"""Every kind of Keras model can be looked into, and none of them is changed by it.

Each builder below makes one kind of model. All of them go through the same tests: activations as a
second Keras model gives them, logits that give the model's own predictions, nothing changed.
"""

import gc
import weakref
from pathlib import Path

import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf
from keras import layers, ops
from models import sigmoid, softmax, with_random_weights

from cnnlab.interpret import activations, grad_cam, maximize_filters
from cnnlab.interpret.ascent import Ascent
from cnnlab.interpret.checks import deletion
from cnnlab.interpret.model import network
from cnnlab.interpret.model.loading import load
from cnnlab.interpret.model.network import inspect_model

DATA = Path(__file__).parent / "data"
SIZE = 8
BUILDERS = {}


def kind(builder):
    """Register a builder of one kind of model, under its name."""
    BUILDERS[builder.__name__] = builder
    return builder


def pixels():
    return keras.Input((SIZE, SIZE, 3), name="pixels")


def images_for(model):
    """Three images in 0..1, or 0..255 for integer inputs; of SIZE where any will do."""
    (tensor,) = model.inputs
    shape = [size or SIZE for size in tensor.shape[1:]]
    images = np.random.default_rng(0).uniform(0, 255 if tensor.dtype == "uint8" else 1, (3, *shape))
    return images.astype(tensor.dtype)


def conv(filters=4, activation="relu", **options):
    return layers.Conv2D(filters, 3, activation=activation, **options)


def head(features, units=3, activation="softmax", name="head"):
    return layers.Dense(units, activation, name=name)(layers.Flatten()(features))


# --- the kinds of models


@kind
def sequential_built_by_fit():
    features = keras.Sequential([conv(), layers.MaxPooling2D()], name="features")  # no input
    model = keras.Sequential([features, layers.Flatten(), layers.Dense(3, "softmax")])
    model.compile("sgd", "categorical_crossentropy")
    model.fit(np.ones((4, SIZE, SIZE, 3)), np.eye(3)[[0, 1, 2, 0]], verbose=0)
    return model


@kind
def heads_as_dict():
    image = pixels()
    trunk = conv(name="trunk")(image)
    shape = layers.ReLU(name="shape_relu")(conv(name="shape_conv")(trunk))
    color = conv(name="color_conv")(trunk)
    inner = {"color": head(color, 1, "sigmoid", name="c")}
    return keras.Model(image, {"shape": head(shape, 4, name="a"), "nested": inner})


def difference():
    """A model of two inputs that shows which one came first."""
    left, right = (keras.Input((SIZE, SIZE, 3), name=name) for name in ("b", "a"))
    return keras.Model([left, right], conv(name="conv")(2 * left - right), name="difference")


@kind
def nested():
    """A model in a model in a model, called twice; several outputs; a dict for a list."""
    inside = [keras.Input((SIZE, SIZE, 3)), conv(3, padding="same", name="conv")]
    shared = keras.Sequential(inside, name="shared")
    inner = keras.Input((SIZE, SIZE, 3))
    features = conv(3, padding="same", name="conv")(shared(shared(inner)))
    same, features = keras.Model(inner, [inner, features], name="several")(image := pixels())
    given = {"a": features, "b": same}  # Keras finds them by name, not by position
    last = conv(name="conv")(difference()(given))
    return keras.Model(image, [head(last, name="zebra"), head(features - same, 2, name="ant")])


@kind
def nested_that_makes_the_outputs():
    inner_input = keras.Input((SIZE, SIZE, 3))
    trunk = conv()(inner_input)
    outputs = {"b": head(trunk, name="b_dense"), "a": head(trunk, 1, "sigmoid", name="a_dense")}
    inner = keras.Model(inner_input, outputs, name="inner")
    return keras.Sequential([pixels(), conv(3, padding="same"), inner])


class WithCall(keras.Model):
    """A subclassed model, which has no graph."""

    def __init__(self):
        super().__init__(name="subclassed")
        self.layer = conv(padding="same")

    def call(self, inputs):
        return self.layer(inputs)


class Doubling(keras.Model):
    """A functional model with a call() of its own."""

    def __init__(self):
        super().__init__(image := pixels(), conv()(image), name="doubling")

    def call(self, inputs, training=None):
        return 2 * super().call(inputs, training=training)


@kind
def nested_with_their_own_calls():
    image = pixels()
    return keras.Model(image, head(conv()(Doubling()(WithCall()(image)[..., :3]))))


@kind
def operations():
    image = pixels()
    features = conv()(((image - 0.5) / np.float32(0.25))[:, ::2, 1:])
    left, right = ops.split(features, 2, axis=-1)
    merged = ops.concatenate([ops.maximum(left, right), ops.sqrt(ops.abs(right) + 1)], axis=-1)
    return keras.Model(image, head(merged))


@kind
def integers_of_any_size():
    image = keras.Input((None, None, 1), dtype="uint8")
    features = conv()(layers.Rescaling(1 / 255)(image))
    return keras.Model(image, head(layers.GlobalAveragePooling2D()(features)))


@kind
def random_while_training():
    image = pixels()
    features = conv(activity_regularizer="l2")(layers.RandomRotation(0.2)(image))
    features = layers.Dropout(0.5)(features, training=True)  # predict() overrules it
    features = layers.BatchNormalization()(features, training=True)
    return keras.Model(image, head(layers.ActivityRegularization(0.1)(features)))


class Block(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.conv = conv()

    def call(self, inputs):
        return 1 - self.conv(inputs)


@kind
def layer_of_the_users_own():
    image = pixels()
    return keras.Model(image, head(Block(name="block")(conv()(image))))


@kind
def mixed_float16():
    image, how = pixels(), {"dtype": "mixed_float16"}
    logits = layers.Dense(3, **how)(layers.Flatten(**how)(conv(**how)(image)))
    return keras.Model(image, layers.Activation("softmax", dtype="float32")(logits))


# --- endings, each on a row of logits: (layers on them, how a score becomes a prediction)


def same(scores):
    return scores


def dense(units, activation=None):
    return layers.Dense(units, activation)


ENDINGS = {
    "softmax of TensorFlow": ([dense(3, tf.nn.softmax)], softmax),
    "a Softmax layer inside": ([dense(3, layers.Softmax())], softmax),
    "one softmax unit": ([dense(1, "softmax")], softmax),
    "one linear unit": ([dense(1)], same),
    "relu is no squeezing": ([dense(3, "relu")], same),
    "hard sigmoid": ([dense(1, "hard_sigmoid")], lambda s: np.clip(s / 6 + 0.5, 0, 1)),
    "tanh, a number": ([dense(1, "tanh")], same),
    "log softmax": ([dense(3, "log_softmax")], lambda s: np.log(softmax(s))),
    "softmax operation": ([dense(3), ops.softmax], softmax),
    "Flatten after": (
        [layers.Reshape((1, 1, -1)), layers.Conv2D(3, 1, activation="sigmoid"), layers.Flatten()],
        sigmoid,
    ),
    "operations after": (
        [dense(3, "softmax"), lambda x: ops.cast(ops.reshape(x, (-1, 1, 3)), "float32")],
        softmax,
    ),
    "inactive layers after": ([dense(3), layers.Softmax(), layers.Dropout(0.5)], softmax),
    "softmax in pairs": (
        [dense(4), layers.Reshape((2, 2)), layers.Softmax(), layers.Flatten()],
        lambda s: np.concatenate([softmax(s[:, :2]), softmax(s[:, 2:])], axis=1),
    ),
    "clipped": ([dense(3, "softmax"), lambda x: ops.clip(x, 1e-7, 1 - 1e-7)], softmax),
}


# --- what must hold for all of them


def state(model):
    """Everything about a model that must stay as it was."""
    inner = [model, *model._flatten_layers(include_self=False)]
    operations = {id(part): part for layer in inner for part in getattr(layer, "operations", [])}
    parts = [*inner, *operations.values()]
    return {
        "variables": list(map(id, model.variables)),
        "values": [np.asarray(variable).tobytes() for variable in model.variables],
        "layers": [(id(layer), layer.trainable) for layer in inner],
        "activations": [id(getattr(layer, "activation", None)) for layer in inner],
        "attributes": [sorted(vars(part)) for part in parts],
        "calls": [(len(part._inbound_nodes), len(part._outbound_nodes)) for part in parts],
        "losses": len(model.losses),
    }


def predictions(model, images):
    """{name: (n, units)} of the outputs, in the model's order."""
    outputs = keras.tree.flatten(model(images, training=False))
    return {
        name: np.asarray(tf.cast(value, "float32")).reshape(len(images), -1)
        for name, value in zip(inspect_model(model).graph.outputs, outputs, strict=True)
    }


def by_a_second_model(model, images):
    """{name: output} of the layers that Keras can show, by another model of the same layers.

    Those in nested models, and those called several times, are left out: what they make enters
    the others.
    """
    shown = [layer for layer in model.layers if len(layer._inbound_nodes) == 1]
    shown = [layer for layer in shown if not isinstance(layer, keras.Model | layers.InputLayer)]
    second = keras.Model(model.inputs[0], [layer.output for layer in shown])
    outputs = keras.tree.flatten(second(images, training=False))
    outputs = [np.asarray(tf.cast(output, "float32")) for output in outputs]
    return dict(zip([layer.name for layer in shown], outputs, strict=True))


def tolerance(model):
    """How much a compiled function may round differently: a few units of the last digit."""
    return 0.02 if "float16" in {layer.compute_dtype for layer in model.layers} else 1e-5


@pytest.fixture(scope="module", params=BUILDERS)
def model(request):
    return with_random_weights(BUILDERS[request.param]())


# The first of these compiles what the others use again.


def test_nothing_about_the_model_changes(model):
    images = images_for(model)
    predicted, names = predictions(model, images), list(by_a_second_model(model, images))
    network._views.clear()  # the layers are called while a function is compiled
    before = state(model)
    activations(model, images, names)
    for name in inspect_model(model).heads:
        grad_cam(model, images, name)
    after = state(model)
    for part in before:
        assert after[part] == before[part], part
    for name, values in predictions(model, images).items():
        assert values.tobytes() == predicted[name].tobytes()


def test_activations_and_probabilities_are_the_models_own(model):
    images = images_for(model)
    expected = by_a_second_model(model, images)
    maps = activations(model, images, list(expected))
    assert list(maps) == list(expected)
    for name in maps:
        assert maps[name].dtype == "float32"
        error = 2 * [tolerance(model)]
        np.testing.assert_allclose(maps[name], expected[name], *error, err_msg=name)
    heads = inspect_model(model).heads
    for name, predicted in predictions(model, images).items():
        highest = predicted.max(axis=1)
        if heads[name].classes > heads[name].units:
            highest = np.maximum(highest, 1 - highest)
        probabilities = grad_cam(model, images, name).probabilities
        np.testing.assert_allclose(probabilities, highest, 0, tolerance(model))


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1")
@pytest.mark.parametrize("name", ENDINGS)
def test_a_score_is_what_enters_the_ending(name):
    parts, squeeze = ENDINGS[name]
    row = layers.Flatten()(conv()(image := pixels()))
    for part in parts:
        row = part(row)
    model = with_random_weights(keras.Model(image, row))
    images = images_for(model)
    ((head_name, predicted),) = predictions(model, images).items()
    head = inspect_model(model).heads[head_name]
    heat = [grad_cam(model, images, target=target) for target in range(head.classes)]
    scores = np.stack([one.scores for one in heat], axis=1)
    probabilities = np.stack([one.probabilities for one in heat], axis=1)
    if squeeze is same:
        assert (head.outputs, head.ending) == ("numbers", "linear")
        np.testing.assert_allclose(scores, predicted, 1e-6)
        assert np.isnan(probabilities).all()
        return
    best = probabilities.argmax(axis=1)
    np.testing.assert_array_equal(grad_cam(model, images).targets, best)
    if head.units < head.classes:
        np.testing.assert_array_equal(scores[:, 0], -scores[:, 1])
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
        scores, probabilities = scores[:, 1:], probabilities[:, 1:]
    assert scores.std() > 0.01
    np.testing.assert_allclose(squeeze(scores), predicted, 1e-5, 1e-6)
    by_itself = dict.fromkeys(("hard sigmoid", "Flatten after", "softmax in pairs"), predicted)
    usual = sigmoid(scores) if head.units < head.classes else softmax(scores)
    np.testing.assert_allclose(probabilities, by_itself.get(name, usual), 1e-5)


# --- one kind at a time


def test_names_of_heads():
    image = pixels()
    twice = [head(conv()(image))] * 2
    for model, names in (
        (nested(), ["zebra", "ant"]),
        (heads_as_dict(), ["nested/color", "shape"]),  # Keras sorts them
        (nested_that_makes_the_outputs(), ["a", "b"]),
        (keras.Model(image, twice), ["head (output 1)", "head (output 2)"]),
    ):
        assert list(inspect_model(model).heads) == names


def test_names_and_calls_in_nested_models():
    model = with_random_weights(nested())
    view, maps, image = (
        inspect_model(model),
        activations(model, images_for(model)),
        images_for(model),
    )
    name = "several/shared/conv"
    others = ["several/conv", "difference/conv", "conv"]
    assert view.convolutions() == [name, f"{name} (call 2)", *others]
    assert [view.layer(given).name for given in ("conv", "shared/conv")] == ["conv", name]
    shared = model.get_layer("several").get_layer("shared")
    np.testing.assert_allclose(maps[name], shared(image), 1e-5, 1e-5)
    np.testing.assert_allclose(maps[f"{name} (call 2)"], shared(shared(image)), 1e-5, 1e-5)
    around = inspect_model(keras.Sequential([pixels(), nested()]))
    with pytest.raises(ValueError, match="several layers are called 'conv'"):
        around.layer("conv")


def test_each_head_has_a_default_layer_of_its_own():
    def defaults(model):
        view = inspect_model(model)
        found = [view.heat_layers(None, head) for head in view.heads.values()]
        return [call.name for (call,) in found]

    assert defaults(heads_as_dict()) == ["color_conv", "shape_relu"]
    assert defaults(layer_of_the_users_own()) == ["block"]


def test_an_unbuilt_sequential_is_built_for_the_images():
    images = np.zeros((3, SIZE, SIZE, 3))
    for given, channels in [(images, 3), (images[0], 3), (images[..., 0], 1)]:
        model = keras.Sequential([conv(), layers.Flatten(), layers.Dense(3, "softmax")])
        view = inspect_model(model, given)
        assert model.inputs[0].shape == (None, SIZE, SIZE, channels)
        assert len(network.as_batch(view, given)) == (3 if len(given) == 3 else 1)


def test_an_output_that_is_not_a_row_has_activations_but_no_heatmap():
    image = pixels()
    features = conv(name="map")(image)
    tokens = layers.Reshape((-1, features.shape[-1]))(features)
    only_map = keras.Model(image, tokens)
    assert list(activations(only_map, images_for(only_map))) == ["map"]
    with_map = keras.Model(image, {"map": tokens, "class": head(features)})
    assert grad_cam(with_map, images_for(with_map)).head == "class"
    with pytest.raises(ValueError, match="no output of the model is a row of numbers"):
        grad_cam(only_map, images_for(only_map))


@pytest.mark.filterwarnings("ignore:.*HDF5 file")
@pytest.mark.parametrize("name", ["keras2_sequential", "keras2_functional", "keras2_nested"])
def test_keras2_models_predict_as_they_did_and_their_files_stay(name, tmp_path):
    with np.load(DATA / f"{name}.npz") as file:
        expected = dict(file)
    path, images = tmp_path / "read only.h5", expected.pop("images")
    before = (DATA / f"{name}.h5").read_bytes()
    path.write_bytes(before)
    path.chmod(0o444)
    model = load(path)
    predicted = predictions(model, images.astype("float32"))
    assert list(predicted) == list(expected)
    for output, probabilities in expected.items():
        np.testing.assert_allclose(predicted[output], probabilities, 1e-5, 1e-6)
    assert inspect_model(model).convolutions()
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    if name != "keras2_sequential":
        with pytest.raises((TypeError, ValueError)):
            keras.models.load_model(path, compile=False)  # else no translation is needed


# --- models for batches of one size


def with_middle(batch, middle):
    image = keras.Input(batch_shape=(batch, SIZE, SIZE, 3))
    return keras.Model(image, layers.Dense(3, "softmax", name="head")(middle(conv()(image))))


def in_rows(**options):
    return lambda x: layers.LSTM(3, **options)(layers.Reshape((6, -1))(x))


BATCH_SIZES = {  # what depends on the batch, and what computes the same of any
    "its size in a shape": (lambda x: ops.reshape(x, (x.shape[0], -1)), layers.Flatten()),
    "a constant of its size": (
        lambda x: layers.Flatten()(x + ops.ones(x.shape)),
        lambda x: layers.Flatten()(x + 1),
    ),
    "a state": (in_rows(stateful=True), in_rows()),
    "nothing": (layers.Flatten(), layers.Flatten()),
}


@pytest.mark.parametrize("case", BATCH_SIZES)
@pytest.mark.parametrize("batch", [1, 2])
def test_a_model_for_batches_of_one_size_gets_them(batch, case):
    fixed, free = map(with_middle, (batch, None), BATCH_SIZES[case])
    free.set_weights(with_random_weights(fixed).get_weights()[: len(free.weights)])
    for layer in fixed.layers:
        getattr(layer, "reset_state", lambda: None)()
    images, results = images_for(free), []
    for model in (fixed, free):
        heat = grad_cam(model, images)
        filters = maximize_filters(model, "head", None, images, ascent=Ascent(steps=2))
        (maps, row) = activations(model, images, [model.layers[1].name, "head"]).values()
        results.append([maps, row, heat.raw, heat.scores, filters.end, filters.best_response])
    for ours, expected in zip(*results, strict=True):
        np.testing.assert_allclose(ours, expected, 1e-4, 1e-5)
    depends = case != "nothing" and (case, batch) != ("a constant of its size", 1)
    assert inspect_model(fixed).graph.batch == (batch if depends else None)


def test_pixels_are_not_exchanged_where_the_batch_has_one_size():
    model = with_middle(2, BATCH_SIZES["a state"][0])
    with pytest.raises(ValueError, match="must be given 2 images at once; pixels"):
        deletion(model, images_for(model), grad_cam(model, images_for(model)))


# --- clear errors


def channels_first():
    image = keras.Input((3, SIZE, SIZE))
    pooled = layers.GlobalAveragePooling2D(data_format="channels_first", name="pool")(image)
    return keras.Model(image, layers.Dense(2)(pooled))


@pytest.mark.parametrize(
    ("builder", "error", "message"),
    [
        (WithCall, ValueError, "'subclassed' has a call.. of its own, and was called with no"),
        (channels_first, ValueError, "layer 'pool' has the channels first"),
        (lambda: keras.Sequential([conv()]), ValueError, "build it first"),
        (lambda: "a name", TypeError, "not a Keras model: 'a name'"),
    ],
)
def test_models_that_cannot_be_looked_into(builder, error, message):
    with pytest.raises(error, match=message):
        inspect_model(builder())


ONE = np.zeros((1, SIZE, SIZE, 3))


@pytest.mark.parametrize(
    ("builder", "images", "message"),
    [
        (integers_of_any_size, ONE, r"the shape \(1, 8, 8, 3\); .* \(n, any, any, 1\)"),
        (integers_of_any_size, ONE[0, ..., 0] + 0.5, "uint8 input cannot hold"),
        (nested, ONE[:0], r"the shape \(0, 8, 8, 3\).*n at least 1"),
        (nested, ONE + np.nan, "NaN or infinite"),
        (nested, ONE + 1e300, "float32 input cannot hold"),
        (nested, ONE.astype(complex), "must be numbers, not complex128"),
        (nested, [ONE[0], ONE[0, :5]], "differ in shape"),
    ],
)
def test_images_that_do_not_fit(builder, images, message):
    with pytest.raises(ValueError, match=message):
        network.as_batch(inspect_model(builder()), images)


# --- a model that changes between two calls


def test_a_function_at_the_address_of_one_that_is_gone_is_not_confused_with_it():
    model = layer_of_the_users_own()
    images, layer = images_for(model), model.layers[1]
    layer.activation = lambda x: ops.zeros_like(x)
    assert not activations(model, images)[layer.name].any()
    address = id(layer.activation)
    layer.activation = keras.activations.linear
    gc.collect()
    others = []
    while len(others) < 1000 and id(layer.activation) != address:
        others.append(layer.activation)  # so that the next one gets another address
        layer.activation = lambda x: ops.ones_like(x)
    assert (activations(model, images)[layer.name] == 1).all()


def test_popped_added_and_exchanged_parts_are_noticed():
    model = with_random_weights(sequential_built_by_fit())
    images, layer = images_for(model), model.layers[0].layers[0]
    (name, *_), before = inspect_model(model).layers, activations(model, images)
    layer.activation = lambda x: -2 * ops.relu(x)
    after = activations(model, images)
    np.testing.assert_allclose(after[name], -2 * before[name], 1e-5, 1e-6)
    model.pop()
    model.add(layers.Dense(5, "sigmoid", name="new"))
    new = grad_cam(with_random_weights(model), images, target=4)
    (predicted,) = predictions(model, images).values()
    np.testing.assert_allclose(sigmoid(new.scores), predicted[:, 4], 1e-5, 1e-6)


def test_a_model_that_was_quantized_meanwhile_is_noticed():
    model = with_random_weights(with_middle(None, layers.Flatten()))
    images = images_for(model)
    before = grad_cam(model, images, target=1).probabilities
    model.quantize("int8")
    after = grad_cam(model, images, target=1).probabilities
    np.testing.assert_allclose(after, predictions(model, images)["head"][:, 1], 1e-5)
    assert (after != before).all()


# --- memory


def test_a_model_that_is_dropped_is_freed_with_all_that_was_kept():
    model = nested()
    activations(model, images_for(model))
    grad_cam(model, images_for(model), "ant")
    kept = [weakref.ref(model), weakref.ref(inspect_model(model))]
    count = len(network._views)
    del model
    for _ in range(2):  # what the first round frees lets go of more
        gc.collect()
    assert [reference() for reference in kept] == [None, None]
    assert len(network._views) < count


def test_memory_and_compilations_stay_the_same_over_many_calls():
    model = with_random_weights(integers_of_any_size())
    images = np.random.default_rng(0).integers(0, 255, (32, 80, 80, 1))
    compiled = inspect_model(model).compiled
    for number in range(150):
        if number == 50:
            gc.collect()
            before = psutil.Process().memory_info().rss, list(compiled)
        count = 1 + number % 32
        grad_cam(model, images[:count], target=number % 3)
        activations(model, images[:count])
    gc.collect()
    assert list(compiled) == before[1]
    assert [function.experimental_get_tracing_count() for function in compiled.values()] == [1, 1]
    assert psutil.Process().memory_info().rss - before[0] < 20 * 2**20
