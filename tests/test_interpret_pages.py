"""A page that one can look at, also of models with hundreds of layers; and all of it if asked."""

import csv
import json
import re
import time
import zipfile

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from keras import layers
from models import with_random_weights
from PIL import Image

from cnnlab import __main__ as main
from cnnlab import interpret
from cnnlab.interpret.answers import answers
from cnnlab.interpret.figures import page, pictures
from cnnlab.interpret.model.batches import announced
from cnnlab.interpret.model.network import inspect_model
from cnnlab.interpret.model.telling import telling_layers

IMAGE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def block(x, filters, name):
    """A residual block; it halves the size."""
    inner = layers.ReLU(name=f"{name}_inner")(layers.Conv2D(filters, 3, padding="same")(x))
    inner = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(inner))
    x = layers.Add()([inner, layers.Conv2D(filters, 1)(x)])
    x = layers.ReLU(name=f"{name}_out")(x)
    return layers.MaxPooling2D()(x)


def deep(classes=12, blocks=4):
    image = keras.Input((64, 64, 3))
    x = layers.Rescaling(1 / 255)(image)
    for number in range(blocks):
        x = block(x, 20 * (number + 1), f"block{number}")
    row = layers.GlobalAveragePooling2D()(x)
    return with_random_weights(
        keras.Model(image, layers.Dense(classes, "softmax", name="kind")(row))
    )


@pytest.fixture(scope="module")
def model():
    return deep()


# --- which layers


def test_a_few_layers_tell_of_each_size(model):
    """Not what is inside of a branch, normalized afterwards, or pooled."""
    chosen = telling_layers(inspect_model(model))
    assert chosen == [f"block{number}_out" for number in range(4)]


def test_of_many_layers_six_are_chosen_the_last_among_them():
    image = keras.Input((20, 20, 1))
    x = image
    for number in range(15):
        x = layers.Conv2D(3, 3, padding="same", activation="relu", name=f"conv{number}")(x)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    chosen = telling_layers(inspect_model(model))
    assert len(chosen) == 6 and chosen[0] == "conv0" and chosen[-1] == "conv14"
    gaps = np.diff([int(name.removeprefix("conv")) for name in chosen])
    assert gaps.min() > 0 and gaps.max() <= 4


def test_without_maps_the_last_layers():
    stack = [layers.Dense(4, name=f"dense{number}") for number in range(9)]
    model = keras.Sequential([keras.Input((6, 6, 1)), layers.Flatten(), *stack])
    assert telling_layers(inspect_model(model)) == [f"dense{number}" for number in range(3, 9)]


def test_the_most_active_channels_first():
    maps = np.zeros((2, 2, 4), np.float32)
    maps[0, 0] = 1, -5, 0, 2
    assert pictures.most_active(maps, 3).tolist() == [1, 3, 0]


# --- the page


def test_a_picture_that_one_can_look_at(model, tmp_path):
    shown = interpret.explain(model, IMAGE)
    assert list(shown.activations) == [f"block{number}_out" for number in range(4)]
    shown.save(tmp_path / "page.png")
    width, height = Image.open(tmp_path / "page.png").size
    assert width <= 2000 and height <= 3000
    titles = " ".join(text.get_text() for text in shown.figure.axes[0].texts)
    assert re.search("80 channels of 8 × 8.*; the 16 most active", titles)


def test_all_and_numbers_of_channels(model):
    shown = interpret.explain(model, IMAGE, layers=["block3_out", "block0_inner"], channels=0)
    assert list(shown.activations) == ["block3_out", "block0_inner"]
    assert [section.title for section in shown.sections[1:]] == ["block3_out", "block0_inner"]
    tiles = [len(section.sheet().figure().axes[0].images) - 1 for section in shown.sections[1:]]
    assert tiles == [80, 20]  # apart from the color bar
    everything = interpret.explain(model, IMAGE, layers="all")
    maps = inspect_model(model).feature_maps()
    assert list(everything.activations) == [*maps, model.layers[-2].name, "kind"]
    with pytest.raises(ValueError, match="no layer 'blok'") as caught:
        interpret.explain(model, IMAGE, layers=["blok"])
    assert caught.value.argument == "layers"


def test_a_wide_layer_is_drawn_in_parts():
    image = keras.Input((8, 8, 1))
    wide = layers.Conv2D(600, 1, name="wide")(image)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(wide)))
    shown = interpret.explain(model, IMAGE[:8, :8, 0], "wide", channels=0)
    titles = [section.title for section in shown.sections[1:]]
    assert titles == ["wide 0–255", "wide 256–511", "wide 512–599"]


def test_pages_of_a_pdf(model, tmp_path):
    shown = interpret.explain(model, IMAGE, layers="all", channels=0)
    for name in ("one.pdf", "two.pdf"):
        shown.save(tmp_path / name)
    content = (tmp_path / "one.pdf").read_bytes()
    assert content == (tmp_path / "two.pdf").read_bytes()
    heights = [float(box.split()[3]) / 72 for box in re.findall(rb"/MediaBox \[([^]]*)\]", content)]
    assert len(heights) > 1 and max(heights) <= page.PAGE + 1


