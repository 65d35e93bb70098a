"""One entry point: image, layer or both give the pictures that fit, also from the shell."""

import re
import subprocess
import sys
import time
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from drawings import paint_program
from keras import layers
from PIL import Image

from cnnlab import __main__ as main
from cnnlab import interpret
from cnnlab.drawings import as_mnist
from cnnlab.interpret.figures import pictures
from cnnlab.interpret.figures.sheet import Sheet, Tile
from cnnlab.preprocessing import named

ROOT = Path(__file__).resolve().parents[1]
MODULE = sys.modules["cnnlab.interpret.explain"]  # the room's `explain` is the function


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((12, 12, 3))
    shared = layers.Conv2D(4, 3, activation="relu", name="shared")(inputs / 255)
    branch = layers.Conv2D(3, 3, activation="relu", name="branch")(shared)
    kind = layers.Dense(5, activation="softmax")(layers.Flatten()(shared))
    big = layers.Dense(1, activation="sigmoid")(layers.Flatten(name="flat")(branch))
    return keras.Model(inputs, {"kind": kind, "big": big})


IMAGE = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)


def words(figure):
    parts = [text.get_text() for axis in figure.axes for text in axis.texts]
    return " ".join(parts).replace("\n", " ")


def test_an_image_alone_gives_what_the_single_functions_give(model):
    before = plt.get_fignums()
    shown = interpret.explain(model, IMAGE)
    assert plt.get_fignums() == before  # Matplotlib does not keep the figure
    expected = interpret.activations(model, IMAGE)
    assert list(shown.activations) == list(expected)
    for layer, maps in expected.items():
        np.testing.assert_array_equal(shown.activations[layer], maps[0])
    heat_layers = {head: maps.layer for head, maps in shown.heatmaps.items()}
    assert heat_layers == {"kind": "shared", "big": "branch"}
    for head, maps in shown.heatmaps.items():
        np.testing.assert_array_equal(maps.maps, interpret.grad_cam(model, IMAGE, head).maps)
    assert shown.filters is None and shown.steps == ()
    for word in ("shared: 4 channels of 10 × 10", "kind: class", "big: class"):
        assert word in words(shown.figure)


def test_both_give_that_layer(model):
    shown = interpret.explain(model, IMAGE, "shared")
    assert list(shown.activations) == ["shared"]
    assert {maps.layer for maps in shown.heatmaps.values()} == {"shared"}
    # The other head does not see this layer; and the last one has no feature maps.
    assert list(interpret.explain(model, IMAGE, "branch").heatmaps) == ["big"]
    flat = interpret.explain(model, IMAGE, "flat")
    assert flat.heatmaps == {} and flat.activations["flat"].shape == (192,)
    assert "No heatmap" in words(flat.figure)


def test_options(model):
    said, names = [], {"kind": list("abcde"), "big": ["small", "large"]}
    shown = interpret.explain(model, IMAGE, names=names, method="layercam", progress=said.append)
    assert re.search(r"big: (small|large) \(.*kind: [a-e] \(", words(shown.figure))
    assert {maps.method for maps in shown.heatmaps.values()} == {"layercam"}
    assert said == ["heatmaps", "activations", "drawing"]
    one = interpret.explain(model, np.zeros((24, 12), np.uint8), head="kind", target=3)
    assert list(one.heatmaps) == ["kind"] and one.heatmaps["kind"].targets == [3]
    assert "stretched from 12 × 24 to 12 × 12 pixels" in one.steps
    assert "stretched from 12 × 24" in words(one.figure)  # how the image was changed is said


def tiles(figure, *shape):
    """The pictures of a figure that have this shape, (height, width, 3)."""
    arrays = (np.asarray(image.get_array()) for image in figure.axes[0].images)
    return [array for array in arrays if array.shape == shape]


def test_the_model_gets_what_it_was_trained_on_and_the_picture_stays(model):
    shown = interpret.explain(model, IMAGE, "shared", preprocess="resnet50")
    taken = keras.applications.resnet50.preprocess_input(IMAGE.astype("float32"))
    expected = interpret.activations(model, taken)["shared"][0]
    np.testing.assert_allclose(shown.activations["shared"], expected, 1e-4, 1e-4)
    np.testing.assert_allclose(tiles(shown.figure, 12, 12, 3)[0], IMAGE / 255, atol=1e-5)
    assert "in BGR, the range that the model takes" in words(shown.figure)


@pytest.mark.parametrize(("preprocess", "bgr"), [("caffe", False), ("0..1", True), ("0..1", False)])
def test_filters_in_the_order_of_colors(preprocess, bgr):
    """A filter for the first channel is for blue where the model takes blue first."""
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(1, 1, name="conv")])
    kernel = np.float32([1, -1, -1]).reshape(1, 1, 3, 1)
    model.get_layer("conv").set_weights([kernel, np.zeros(1)])
    shown = interpret.explain(model, layer="conv", preprocess=preprocess, bgr=bgr)
    color = [0, 0, 1] if bgr or preprocess == "caffe" else [1, 0, 0]
    (weights,), (picture,) = tiles(shown.figure, 1, 1, 3), tiles(shown.figure, 8, 8, 3)
    np.testing.assert_array_equal(weights[0, 0], color)
    np.testing.assert_allclose(picture, np.broadcast_to(color, (8, 8, 3)), atol=0.01)
    how = named(preprocess)._replace(bgr=True)
    best = how.to_model(np.float32([0, 0, 1]))
    np.testing.assert_allclose(shown.filters.end, best @ [1, -1, -1], 1e-4)


