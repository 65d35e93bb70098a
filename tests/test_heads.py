"""Four heads: every head gets its own targets, unknown labels teach nothing, wrong use is named."""

from types import SimpleNamespace

import numpy as np
import pytest

from cnnlab import lines, runtime

runtime.start(seed=0)

import keras  # noqa: E402

from cnnlab.training import heads  # noqa: E402

UNKNOWN = heads.UNKNOWN
LABELS = np.array([[0, 1, 5, 1], [1, 0, 11, 0], [1, 1, 0, UNKNOWN]], np.uint8)
IMAGES = np.arange(3 * 12, dtype=np.uint8).reshape(3, 2, 2, 3)
EQUAL = dict.fromkeys(lines.HEADS, 1)
# What three batches of one image would serve, written out.
TARGETS = {
    "length": [[0], [1], [1]],
    "width": [[1], [0], [1]],
    "angle": [[0] * 5 + [1] + [0] * 6, [0] * 11 + [1], [1] + [0] * 11],
    "color": [[1], [0], [0]],
}


def build_network(names):
    """Two features of an image, with heads in this order."""
    pixels = keras.Input((2, 2, 3))
    features = keras.layers.Dense(2, name="features")(keras.layers.Flatten()(pixels))
    outputs = {}
    for name in names:
        units, activation = (12, "softmax") if name == "angle" else (1, "sigmoid")
        outputs[name] = keras.layers.Dense(units, activation, name=name)(features)
    return keras.Model(pixels, outputs)


# --- the targets that are served


def test_targets_and_weights_by_hand():
    ((images, targets, weights),) = heads.batches(IMAGES, LABELS)
    assert np.array_equal(images, IMAGES) and images.dtype == "uint8"
    assert set(targets) == set(weights) == set(lines.HEADS)
    for name, expected in TARGETS.items():
        assert targets[name].dtype == weights[name].dtype == "float32"
        assert np.array_equal(targets[name], expected), name
        assert np.array_equal(weights[name], [1, 1, 0 if name == "color" else 1]), name


def test_only_the_heads_asked_for_in_batches_of_the_size_asked_for():
    served = list(heads.batches(IMAGES, LABELS, ("color", "length"), batch_size=2))
    assert [len(images) for images, _, _ in served] == [2, 1]
    assert [set(targets) for _, targets, _ in served] == [{"color", "length"}] * 2
    assert [weights["color"].numpy().tolist() for _, _, weights in served] == [[1, 1], [0]]


def test_shuffling_keeps_pairs():
    labels = lines.decode(np.arange(96))
    images = np.zeros((96, 1, 1, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(96)  # so an image tells its class
    order = []
    for pictures, targets, _ in heads.batches(images, labels, batch_size=40, shuffle_seed=3):
        columns = {name: np.asarray(target) for name, target in targets.items()}
        classes = lines.encode(heads.label_columns(columns))
        assert np.array_equal(classes, pictures[:, 0, 0, 0])
        order.extend(classes.tolist())
    assert sorted(order) == list(range(96)) != order


@pytest.mark.parametrize("names", [lines.HEADS[::-1], ("width", "angle")])
def test_keras_gives_each_head_its_own_targets(names):
    """Whatever the order of the outputs, and though Keras sorts them."""
    seen = {}

    def recording(name):
        def loss(true, predicted):
            if hasattr(true, "numpy"):  # not while Keras only looks at shapes
                seen[name] = true.numpy()
            return keras.ops.mean(predicted, axis=-1)

        return loss

    network = build_network(names)
    network.compile("sgd", {name: recording(name) for name in names}, run_eagerly=True)
    network.fit(heads.batches(IMAGES, LABELS, names), shuffle=False, verbose=0)
    assert set(seen) == set(names)
    for name in names:
        assert np.array_equal(seen[name], TARGETS[name]), name


def test_unknown_labels_move_no_weight():
    """The color head stays, bit for bit, and the shared layer moves as if there were none."""
    labels = LABELS.copy()
    labels[:, 3] = UNKNOWN
    after = {}
    for names in (lines.HEADS, lines.HEADS[:3]):
        runtime.start(seed=1)
        network = build_network(lines.HEADS)
        before = {layer.name: layer.get_weights() for layer in network.layers}
        trained = keras.Model(network.input, {name: network.output[name] for name in names})
        losses = dict.fromkeys(names, "binary_crossentropy") | {"angle": "categorical_crossentropy"}
        trained.compile(keras.optimizers.SGD(0.01), losses)
        trained.fit(heads.batches(IMAGES, labels, names), shuffle=False, verbose=0)
        after[names] = {layer.name: layer.get_weights() for layer in network.layers}
    with_color, without_color = after.values()
    for name in ("features", *lines.HEADS):
        moved = any(np.any(a != b) for a, b in zip(before[name], with_color[name], strict=True))
        assert moved == (name != "color"), name
        for a, b in zip(with_color[name], without_color[name], strict=True):
            assert np.array_equal(a, b), name


# --- what is refused


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        (LABELS[:, :3], EQUAL, r"'length', 'width', 'angle', 'color'.* shape \(3, 3\)"),
        (LABELS.astype(float), EQUAL, "integers, not float64"),
        (LABELS.astype(np.int8), EQUAL, r"color label -1 .* 0\.\.1, or 255"),  # int8 has no 255
        (LABELS + np.array([0, 0, 7, 0]), EQUAL, r"angle label 12 .* 0\.\.11, or 255"),
        (LABELS, ("length", "colour"), "no head 'colour'; the heads are length, width, angle, c"),
        (LABELS, ("angle", "angle"), r"different names.*\('angle', 'angle'\)"),
        (LABELS, (), "at least one"),
    ],
)
def test_labels_and_names_that_are_wrong(labels, names, message):
    with pytest.raises(ValueError, match=message):
        heads.batches(IMAGES, labels, names)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (EQUAL | {"joint": 1}, "joint; each of length, width, angle, color needs one"),
        (dict.fromkeys(lines.HEADS, 0), "all weights are 0"),
        (EQUAL | {"angle": -1}, "the weight of angle: -1 .* must be a finite number >= 0"),
        (EQUAL | {"angle": float("nan")}, "the weight of angle: nan"),
    ],
)
def test_weights_that_are_wrong(weights, message):
    with pytest.raises(ValueError, match=message):
        heads.check_weights(weights)