def test_a_folder_of_pictures(model, tmp_path):
    shown = interpret.explain(model, IMAGE, layers=["block3_out", "block0_inner"])
    shown.save(tmp_path / "pictures")
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names[1:] == ["001-block3_out.png", "002-block0_inner.png"]
    assert all(Image.open(tmp_path / "pictures" / name).width > 500 for name in names)


def test_one_file_of_html_that_needs_no_other(model, tmp_path):
    shown = interpret.explain(
        model, np.zeros((64, 30, 3), np.uint8), names={"kind": list("<bcdefghijkl")}
    )
    shown.save(tmp_path / "page.html", title="mine & yours")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "<h1>mine &amp; yours</h1>" in text and not re.search(r"(src|href)=.http", text)
    assert text.count("<details") == text.count("<img alt=") == 5
    assert "stretched from 30 × 64" in text and text.count('<i style="width:') == 5
    expected = shown.answers["kind"][0]
    assert f"{100 * expected[1]:.1f} %" in text and "<b " not in text


def test_a_figure_shows_itself_in_a_notebook(model):
    before = plt.get_fignums()
    shown = interpret.explain(model, IMAGE, "block3_out")
    assert shown._repr_png_().startswith(b"\x89PNG") and plt.get_fignums() == before


# --- the answers


def test_the_top_classes_are_those_of_predict(model):
    expected = model.predict(IMAGE[None].astype("float32"), verbose=0)[0]
    shown = interpret.explain(model, IMAGE)
    order = np.argsort(-expected)[:5]
    *rows, others = shown.answers["kind"]
    assert [name for name, *_ in rows] == [f"class {k}" for k in order] and others[0] == "7 more"
    np.testing.assert_array_equal([value for _, value, _ in rows], expected[order])
    least = int(expected.argmin())
    shown = interpret.explain(model, IMAGE, target=least)
    assert shown.answers["kind"][4][0] == f"class {least}"  # what is explained is among them
    of_all = answers(model, IMAGE.astype("float32")).values
    np.testing.assert_array_equal(of_all[0], expected)
    heat = interpret.grad_cam(model, IMAGE.astype("float32"))
    np.testing.assert_array_equal(heat.answers[0], expected)


def test_answers_of_other_heads():
    image = keras.Input((64, 64, 3))
    row = layers.GlobalAveragePooling2D()(image)
    heads = {"age": layers.Dense(2)(row), "big": layers.Dense(1, "sigmoid")(row)}
    model = with_random_weights(keras.Model(image, heads))
    shown = interpret.explain(model, IMAGE, preprocess="0..1")  # it has no heatmap
    expected = model.predict(IMAGE[None] / np.float32(255), verbose=0)
    assert [words for *_, words in shown.answers["age"]] == [
        f"= {value:.4g}" for k, value in enumerate(expected["age"][0])
    ]
    found = {name: value for name, value, _ in shown.answers["big"]}
    np.testing.assert_allclose(found["class 1"], expected["big"][0, 0], 1e-6)
    np.testing.assert_allclose(sum(found.values()), 1, 1e-6)


# --- how long it takes


