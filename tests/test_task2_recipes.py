"""What the recipe cells of Task 2 promise, on little networks; and what its study plans."""

from pathlib import Path

import numpy as np
import pytest

from cnnlab import lines, runtime, saving, splits

runtime.start(seed=0)

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from cnnlab.experiments import recoloring, weighting  # noqa: E402
from cnnlab.lines import variants  # noqa: E402
from cnnlab.training import heads  # noqa: E402
from cnnlab.training.head_watch import HeadWatch  # noqa: E402
from tools import recipes, studies  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
COLOR = lines.HEADS.index("color")


@pytest.fixture(scope="module")
def recipe():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_BUDGET", "smoke")
        return recipes.load(ROOT / "Task-2" / "Task-2.py")


@pytest.fixture(scope="module")
def study():
    return studies.module("Task-2/study.py")


@pytest.fixture(scope="module")
def part():
    return lines.generate(per_class=4)


@pytest.fixture
def little(recipe):
    """Makes networks with one convolution of 4 filters and 8 features, always the same."""

    def network(names=lines.HEADS):
        keras.utils.set_random_seed(1)
        return recipe["build_network"](((4, 5, 2),), 8, names)

    return network


class FixedNetwork:
    """A network that predicts these labels (n, 4): the next ones each time it is asked."""

    def __init__(self, *predictions, names=lines.HEADS):
        self.predictions = iter(predictions)
        self.names = sorted(names)

    def predict_on_batch(self, images):
        columns = dict(zip(lines.HEADS, np.transpose(next(self.predictions)), strict=True))
        return {
            name: np.eye(12)[columns[name]] if name == "angle" else columns[name][:, None]
            for name in self.names
        }


# --- the networks


def test_four_heads_on_the_same_features(recipe):
    small, final = (recipe["build_network"](**recipe["NETWORKS"][n]) for n in ("small", "final"))
    assert set(final.output) == set(lines.HEADS)
    for head, choices in heads.NUM_CLASSES.items():
        layer = final.get_layer(head)
        expected = (12, "softmax") if choices > 2 else (1, "sigmoid")
        assert (layer.units, layer.activation.__name__) == expected
        assert final.output[head] is layer.output
        assert layer.input is final.get_layer("length").input
    assert small.count_params() < final.count_params() <= 250_000


def test_the_learning_rate_by_hand(recipe):
    rate = recipe["optimizer_for"](1000, 2, 0.5)._learning_rate  # 8 steps an epoch
    rates = [float(rate(step)) for step in (0, 2, 4, 10, 16)]
    half = 0.5 * (0.5 + 0.5 * 1e-3)  # in the middle of the cosine
    assert rates == pytest.approx([0.05, 0.275, 0.5, half, 0.5e-3])


# --- training


def test_losses_and_accuracies_belong_to_their_heads(recipe, little, part):
    """What Keras reports after the last epoch, against NumPy on the network's predictions."""
    network, some = little(), lines.generate(per_class=1, seed=5)
    served = heads.batches(some.images, some.labels, batch_size=1000)
    how = recipe["Recipe"](2, 1e-2, 1, "5, 2, 1, 50")
    history = recipe["train"](network, part, how, validation_data=served)
    losses = heads.cross_entropy(heads.probabilities(network, some.images), some.labels)
    wrong = heads.errors(network, some)
    for name in lines.HEADS:
        assert history[f"val_{name}_loss"][-1] == pytest.approx(losses[name], abs=1e-5)
        assert history[f"val_{name}_accuracy"][-1] == pytest.approx(1 - wrong[name] / 96)
    for start in ("", "val_"):
        total = sum(
            weight * np.array(history[f"{start}{name}_loss"])
            for name, weight in {"length": 5, "width": 2, "color": 1, "angle": 50}.items()
        )
        assert history[f"{start}loss"] == pytest.approx(total, rel=1e-4)
    assert "learned weights" not in history


