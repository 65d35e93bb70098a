"""What is shown as the answer is what the model predicts, and what is explained belongs to it.

The logits of plain endings are in `test_interpret_models.py`; here are merges of several members,
outputs that are numbers, and what the user says of them.
"""

import keras
import numpy as np
import pytest
from keras import layers, ops
from models import sigmoid, softmax, with_random_weights

from cnnlab import interpret
from cnnlab.interpret import grad_cam
from cnnlab.interpret.checks import Masking, Shuffling, compare_methods, deletion, randomization
from cnnlab.interpret.gradcam import GradCam
from cnnlab.interpret.model.bounds import bounds
from cnnlab.interpret.model.network import inspect_model
from cnnlab.interpret.model.reading import read

SIZE = 6
IMAGES = np.random.default_rng(0).uniform(0, 1, (5, SIZE, SIZE, 3)).astype("float32")


def dense(row, units=3, activation="softmax", **options):
    return layers.Dense(units, activation, **options)(row)


def two(row, units=3, activation="softmax"):
    return [dense(row, units, activation) for _ in range(2)]


def halves(row):
    members = [dense(row, dtype="mixed_float16") for _ in range(2)]
    return layers.Average(dtype="float16")(members)


def model_of(ending):
    """A convolution, and an ending on the row of its numbers."""
    image = keras.Input((SIZE, SIZE, 3))
    row = layers.Flatten()(layers.Conv2D(4, 3, activation="relu", name="conv")(image))
    return with_random_weights(keras.Model(image, ending(row)))


def only_head(model):
    (head,) = inspect_model(model).heads.values()
    return head


# --- what is shown


def own_layer(row):
    """A layer whose activation acts in the middle, as `call` says."""

    class Halved(layers.Dense):
        def call(self, inputs, training=None):
            return self.activation(inputs @ self.kernel) / 2

    return Halved(3, "sigmoid")(row)


def reused_head(row):
    head = keras.Sequential([layers.Dense(3, "softmax")])
    return layers.Average()([head(row), head(2 * row)])


PROBABILITIES = {  # name: (ending, how many classes)
    "two sigmoid units averaged": (lambda row: layers.Average()(two(row, 1, "sigmoid")), 2),
    "two softmax averaged": (lambda row: layers.Average()(two(row)), 3),
    "mean of a stack": (lambda row: ops.mean(ops.stack(two(row)), axis=0), 3),
    "weighted sum": (lambda row: 0.3 * dense(row) + dense(row) * 0.7, 3),
    "product": (lambda row: layers.Multiply()(two(row)), 3),
    "maximum": (lambda row: layers.Maximum()(two(row)), 3),
    "one head called twice": (reused_head, 3),
    "reshape and squeeze after": (
        lambda row: ops.squeeze(layers.Reshape((1, 3))(layers.Average()(two(row))), 1),
        3,
    ),
    "softmax along another axis": (
        lambda row: layers.Flatten()(
            layers.Softmax(axis=1)(layers.Reshape((3, 1))(dense(row, 3, None)))
        ),
        3,
    ),
    "temperature": (lambda row: ops.softmax(dense(row, 3, None) / 2.5), 3),
    "clip": (lambda row: ops.clip(dense(row), 1e-7, 1 - 1e-7), 3),
    "hard sigmoid": (lambda row: dense(row, 3, "hard_sigmoid"), 3),
    "sigmoid as a layer": (lambda row: layers.Activation("sigmoid")(dense(row, 3, None)), 3),
    "sparsemax": (lambda row: dense(row, 3, "sparsemax"), 3),
    "several labels": (lambda row: dense(row, 3, "sigmoid"), 3),
    "classes in another order": (lambda row: ops.take(dense(row), [2, 0, 1], axis=-1), 3),
    "some of the classes": (lambda row: dense(row, 5)[:, 1:4], 3),
    "the other class": (lambda row: 1 - dense(row, 1, "sigmoid"), 2),
    "float16": (halves, 3),
}
NUMBERS = {
    "linear unit": (lambda row: dense(row, 1, None), 1),
    "box": (lambda row: dense(row, 4, None), 4),
    "count": (lambda row: dense(row, 1, "relu"), 1),
    "0..255": (lambda row: 255 * dense(row, 1, "sigmoid"), 1),
    "percent": (lambda row: layers.Rescaling(100.0)(dense(row)), 3),
    "a layer of the user's own": (own_layer, 3),
}


def predicted(model):
    """(5, classes) of what `predict` gives, float32; 1 - p is the other class of a single unit."""
    outputs = model.predict(IMAGES, verbose=0).reshape(len(IMAGES), -1).astype("float32")
    is_pair = only_head(model).classes > outputs.shape[1]
    return np.concatenate([1 - outputs, outputs], axis=1) if is_pair else outputs


