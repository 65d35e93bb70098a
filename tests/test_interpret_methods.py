"""Methods that go pixel by pixel, against independent computations, and through the same door."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from models import with_random_weights

from cnnlab import interpret
from cnnlab.interpret import attribute, checks
from cnnlab.interpret.attribution import heatmaps
from cnnlab.interpret.gradcam import GradCam
from cnnlab.interpret.methods import PIXELWISE, occlusion

SIDE, COUNT = 12, 3
IMAGES = np.random.default_rng(0).random((COUNT, SIDE, SIDE, 3)).astype(np.float32)
RANGE = (0, 1)


@pytest.fixture(scope="module")
def model():
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(5, 3, activation="relu", name="conv")(image)
    logits = layers.Dense(4, name="logits")(
        layers.Flatten()(layers.Conv2D(4, 3, activation="tanh")(x))
    )
    return with_random_weights(keras.Model(image, layers.Softmax(name="kind")(logits)))


@pytest.fixture(scope="module")
def linear():
    """A model whose logits are sums of weighted pixels."""
    image = keras.Input((SIDE, SIDE, 3))
    logits = layers.Dense(2, name="logits")(layers.Flatten()(image))
    return with_random_weights(keras.Model(image, layers.Softmax(name="kind")(logits)))


def logits_of(model, images):
    inner = keras.Model(model.inputs[0], model.get_layer("logits").output)
    return inner(images, training=False)


def gradients_of(model, images, target):
    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        score = logits_of(model, images)[:, target]
    return np.asarray(tape.gradient(score, images))


def weights_of(linear, target):
    return linear.get_layer("logits").get_weights()[0][:, target].reshape(SIDE, SIDE, 3)


def raw(model, method, target=1, **options):
    return attribute(model, IMAGES, target=target, method=method, range_=RANGE, **options).raw


def test_gradients(model):
    expected = np.abs(gradients_of(model, IMAGES, 1)).max(axis=-1)
    np.testing.assert_allclose(raw(model, "gradients"), expected, 1e-4, 1e-6)


def test_smooth_grad_is_the_gradient_where_that_is_the_same_everywhere(linear, model):
    expected = np.abs(weights_of(linear, 1)).max(axis=-1)
    for one in raw(linear, "smoothgrad"):
        np.testing.assert_allclose(one, expected, 1e-4, 1e-5)
    assert not np.allclose(raw(model, "smoothgrad"), raw(model, "gradients"), rtol=0.01)


def test_integrated_gradients_of_sums_of_pixels(linear):
    expected = (IMAGES * weights_of(linear, 0)).sum(axis=-1)
    np.testing.assert_allclose(raw(linear, "integrated-gradients", 0), expected, 1e-3, 1e-5)


def test_integrated_gradients_are_complete(model):
    heat = attribute(model, IMAGES, target=2, method="integrated-gradients", range_=RANGE)
    both = np.asarray(logits_of(model, IMAGES)), np.asarray(logits_of(model, 0 * IMAGES))
    differences = (both[0] - both[1])[:, 2]
    np.testing.assert_allclose(heat.raw.sum(axis=(1, 2)), differences, 0.011)
    side = "above" if differences[0] > 0 else "below"
    assert f"the score is {abs(differences[0]):.4g} {side} that of black" in heat.note[0]


def test_occlusion_of_sums_of_pixels(linear):
    """Each pixel's value is the mean of the squares over it, each the sum of what it hides."""
    worth = (IMAGES * weights_of(linear, 1)).sum(axis=-1)
    side = round(SIDE / occlusion.__globals__["SQUARES"])
    expected, covered = np.zeros((2, *worth.shape))
    for top in range(SIDE - side + 1):
        for left in range(SIDE - side + 1):
            square = np.s_[:, top : top + side, left : left + side]
            expected[square] += worth[square].sum(axis=(1, 2))[:, None, None]
            covered[square] += 1
    np.testing.assert_allclose(raw(linear, "occlusion"), expected / covered, 1e-3, 1e-5)


def test_score_cam_map_after_map(model):
    heat = attribute(model, IMAGES[:1], target=1, method="score-cam", layer="conv", range_=RANGE)
    assert heat.layer == "conv"
    inner = keras.Model(model.inputs[0], model.get_layer("conv").output)
    maps = np.moveaxis(np.asarray(inner(IMAGES[:1]))[0], -1, 0)  # (5, 10, 10)
    places = np.clip(np.arange(SIDE) - 1, 0, 9)  # a cell's middle is a pixel's
    large = maps[:, places][:, :, places]
    above = []
    for one in large:
        mask = (one - one.min()) / (np.ptp(one) or 1)
        seen = np.stack([IMAGES[0] * mask[..., None], 0 * IMAGES[0]])
        above.append(np.subtract(*np.asarray(logits_of(model, seen))[:, 1]))
    weights = np.exp(above) / np.exp(above).sum()
    expected = np.maximum(np.tensordot(weights, large, axes=1), 0)
    np.testing.assert_allclose(heat.raw[0], expected, 1e-3, 1e-5)


@pytest.mark.parametrize("method", PIXELWISE)
def test_all_go_through_the_same_door(model, method):
    heat = attribute(model, IMAGES, method=method, range_=RANGE)
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_array_equal(heat.targets, expected.argmax(axis=1))
    np.testing.assert_array_equal(heat.answers, expected)
    assert heat.maps.max() == 1 and heat.maps.min() >= 0 and heat.raw.shape == IMAGES.shape[:3]
    curves = checks.deletion(model, IMAGES, heat, masking=checks.Masking(steps=2, repeats=1))
    assert np.isfinite(curves.displaced).all()
    cascade = checks.randomization(model, IMAGES, method=method)
    assert cascade.method == method and cascade.signed.shape[2] == COUNT
    shown = interpret.explain(model, IMAGES[0], method=method, preprocess=RANGE)
    np.testing.assert_array_equal(shown.heatmaps["kind"].raw, heat.raw[:1])


def test_a_model_without_maps_has_pixels(linear):
    shown = interpret.explain(linear, IMAGES[0], method="gradients", preprocess=RANGE)
    assert list(shown.heatmaps) == ["kind"]
    with pytest.raises(ValueError, match="no method 'lime'; there are grad-cam, .*score-cam"):
        attribute(linear, IMAGES, method="lime")


@pytest.mark.parametrize("method", ["score-cam", "gradients"])
def test_weights_that_are_given_are_used_throughout(model, method):
    """As randomization gives them: the same as a model that has them."""
    copy = keras.models.clone_model(model)
    random = np.random.default_rng(5)
    arrays = [random.normal(size=weight.shape).astype(np.float32) for weight in model.weights]
    copy.set_weights(arrays)
    how = GradCam(method=method, range_=RANGE)
    targets = np.array([1] * len(IMAGES))
    given = list(zip(model.weights, arrays, strict=True))
    made = heatmaps(model, IMAGES, None, targets, how, given)
    expected = heatmaps(copy, IMAGES, None, targets, how)
    np.testing.assert_allclose(made.raw, expected.raw, 1e-3, 1e-5)
