"""The checks of heatmaps: numbers worked out by hand, and checks that can fail."""

import keras
import numpy as np
import pytest
from drawn import overlapping, words
from matplotlib.text import Text
from models import sigmoid, with_random_weights
from scipy import stats

from cnnlab import lines, metrics
from cnnlab.interpret.checks import (
    Masking,
    Shuffling,
    compare_methods,
    deletion,
    heat_inside,
    insertion,
    line_masks,
    pointing_game,
    randomization,
)
from cnnlab.interpret.checks.cascade import (
    Cascade,
    between_images,
    rank_sums,
    standard_ranks,
    verdict,
)
from cnnlab.interpret.checks.masking import displaced_maps
from cnnlab.interpret.figures import checks as check_plots
from cnnlab.interpret.gradcam import GradCam, grad_cam, heatmaps
from cnnlab.interpret.model.network import inspect_model

layers = keras.layers
KERNEL = np.array([[3.0], [-1.0], [0.5], [2.0]], np.float32)  # of the pixels in reading order
BIAS = -1.5


def linear_model(kernel=KERNEL, bias=BIAS, size=(2, 2)):
    """One sigmoid unit over all pixels: its answer to any image is known in closed form."""
    model = keras.Sequential(
        [keras.Input((*size, 1)), layers.Flatten(), layers.Dense(1, activation="sigmoid")]
    )
    model.set_weights([np.reshape(kernel, (-1, 1)), np.array([bias], np.float32)])
    return model


def two_headed():
    """A shared convolution, a softmax head of three with a branch, and one sigmoid unit."""
    image = keras.Input((8, 8, 1))
    hidden = layers.Conv2D(6, 3, use_bias=False, name="conv")(image)
    hidden = layers.BatchNormalization(name="norm")(hidden)
    hidden = layers.ReLU(name="relu")(hidden)
    branch = layers.Conv2D(5, 3, activation="relu", name="branch")(hidden)
    kind = layers.Dense(3, activation="softmax", name="kind")(layers.Flatten()(branch))
    bright = layers.Dense(1, activation="sigmoid", name="bright")(layers.Flatten()(hidden))
    return with_random_weights(keras.Model(image, {"kind": kind, "bright": bright}))


@pytest.fixture(scope="module")
def model():
    return two_headed()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(3).uniform(0, 1, (7, 8, 8, 1)).astype(np.float32)


# Deletion and insertion


@pytest.mark.parametrize("target", [0, 1])
def test_curves_of_a_linear_model_by_hand(target):
    image = np.array([[1.0, 2.0], [0.5, 1.0]], np.float32)
    heat = np.array([[[4, 1], [2, 3]]])  # order: pixels 0, 3, 2, 1
    parts = (KERNEL[:, 0] * image.ravel())[[0, 3, 2, 1]]
    sign = 1 if target else -1
    logits = sign * (BIAS + np.concatenate([[0], np.cumsum(parts)]))
    inserted, deleted = sigmoid(logits), sigmoid(logits[-1] + sign * BIAS - logits)
    model, masking = linear_model(), Masking(steps=4)
    away = deletion(model, image, heat, target=target, masking=masking)
    back = insertion(model, image, heat, target=target, masking=masking)
    np.testing.assert_allclose(away.curves[0], deleted, atol=1e-6)
    np.testing.assert_allclose(back.curves[0], inserted, atol=1e-6)
    np.testing.assert_allclose(away.fractions, [0, 0.25, 0.5, 0.75, 1])
    by_hand = (deleted[0] / 2 + deleted[1:-1].sum() + deleted[-1] / 2) / 4
    assert away.areas()[0] == pytest.approx(by_hand, abs=1e-6)
    assert (away.kind, back.kind, away.empty) == ("deletion", "insertion", 0)
    blank = Masking(steps=1, blank=0.5)  # what missing pixels become
    away = deletion(model, image, heat, target=target, masking=blank)
    expected = sigmoid(sign * (BIAS + 0.5 * KERNEL.sum()))
    assert away.curves[0, -1] == pytest.approx(expected, abs=1e-6)


