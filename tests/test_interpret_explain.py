"""The one door: image, layer or both give the pictures that fit, also from the shell."""

import re
import subprocess
import sys
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from keras import layers
from PIL import Image

from cnnlab import __main__ as main
from cnnlab import interpret
from cnnlab.interpret.figures import pictures
from cnnlab.interpret.figures.sheet import Sheet, Tile

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((12, 12, 3))
    scaled = layers.Rescaling(1 / 255)(inputs)
    shared = layers.Conv2D(4, 3, activation="relu", name="shared")(scaled)
    branch = layers.Conv2D(3, 3, activation="relu", name="branch")(shared)
    outputs = {
        "kind": layers.Dense(5, activation="softmax")(layers.Flatten()(shared)),
        "big": layers.Dense(1, activation="sigmoid")(layers.Flatten(name="flat")(branch)),
    }
    return keras.Model(inputs, outputs)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def image(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)


def words(figure):
    return "\n".join(text.get_text() for axis in figure.axes for text in axis.texts)


def test_an_image_alone_gives_all_activations_and_a_heatmap_for_each_head(model):
    found = interpret.explain(model, image())
    assert list(found.activations) == ["rescaling", "shared", "branch"] or set(
        found.activations
    ) >= {"shared", "branch"}
    assert found.activations["shared"].shape == (10, 10, 4)
    assert {head: maps.layer for head, maps in found.heatmaps.items()} == {
        "kind": "shared",
        "big": "branch",
    }
    assert found.filters is None and found.steps == ()
    shown = words(found.figure)
    for word in ("shared: 4 channels of 10 × 10", "kind: class", "big: class"):
        assert word in shown


def test_the_numbers_are_those_of_the_single_functions(model):
    found = interpret.explain(model, image())
    for head, maps in found.heatmaps.items():
        expected = interpret.grad_cam(model, image(), head=head)
        np.testing.assert_array_equal(maps.maps, expected.maps)
        assert maps.targets[0] == expected.targets[0]
    expected = interpret.activations(model, image(), "branch")["branch"][0]
    np.testing.assert_array_equal(found.activations["branch"], expected)


def test_a_layer_alone_gives_its_filters(model):
    found = interpret.explain(model, layer="branch")
    assert len(found.filters.images) == 3
    assert found.activations == {} and found.heatmaps == {}
    assert "branch" in words(found.figure) and "3 filters of branch" in found.summary


def test_both_give_that_layer(model):
    found = interpret.explain(model, image(), "shared")
    assert list(found.activations) == ["shared"]
    assert {maps.layer for maps in found.heatmaps.values()} == {"shared"}
    only = interpret.explain(model, image(), "branch")
    assert list(only.heatmaps) == ["big"]  # the other head does not see this layer


def test_a_layer_without_feature_maps_has_activations_and_no_heatmap(model):
    found = interpret.explain(model, image(), "flat")
    assert found.heatmaps == {} and found.activations["flat"].shape == (192,)
    assert "No heatmap" in words(found.figure)


def test_head_target_and_method(model):
    found = interpret.explain(model, image(), head="kind", target=3, method="layercam")
    assert list(found.heatmaps) == ["kind"]
    assert found.heatmaps["kind"].targets[0] == 3
    assert found.heatmaps["kind"].method == "layercam"


def test_names_of_classes(model):
    names = {"kind": list("abcde"), "big": ["small", "large"]}
    shown = words(interpret.explain(model, image(), names=names).figure)
    assert re.search(r"kind: [a-e] \(", shown) and re.search(r"big: (small|large) \(", shown)


def test_how_the_image_was_changed_is_said(model):
    found = interpret.explain(model, np.zeros((24, 24), np.uint8))
    assert found.steps == (
        "gray repeated in three color channels",
        "resized from 24 × 24 to 12 × 12 pixels",
    )
    assert "resized from 24 × 24" in words(found.figure).replace("\n", " ")


def test_progress_names_the_steps(model):
    said = []
    interpret.explain(model, image(), progress=said.append)
    assert said == ["heatmaps", "activations", "drawing"]
    said.clear()
    interpret.explain(model, layer="shared", progress=said.append)
    assert said == ["filters of shared", "drawing"]


