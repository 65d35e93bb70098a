"""Heatmaps against other ways to the same numbers: by hand, by finite differences, by tf-keras-vis.

And against the ways in which others have gone wrong, one test each.
"""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from cnnlab import runtime

runtime.start(seed=0)

import keras  # noqa: E402
from keras import layers  # noqa: E402

from cnnlab.interpret import grad_cam  # noqa: E402
from cnnlab.interpret.gradcam import METHODS  # noqa: E402

with warnings.catch_warnings():  # they use names of SciPy's that are going
    warnings.simplefilter("ignore", DeprecationWarning)
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

SIZE = 8


def some_images(count=4, channels=3, seed=0):
    shape = (count, SIZE, SIZE, channels)
    return np.random.default_rng(seed).uniform(0, 1, shape).astype("float32")


def with_random_weights(model, seed=0, scale=1.5):
    random = np.random.default_rng(seed)
    for variable in model.weights:
        spread = scale / max(1, np.prod(variable.shape[:-1])) ** 0.5
        variable.assign(random.normal(0, spread, variable.shape))
    return model


def small(ending="softmax", units=3, hidden=None):
    """A convolution, a pooling, dense layers."""
    return with_random_weights(
        keras.Sequential(
            [
                keras.Input((SIZE, SIZE, 3)),
                layers.Conv2D(4, 3, activation="relu", name="conv"),
                layers.MaxPooling2D(),
                layers.Flatten(),
                *([layers.Dense(6, hidden)] if hidden else []),
                layers.Dense(units, ending, name="answer"),
            ]
        )
    )


def of_numbers(pixels, parts, *weights):
    """A model of one gray image size with given weights."""
    model = keras.Sequential([keras.Input((*np.shape(pixels), 1)), *parts])
    model.set_weights([np.asarray(value, "float32") for value in weights])
    return model


# --- by hand


RAMP = np.arange(16, dtype="float32").reshape(4, 4)


def ramp_model():
    """Two feature maps, the ramp and 15 - ramp, averaged; logits 2a + b and a - b."""
    return of_numbers(
        RAMP,
        [layers.Conv2D(2, 1, name="conv"), layers.GlobalAveragePooling2D()]
        + [layers.Dense(2, "softmax", name="answer")],
        [[[[1, -1]]]],  # kernel
        [0, 15],  # bias
        [[2, 1], [1, -1]],
        [0, 0],
    )


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        # The gradients are 2/16 and 1/16 everywhere, or 1/16 and -1/16; each map adds up to 120.
        ("grad-cam", 0, (2 * RAMP + (15 - RAMP)) / 16),
        ("grad-cam", 1, (RAMP - (15 - RAMP)) / 16),
        ("layercam", 0, (2 * RAMP + (15 - RAMP)) / 16),
        ("layercam", 1, RAMP / 16),
        # alpha = 1 / (2 + 120 g), the weight is 16 alpha g where g is positive
        ("grad-cam++", 0, 2 / (2 + 120 / 8) * RAMP + 1 / (2 + 120 / 16) * (15 - RAMP)),
        ("grad-cam++", 1, 1 / (2 + 120 / 16) * RAMP),
    ],
)
def test_a_ramp_by_hand(method, target, expected):
    found = grad_cam(ramp_model(), RAMP, target=target, method=method)
    np.testing.assert_allclose(found.raw, [expected], 1e-6, 1e-6)
    # A cell of a 1 x 1 convolution is a pixel, so nothing is enlarged.
    np.testing.assert_allclose(found.maps[0], expected.clip(0) / expected.max(), 1e-6, 1e-7)
    assert found.peak == pytest.approx(expected.max(), rel=1e-6)
    assert found.scores == pytest.approx([22.5 if target == 0 else 0.0])  # both maps average 7.5
    assert (found.note, found.method, *found.targets) == (("",), method, target)


# --- by finite differences