EVIDENCE = np.pad(np.full((2, 2), 3.0), (0, 4))
ADDING = linear_model(EVIDENCE, bias=-4, size=(6, 6))  # adds up one corner; no test changes it


def evidence(count=24):
    """The model ADDING, images of its corner in noise, and the heatmap that is right."""
    images = np.random.default_rng(1).uniform(0.3, 1, (count, 6, 6, 1)).astype(np.float32)
    return ADDING, images, np.broadcast_to(EVIDENCE + 0.01, (count, 6, 6))


@pytest.mark.parametrize("check", [deletion, insertion])
def test_a_right_map_gains_over_the_controls_and_a_wrong_one_loses(check):
    model, images, heat = evidence()
    masking = Masking(steps=9, repeats=8)
    right = check(model, images, heat, None, 1, masking)
    wrong = check(model, images, heat.max() - heat + 0.01, None, 1, masking)
    for control in ("random", "displaced"):
        mean, low, high = right.gain(control)
        assert 0.05 < low < mean < high
        mean, low, high = wrong.gain(control)
        assert low < mean < high < -0.02


def test_empty_maps_are_left_out_and_counted():
    model, images, heat = evidence(4)
    heat = heat.copy()
    heat[1], heat[2, 0, 0] = 0, np.nan
    curves = deletion(model, images, heat, None, 1, Masking(steps=4))
    assert curves.empty == 2
    for values in (curves.curves, curves.random, curves.displaced):
        assert np.isnan(values).all(axis=1).tolist() == [False, True, True, False]
    alone = deletion(model, images[[0, 3]], heat[[0, 3]], None, 1, Masking(steps=4))
    np.testing.assert_array_equal(curves.curves[[0, 3]], alone.curves)
    # The gain is the paired difference of the areas.
    gains = alone.areas("displaced") - alone.areas()
    assert curves.gain() == pytest.approx(metrics.mean_interval(gains))
    nothing = insertion(model, images, np.zeros((4, 6, 6)), None, 1, Masking(steps=4))
    assert np.isnan(nothing.gain()).all()


def test_heatmaps_bring_their_head_and_targets(model, images):
    maps = grad_cam(model, images, "kind")
    found = deletion(model, images, maps, masking=Masking(steps=4))
    assert (found.head, found.targets.tolist()) == ("kind", maps.targets.tolist())
    kept = np.isfinite(found.curves[:, 0])
    assert kept.sum() == len(images) - found.empty > 0
    np.testing.assert_allclose(found.curves[kept, 0], maps.probabilities[kept], atol=1e-5)
    for other in ({"head": "bright"}, {"target": 0}):
        with pytest.raises(ValueError, match="head 'kind'"):
            insertion(model, images, maps, **other)


def test_one_seed_gives_one_result_with_or_without_the_other_control():
    model, images, heat = evidence(4)
    first, other, one = (
        deletion(model, images, heat, None, 1, Masking(steps=6, **options))
        for options in ({"seed": 1}, {"seed": 2}, {"seed": 1, "controls": "displaced"})
    )
    np.testing.assert_array_equal(first.displaced, one.displaced)
    assert not np.array_equal(first.displaced, other.displaced)
    assert np.isnan(one.random).all() and not np.isnan(first.random).any()


def test_the_memory_is_bounded_and_nothing_is_compiled_again(monkeypatch):
    model, images, heat = evidence(9)
    whole = deletion(model, images, heat, None, 1, Masking(steps=6))
    network = inspect_model(model)
    key = next(key for key in network.compiled if key[0] == "exchange")
    measure, sizes = network.compiled[key], []

    def watched(before, *others):
        sizes.append(len(before))
        return measure(before, *others)

    monkeypatch.setitem(network.compiled, key, watched)
    monkeypatch.setattr("cnnlab.interpret.checks.masking.ROWS", 15)
    again = deletion(model, images, heat, None, 1, Masking(steps=6, controls=()))
    assert sizes == [2, 2, 2, 2, 1]  # 15 rows are two images in seven states
    np.testing.assert_allclose(whole.curves, again.curves, atol=1e-6)
    assert measure.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(("size", "count"), [((4, 3), 47), ((3, 1), 5)])