def test_an_unbuilt_sequential_is_built_for_the_image():
    model = keras.Sequential([layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])
    found = interpret.explain(model, image())
    assert model.built and len(found.heatmaps) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "nothing to explain"),
        ({"image": 0, "layer": "nowhere"}, "shared, branch|the layers are"),
        ({"layer": "nowhere"}, "the layers are"),
        ({"image": 0, "head": "colour"}, "kind, big|big, kind"),
        ({"image": 0, "target": 1}, "a target belongs to one head"),
        ({"image": 0, "head": "kind", "target": 5}, r"0\.\.4"),
        ({"image": 0, "head": "big", "target": 2}, r"0\.\.1"),
        ({"image": 0, "head": "kind", "layer": "branch"}, "does not feed.*usable are .*shared"),
        ({"image": 0, "head": "big", "layer": "flat"}, "usable are"),
        ({"image": 0, "method": "smooth"}, "grad-cam"),
        ({"image": 0, "value_range": (1, 0)}, "low < high"),
        ({"image": 0, "value_range": 3}, "two numbers"),
        ({"layer": "shared", "head": "kind"}, "explains an image"),
    ],
)
def test_what_is_wrong_is_said(model, arguments, message):
    if "image" in arguments:
        arguments = arguments | {"image": image()}
    with pytest.raises(ValueError, match=message):
        interpret.explain(model, **arguments)


def test_no_model():
    with pytest.raises(TypeError, match="not a Keras model"):
        interpret.explain("model", image())