def combined(method, maps, gradients):
    """The three formulas in plain loops over one image, (h, w, channels) in float64."""
    total = np.zeros(maps.shape[:2])
    for channel in range(maps.shape[2]):
        a, g = maps[..., channel], gradients[..., channel]
        if method == "grad-cam":
            weight = g.mean()
        elif method == "layercam":
            weight = np.maximum(g, 0)
        else:
            alpha = alphas(a, g)
            weight = (alpha * np.maximum(g, 0)).sum()
        total += weight * a
    return total


def alphas(a, g):
    below = 2 * g**2 + a.sum() * g**3
    return np.divide(g**2, below, out=np.zeros_like(g), where=below != 0)


def logits_after_the_maps(model, maps):
    """The dense part of `smooth`, in float64 and without Keras."""
    first, first_bias, second, second_bias = map(np.float64, model.get_weights()[2:])
    return np.tanh(maps.reshape(len(maps), -1) @ first + first_bias) @ second + second_bias


def smooth():
    image = keras.Input((5, 5, 2))
    maps = layers.Conv2D(3, 2, activation="relu", name="conv")(image)
    hidden = layers.Dense(6, "tanh")(layers.Flatten()(maps))
    return with_random_weights(keras.Model(image, layers.Dense(3, "softmax")(hidden)), seed=3)


def numeric_gradients(model, maps, target, step=1e-5):
    """The gradient of a logit at the feature maps of one image, by central differences."""
    moves = np.eye(maps.size).reshape(-1, *maps.shape) * step
    up, down = (logits_after_the_maps(model, maps + move)[:, target] for move in (moves, -moves))
    return ((up - down) / (2 * step)).reshape(maps.shape)


@pytest.mark.parametrize("method", METHODS)
def test_raw_sums_by_finite_differences(method):
    model = smooth()
    images = np.random.default_rng(1).normal(size=(3, 5, 5, 2)).astype("float32")
    maps = np.float64(keras.Model(model.input, model.get_layer("conv").output)(images))
    logits = logits_after_the_maps(model, maps)
    np.testing.assert_allclose(keras.ops.softmax(logits), model(images), 1e-5)
    for target in range(3):
        found = grad_cam(model, images, target=target, method=method)
        np.testing.assert_allclose(found.scores, logits[:, target], 1e-5, 1e-6)
        for number, of_image in enumerate(maps):
            gradients = numeric_gradients(model, of_image, target)
            expected = combined(method, of_image, gradients)
            assert np.abs(expected).max() > 1e-3
            np.testing.assert_allclose(found.raw[number], expected, 1e-5, 1e-5)


# --- tf-keras-vis 0.8.7, on a copy that ends linearly, as it needs


def linear_copy(model):
    copied = keras.models.clone_model(model)
    copied.set_weights(model.get_weights())
    copied.layers[-1].activation = keras.activations.linear
    return copied


def test_grad_cam_as_by_tf_keras_vis():
    model, images, targets = small(), some_images(), [0, 1, 2, 1]
    expected = Gradcam(linear_copy(model))(
        CategoricalScore(targets), images, "conv", expand_cam=False, normalize_cam=False
    )
    found = grad_cam(model, images, target=targets, layer="conv")
    assert np.max(expected) > 0.01
    np.testing.assert_allclose(found.raw.clip(0), expected, 1e-5, 1e-6)


# --- failures of others, one test each


@pytest.mark.parametrize("ending", ["softmax", "sigmoid"])
def test_a_head_that_is_quite_sure_still_has_a_map(ending):
    model = small(ending)
    images = some_images()
    before = grad_cam(model, images, target=0)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([1e4 * kernel, 1e4 * bias])
    answers = np.asarray(model(images))
    assert set(answers.ravel()) <= {0, 1}  # saturated: the probability has no gradient at all
    after = grad_cam(model, images, target=0)
    np.testing.assert_allclose(after.raw, 1e4 * before.raw, 1e-4)
    np.testing.assert_allclose(after.maps, before.maps, 1e-4, 1e-5)
    assert after.maps.max() == 1