def test_a_displaced_map_has_the_same_heat_and_never_the_same_place(size, count):
    heat = np.arange(1.0, 1 + size[0] * size[1]).reshape(1, *size)
    generator = np.random.default_rng(0)
    displaced = list(displaced_maps(None, heat, heat, np.array([True]), 100, generator))
    assert len(displaced) == count
    assert len({maps.tobytes() for maps in [heat, *displaced]}) == count + 1
    for maps in displaced:
        assert sorted(maps.ravel()) == sorted(heat.ravel())


def test_what_cannot_be_deleted():
    model, images, heat = evidence(2)
    for wrong, message in ((heat[:1], r"\(1, 6, 6\); \(2, 6, 6\)"), (-heat, "heat -")):
        with pytest.raises(ValueError, match=message):
            deletion(model, images, wrong, target=1)
    with pytest.raises(ValueError, match="give the target"):
        deletion(model, images, heat)
    with pytest.raises(ValueError, match="blank nan"):
        Masking(blank=np.nan)
    with pytest.raises(ValueError, match="draws 0"):
        Shuffling(draws=0)


# Randomization


def test_ranks_give_spearmans_correlation_also_with_equal_positions():
    a, b = np.random.default_rng(0).integers(0, 4, (2, 5, 12)).astype(float)
    expected = [stats.spearmanr(*pair).statistic for pair in zip(a, b, strict=True)]
    np.testing.assert_allclose(np.sum(standard_ranks(a) * standard_ranks(b), axis=1), expected)
    assert np.isnan(standard_ranks(np.full((1, 5), 2.0))).all()
    for ranks in rank_sums(np.array([[1.0, -2, 3], [-1, -2, -3], [1, np.inf, 0]])).values():
        assert np.isnan(ranks).all(axis=1).tolist() == [False, True, True]  # nothing above 0
    pairs = [stats.spearmanr(a[i], a[j]).statistic for i in range(5) for j in range(i)]
    assert between_images(standard_ranks(a)) == pytest.approx(np.mean(pairs))
    assert np.isnan(between_images(standard_ranks(a[:1])))


def outline(images, targets, weights):
    """An edge detector in the guise of an explanation: it ignores the network."""
    down = np.abs(np.diff(images[..., 0], axis=1))[:, :, :-1]
    across = np.abs(np.diff(images[..., 0], axis=2))[:, :-1]
    return down + across


def recorded():
    """A list of the weights that an explanation is given, [(variable, value)], and that one."""
    given = []

    def watching(images, targets, weights):
        given.append([(variable, np.array(value)) for variable, value in weights])
        return outline(images, targets, weights)

    return given, watching


def test_the_cascade_holds_what_grad_cam_gives_for_the_same_weights(model, images):
    """By another route: each stage's maps made one by one, compared by SciPy."""
    given, watching = recorded()
    target = [0, 1, 1, 0, 0, 1, 0]
    asked, how = (model, images, "bright", target), GradCam("relu")
    randomization(*asked, watching, Shuffling(draws=2))
    found = randomization(*asked, how, Shuffling(draws=2))
    before, *after = (heatmaps(*asked, how, weights) for weights in given)
    other = keras.models.clone_model(model)  # other weights are as good as set
    other.set_weights(model.get_weights())
    variables = dict(zip(map(id, model.weights), other.weights, strict=True))
    for variable, value in given[-1]:
        variables[id(variable)].assign(value)
    last = heatmaps(other, *asked[1:], how).raw
    np.testing.assert_allclose(after[-1].raw, last, rtol=1e-4, atol=1e-6)
    assert not np.allclose(before.raw, last)
    expected = np.full((6, 7), np.nan)
    for (stage, image), _ in np.ndenumerate(expected):
        notes = before.note[image], after[stage].note[image]
        if not any(note.startswith("empty") for note in notes):
            pair = before.raw[image].ravel(), after[stage].raw[image].ravel()
            expected[stage, image] = stats.spearmanr(*pair).statistic
    np.testing.assert_allclose(found.signed.reshape(6, 7), expected, atol=1e-9)
    assert 0 < np.isnan(expected).mean() < 1  # so that both cases are seen
    invalid = np.isnan(expected).reshape(2, 3, 7).mean(axis=(0, 2))
    np.testing.assert_allclose(found.invalid, invalid)
    assert found.stages == ("bright", "norm", "conv")  # not those of the other head


