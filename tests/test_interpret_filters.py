"""Pictures that filters answer to most: right by hand, honest about empty ones, model untouched."""

import keras
import numpy as np
import pytest
from models import with_random_weights
from scipy import ndimage

from cnnlab.interpret.ascent import Ascent
from cnnlab.interpret.filters import _one_tone, first_layer_weights, maximize_filters
from cnnlab.interpret.model.network import inspect_model

layers = keras.layers
# Two filters that look at one place of 3 x 3 pixels.
SIGNS = np.array([[[1, -2, 3], [-1, 2, -3], [4, 1, -1]], [[-1, 1, 1], [1, -4, 1], [1, 1, -1]]], "f")


def sequential(*parts, shape=(3, 3, 1), dtype=None):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *parts])


def with_weights(model, name, kernels, bias=0):
    """Give a convolution the kernels (filters, h, w) of its only input channel."""
    kernel = np.moveaxis(np.asarray(kernels, "f"), 0, -1)[:, :, None]
    model.get_layer(name).set_weights(
        [kernel, np.broadcast_to(np.float32(bias), kernel.shape[-1:])]
    )
    return model


def maximize(model, layer, filters=None, images=None, value_range=None, **settings):
    """The same as `maximize_filters`, with the settings of the ascent by their names."""
    return maximize_filters(model, layer, filters, images, value_range, Ascent(**settings))


def ascend_straight(model, layer, **options):
    """Ascend without jitter and smoothness, so that the best picture is reached exactly."""
    return maximize(model, layer, jitter=0, smoothness=0, **options)


def signs(*behind, bias=0, **options):
    """Return a model whose layer "conv" has the filters SIGNS."""
    conv = layers.Conv2D(2, 3, name="conv", **options)
    return with_weights(sequential(conv, *behind), "conv", SIGNS, bias)


def batch_norm(gamma):
    gamma = keras.initializers.Constant(gamma)
    return layers.BatchNormalization(name="norm", gamma_initializer=gamma, epsilon=0)