def test_answer_0_of_a_sigmoid_is_the_negated_logit():
    model = small("sigmoid", units=1)
    no, yes = (grad_cam(model, some_images(), target=target) for target in (0, 1))
    np.testing.assert_array_equal(no.raw, -yes.raw)
    np.testing.assert_array_equal(no.scores, -yes.scores)
    np.testing.assert_allclose(no.probabilities + yes.probabilities, 1, 1e-6)
    # Left out, the target is the model's own answer, on both sides of one half.
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel, bias - np.median(yes.scores)])
    answers = np.asarray(model(some_images()))[:, 0] > 0.5
    np.testing.assert_array_equal(grad_cam(model, some_images()).targets, answers)
    assert len(set(answers)) == 2


def test_a_target_is_the_class_itself_for_each_image():
    model = small()
    mixed = grad_cam(model, some_images(), target=[2, 0, 1, 2])
    for number, target in enumerate([2, 0, 1, 2]):
        alone = grad_cam(model, some_images()[number], target=target)
        np.testing.assert_allclose(mixed.raw[number], alone.raw[0], 1e-5, 1e-6)
        np.testing.assert_allclose(mixed.scores[number], alone.scores[0], 1e-5)
    np.testing.assert_array_equal(mixed.targets, [2, 0, 1, 2])
    answers = np.asarray(model(some_images())).argmax(axis=1)
    np.testing.assert_array_equal(grad_cam(model, some_images()).targets, answers)


def test_maps_are_as_large_as_images_that_are_not_square():
    image = keras.Input((12, 7, 1))
    features = layers.Conv2D(3, 3, strides=2)(image)
    model = with_random_weights(keras.Model(image, layers.Dense(2)(layers.Flatten()(features))))
    found = grad_cam(model, np.random.default_rng(0).uniform(size=(2, 12, 7)), target=0)
    assert found.maps.shape == (2, 12, 7)
    assert found.raw.shape == (2, 5, 3)
    assert found.maps.dtype == found.raw.dtype == found.scores.dtype == "float32"
    assert found.targets.dtype == "int32"


# --- why a map is empty


def empty(found, words, peak):
    np.testing.assert_array_equal(found.maps, 0)
    assert all(note.startswith("empty: ") and words in note for note in found.note), found.note
    np.testing.assert_allclose(found.peak, peak, 1e-5)


def test_empty_because_every_place_speaks_against_the_class():
    model = ramp_model()
    model.layers[-1].set_weights([np.array([[-2, 1], [-1, 1]], "float32"), np.zeros(2, "float32")])
    found = grad_cam(model, RAMP, target=0)
    empty(found, "no place speaks for the class, the highest raw value is -0.938", -15 / 16)
    np.testing.assert_allclose(found.raw[0], -(15 + RAMP) / 16, 1e-6)


def test_empty_because_the_layer_is_dead():
    model = small()
    kernel, bias = model.layers[0].get_weights()
    model.layers[0].set_weights([kernel, bias - 1000])
    empty(grad_cam(model, some_images()), "the layer is dead, it gives 0 everywhere", 0)


def test_empty_because_the_units_after_the_layer_are_off():
    model = small(hidden="relu")
    hidden = model.layers[-2]
    kernel, bias = hidden.get_weights()
    hidden.set_weights([kernel, bias - 1000])
    empty(grad_cam(model, some_images()), "no gradient arrives", 0)


def test_empty_because_the_network_computes_nonsense():
    model = small()
    model.layers[0].activation = keras.activations.linear  # a relu can make 0 of NaN
    kernel, bias = model.layers[0].get_weights()
    bias[0] = np.inf  # one channel of four
    model.layers[0].set_weights([kernel, bias])
    found = grad_cam(model, some_images())
    np.testing.assert_array_equal(found.maps, 0)
    assert set(found.note) == {"empty: the network computes NaN or infinity for this image"}