@pytest.mark.parametrize("name", PROBABILITIES | NUMBERS)
def test_what_is_shown_is_what_the_model_predicts_bit_for_bit(name):
    ending, classes = (PROBABILITIES | NUMBERS)[name]
    model = model_of(ending)
    expected, head = predicted(model), only_head(model)
    kind = "probabilities" if name in PROBABILITIES else "numbers"
    assert (head.outputs, head.classes, expected.shape[1]) == (kind, classes, classes)
    best = grad_cam(model, IMAGES)
    np.testing.assert_array_equal(best.targets, expected.argmax(axis=1))
    for target in [best.targets, *range(classes)]:
        found = grad_cam(model, IMAGES, target=target)
        shown = found.probabilities if name in PROBABILITIES else found.scores
        np.testing.assert_array_equal(shown, expected[range(5), found.targets])
        assert np.isnan(found.probabilities).all() == (name in NUMBERS)
        assert np.isfinite(found.raw).all()


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1")
def test_heads_that_share_their_logits_and_a_merge_of_heads():
    def ending(row):
        shared, other = dense(row, 3, None, name="shared"), dense(row)
        sure, unsure = ops.softmax(shared), ops.softmax(shared / 4)
        both = (sure + other) / 2
        return {"both": both, "numbers": shared, "sure": sure, "unsure": unsure, "z": row[:, :1]}

    model = model_of(ending)
    expected = model.predict(IMAGES, verbose=0)
    found = {name: grad_cam(model, IMAGES, name, target=0) for name in expected}
    for name in ("both", "sure", "unsure"):
        np.testing.assert_array_equal(found[name].probabilities, expected[name][:, 0])
    np.testing.assert_array_equal(found["numbers"].scores, expected["numbers"][:, 0])
    np.testing.assert_allclose(found["sure"].raw, found["numbers"].raw, 1e-5, 1e-7)
    np.testing.assert_allclose(found["unsure"].raw, found["numbers"].raw / 4, 1e-5, 1e-7)


class Clip(layers.Layer):
    def call(self, inputs):
        return 5 * inputs


KNOWN = {  # value: its bounds, and how many of its numbers exclude each other
    "half a sigmoid": (lambda row: dense(row, 1, "sigmoid") / 2, (0, 0.5, 0)),
    "shifted": (lambda row: dense(row) - 0.25, (-0.25, 0.75, 0)),
    "rescaled": (lambda row: layers.Rescaling(-2, offset=1)(dense(row)), (-1, 1, 0)),
    "tanh as 0..1": (lambda row: (dense(row, 2, "tanh") + 1) / 2, (0, 1, 0)),
    "sum": (lambda row: layers.Add()(two(row)), (0, 2, 3)),
    "difference": (lambda row: layers.Subtract()(two(row)), (-1, 1, 0)),
    "all other classes": (lambda row: 1 - dense(row), (0, 1, 0)),
    "a layer called like Keras's": (lambda row: Clip()(dense(row)), (-np.inf, np.inf, 0)),
    "product of signs": (lambda row: ops.multiply(*two(row, 2, "tanh")), (-1, 1, 0)),
    "at most": (lambda row: ops.minimum(dense(row), 0.5), (0, 0.5, 3)),
    "ranges for each": (lambda row: ops.clip(dense(row, 2), [0.1, 0.2], [0.3, 0.4]), (0.1, 0.4, 2)),
    "softmax of the columns": (
        lambda row: layers.Softmax(axis=1)(layers.Reshape((2, 3))(dense(row, 6, None))),
        (0, 1, 0),
    ),
    "both in a row": (lambda row: layers.Concatenate()([dense(row), dense(row, 2)]), (0, 1, 0)),
    "divided by what may be 0": (lambda row: dense(row) / dense(row), (-np.inf, np.inf, 0)),
    "gate": (lambda row: row * dense(row, 64, "sigmoid"), (-np.inf, np.inf, 0)),
    "clipped linear": (lambda row: ops.clip(dense(row, 1, None), 0, 1), (-np.inf, np.inf, 0)),
}


@pytest.mark.parametrize("name", KNOWN)
def test_bounds_by_hand(name):
    ending, (low, high, exclusive) = KNOWN[name]
    graph = read(model_of(ending))
    (value,) = graph.outputs.values()
    found = bounds(graph, value)
    assert found == (pytest.approx(low), pytest.approx(high), exclusive)
    assert found.are_probabilities() == ((low, high) == (0, 1))


# --- what is explained