def test_weights_come_back_as_floats_in_the_order_of_the_names():
    given = {"color": 1, "angle": np.float32(50), "length": 0, "width": np.int64(2)}
    checked = heads.check_weights(given)
    assert list(checked.items()) == [("length", 0), ("width", 2), ("angle", 50), ("color", 1)]
    assert {type(value) for value in checked.values()} == {float}


# --- from probabilities to labels


def test_to_labels_by_hand():
    angle = np.zeros((3, 12), np.float32)
    angle[0, 11] = angle[1, 4] = angle[2, 7] = 0.9
    above = np.nextafter(np.float32(0.5), np.float32(1))
    predicted = heads.to_labels(
        {"angle": angle, "color": np.array([[0.5], [above], [0]], np.float32)}
    )
    assert {name: labels.tolist() for name, labels in predicted.items()} == {
        "angle": [11, 4, 7],
        "color": [0, 1, 0],  # one half is not above one half
    }
    assert {labels.dtype.name for labels in predicted.values()} == {"uint8"}
    with pytest.raises(ValueError, match=r"length probabilities has shape \(3,\), but \(\w, 1\)"):
        heads.to_labels({"length": np.ones(3)})


def test_predict_orders_columns_as_labels_are():
    labels = lines.decode(np.arange(96))
    certain = {
        name: np.eye(12)[column] if name == "angle" else column[:, None].astype(float)
        for name, column in zip(lines.HEADS, labels.T, strict=True)
    }
    network = SimpleNamespace(predict_on_batch=lambda images: dict(sorted(certain.items())))
    predicted = heads.predict(network, np.zeros((96, 2, 2, 3), np.uint8))
    assert np.array_equal(predicted, labels) and predicted.dtype == np.uint8


def test_cross_entropy_by_hand():
    angle = np.full((3, 12), 0.5 / 11)
    angle[0, 5] = angle[1, 11] = angle[2, 1] = 0.5  # the third is wrong
    predicted = {
        "length": np.array([[0.25], [0.5], [1.0]]),
        "width": np.array([[0.0], [0.5], [0.5]]),  # 0 where 1 is true: counts as 1e-7
        "angle": angle,
    }
    expected = {
        "length": (np.log(4 / 3) + np.log(2) + 0) / 3,
        "width": (7 * np.log(10) + 2 * np.log(2)) / 3,
        "angle": (2 * np.log(2) + np.log(22)) / 3,
    }
    # The color is unknown, but not asked for.
    assert heads.cross_entropy(predicted, LABELS) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ({"joint": np.ones((3, 1))}, "no head 'joint'; the heads are length, width, angle, color"),
        ({"angle": np.ones((3, 1))}, r"angle probabilities has shape \(3, 1\), but \(\w, 12\)"),
        ({"color": np.full((3, 1), 0.5)}, "color label 255 means unknown"),
    ],
)
def test_cross_entropy_refuses(probabilities, message):
    with pytest.raises(ValueError, match=message):
        heads.cross_entropy(probabilities, LABELS)


def test_weighted_mean_by_hand():
    accuracies = {"length": 1.0, "width": 0.5, "angle": 0.75, "color": 0.0}
    weights = {"color": 1, "angle": 50, "length": 5, "width": 2}
    assert heads.weighted_mean(accuracies, weights) == pytest.approx((5 + 1 + 37.5) / 58)


def test_predict_refuses_a_network_without_all_heads_by_name():
    one = build_network(["length"])
    with pytest.raises(ValueError, match="of the head width, angle, color"):
        heads.predict(one, IMAGES)
    with pytest.raises(ValueError, match="must be a dict by head"):
        heads.predict(keras.Model(one.input, one.output["length"]), IMAGES)