def test_an_explanation_that_ignores_the_network_is_caught_while_the_layers_fall(model, images):
    (seen, watching), stages = recorded(), ("kind", "branch", "norm", "conv")
    cascade = randomization(model, images, "kind", None, watching, Shuffling(draws=2))
    assert (cascade.stages, cascade.method) == (stages, "watching")
    np.testing.assert_allclose([cascade.signed, cascade.absolute], 1)
    assert verdict(cascade).sensitive is False and not cascade.invalid.any()
    # The classes explained are those that the trained network predicts, at all stages.
    predicted = model.predict(images, verbose=0)["kind"].argmax(axis=1)
    np.testing.assert_array_equal(cascade.targets, predicted)
    trained, *shuffled = [{id(variable): value for variable, value in weights} for weights in seen]
    assert len(shuffled) == 2 * len(stages)
    for number, given in enumerate(shuffled):
        random = stages[: 1 + number % len(stages)]
        for name in stages:
            for variable in model.get_layer(name).weights:
                new, old = given[id(variable)], trained[id(variable)]
                assert np.array_equal(new, old) == (name not in random) or new.size == 1
                # What becomes random keeps its scale.
                np.testing.assert_array_equal(np.sort(abs(new.ravel())), np.sort(abs(old.ravel())))
                if variable.name == "kernel" and name in random:
                    # Both signs as often: a sum of the kernel's own entries would stay.
                    assert abs(new.sum() - old.sum()) > 1e-3
                if variable.name in ("gamma", "moving_variance"):
                    assert new.min() > 0


def test_a_layer_called_twice_is_one_stage(images):
    image = keras.Input((8, 8, 1))
    conv = layers.Conv2D(1, 3, padding="same", name="conv")
    head = layers.Dense(2, activation="softmax", name="head")
    model = with_random_weights(keras.Model(image, head(layers.Flatten()(conv(conv(image))))))
    found = randomization(model, images, method=outline)
    assert found.stages == ("head", "conv (call 2)")


def test_the_model_is_not_changed_and_nothing_compiled_for_a_stage_or_a_draw(images):
    model = two_headed()
    weights, before = model.get_weights(), model.predict(images, verbose=0)
    randomization(model, images, "kind", shuffling=Shuffling(draws=2))
    compiled = dict(inspect_model(model).compiled)
    randomization(model, images[:3], "kind", 1, shuffling=Shuffling(draws=2, seed=5))
    assert inspect_model(model).compiled == compiled
    assert [f.experimental_get_tracing_count() for f in compiled.values()] == [1]
    deletion(model, images, np.ones((7, 8, 8)), "kind", 0, Masking(steps=3))
    assert all(map(np.array_equal, weights, model.get_weights()))
    assert np.array_equal(before["kind"], model.predict(images, verbose=0)["kind"])


def by_hand(signed, absolute=None, changed=(1, 1)):
    """A `Cascade` of one draw, two stages and two images."""
    return Cascade(
        stages=("head", "conv"),
        signed=np.array([signed]),
        absolute=np.array([signed if absolute is None else absolute]),
        changed=np.array(changed),
        reference={"signed": 0.1, "absolute": 0.2},
        targets=np.array([0, 1]),
        head="head",
        layer="conv",
        method="grad-cam",
    )