def test_learned_weights_in_training(recipe, little, part):
    """They are learned, reported, and never pulled towards 1 by weight decay."""

    names, watch = ("width", "angle"), HeadWatch(part, recipe["STEPS_BETWEEN_CHECKS"])
    how = recipe["Recipe"](2, 1e-2, 1, "learned")
    history = recipe["train"](little(names), part, how, callbacks=[watch])
    learned = history["learned weights"]
    assert set(learned) == set(names)
    assert all(1 / 50 <= weight <= 50 and weight != 1 for weight in learned.values())
    assert set(watch.accuracies) == set(names)
    assert watch.epochs == [1, 2]  # 384 images make 3 steps an epoch, which are done at once

    trainer, trained = watch.model, watch.model.trainable_variables
    for variable in trainer.optimizer.variables:  # no momentum: nothing but the decay is left
        variable.assign(keras.ops.zeros_like(variable))
    for log_variance in trainer.log_variance.values():
        log_variance.assign(1.0)
    kernel = next(v for v in trained if v.name == "kernel")
    before = kernel.numpy()
    trainer.optimizer.apply([keras.ops.zeros_like(variable) for variable in trained])
    assert np.abs(kernel.numpy()).sum() < np.abs(before).sum()
    assert [float(s.numpy()) for s in trainer.log_variance.values()] == [1.0, 1.0]


# --- learned weights, by their formula


@pytest.fixture
def learner(recipe):
    return recipe["LearnedWeights"](recipe["build_network"](((1, 5, 2),), 0))


def test_learned_loss_by_hand(learner):
    random = np.random.default_rng(0)
    labels = np.array([(0, 1, 3, 1), (1, 1, 11, 255), (1, 0, 255, 0)])
    ((_, targets, known),) = heads.batches(np.zeros((3, 28, 28, 3)), labels)
    angle = random.dirichlet(np.ones(12), 3).astype("float32")
    p = {
        name: random.uniform(0.1, 0.9, 3).astype("float32") for name in ("length", "width", "color")
    }
    log_variances = {"length": 0.5, "width": -1.0, "angle": 2.0, "color": 0.0}
    for name, value in log_variances.items():
        learner.log_variance[name].assign(value)
    predicted = {name: tf.constant(values[:, None]) for name, values in p.items()}
    predicted["angle"] = tf.constant(angle)
    loss = learner.compute_loss(y=targets, y_pred=predicted, sample_weight=known)
    true = {  # the probability of the true class, for each image whose label is known
        "length": [1 - p["length"][0], p["length"][1], p["length"][2]],
        "width": [p["width"][0], p["width"][1], 1 - p["width"][2]],
        "angle": [angle[0, 3], angle[1, 11]],
        "color": [p["color"][0], 1 - p["color"][2]],
    }
    expected = sum(
        np.exp(-s) * -np.log(true[name]).sum() / 3 + s / 2 for name, s in log_variances.items()
    )
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_a_head_with_a_larger_loss_gets_a_smaller_weight(learner):
    losses = {"length": 0.1, "width": 0.5, "angle": 2.0, "color": 0.3}
    learner.log_variance["color"].assign(-1.0)
    ((_, targets, known),) = heads.batches(np.zeros((1, 28, 28, 3)), np.array([(1, 1, 0, 1)]))
    predicted = {}
    for name, loss in losses.items():
        p = np.exp(-loss)
        of_each = [p, *[(1 - p) / 11] * 11] if name == "angle" else [p]
        predicted[name] = tf.constant([of_each], tf.float32)
    with tf.GradientTape() as tape:
        total = learner.compute_loss(y=targets, y_pred=predicted, sample_weight=known)
    slopes = tape.gradient(total, [learner.log_variance[name].value for name in losses])
    expected = [0.5 - 0.1, 0.5 - 0.5, 0.5 - 2, 0.5 - np.e * 0.3]
    assert list(map(float, slopes)) == pytest.approx(expected, abs=1e-5)


def test_learned_weights_stay_between_a_fiftieth_and_fifty(recipe, learner):
    def learned():
        return recipe["learned_weights"](learner)["learned weights"]

    assert learned() == dict.fromkeys(lines.HEADS, 1)
    variables = [learner.log_variance[name] for name in lines.HEADS]
    steps = [1.0, -1.0, 1e-9, 0.0]
    keras.optimizers.SGD(1e6).apply([tf.constant(step) for step in steps], variables)
    expected = {"length": 50, "width": 1 / 50, "angle": np.exp(1e-3), "color": 1}
    assert learned() == pytest.approx(expected, rel=1e-5)