def small(filters=5, before=()):
    """Return a random model of two convolutions, "first" and "second", and a head."""
    return with_random_weights(
        sequential(
            *before,
            layers.Conv2D(4, 3, activation="relu", name="first"),
            layers.Conv2D(filters, 3, activation="relu", name="second"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", name="answer"),
            shape=(8, 8, 1),
        )
    )


def entering(model, name, images):
    """Return what enters the activation inside a layer, from a model with that one left out."""
    plain = keras.models.clone_model(model)
    plain.set_weights(model.get_weights())
    plain.get_layer(name).activation = keras.activations.linear
    inner = keras.Model(plain.inputs, plain.get_layer(name).output)
    return inner.predict(np.asarray(images, "f"), verbose=0)


def mean(responses, weight=0.01):
    """Return the objective, written out: means over places, those below 0 weighted."""
    return np.where(responses < 0, weight * responses, responses).mean(axis=(1, 2))


@pytest.fixture(scope="module")
def shared():
    """A small model that tests can share, since none changes it; it is compiled only once."""
    return small()


# --- the pictures


@pytest.mark.parametrize("scale", [1, 1e-25])  # too small to be squared
def test_the_best_picture_of_a_single_place_is_white_where_the_weights_are_positive(scale):
    model = sequential(layers.Conv2D(2, 3, name="conv"))
    found = ascend_straight(with_weights(model, "conv", scale * SIGNS, 0.5 * scale), "conv")
    assert np.array_equal(found.images[..., 0], SIGNS > 0)
    assert found.images.shape == (2, 3, 3, 1) and found.images.dtype == "float32"
    assert np.allclose(found.end / scale, np.where(SIGNS > 0, SIGNS, 0).sum(axis=(1, 2)) + 0.5)
    assert np.allclose(found.start / scale, 0.5 * SIGNS.sum(axis=(1, 2)) + 0.5)
    assert found.objective == "mean of what conv gives" and found.value_range == (0, 1)
    assert found.layer == "conv" and found.filters.tolist() == [0, 1]
    assert found.note == ("", "") and not found.dead.any()
    assert found.best.tolist() == [-1, -1] and np.isnan(found.best_response).all()


@pytest.mark.parametrize(
    "how",
    [
        {"negative_slope": 1, "jitter": 2, "steps": 20},
        {"smoothness": 0.25, "jitter": 3, "step_size": 3, "steps": 9},  # jumps over the best image
    ],
)
def test_start_and_end_are_the_objective_of_the_model_itself(shared, how):
    weight = how.get("negative_slope", 0.01)
    found = maximize(shared, "second", **how)
    responses = np.diagonal(entering(shared, "second", found.images), axis1=0, axis2=3)
    assert np.allclose(found.end, mean(np.moveaxis(responses, -1, 0), weight), atol=1e-5)
    blank = entering(shared, "second", np.full((1, 8, 8, 1), 0.5))
    assert np.allclose(found.start, mean(np.moveaxis(blank[0], -1, 0), weight), atol=1e-6)
    assert (found.end >= found.start).all()


def numeric_gradients(model, images):
    """Return (n, filters, 8, 8), central differences of the objective of "second" at n images."""
    change = 1e-3 * np.eye(64).reshape(64, 8, 8)
    around = np.stack([images[:, None] + change, images[:, None] - change])  # (2, n, 64, 8, 8)
    values = mean(entering(model, "second", around.reshape(-1, 8, 8, 1)))
    ahead, behind = values.reshape(2, len(images), 64, -1)
    return np.moveaxis(ahead - behind, 2, 1).reshape(len(images), -1, 8, 8)


def stepped(image, direction):
    return np.clip(image + 0.1 * direction / np.sqrt((direction**2).mean()), 0, 1)


def test_the_first_step_goes_along_the_numeric_gradient_shared_with_neighbors(shared):
    first = Ascent().first_image((8, 8, 1))[0, ..., 0]
    moved = maximize(shared, "second", jitter=0, smoothness=0.25, steps=1, step_size=0.1)
    rose = np.flatnonzero(moved.end > moved.start)
    assert len(rose) >= 2  # the others keep the blank image, which is better
    gradients = numeric_gradients(shared, first[None])[0]
    for k in rose:
        blur = np.outer([1, 2, 1], [1, 2, 1]) / 16
        neighbors = ndimage.convolve(gradients[k], blur, mode="reflect")
        direction = 0.75 * gradients[k] + 0.25 * neighbors
        assert np.allclose(moved.images[k, ..., 0], stepped(first, direction), atol=5e-4)


def test_a_shifted_image_gives_the_gradient_of_the_places_it_came_from(shared):
    shifts = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    drawn = []
    for seed in range(4):
        first = Ascent(seed=seed).first_image((8, 8, 1))[0, ..., 0]
        how = {"jitter": 1, "smoothness": 0, "steps": 1, "step_size": 0.1, "seed": seed}
        moved = maximize(shared, "second", [0], **how)
        assert moved.end > moved.start
        rolled = np.stack([np.roll(first, shift, (0, 1)) for shift in shifts])
        gradients = numeric_gradients(shared, rolled)[:, 0]
        for (y, x), gradient in zip(shifts, gradients, strict=True):
            expected = stepped(first, np.roll(gradient, (-y, -x), (0, 1)))
            # The median: where a rectifier has its kink, a numeric gradient is wrong.
            if np.median(np.abs(moved.images[0, ..., 0] - expected)) < 1e-3:
                drawn.append((y, x))
    assert len(drawn) == 4 and len(set(drawn)) > 2  # one for each seed, and not the same


# --- what is maximized


ONE_SIDED = "mean of what enters a, below 0 times 0.01"


def read_twice():
    """A convolution that others than the batch normalization read too."""
    image = keras.Input((3, 3, 1))
    made = layers.Conv2D(2, 3, name="conv")(image)
    model = keras.Model(image, layers.Flatten()(layers.Add()([batch_norm(-1)(made), made])))
    return with_weights(model, "conv", SIGNS)


@pytest.mark.parametrize(
    ("model", "objective", "is_off"),
    [
        (signs(layers.ReLU(name="a"), bias=-100), ONE_SIDED, True),
        (
            signs(bias=-100, activation=layers.ReLU()),
            "mean of what enters the relu in conv, below 0 times 0.01",
            True,
        ),
        (signs(layers.ReLU(negative_slope=0.1, name="a"), bias=-100), ONE_SIDED, False),
        (signs(layers.Activation("tanh", name="a"), bias=-100), "mean of what enters a", False),
        (read_twice(), "mean of what conv gives", False),
    ],
)
def test_only_a_rectifier_is_called_off_and_even_then_there_is_a_gradient(model, objective, is_off):
    found = ascend_straight(model, "conv")
    assert np.array_equal(found.images[..., 0], SIGNS > 0) and (found.end > found.start).all()
    assert found.objective == objective
    assert found.dead.tolist() == [note.startswith("off") for note in found.note] == 2 * [is_off]


@pytest.mark.parametrize(
    ("layer", "behind", "objective"),
    [
        ("conv", [layers.Dropout(0.5), layers.ReLU(name="a")], ONE_SIDED),
        ("a", [layers.ReLU(name="a")], ONE_SIDED),
        ("conv", [layers.Conv2D(1, 1)], "mean of what norm gives"),
    ],
)
def test_a_batch_normalization_can_flip_a_filter(layer, behind, objective):
    found = ascend_straight(signs(batch_norm(-1), *behind), layer)
    assert np.array_equal(found.images[..., 0], SIGNS < 0)
    assert found.objective == objective
    assert np.allclose(found.end, -np.where(SIGNS < 0, SIGNS, 0).sum(axis=(1, 2)), rtol=1e-3)


def test_units_and_heads_are_filters_too(shared):
    found = maximize(shared, "answer")
    assert found.objective == "what enters the softmax in answer" and len(found.images) == 3
    assert (found.end > found.start).all()
    answers = shared.predict(found.images, verbose=0)
    assert np.array_equal(answers.argmax(axis=1), [0, 1, 2])


# --- what is said of empty pictures


@pytest.mark.parametrize(("weight", "note"), [(0, "no gradient"), (np.nan, "NaN")])
def test_a_filter_without_weights_or_numbers_is_blank_and_says_so(weight, note):
    kernels = np.stack([SIGNS[0], np.full((3, 3), weight)])
    model = with_weights(sequential(layers.Conv2D(2, 3, name="conv")), "conv", kernels, bias=1)
    found = maximize(model, "conv")
    assert note in found.note[1] and (found.images[1] == 0.5).all()
    assert np.isfinite(found.images).all() and (found.note[0] == "") == (found.end > found.start)[0]
    assert weight != 0 or found.dead.tolist() == [False, True]


def test_dead_on_the_images_given_is_told_from_off_for_good():
    images = np.zeros((70, 3, 3, 1), "f")
    images[69, 0, 2] = 0.5  # SIGNS have 3 and 1 there; it lies in the last batch
    model = signs(layers.ReLU(name="relu"), bias=-1.2)
    found = maximize(model, "conv", images=images)
    assert found.dead.tolist() == [False, True] and (found.end > 0).all()
    assert found.note[0] == "" and found.note[1].startswith("dead: what enters relu")
    without = maximize(model, "conv")
    assert not without.dead.any() and without.note == ("", "")


def test_a_picture_of_one_tone_is_named():
    model = sequential(layers.Conv2D(1, 1, name="conv"), shape=(6, 6, 1))
    assert "one tone" in maximize(with_weights(model, "conv", [[[1]]]), "conv").note[0]
    stripes = np.full((28, 28, 3), 0.7)
    stripes[:, ::2] = 0
    assert not _one_tone(stripes)


# --- the best of real images


def test_the_best_image_is_that_of_all_images_at_once(shared):
    images = np.random.default_rng(0).random((150, 8, 8)).astype("f")
    images[:70] *= 0.2  # so that the best ones are not all in the first batch
    found = maximize(shared, "second", [4, 0, 2], images, steps=1)
    of_all = entering(shared, "second", images[..., None])
    expected = np.stack([mean(of_all[..., k]) for k in (4, 0, 2)])
    assert np.array_equal(found.best, expected.argmax(axis=1))
    assert np.allclose(found.best_response, expected.max(axis=1), atol=1e-6)
    assert found.best.max() >= 70


# --- the same picture, whatever else


def test_the_same_seed_gives_the_same_bits(shared):
    first, again, other = (maximize(shared, "second", seed=seed) for seed in (3, 3, 4))
    assert first.images.tobytes() == again.images.tobytes()
    assert first.end.tobytes() == again.end.tobytes()
    assert not np.array_equal(first.images, other.images)


def test_a_filter_does_not_depend_on_the_others():
    model = small(filters=70)  # more than ascend at once
    of_all = maximize(model, "second", steps=20)
    alone = maximize(model, "second", [66, 3, 0], steps=20)
    assert alone.filters.tolist() == [66, 3, 0]
    assert np.allclose(alone.images, of_all.images[[66, 3, 0]], atol=1e-4)
    assert np.allclose(alone.end, of_all.end[[66, 3, 0]], atol=1e-5)


def test_nothing_is_compiled_twice_and_the_model_stays_as_it_was():
    model = small(before=[layers.BatchNormalization(), layers.Dropout(0.5)])
    model.get_layer("first").trainable = False
    images = np.random.default_rng(0).random((5, 8, 8, 1)).astype("f")
    weights, answers = model.get_weights(), model.predict(images, verbose=0)
    maximize(model, "second", images=images, steps=2)
    compiled = inspect_model(model).compiled
    before = dict(compiled)
    for k, wanted in enumerate(([1], [4, 3], None)):
        how = {"steps": 2 + k, "step_size": 0.1 + k, "smoothness": 0.5, "jitter": k, "seed": k}
        given = images[:k] if k else None
        maximize(model, "second", wanted, given, (0, 2 + k), negative_slope=0.5, **how)
    assert compiled == before and len(before) == 2
    assert [one.experimental_get_tracing_count() for one in compiled.values()] == [1, 1]
    assert all(map(np.array_equal, weights, model.get_weights()))
    assert np.array_equal(answers, model.predict(images, verbose=0))
    assert not model.get_layer("first").trainable
    assert model.get_layer("second").activation is keras.activations.relu


# --- other models


def test_a_model_of_open_size_and_a_range_that_is_given():
    model = sequential(layers.Conv2D(2, 3, name="conv"), shape=(None, None, 1))
    model = with_weights(model, "conv", SIGNS)
    with pytest.raises(ValueError, match=r"size must be \(height, width\).*not None"):
        ascend_straight(model, "conv")
    found = ascend_straight(model, "conv", size=(3, 3), value_range=(-1, 3))
    assert np.array_equal(found.images[..., 0], SIGNS > 0) and found.value_range == (-1, 3)
    assert np.allclose(found.end, (np.where(SIGNS > 0, 3, -1) * SIGNS).sum(axis=(1, 2)))


def test_mixed_precision():
    model = signs(layers.ReLU(dtype="mixed_float16"), dtype="mixed_float16")
    found = ascend_straight(model, "conv", images=np.ones((1, 3, 3, 1)))
    assert np.array_equal(found.images[..., 0], SIGNS > 0)
    for values in (found.images, found.start, found.end, found.best_response):
        assert values.dtype == "float32"


# --- errors


def test_wrong_use_is_named(shared):
    for wrong, message in (
        ({"steps": 1.5}, "steps must be a whole number from 1 .* not 1.5"),
        ({"smoothness": float("nan")}, "smoothness must be a number from 0 to 1, not nan"),
        ({"size": (8, 9)}, "size must be"),
        ({"images": np.zeros((3, 7, 7, 1))}, "images have the shape"),
    ):
        with pytest.raises(ValueError, match=message):
            maximize(shared, "second", **wrong)


# --- the weights of a first layer


def test_first_layer_weights_are_the_kernels_of_the_image_alone():
    parts = [layers.Rescaling(1 / 255), layers.ZeroPadding2D(), layers.Dropout(0.1)]
    model = sequential(*parts, layers.Conv2D(5, (2, 3), name="conv"), shape=(6, 6, 3))
    found = first_layer_weights(model, "conv")
    kernel = model.get_layer("conv").get_weights()[0]
    assert found.shape == (5, 2, 3, 3) and found.dtype == "float32"
    assert all(np.array_equal(found[k], kernel[..., k]) for k in range(5))
    # The second convolution reads one channel, as many as the image has, but not the image's.
    one, two = layers.Conv2D(1, 3, name="one"), layers.Conv2D(2, 3, name="two")
    with pytest.raises(ValueError, match="'two' is not a convolution .* usable are one$"):
        first_layer_weights(sequential(one, two, shape=(8, 8, 1)), "two")


def test_the_middle_alone_shows_the_filter_once():
    """The mean over positions would repeat it; here the other pixels stay as they were."""
    conv = layers.Conv2D(2, 3, name="conv", activation="relu")
    model = with_weights(sequential(conv, shape=(7, 7, 1)), "conv", SIGNS)
    images = np.random.default_rng(0).random((9, 7, 7, 1), np.float32)
    options = {"value_range": (0, 1), "images": images}
    made = ascend_straight(model, "conv", everywhere=False, **options)
    assert np.array_equal(made.images[:, 2:5, 2:5, 0], SIGNS > 0)
    np.testing.assert_allclose(made.end, np.where(SIGNS > 0, SIGNS, 0).sum(axis=(1, 2)), rtol=1e-6)
    around = made.images.copy()
    around[:, 2:5, 2:5] = 0.5
    assert np.abs(around - 0.5).max() <= 0.1  # the noise of the first image
    highest = np.maximum(model.predict(images, verbose=0), 0).max(axis=(0, 1, 2))
    np.testing.assert_allclose(made.best_response, highest, rtol=1e-5)
    assert made.objective.startswith("in the middle, ")
    assert ascend_straight(model, "conv", **options).objective.startswith("mean of ")