@pytest.mark.parametrize(
    ("signed", "absolute", "changed", "sensitive", "stage"),
    [
        ([[0.9, 0.7], [0.2, 0.4]], None, (1, 1), True, "conv"),
        ([[0.9, 0.7], [0.2, 0.4]], [[0.9, 0.9], [0.9, 0.9]], (1, 1), False, None),
        ([[0.1, 0.3], [0.1, 0.3]], None, (0, 1), True, "conv"),
        ([[0.2, 0.2], [0.2, 0.2]], None, (0, 1), False, None),  # surely above the 0.1 of others
        ([[0.9, 0.9], [0.4, 0.9]], None, (1, 1), False, None),  # too few to tell, not half way
        ([[np.nan, np.nan], [0.2, np.nan]], None, (1, 1), True, "conv"),
        ([[np.nan, np.nan], [np.nan, np.nan]], None, (1, 1), None, None),
        ([[0.2, 0.2], [0.2, 0.2]], None, (0, 0), None, None),  # no shuffle changes the weights
    ],
)
def test_verdict_by_hand(signed, absolute, changed, sensitive, stage):
    said = verdict(by_hand(signed, absolute, changed))
    assert (said.sensitive, said.stage) == (sensitive, stage)


def test_randomization_needs_weights_and_one_number_for_each_place(model, images):
    pooled = keras.Sequential([keras.Input((8, 8, 1)), layers.MaxPooling2D(8), layers.Flatten()])
    with pytest.raises(ValueError, match="no layer on the way to 'flatten.* has weights"):
        randomization(pooled, images)
    with pytest.raises(ValueError, match=r"\(7, 4\), not \(7, h, w\)"):
        randomization(model, images, "kind", method=lambda images, *_: np.ones((7, 4)))


# Where the heat lies


def test_pointing_and_heat_by_hand():
    masks = np.zeros((3, 2, 3), bool)
    masks[:, 0, :2] = True
    heat = np.array(
        [
            [[4, 1, 2], [0, 1, 0]],  # the hottest inside, 5 of 8
            [[3, 1, 3], [0, 0, 3]],  # one of the three hottest inside, 4 of 10
            [[0, 0, 1], [0, 0, 0]],  # outside, 0 of 1
        ]
    )
    pointing, inside = pointing_game(heat, masks), heat_inside(heat, masks)
    np.testing.assert_allclose(pointing.of_images, [1, 1 / 3, 0])
    assert pointing.share == pytest.approx(4 / 9)
    assert (pointing.low, pointing.high) == pytest.approx(metrics.wilson_interval(4 / 3, 3))
    np.testing.assert_allclose(inside.of_images, [5 / 8, 4 / 10, 0])
    assert inside.share == pytest.approx(1.025 / 3)
    assert pointing.chance == inside.chance == pytest.approx(1 / 3)
    assert (inside.low, inside.high) == (0, 1)  # Student's t goes beyond
    more = heat_inside(np.tile(heat, (5, 1, 1)), np.tile(masks, (5, 1, 1)))
    expected = metrics.mean_interval(np.array([5 / 8, 4 / 10, 0] * 5))
    assert (more.share, more.low, more.high) == pytest.approx(expected)
    with pytest.raises(ValueError, match="masks must be bool"):
        heat_inside(heat, heat)
    with pytest.raises(ValueError, match="mask 0 is empty"):
        heat_inside(heat, heat < 0)