def test_a_range_that_is_guessed_is_called_so(model):
    stack = [layers.Conv2D(2, 3, name="conv"), layers.Flatten(), layers.Dense(2)]
    unknown = keras.Sequential([keras.Input((12, 12, 3)), *stack])
    for given in ({"image": IMAGE}, {"layer": "conv"}):
        for one, options, said in (
            (unknown, {}, True),
            (unknown, {"preprocess": (0, 1)}, False),
            (model, {}, False),
        ):
            where = given if one is unknown or "image" in given else {"layer": "shared"}
            shown = interpret.explain(one, **where, **options)
            for text in (words(shown.figure), shown.summary):
                assert ("0 … 1 (guessed" in text) == said


def test_a_drawing_is_shown_before_and_after():
    model = interpret.load("task1-mnist")
    shown = interpret.explain(model, as_mnist(paint_program(6)), "conv_1")
    assert "the drawing what the model sees" in words(shown.figure)
    assert tiles(shown.figure, 280, 280, 3)[0].min() == 0  # black
    assert "as MNIST was" in shown.summary and "class 6 (" in shown.summary


def test_models_of_other_kinds():
    unbuilt = keras.Sequential([layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])
    assert len(interpret.explain(unbuilt, IMAGE).heatmaps) == 1 and unbuilt.built
    hidden = [layers.Flatten(), layers.Dense(300, name="hidden"), layers.Dense(3)]
    without_maps = keras.Sequential([keras.Input((6, 6, 1)), *hidden])
    shown = interpret.explain(without_maps, np.zeros((6, 6), np.uint8))
    assert shown.heatmaps == {} and shown.activations["hidden"].shape == (300,)
    assert "No heatmap" in words(shown.figure) and shown.figure.get_figheight() < 10
    stack = [layers.Conv2D(2, 3, name="conv"), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    open_size = keras.Sequential([keras.Input((None, None, 3)), *stack])
    shown = interpret.explain(open_size, layer="conv")
    assert shown.filters.images.shape == (2, 64, 64, 3) and "64 × 64" in words(shown.figure)
    assert shown.activations == shown.heatmaps == {} and "2 filters of conv" in shown.summary


@pytest.mark.parametrize(
    ("options", "message", "argument"),
    [
        ({}, "nothing to explain", None),
        ({"layer": "shared", "head": "kind"}, "explains an image", None),
        ({"image": IMAGE, "head": "colour"}, "no head 'colour'", "head"),
        ({"image": IMAGE, "target": 1}, "a target belongs to one head", "head"),
        ({"image": IMAGE, "head": "big", "target": 2}, r"0\.\.1", "target"),
        ({"image": IMAGE, "names": {"kind": ["a", "b"]}}, "5 classes, but 2 names", "names"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_computed(
    model, options, message, argument, monkeypatch
):
    for name in ("heatmaps_of", "activations", "maximize_filters"):
        monkeypatch.setattr(MODULE, name, None)
    with pytest.raises(ValueError, match=message) as caught:
        interpret.explain(model, **options)
    assert getattr(caught.value, "argument", None) == argument


def test_only_a_slow_step_is_announced(model, monkeypatch, capsys):
    monkeypatch.setattr(MODULE, "maximize_filters", lambda *_, **__: time.sleep(0.3))
    for patience, said in ((0.05, "filters of branch ...\n"), (60, "")):
        monkeypatch.setattr(MODULE, "PATIENCE", patience)
        with pytest.raises(AttributeError):  # there are no filters to draw
            interpret.explain(model, layer="branch")
        error = capsys.readouterr().err
        assert error.startswith(said) and bool(error) == bool(said)


# --- the sheet


def test_tiles_are_square_and_do_not_overlap():
    sheet = Sheet(4)
    sheet.heading("Title")
    sheet.tiles([Tile(np.zeros((5, 5, 3)), str(k)) for k in range(7)], columns=3)
    boxes = [picture.get_extent() for picture in sheet.figure().axes[0].images]
    assert len(boxes) == 7
    for index, (left, right, bottom, top) in enumerate(boxes):
        assert right - left == pytest.approx(bottom - top)
        assert 0 <= left < right <= 4 + 1e-9 and 0 <= top < bottom <= sheet.height
        for other in boxes[:index]:
            apart = left >= other[1] or right <= other[0]
            assert apart or top >= other[2] or bottom <= other[3]


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
    assert pictures.shown_scale(np.array([-3.0, 1.0])) == (-3, 3, pictures.SIGNED)


def test_an_empty_heatmap_is_a_tile_with_its_reason():
    stack = [layers.Conv2D(1, 3), layers.Flatten(), layers.Dense(1)]
    model = keras.Sequential([keras.Input((6, 6, 1)), *stack])
    model.set_weights([0 * weight for weight in model.get_weights()])
    assert "layer is dead" in words(interpret.explain(model, np.ones((6, 6))).figure)


def test_the_overlay_hides_nothing_where_there_is_no_heat():
    colors = np.random.default_rng(0).random((4, 4, 3))
    heat = np.zeros((4, 4))
    np.testing.assert_allclose(pictures.overlay(colors, heat)[..., 1], colors.max(axis=2))
    heat[2, 2] = 1
    changed = np.abs(pictures.overlay(colors, heat)[..., 2] - colors.max(axis=2)) > 1e-6
    assert changed.sum() == 1 and changed[2, 2]


# --- the shell


def run(code):
    """What Python prints in a process of its own, and what it says on stderr, line by line."""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines(), ran.stderr.splitlines()


def test_the_command_in_a_process_of_its_own(tmp_path):
    """Wrong options are noticed without TensorFlow, and where all is right nothing else is said."""
    image, out = tmp_path / "image.png", tmp_path / "out é.png"
    Image.fromarray(np.zeros((30, 20), np.uint8)).save(image)
    (unloaded, first), said = run(f"""
import contextlib, sys
from cnnlab import __main__ as main
for wrong in ("--image=none.png", "--method=cam", "--model=task3"):
    with contextlib.suppress(SystemExit):
        main.main(["explain", "--model=task2", "--layer=a", "--out=a.png", wrong])
print([name for name in ("tensorflow", "keras") if name in sys.modules])
given = ["--model=task1-part1-mnist", "--layer=conv_1", "--image", {str(image)!r}]
main.main(["explain", *given, "--out", {str(out)!r}])
""")
    assert unloaded == "[]"
    errors = [line.partition("error: ")[2] for line in said[:3]]
    assert [error.split()[0] for error in errors] == ["--image:", "argument", "--model:"]
    assert "stretched from 20 × 30" in first and "heat at conv_1" in first
    assert len(said) > 3 and all(line.endswith(" ...") for line in said[3:])  # loading ...
    assert Image.open(out).width > 500


def test_the_command_shows_what_a_head_is_said_to_give(tmp_path, capsys):
    image, out = tmp_path / "image.png", tmp_path / "out.png"
    Image.fromarray(np.zeros((28, 28, 3), np.uint8)).save(image)
    given = f"--model=task2 --head=length --layer=conv_1 --image={image} --out={out}".split()
    for options, words in (([], "length: short ("), (["--outputs=numbers"], "length: output 0 = ")):
        assert main.main(["explain", *given, *options]) == 0
        assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "centered by mass in 28 × 28"),
        (["--as-is"], "left as dark strokes on a bright ground"),
        (["--as-is", "--invert"], "inverted; converted from color to gray"),
        (["--as-is", "--preprocess", "-1..1"], "scaled to -1 … 1, the range"),
    ],
)
def test_the_options_of_an_image(options, said, tmp_path, capsys):
    image, out = tmp_path / "drawing.png", tmp_path / "out.png"
    paint_program(8).save(image)
    given = ["explain", "--model=task1-mnist", "--layer=conv_1", f"--image={image}", f"--out={out}"]
    assert main.main([*given, *options]) == 0
    summary = capsys.readouterr().out
    assert said in summary and ("as MNIST was" in summary) == (options == [])
    assert options or ": 8 (" in summary


# Libraries are imported first: what they call on Linux is their own affair.
WITHOUT_LINUX = """
import os, sys, warnings
import h5py, keras, matplotlib.pyplot, PIL.Image, scipy.ndimage, sklearn.linear_model
import cv2, IPython.display, joblib, tensorflow
tensorflow.constant(0)
for name in ("mkfifo fork forkpty sched_getaffinity sched_setaffinity sysconf getuid geteuid "
             "getgid getloadavg statvfs nice killpg setsid uname wait4").split():
    delattr(os, name)
for name in ("resource", "fcntl", "pwd", "grp", "termios"):
    sys.modules[name] = None  # an import fails
real_open = open
import builtins, io, signal
def without_proc(path, *arguments, **options):
    assert not str(path).startswith("/proc"), path
    return real_open(path, *arguments, **options)
builtins.open = io.open = without_proc
for name in ("SIGKILL", "SIGALRM", "alarm", "setitimer", "pthread_sigmask"):
    delattr(signal, name)
call = keras.layers.BatchNormalization.call
from cnnlab import __main__ as main, interpret
code = main.main(["explain", "--model", "task1-part1-mnist", "--layer", "conv_1", "--out", OUT])
model = interpret.load("task2")
print(code, interpret.grad_cam(model, [[[[0, 0, 0]] * 28] * 28], "angle").maps.shape)
print(keras.layers.BatchNormalization.call is call)
"""


def test_nothing_that_only_linux_has_is_called_and_keras_stays_as_it_is(tmp_path):
    (first, *rest), _ = run(f"OUT = {str(tmp_path / 'filters.pdf')!r}\n{WITHOUT_LINUX}")
    assert "filters of conv_1" in first
    assert rest == ["0 (1, 28, 28)", "True"]