def log_odds(members, maps, target):
    """The logit of a mean of softmax members, in float64, for feature maps (n, h, w, channels)."""
    flat = maps.reshape(len(maps), -1)
    logits = [flat @ np.float64(kernel) + bias for kernel, bias in members]
    mean = np.mean([softmax(of_member) for of_member in logits], axis=0)
    return np.log(mean[:, target]) - np.log(np.delete(mean, target, axis=1).sum(axis=1))


@pytest.mark.parametrize("bias", [0, 24])
def test_a_mean_of_members_is_explained_through_all_of_them_also_when_it_is_sure(bias):
    """By finite differences at the layer that all members share."""
    model = model_of(lambda row: layers.Average()(two(row)))
    for layer in model.layers[-3:-1]:
        layer.bias.assign_add([bias, 0, 0])
    if bias:
        assert (model.predict(IMAGES, verbose=0)[:, 0] == 1).all()  # 1 - p has no digit left
    maps = np.float64(keras.Model(model.input, model.get_layer("conv").output)(IMAGES))
    members = [layer.get_weights() for layer in model.layers[-3:-1]]
    moves = np.eye(maps[0].size).reshape(-1, *maps[0].shape) * 1e-6
    for target in range(3):
        found = grad_cam(model, IMAGES, target=target)
        np.testing.assert_allclose(found.scores, log_odds(members, maps, target), 1e-4, 1e-5)
        for raw, of_image in zip(found.raw, maps, strict=True):
            up, down = (log_odds(members, of_image + move, target) for move in (moves, -moves))
            gradients = ((up - down) / 2e-6).reshape(of_image.shape)
            expected = (gradients.mean(axis=(0, 1)) * of_image).sum(axis=2)
            assert np.abs(expected).max() > 1e-3
            np.testing.assert_allclose(raw, expected, 2e-3, 1e-4 * np.abs(expected).max())


def test_where_no_other_class_speaks_the_score_is_finite_and_the_map_says_why():
    model = model_of(lambda row: layers.Average()(two(row)))
    for layer in model.layers[-3:-1]:
        kernel, bias = layer.get_weights()
        layer.set_weights([0 * kernel, bias + [1000, 0, 0]])
    for target, sign in ((0, 1), (1, -1)):
        found = grad_cam(model, IMAGES, target=target)
        assert (sign * found.scores > 80).all() and np.isfinite(found.scores).all()
        assert {note.partition(",")[0] for note in found.note} == {"empty: no gradient arrives"}


def test_no_gradient_is_too_large_for_float16():
    model = model_of(halves)
    for layer in model.layers[-3:-1]:
        layer.bias.assign_add([14, 0, 0])  # 1 / (1 - p) is above 65504
    assert np.isfinite(grad_cam(model, IMAGES, target=0).raw).all()


# --- numbers


def regression(bias=33.8):
    """One linear unit: the mean of channel 0, which is the image's red, plus a bias."""
    stack = [layers.Conv2D(1, 1, name="conv"), layers.GlobalAveragePooling2D()]
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *stack, layers.Dense(1, name="age")])
    red = np.array([1, 0, 0]).reshape(1, 1, 3, 1)
    model.set_weights([red, np.zeros(1), np.ones((1, 1)), np.array([bias])])
    return model


def test_a_number_is_explained_itself_and_shown_with_its_name():
    found = grad_cam(regression(), IMAGES)
    red = IMAGES[..., 0]
    np.testing.assert_allclose(found.raw, red / red[0].size, 1e-5)
    np.testing.assert_allclose(found.scores, 33.8 + red.mean(axis=(1, 2)), 1e-6)
    black = np.zeros((SIZE, SIZE, 3), "float32")
    assert "age: output 0 = 33.8, " in interpret.explain(regression(), black).summary
    shown = interpret.explain(regression(), black, names={"age": ["years"]})
    assert "age: years = 33.8, " in shown.summary
    words = " ".join(text.get_text() for text in shown.figure.axes[0].texts)
    assert "years = 33.8" in words and "in the units of its number" in words and " %)" not in words


def test_the_highest_of_several_numbers_is_explained_and_never_shares_a_scale_with_classes():
    model = model_of(lambda row: {"box": dense(row, 4, None), "kind": dense(row)})
    names = {"box": ["left", "top", "width", "height"]}
    expected = model.predict(IMAGES[:1], verbose=0)
    shown = interpret.explain(model, IMAGES[0], names=names)
    highest = expected["box"].argmax()
    assert f"box: {names['box'][highest]} = {expected['box'].max():.4g}, " in shown.summary
    assert f"({100 * expected['kind'].max():.1f} %)" in shown.summary
    words = " ".join(text.get_text() for text in shown.figure.axes[0].texts)
    assert "in logits or the units of its number" in words
    with pytest.raises(ValueError, match="head 'box' has 4 numbers, but 2 names"):
        interpret.explain(model, IMAGES[0], names={"box": ["a", "b"]})
    with pytest.raises(ValueError, match=r"target 4 is not an output of head 'box': 0\.\.3"):
        grad_cam(model, IMAGES, "box", target=4)