def test_empty_maps_are_counted_and_left_out_of_the_localization(model, images):
    masks = np.zeros((3, 2, 2), bool)
    masks[:, 0, 0] = True
    heat = np.array([[[1.0, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 1.0], [np.inf, 0]]])
    for check in (pointing_game, heat_inside):
        found = check(heat, masks)
        assert found.empty == 2 and found.share == 1
        assert np.isnan(found.of_images).tolist() == [False, True, True]
        nothing = check(np.zeros((3, 2, 2)), masks)
        assert np.isnan([nothing.share, nothing.low, nothing.high, nothing.chance]).all()
    maps = grad_cam(model, images, "kind")
    maps = maps._replace(note=("empty: said so", *[""] * 6), maps=np.ones_like(maps.maps))
    assert pointing_game(maps, np.ones((7, 8, 8), bool)).empty == 1


def test_line_masks_are_the_drawn_pixels_and_need_no_image():
    data = lines.generate(per_class=1, seed=5)
    np.testing.assert_array_equal(line_masks(data._replace(images=None)), data.images.any(axis=3))
    with pytest.raises(ValueError, match="nobody knows where"):
        line_masks(data._replace(centers=None))


# Methods compared


def test_compare_methods_gives_the_numbers_of_the_checks(model, images):
    methods = [GradCam("branch", "layercam"), GradCam("conv")]
    masking = Masking(steps=5, blank=0.25)
    rows = compare_methods(model, images, "kind", None, methods, masking)
    named = [(row["layer"], row["method"]) for row in rows]
    assert named == [*((how.layer, how.method) for how in methods), ("", "contrast")]
    maps = [heatmaps(model, images, "kind", None, how) for how in methods]
    contrast = np.abs(images[..., 0] - np.float32(0.25))  # the distance from the blank
    for kind, check, sign in (("deletion", deletion, -1), ("insertion", insertion, 1)):
        found = [check(model, images, of_method, masking=masking) for of_method in maps]
        found.append(check(model, images, contrast, "kind", maps[0].targets, masking))
        for row, curves in zip(rows, found, strict=True):
            areas = curves.areas()
            assert row["empty"] == np.isnan(areas).sum()
            assert row[kind] == pytest.approx(np.nanmean(areas))
            assert row[f"{kind}_gain"] == pytest.approx(curves.gain())
            ahead = sign * (areas - found[0].areas())
            mean = metrics.mean_interval(ahead[np.isfinite(ahead)])
            assert row[f"{kind}_ahead"] == pytest.approx(mean, abs=1e-9)


# Figures


def check_readable(figure):
    """Assert that texts are large enough, apart and in the figure."""
    assert not overlapping(figure)
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    assert texts and min(text.get_fontsize() for text in texts) >= 7.5
    tight, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(tight.x0, tight.y0) > -0.02
    assert tight.x1 < width + 0.02 and tight.y1 < height + 0.02


def test_the_cascade_is_drawn():
    cascade = by_hand([[0.9, 0.7], [np.nan, np.nan]])
    figure = check_plots.cascade({"kind": cascade, "bright": cascade, "third": cascade})
    check_readable(figure)
    axis = figure.axes[0]
    assert axis.get_title(loc="left") == "kind\ngrad-cam at conv"
    assert words(axis.get_yticklabels()) == ["trained", "head", "conv"]
    assert words(axis.texts) == ["", "100 % empty"]
    labeled = {line.get_label(): line for line in axis.lines}
    np.testing.assert_allclose(labeled["with sign"].get_xdata(), [1, 0.8, np.nan])


def test_curves_and_localization_are_drawn():
    model, images, heat = evidence(6)
    curves = deletion(model, images, heat, None, 1, Masking(6))
    figure = check_plots.curves({"one": curves, "two": curves})
    check_readable(figure)
    drawn = [line.get_ydata() for line in figure.axes[1].lines]
    expected = [part.mean(axis=0) for part in (curves.curves, curves.random, curves.displaced)]
    np.testing.assert_allclose(drawn, expected)
    named = ({"one": check(heat, heat > 1)} for check in (pointing_game, heat_inside))
    figure = check_plots.localization(*named)
    check_readable(figure)
    share, chance = (line.get_xdata()[0] for line in figure.axes[0].lines)
    assert (share, chance) == pytest.approx((100, 100 * 4 / 36))