@pytest.mark.parametrize(
    ("suffix", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_figures_are_saved_the_same_each_time(model, tmp_path, suffix, start):
    files = [tmp_path / f"{number}.{suffix}" for number in (1, 2)]
    for file in files:
        interpret.save(interpret.explain(model, image(), "branch").figure, file)
    assert files[0].read_bytes().startswith(start)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_another_suffix_is_refused(model, tmp_path):
    figure = plt.figure()
    with pytest.raises(ValueError, match=".png, .pdf, .svg"):
        interpret.save(figure, tmp_path / "a.bmp")
    assert not list(tmp_path.iterdir())


# --- the sheet -----------------------------------------------------------------------------------


def test_tiles_are_square_and_do_not_overlap():
    sheet = Sheet(4)
    sheet.heading("Title")
    sheet.tiles([Tile(np.zeros((5, 5, 3)), str(k)) for k in range(7)], columns=3)
    boxes = [picture.get_extent() for picture in sheet.figure().axes[0].images]
    assert len(boxes) == 7
    for left, right, bottom, top in boxes:
        assert right - left == pytest.approx(bottom - top)
        assert 0 <= left < right <= 4 + 1e-9 and 0 <= top < bottom <= sheet.height
    for index, (left, right, bottom, top) in enumerate(boxes):
        for other_left, other_right, other_bottom, other_top in boxes[:index]:
            apart = left >= other_right or right <= other_left
            assert apart or top >= other_bottom or bottom <= other_top


def test_activations_are_drawn_on_one_scale_and_off_channels_are_marked():
    maps = np.zeros((4, 4, 3), np.float32)
    maps[0, 0, 0], maps[1, 1, 1] = 2, 1
    sheet = Sheet()
    pictures.add_activations(sheet, "layer", maps)
    figure = sheet.figure()
    assert "layer: 3 channels of 4 × 4, 1 off" in words(figure) and "2 off" in words(figure)
    assert "2   activation, one scale for the layer" in words(figure)
    first, second = (np.asarray(tile.get_array()) for tile in figure.axes[0].images[1:3])
    yellow = plt.get_cmap("viridis")(1.0)[:3]
    np.testing.assert_allclose(first[0, 0], yellow, atol=1e-6)
    assert not np.allclose(second[1, 1], yellow, atol=0.1)  # half as active: another color


def test_negative_activations_get_a_scale_around_zero():
    assert pictures.shown_scale(np.array([-3.0, 1.0])) == (-3, 3, pictures.SIGNED)
    assert pictures.shown_scale(np.array([0.0, 1.0])) == (0, 1, pictures.POSITIVE)


def test_an_empty_heatmap_is_a_tile_with_its_reason():
    inputs = keras.Input((6, 6, 1))
    hidden = layers.Conv2D(1, 3, kernel_initializer="ones", bias_initializer="ones")(inputs)
    output = layers.Dense(1, kernel_initializer=keras.initializers.Constant(-1.0))(
        layers.Flatten()(hidden)
    )
    model = keras.Model(inputs, output)
    found = interpret.explain(model, np.ones((6, 6), np.float32), target=1)
    assert found.heatmaps[model.layers[-1].name].note[0].startswith("empty: no place speaks")
    assert "speaks for" in words(found.figure).replace("\n", " ")


def test_the_overlay_hides_nothing_where_there_is_no_heat():
    colors = np.random.default_rng(0).random((4, 4, 3))
    gray = colors.max(axis=2)
    heat = np.zeros((4, 4))
    np.testing.assert_allclose(pictures.overlay(colors, heat)[..., 1], gray)
    heat[2, 2] = 1
    changed = np.abs(pictures.overlay(colors, heat)[..., 2] - gray) > 1e-6
    assert changed.sum() == 1 and changed[2, 2]


# --- the shell -----------------------------------------------------------------------------------


def test_the_command_draws_a_models_answers(model, tmp_path, capsys):
    model.save(tmp_path / "mine.keras")
    Image.fromarray(np.zeros((30, 20), np.uint8)).save(tmp_path / "image.png")
    out = tmp_path / "out.svg"
    code = main.main(
        ["explain", "--model", str(tmp_path / "mine.keras"), "--image", str(tmp_path / "image.png")]
        + ["--out", str(out)]
    )
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert out.read_text().startswith("<?xml")
    assert "resized from 20 × 30" in printed.out and "kind: class" in printed.out
    assert "loading" in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "task2", "--out", "a.png"], "nothing to explain"),
        (["--model", "task2", "--layer", "conv2d_9", "--out", "a.jpg"], "must end in"),
        (["--model", "tsk2", "--layer", "conv2d_9", "--out", "a.png"], "task2"),
        (["--model", "task2", "--layer", "conv", "--out", "a.png"], "the layers are"),
        (["--model", "task2", "--image", "nowhere.png", "--out", "a.png"], "nowhere.png"),
    ],
)
def test_the_command_says_what_is_wrong_and_writes_nothing(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    try:
        code = main.main(["explain", *arguments])
    except SystemExit as error:  # argparse ends by itself
        code = error.code
    assert code == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not list(tmp_path.iterdir())


def test_the_command_in_a_process_of_its_own_says_nothing_else(tmp_path):
    out = tmp_path / "filters é.png"
    ran = subprocess.run(
        [sys.executable, "-m", "cnnlab", "explain", "--model", "task1-mnist"]
        + ["--layer", "conv2d", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert "24 filters of conv2d" in ran.stdout
    assert all(line.endswith(" ...") for line in ran.stderr.splitlines())
    assert Image.open(out).width > 500


# --- what is easily forgotten --------------------------------------------------------------------


def test_a_long_step_is_announced_after_a_while(model, monkeypatch, capsys):
    from cnnlab.interpret import explain as door

    module = sys.modules["cnnlab.interpret.explain"]
    assert callable(door)
    monkeypatch.setattr(sys.modules["cnnlab.interpret.explain"], "PATIENCE", 0.05)
    slow = module.maximize_filters

    def slower(*arguments, **options):
        import time

        time.sleep(0.3)
        return slow(*arguments, **options)

    monkeypatch.setattr(module, "maximize_filters", slower)
    interpret.explain(model, layer="branch")
    assert "filters of branch ..." in capsys.readouterr().err


def test_a_quick_call_says_nothing(model, capsys, monkeypatch):
    monkeypatch.setattr(sys.modules["cnnlab.interpret.explain"], "PATIENCE", 60)
    interpret.explain(model, image())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("names", "message"), [({"kind": ["a", "b"]}, "5 classes, but 2 names"), (["a"], "a dict")]
)
def test_names_must_fit(model, names, message):
    with pytest.raises(ValueError, match=message):
        interpret.explain(model, image(), names=names)


def test_a_model_without_feature_maps_has_its_activations_shown():
    inputs = keras.Input((6, 6, 1))
    hidden = layers.Dense(300, name="hidden")(layers.Flatten()(inputs))
    model = keras.Model(inputs, layers.Dense(3)(hidden))
    found = interpret.explain(model, np.zeros((6, 6), np.uint8))
    assert found.heatmaps == {} and found.activations["hidden"].shape == (300,)
    assert found.figure.get_figheight() < 10
    assert "No heatmap" in words(found.figure)


def test_a_model_of_any_size_has_filters():
    inputs = keras.Input((None, None, 3))
    hidden = layers.Conv2D(2, 3, name="conv")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(hidden)))
    found = interpret.explain(model, layer="conv")
    assert found.filters.images.shape == (2, 64, 64, 3)
    assert "64 × 64" in words(found.figure)


def test_floats_out_of_range_are_said(model):
    found = interpret.explain(model, 400 * np.ones((12, 12, 3), np.float32))
    assert "values outside of 0 … 255" in found.steps[0]


def test_matplotlib_does_not_keep_the_figures(model):
    before = plt.get_fignums()
    interpret.explain(model, image())
    assert plt.get_fignums() == before