def test_empty_because_only_the_padding_speaks_for_the_class():
    image = np.ones((4, 4), "float32")
    model = of_numbers(
        image,
        [layers.ZeroPadding2D(2), layers.Conv2D(1, 1), layers.GlobalAveragePooling2D()]
        + [layers.Dense(1)],
        [[[[-1]]]],
        [1],
        [[1]],
        [0],
    )
    found = grad_cam(model, image, target=1)
    assert found.raw.max() > 0
    empty(found, "what speaks for the class lies beside the pixels, in padding", 1 / 64)


def test_a_layer_with_a_single_place_is_noted():
    image = keras.Input((4, 4, 1))
    squeezed = layers.Conv2D(3, 4, name="squeezed")(image)
    model = with_random_weights(keras.Model(image, layers.Dense(2)(layers.Flatten()(squeezed))))
    targets = [grad_cam(model, RAMP, target=target).peak[0] > 0 for target in (0, 1)]
    found = grad_cam(model, RAMP, target=int(np.argmax(targets)))
    assert any(targets)
    np.testing.assert_array_equal(found.maps, 1)
    assert found.note == ("the layer has a single place, so the heat is the same everywhere",)


# --- what holds for all images and weights


quickly = settings(max_examples=20, derandomize=True, deadline=None)
seeds = some.integers(0, 10_000)
methods = some.sampled_from(list(METHODS))
SMALL = small()  # its weights are drawn again in each test


def extreme_images(seed, count=5):
    """Images among which are a black one, a white one and one with a single bright pixel."""
    images = some_images(count, seed=seed)
    images[0], images[1], images[2] = 0, 1, 0
    images[2, 3, 4] = 1
    return images


@quickly
@given(seeds, methods)
def test_maps_are_within_0_and_1_and_reach_1_unless_the_note_says_why(seed, method):
    found = grad_cam(with_random_weights(SMALL, seed), extreme_images(seed), method=method)
    assert found.maps.min() >= 0
    for single, note, peak in zip(found.maps, found.note, found.peak, strict=True):
        assert single.max() == (0 if note.startswith("empty") else 1)
        assert note.startswith("empty") == (peak <= 0)


@quickly
@given(seeds, methods)
def test_a_batch_is_explained_as_its_images_one_by_one(seed, method):
    model, images = with_random_weights(SMALL, seed), extreme_images(seed)
    together = grad_cam(model, images, method=method)
    for number, image in enumerate(images):
        alone = grad_cam(model, image, method=method)
        assert alone.targets[0] == together.targets[number]
        np.testing.assert_allclose(alone.raw[0], together.raw[number], 1e-4, 1e-5)
        np.testing.assert_allclose(alone.scores[0], together.scores[number], 1e-4, 1e-5)


def test_more_images_than_fit_in_a_batch(monkeypatch):
    images = some_images(10)
    at_once = grad_cam(SMALL, images)
    monkeypatch.setattr("cnnlab.interpret.gradcam.BATCH", 4)
    in_parts = grad_cam(SMALL, images)
    for whole, parts in zip(at_once, in_parts, strict=True):
        if isinstance(whole, np.ndarray):
            np.testing.assert_allclose(parts, whole, 1e-4, 1e-5)
        else:
            assert parts == whole


def two_heads():
    row = layers.Flatten()(SMALL.layers[1].output)
    more = layers.Dense(7, "sigmoid", name="more")(layers.Dense(5, "relu")(row))
    return keras.Model(SMALL.inputs[0], {"answer": SMALL.outputs[0], "more": more})


MORE = two_heads()


@quickly
@given(seeds, methods)
def test_another_head_changes_nothing_for_the_first(seed, method):
    with_random_weights(MORE, seed)
    images = extreme_images(seed)
    alone = grad_cam(SMALL, images, method=method)
    of_two = grad_cam(MORE, images, "answer", method=method)
    assert (alone.layer, alone.note) == (of_two.layer, of_two.note)
    np.testing.assert_array_equal(alone.targets, of_two.targets)
    np.testing.assert_allclose(of_two.raw, alone.raw, 1e-5, 1e-6)
    np.testing.assert_allclose(of_two.maps, alone.maps, 1e-4, 1e-5)