# --- what the user says


@pytest.mark.parametrize(
    ("units", "activation", "outputs", "expected"),
    [
        (1, None, "logits", lambda given: np.concatenate([sigmoid(-given), sigmoid(given)], 1)),
        (3, None, "logits", softmax),
        (3, own_layer, "probabilities", lambda given: given),
        (1, "sigmoid", "numbers", None),
        (3, "softmax", "numbers", None),
    ],
)
def test_outputs_are_read_as_the_user_says(units, activation, outputs, expected):
    ending = activation if callable(activation) else lambda row: dense(row, units, activation)
    model = model_of(ending)
    given = model.predict(IMAGES, verbose=0)
    found = grad_cam(model, IMAGES, outputs=outputs)
    assert found.outputs == outputs
    if outputs == "numbers":
        np.testing.assert_array_equal(found.targets, given.argmax(axis=1))
        np.testing.assert_array_equal(found.scores, given.max(axis=1))
        assert np.isnan(found.probabilities).all()
        return
    np.testing.assert_array_equal(found.targets, expected(given).argmax(axis=1))
    np.testing.assert_allclose(found.probabilities, expected(given).max(axis=1), 1e-5)
    summary = interpret.explain(model, IMAGES[0], outputs=outputs).summary
    assert f"class {found.targets[0]} ({100 * found.probabilities[0]:.1f} %)" in summary


def test_a_logit_has_the_same_map_whatever_it_is_called():
    model = model_of(lambda row: dense(row, 3, None))
    said, unsaid = (grad_cam(model, IMAGES, outputs=outputs) for outputs in ("logits", None))
    np.testing.assert_array_equal(said.raw, unsaid.raw)
    np.testing.assert_array_equal(said.scores, unsaid.scores)


@pytest.mark.parametrize(
    ("activation", "outputs", "message"),
    [
        ("softmax", "logits", "head 'dense.*' gives probabilities, not logits"),
        (None, "classes", "outputs 'classes' is not allowed: it must be probabilities, logits, nu"),
        (None, ["logits"], r"outputs \['logits'\] is not allowed"),
    ],
)
def test_what_the_user_must_not_say(activation, outputs, message):
    model = model_of(lambda row: dense(row, 3, activation))
    for function in (grad_cam, interpret.explain):
        with pytest.raises(ValueError, match=message):
            function(model, IMAGES[0], outputs=outputs)


def test_numbers_are_not_taken_for_probabilities():
    with pytest.raises(ValueError, match=r"probability of head 'age': 34\.\d+ is not allowed"):
        grad_cam(regression(), IMAGES, outputs="probabilities")


# --- checks


def test_checks_of_numbers_work_or_say_that_they_need_classes():
    model = model_of(lambda row: dense(row, 3, None, name="z"))
    masking, message = Masking(steps=2, repeats=1), "head 'z' gives numbers; if they are logits"
    for heat, given in ((grad_cam(model, IMAGES), {}), (np.ones((5, SIZE, SIZE)), {"target": 0})):
        with pytest.raises(ValueError, match=message):
            deletion(model, IMAGES, heat, masking=masking, **given)
    with pytest.raises(ValueError, match=message):
        compare_methods(model, IMAGES, masking=masking)
    found = randomization(model, IMAGES, shuffling=Shuffling(draws=1))
    np.testing.assert_array_equal(found.targets, model.predict(IMAGES, verbose=0).argmax(axis=1))


def test_checks_know_that_numbers_are_logits():
    model = model_of(lambda row: dense(row, 3, None))
    heat = grad_cam(model, IMAGES, target=1, outputs="logits")
    masking = Masking(steps=1, repeats=1)
    expected = softmax(model.predict(IMAGES, verbose=0))[:, 1]
    found = deletion(model, IMAGES, heat, masking=masking)
    np.testing.assert_allclose(found.curves[found.curves[:, 0] > 0, 0], expected, 1e-5)
    array = np.ones((5, SIZE, SIZE))
    found = deletion(model, IMAGES, array, None, 1, masking, outputs="logits")
    np.testing.assert_allclose(found.curves[:, 0], expected, 1e-5)
    rows = compare_methods(model, IMAGES, methods=GradCam(outputs="logits"), masking=masking)
    assert [row["method"] for row in rows] == ["grad-cam", "contrast"]