def test_what_takes_long_is_said_once(monkeypatch):
    said, clock = [], iter([0.0, 20.0, 40.0, 60.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    compute = announced(lambda part: part, 30, said.append)
    for start in (0, 10, 20):
        compute(range(start, start + 10))
    assert said == ["10 of 30, about 40 s for the others"]


def test_parts_that_take_long_are_said(monkeypatch):
    said, clock = [], iter([0.0, *np.arange(1, 99) * 8.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    sections = [page.Section(f"{size}", print, pictures=size) for size in (1, 1, 8, 8, 2)]
    assert list(page._timed(sections, said.append)) == sections
    assert said == ["drawing 20 pictures, about 144 s"]


def test_many_heads_share_one_scale_and_labels_do_not_run_into_each_other():
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, activation="relu")(image)
    row = layers.Flatten()(x)
    heads = {f"a_long_name_of_a_head_{k}": layers.Dense(3, "softmax")(row) for k in range(6)}
    model = with_random_weights(keras.Model(image, heads))
    figure = interpret.explain(model, IMAGE, preprocess="0..1").figure
    texts = figure.axes[0].texts
    assert sum("one scale for all maps" in text.get_text() for text in texts) == 1
    boxes = [t.get_window_extent() for t in texts if t.get_text().startswith("a_long")]
    assert not any(one.overlaps(other) for one in boxes for other in boxes if one is not other)


@pytest.mark.parametrize("options", [{"channels": -1}, {"channels": "all"}, {"filters": [1, 2]}])
def test_numbers_that_are_none(model, options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must be how many, 0 for all"):
        interpret.explain(model, IMAGE, **options)


# --- the shell


def test_the_command(model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save("deep.keras")
    Image.fromarray(IMAGE[:, :40]).save("image.png")
    (tmp_path / "names.txt").write_text("\n".join(f"kind {k}" for k in range(12)), "utf-8")
    given = ["explain", "--model=deep.keras", "--image=image.png", "--names=names.txt"]
    for options, words, files in (
        ("--out=a.html", "stretched from 40 × 64", ["a.html"]),
        ("--out=all --all --fit=crop", "cropped from 40 × 64 to 40 × 40", ["all"]),
        ("--out=b.pdf --layers=block0_out,block1_out --fit=pad", "black added up to", ["b.pdf"]),
    ):
        assert main.main([*given, *options.split()]) == 0
        out = capsys.readouterr().out
        assert words in out and re.search(r"kind: kind \d+ \(", out)
        assert all((tmp_path / name).exists() for name in files)
    assert len(list((tmp_path / "all").iterdir())) > 15


def test_names_that_a_model_keeps_are_shown(model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save("deep.keras")
    with zipfile.ZipFile("deep.keras", "a") as archive:
        archive.writestr("class_names.json", json.dumps({"kind": [f"sort {k}" for k in range(12)]}))
    Image.fromarray(IMAGE).save("image.png")
    assert main.main(["explain", "--model=deep.keras", "--image=image.png", "--out=a.png"]) == 0
    assert re.search(r"kind: sort \d+ \(", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--names=none.txt", "--names: none.txt: No such file"),
        ("--layers=a", "--layers: no layer 'a'"),
        ("--out=a.jpg", "must end in .png, .pdf, .svg, .html, or name a folder"),
        ("--out=", "argument --out: the name is empty"),
        ("--out=full", "--out: full is not empty: name a new folder"),
        ("--filters=2", "--filters does nothing for an image"),
        ("--layers=,", "names no layer"),
        ("--all", "--all fills more than a picture"),
        ("--names=image.png", "--names: image.png is not text in UTF-8"),
        ("--names=two.txt", "--names: head 'kind' has 12 classes, but 2 names are given"),
    ],
)
def test_wrong_options(model, options, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save("deep.keras")
    Image.fromarray(IMAGE).save("image.png")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "other").touch()
    (tmp_path / "two.txt").write_text("a\nb")
    given = ["explain", "--model=deep.keras", "--image=image.png", "--out=a.png"]
    try:
        code = main.main([*given, options])
    except SystemExit as end:  # argparse ends by itself
        code = end.code
    assert code == 2
    assert words in capsys.readouterr().err


# --- a folder of images


def test_a_folder_of_images_gives_a_table_and_a_page(model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save("deep.keras")
    (tmp_path / "photos").mkdir()
    for number, width in enumerate((64, 30, 64)):
        Image.fromarray(np.roll(IMAGE, 9 * number)[:, :width]).save(f"photos/{number}.png")
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    given = ["explain", "--model=deep.keras", "--image=photos", "--out=found"]
    assert main.main(given) == 0
    assert "found: 3 images, 1 other files" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "found/table.csv").open(encoding="utf-8")))
    assert [row["file"] for row in rows] == ["0.png", "1.png", "2.png", "notes.txt"]
    assert "notes.txt" in rows[3]["note"] and "stretched from 30 × 64" in rows[1]["steps"]
    one = interpret.explain(model, "photos/1.png")
    name, value, _ = one.answers["kind"][0]
    assert rows[1]["answer"] == name and abs(float(rows[1]["probability"]) - value) < 1e-5
    assert "<img alt" in (tmp_path / "found/page.html").read_text("utf-8")


def test_files_that_do_not_fit_and_heads_without_heat(tmp_path):
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, activation="relu")(image)
    heads = {"kind": layers.GlobalAveragePooling2D()(x)}
    heads["kind"] = layers.Dense(3, "softmax", name="kind")(heads["kind"])
    heads["tone"] = layers.Dense(2, "softmax", name="tone")(layers.GlobalMaxPooling2D()(image))
    model = with_random_weights(keras.Model(image, heads))
    Image.fromarray(IMAGE).save(tmp_path / "cost $_^$ x.png")
    Image.fromarray(IMAGE[:1, :1]).save(tmp_path / "small.png")
    found = interpret.explain_folder(model, tmp_path, preprocess="0..255")
    kind, tone, small = found.rows
    assert kind["head"] == "kind" and kind["layer"] and not kind["note"]
    assert tone["answer"].startswith("class") and tone["note"].startswith("no heatmap")
    assert small["file"] == "small.png" and "cannot take images of 1 × 1" in small["note"]
    found.save(tmp_path / "found")  # a $ in a name is no formula
    text = (tmp_path / "found" / "page.html").read_text("utf-8")
    assert "grad-cam of kind" in text and "Left out: small.png: " in text


def test_what_is_wrong_with_a_folder(model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save("deep.keras")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    for options, words in (
        ("--out=a.png", "photos is a folder, so --out must name one, too, not a.png"),
        ("--out=found", "there is no image in photos"),
    ):
        assert main.main(f"explain --model=deep.keras --image=photos {options}".split()) == 2
        assert words in capsys.readouterr().err