# --- varied lines


def same(part, other):
    return all(np.array_equal(a, b) for a, b in zip(part, other, strict=True))


def changed(images, part):
    return np.any(images != part.images, axis=(1, 2, 3))


def test_varied_leaves_the_original_alone_and_is_repeatable(recipe, part):
    before = [column.copy() for column in part]
    first, again, other = (recipe["varied"](part, seed, 0.5, 0.1) for seed in (1, 1, 2))
    assert same(part, before)
    assert same(first, again)
    assert not np.array_equal(first.images, other.images)


def test_recolored_lines_have_an_unknown_color_and_no_others(recipe, part):
    varied = recipe["varied"](part, 3, recolored=0.2)
    unknown = varied.labels[:, COLOR] == heads.UNKNOWN
    assert np.array_equal(unknown, changed(varied.images, part))
    assert np.array_equal(varied.labels[~unknown], part.labels[~unknown])
    assert np.array_equal(varied.labels[:, :COLOR], part.labels[:, :COLOR])
    assert unknown.mean() == pytest.approx(0.2, abs=5 * np.sqrt(0.16 / len(unknown)))
    brightest = varied.images[unknown].max(axis=(1, 2))
    assert len({tuple(color) for color in brightest}) > 0.9 * len(brightest)
    drawn = recoloring.drawn_otherwise(part)
    assert {name: images.max(axis=(0, 1, 2)).tolist() for name, images in drawn.items()} == {
        "red and blue": [255, 0, 255],
        "green": [0, 255, 0],
        "white": [255, 255, 255],
        "40 % bright": [102, 0, 102],
    }


def test_snapped_lines_keep_all_labels(recipe, part):
    snapped = variants.snapped(part.labels, part.centers)
    assert np.array_equal(recipe["varied"](part, 4, snapped=1.0).images, snapped)
    half = recipe["varied"](part, 4, snapped=0.5)
    assert np.array_equal(half.labels, part.labels)
    did, n = changed(half.images, part), changed(snapped, part).sum()
    assert np.array_equal(half.images[did], snapped[did])
    assert did.sum() / n == pytest.approx(0.5, abs=5 * np.sqrt(0.25 / n))


# --- counting and watching

TRUE = np.array([(0, 0, 3, 1), (1, 0, 11, 0), (1, 1, 0, 1), (0, 1, 7, 0)], np.uint8)
PREDICTED = np.array([(1, 0, 4, 1), (1, 0, 11, 0), (1, 1, 0, 0), (0, 1, 6, 1)])
TESTED = lines.Lines(np.zeros((4, 28, 28, 3), np.uint8), TRUE, None)


def test_errors_by_hand():
    errors = {"length": 1, "width": 0, "angle": 2, "color": 2, "joint": 3}
    assert heads.errors(FixedNetwork(PREDICTED), TESTED) == errors
    alone = heads.errors(FixedNetwork(PREDICTED, names=("angle", "color")), TESTED)
    assert alone == {"angle": 2, "color": 2}


def test_watching_by_hand():
    """Five steps an epoch, looked at after every second: epochs 0.4, 0.8 and 1.4."""
    watch = HeadWatch(TESTED, 2)
    watch.set_model(FixedNetwork(PREDICTED, TRUE, PREDICTED))
    watch.set_params({"steps": 5})
    watch.on_train_begin()
    for epoch, steps in enumerate((5, 2)):
        watch.on_epoch_begin(epoch)
        for step in range(steps):
            watch.on_train_batch_end(step)
    assert watch.epochs == [0.4, 0.8, 1.4]
    assert watch.accuracies == {
        "length": [0.75, 1, 0.75],
        "width": [1, 1, 1],
        "angle": [0.5, 1, 0.5],
        "color": [0.5, 1, 0.5],
    }
    assert watch.first_passed() == {"length": 0.8, "width": 0.4, "angle": 0.8, "color": 0.8}
    watch.on_train_begin()  # of another training
    assert (watch.epochs, watch.accuracies, watch.first_passed()) == ([], {}, {})


