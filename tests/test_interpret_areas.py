"""Heads that are maps, as of a segmentation: their score is a mean over a region."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from models import with_random_weights

from cnnlab import interpret
from cnnlab.interpret import attribute, checks, grad_cam

SIDE = 12
IMAGES = np.random.default_rng(0).random((2, SIDE, SIDE, 3)).astype(np.float32)
REGION = np.zeros((SIDE, SIDE), bool)
REGION[2:5, 6:9] = True


def segmenting(units, activation, end=lambda x: x):
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="features")(image)
    x = layers.Conv2D(units, 1, activation=activation, name="map")(x)
    return with_random_weights(keras.Model(image, end(x)))


def logits_of(model, images):
    inner = keras.Model(model.inputs[0], model.get_layer("features").output)
    kernel, bias = model.get_layer("map").get_weights()
    return tf.linalg.matmul(inner(images), kernel[0, 0]) + bias, inner


def cam(model, target, inside):
    """Grad-CAM at "features" of the mean logit of a class in `inside` (n, h, w)."""
    inner = keras.Model(model.inputs[0], model.get_layer("features").output)
    kernel, bias = model.get_layer("map").get_weights()
    features = inner(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(features)
        logits = tf.linalg.matmul(features, kernel[0, 0]) + bias
        score = tf.reduce_sum(logits[..., target] * inside, axis=(1, 2))
        score = tf.math.divide_no_nan(score, inside.sum(axis=(1, 2)))
    weights = tf.reduce_mean(tape.gradient(score, features), axis=(1, 2))
    return np.einsum("nhwk,nk->nhw", features, weights), np.asarray(score)


@pytest.mark.parametrize("target", range(3))
def test_the_score_is_the_mean_logit_where_the_class_is_the_likeliest(target):
    model = segmenting(3, "softmax")
    expected = model.predict(IMAGES, verbose=0)
    inside = (expected.argmax(axis=-1) == target).astype(np.float32)
    raw, score = cam(model, target, inside)
    heat = grad_cam(model, IMAGES, target=target)
    assert heat.layer == "features" and heat.of_area
    np.testing.assert_allclose(heat.raw, raw, 1e-4, 1e-6)
    np.testing.assert_allclose(heat.scores, score, 1e-4, 1e-5)
    shares = np.eye(3)[expected.argmax(axis=-1)].mean(axis=(1, 2))
    np.testing.assert_allclose(heat.answers, shares, 1e-6)
    assert [note.startswith("empty: the class is the likeliest nowhere") for note in heat.note] == (
        (shares[:, target] == 0).tolist()
    )


def test_a_class_that_is_nowhere_has_no_score_there():
    model = segmenting(2, "softmax")
    model.layers[-1].bias.assign([9.0, -9.0])
    for method in ("grad-cam", "occlusion"):
        heat = attribute(model, IMAGES, target=1, method=method, range_=(0, 1))
        assert set(heat.note) == {"empty: the class is the likeliest nowhere: give a region"}


def test_or_in_a_region():
    model = segmenting(3, "softmax")
    inside = np.broadcast_to(REGION, IMAGES.shape[:3]).astype(np.float32)
    raw, score = cam(model, 1, inside)
    heat = attribute(model, IMAGES, target=1, region=REGION)
    np.testing.assert_allclose(heat.raw, raw, 1e-4, 1e-6)
    np.testing.assert_allclose(heat.scores, score, 1e-4, 1e-5)
    pixels = attribute(model, IMAGES, target=1, region=REGION, method="gradients", range_=(0, 1))
    near = np.zeros((SIDE, SIDE), bool)
    near[1:6, 5:10] = True  # what a 3 x 3 convolution looks at from there
    assert pixels.raw[:, near].any() and not pixels.raw[:, ~near].any()


def test_one_unit_numbers_and_enlarged_probabilities():
    one = segmenting(1, "sigmoid")
    heat = grad_cam(one, IMAGES)
    assert heat.targets.tolist() == [1, 1]  # what is there, not what is not
    area = (one.predict(IMAGES, verbose=0) > 0.5).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(heat.probabilities, area, 1e-5)
    depth = segmenting(1, None)
    heat = grad_cam(depth, IMAGES)
    assert heat.outputs == "numbers" and np.isnan(heat.probabilities).all()
    expected = depth.predict(IMAGES, verbose=0).mean(axis=(1, 2))
    np.testing.assert_allclose(heat.scores[:, None], expected, 1e-5)
    large = segmenting(3, "softmax", layers.UpSampling2D(2, interpolation="bilinear"))
    heat = grad_cam(large, IMAGES)
    assert heat.outputs == "probabilities" and heat.layer == "features"


def test_through_the_entry_point_and_the_checks():
    model = segmenting(3, "softmax")
    shown = interpret.explain(model, IMAGES[0], preprocess=(0, 1), region=REGION)
    assert " of the area)" in shown.summary and list(shown.heatmaps) == ["map"]
    heat = grad_cam(model, IMAGES)
    curves = checks.deletion(model, IMAGES, heat, masking=checks.Masking(steps=2, repeats=1))
    assert np.isfinite(curves.displaced).all()


@pytest.mark.parametrize("region", [REGION[:5], 0 * REGION])
def test_wrong_regions(region):
    with pytest.raises(
        ValueError, match=r"a region must be \(12, 12\) with a number that is not 0"
    ):
        attribute(segmenting(3, "softmax"), IMAGES, region=region)


def test_a_region_of_a_head_that_is_no_map():
    image = keras.Input((SIDE, SIDE, 3))
    model = keras.Model(image, layers.Dense(2, name="kind")(layers.Flatten()(image)))
    with pytest.raises(ValueError, match="of a map, not of 'kind'"):
        attribute(model, IMAGES, region=REGION)