def test_parts_of_parts_have_every_class_alike():
    labels = lines.decode(np.repeat(np.arange(96), 1000))
    validation = labels[splits.held_out(lines.encode(labels)).validation]
    every = lines.Lines(np.arange(len(validation)), validation, validation)
    watched = weighting.watched(every)
    assert np.bincount(lines.encode(watched.labels)).tolist() == [20] * 96
    tenth = weighting.fraction_of(every, 0.1, seed=0)
    assert np.bincount(lines.encode(tenth.labels)).tolist() == [6] * 96
    other = weighting.fraction_of(every, 0.1, seed=1)
    assert not np.array_equal(tenth.images, other.images)
    assert weighting.fraction_of(every, 1, seed=0) is every


def test_noisy_labels_are_wrong_as_often_as_they_say():
    labels = lines.decode(np.repeat(np.arange(96), 500))
    noisy = weighting.noisy(lines.Lines(labels, labels, labels), seed=1)
    for head, share in weighting.DRAWN_ANEW.items():
        column, count = lines.HEADS.index(head), lines.NUM_CLASSES[head]
        wrong = np.mean(noisy.labels[:, column] != labels[:, column])
        assert wrong == pytest.approx(share * (1 - 1 / count), abs=0.01)
    assert np.array_equal(noisy.images, labels)


# --- the study


def chosen_from(study, changes=()):
    """Stored runs of the choice: all alike, but for some {key: (errors, losses)}."""
    stored = {}
    for run in study.runs_of("choose", {}):
        names = study.METHODS[run.arguments["method"]]
        errors = dict.fromkeys(names, 10) | ({"joint": 20} if len(names) > 1 else {})
        stored[run.key] = {"errors": errors, "cross-entropy": dict.fromkeys(names, 1.0)}
    for key, (errors, losses) in dict(changes).items():
        stored[key]["errors"] |= errors
        stored[key]["cross-entropy"] |= losses
    return stored


def test_the_chosen_rate_has_fewest_errors_and_then_the_smallest_loss(study):
    first, second, third = study.LEARNING_RATES[2:5]
    errors_and_losses = {
        ("small/equal", second): ({"joint": 3}, {"angle": 9.0}),
        ("small/equal", third): ({"joint": 4}, {"angle": 0.0}),
        ("small/learned", second): ({"joint": 3}, {"angle": 0.5}),
        ("small/learned", third): ({"joint": 3}, {"color": 0.6}),
        ("final/learned", second): ({"angle": 0, "joint": 19}, {}),
        ("final/only angle", second): ({"angle": 9}, {"angle": 2.0}),
    }
    end = study.CHOICE_SEEDS[0]
    changes = {f"choose/{a}/{rate}/{end}": two for (a, rate), two in errors_and_losses.items()}
    stored = chosen_from(study, changes)
    best = {
        key: study.search(*key.split("/")).best(stored, study.LEARNING_RATES[2:5])
        for key in ("small/equal", "small/learned", "final/learned", "final/only angle")
    }
    assert set(best.values()) == {second}
    assert study.search("small", "only color").tried(stored)[0] < first  # the first of equals


def test_the_plan(study, tmp_path):
    """Keys of their own, seeds that no choice has seen, arguments that come back from JSON."""
    stored = chosen_from(study)
    plan = {kind: study.runs_of(kind, stored) for kind in study.KINDS}
    runs = [run for of_kind in plan.values() for run in of_kind]
    done = {run.key: run.arguments | {"recipe": run.recipe} for run in runs}
    assert len(done) == len(runs)
    compared = {(run.arguments["setting"], run.arguments["method"]) for run in plan["compare"]}
    assert compared == set(study.settings())
    assert not any(method == "learned" for setting, method in compared if "%" in setting)
    seeds = {kind: {run.arguments["seed"] for run in of_kind} for kind, of_kind in plan.items()}
    assert seeds.pop("choose") == set(study.CHOICE_SEEDS)
    assert not set.union(*seeds.values()) & set(study.CHOICE_SEEDS)
    path = saving.save_json({"runs": done}, tmp_path / "study.json")
    assert studies.missing(studies.load(path), runs) == []
