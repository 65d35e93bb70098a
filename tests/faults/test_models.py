"""Damaged and unsafe model files are refused, and models that no image fits are named.

What is no model, and lambdas in nested models, are in `test_interpret_loading.py`.
"""

import json
import zipfile

import h5py
import numpy as np
import pytest
from damage import SPECIAL, attempt, flipped, put

from cnnlab import runtime, saving

runtime.start(seed=0)

import keras  # noqa: E402
from keras import layers  # noqa: E402

from cnnlab.interpret import explain  # noqa: E402
from cnnlab.interpret.model.loading import load  # noqa: E402

NAMES = ("plain.keras", "old.h5")
# Keras asks for its own format instead of .h5.
pytestmark = pytest.mark.filterwarnings("ignore:.*HDF5 file")


def small(filters=2):
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(filters, 3, name="conv"),
            layers.Flatten(name="flat"),
            layers.Dense(3, "softmax", name="class"),
        ],
        name="small",
    )


@pytest.fixture(scope="module")
def model():
    return small()


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    """{name: bytes} of the model as Keras saves it, and as the notebooks do."""
    folder = tmp_path_factory.mktemp("whole")
    for name in NAMES:
        model.save(folder / name)
    saving.save_model(model, folder / "compressed.keras")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def loaded(path, content=None):
    """Load a model, from these bytes if given; return None where it was refused in one sentence."""
    if content is not None:
        path.write_bytes(content)
    other, said = attempt(load, path)
    assert said is None or str(path) in said
    return other


def changed_numbers(model, other):
    """Count the weights of a model that are not those of the other, bit for bit; 0 for None."""
    pairs = zip(model.get_weights(), other.get_weights(), strict=True) if other else ()
    return sum(int((a.view("u4") != b.view("u4")).sum()) for a, b in pairs)


# --- damage


@pytest.mark.parametrize("name", [*NAMES, "compressed.keras"])
def test_cut_or_with_a_flipped_bit(tmp_path, whole, model, name):
    """HDF5 as Keras writes it has no checksums: one weight may change, which no one can notice."""
    path, content = tmp_path / name, whole[name]
    for share in (0, 0.002, 0.15, 0.45, 0.7, 0.9):
        position = int(share * len(content))
        assert loaded(path, content[:position]) is None
        other = loaded(path, flipped(content, position))
        assert changed_numbers(model, other) <= (name == "old.h5")


@pytest.mark.fault
def test_a_flipped_bit_in_what_describes_the_archive(tmp_path, whole, model):
    """Names and sizes lie under no checksum: each byte of them."""
    path, content = tmp_path / "plain.keras", whole["plain.keras"]
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        positions = [*range(archive.start_dir, len(content))]
        for entry in archive.infolist():
            positions += range(entry.header_offset, entry.header_offset + 30)
    refused = 0
    for position in positions:
        other = loaded(path, flipped(content, position))
        refused += other is None
        assert changed_numbers(model, other) == 0
    assert refused > 80


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("kind", SPECIAL)
def test_something_else_in_the_place_of_a_model(tmp_path, suffix, kind):
    put(kind, tmp_path / f"model{suffix}")
    assert loaded(tmp_path / f"model{suffix}") is None


@pytest.mark.parametrize(
    "description",
    [
        b"\xff\xfe",  # no text
        b'{"class_name": "Sequential", "config": {"name": "m", "layers": []}}',
        b'{"a": ' * 50_000 + b"1" + b"}" * 50_000,  # too deep for Python
    ],
    ids=["no text", "no layers", "deep"],
)
def test_archives_that_are_no_models(tmp_path, description):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", description)
    assert loaded(tmp_path / "model.keras") is None


def positions_in(part, position=()):
    """Yield the position of each value in nested dicts and lists."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part):
        yield (*position, key)
        if isinstance(value, dict | list):
            yield from positions_in(value, (*position, key))


def description_of(model):
    return json.loads(json.dumps(keras.saving.serialize_keras_object(model)))


def exchanged(position, value):
    """Return the description of the small model with the value at one position exchanged."""
    description = part = description_of(small())
    for key in position[:-1]:
        part = part[key]
    part[position[-1]] = value
    return description


def with_member(path, name, content):
    """Exchange one member of a zip archive."""
    with zipfile.ZipFile(path) as archive:
        members = {other: archive.read(other) for other in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for other, old in (members | {name: content}).items():
            archive.writestr(other, old)


def described(path, content, description):
    """Write a model file with another description; the rest stays as it was."""
    path.write_bytes(content)
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = json.dumps(description)
    else:
        with_member(path, "config.json", json.dumps(description))
    return path


WRONG_VALUES = (None, [], {}, "x", -1, 0.5, float("nan"), [[]], {"class_name": "x"})


@pytest.mark.fault
@pytest.mark.parametrize("name", NAMES)
def test_a_description_with_any_one_value_exchanged(tmp_path, whole, model, name):
    """Either it is refused, or the model has the weights that the file has."""
    refused = 0
    for number, position in enumerate(positions_in(description_of(model))):
        description = exchanged(position, WRONG_VALUES[number % len(WRONG_VALUES)])
        other = loaded(described(tmp_path / name, whole[name], description))
        refused += other is None
        assert changed_numbers(model, other) == 0, position
    assert refused > 10


# --- weights


@pytest.mark.parametrize(("name", "value"), [(NAMES[0], np.nan), (NAMES[1], -np.inf)])
def test_weights_that_are_no_numbers(tmp_path, name, value):
    model = small()
    model.get_layer("class").bias.assign([0, value, 0])
    model.save(tmp_path / name)
    with pytest.raises(ValueError, match="class/bias"):
        load(tmp_path / name)


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_another_model(tmp_path, name):
    """The file describes one model and holds the weights of another."""
    small(filters=3).save(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    assert loaded(described(tmp_path / name, content, description_of(small()))) is None


# --- code in a description


def part(name, module="keras.layers", /, **config):
    """Return the description of an object."""
    return {"class_name": name, "module": module, "config": config, "registered_name": name}


def function(module, name):
    described = {"class_name": "function", "config": name, "registered_name": "function"}
    return described | {"module": module}


LAMBDA = part("Lambda", name="l")
CODE = {
    "a lambda of its own": {"class_name": "__lambda__", "config": {"value": "4wEAAAAAAA==\n"}},
    "a lambda in a wrapper": part("TimeDistributed", name="w", layer=LAMBDA),
    "a lambda in a cell": part("RNN", name="w", cell=LAMBDA),
    "PyTorch in a wrapper": part("TimeDistributed", name="w", layer=part("TorchModuleWrapper")),
    "an unknown class": part("Mine", "mine"),
    "a shell": function("os", "system"),
    "a setting of Keras": function("keras.config", "enable_unsafe_deserialization"),
    "Keras's downloads": function("keras.src.utils.file_utils", "get_file"),
    "a class next to the model": part("anything", "there"),
    "a function next to the model": function("there", "anything"),
    "a class that Keras imports": part("anything", "keras_hub.there"),
    "a file of the user": part("StringLookup", name="words", vocabulary="secret.txt"),
}


@pytest.mark.parametrize("kind", CODE)
def test_a_description_runs_imports_and_reads_nothing(tmp_path, monkeypatch, whole, kind):
    """As a layer, and as a layer's argument."""
    for package in ("keras_hub", "there"):
        (tmp_path / package).mkdir()
        for file in ("__init__.py", "there.py"):
            (tmp_path / package / file).write_text("raise SystemExit('it was imported')")
    (tmp_path / "secret.txt").write_text("one\ntwo\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with_layer = description_of(small())
    with_layer["config"]["layers"].insert(1, CODE[kind])
    arguments = [
        exchanged(("config", "layers", 1, "config", key), CODE[kind])
        for key in ("activation", "kernel_initializer", "bias_regularizer", "dtype")
    ]
    for name in NAMES:
        for description in (with_layer, *arguments):
            assert loaded(described(tmp_path / name, whole[name], description)) is None
    with pytest.raises(SystemExit):
        __import__("keras_hub")  # else the test would show nothing


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["external link", "external dataset"])
def test_weights_that_lie_in_another_file(tmp_path, whole, name, kind):
    """Links in HDF5 may name any file of the user's; they are not followed to the model."""
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["kernel"] = np.ones(3, "f4")
    path = weights = tmp_path / name
    path.write_bytes(whole[name])
    if path.suffix == ".keras":
        weights = tmp_path / "model.weights.h5"
        with zipfile.ZipFile(path) as archive:
            weights.write_bytes(archive.read(weights.name))
    with h5py.File(weights, "r+") as file:
        bias = file.visititems(lambda key, item: key if getattr(item, "shape", 0) == (3,) else None)
        del file[bias]
        if kind == "external link":
            file[bias] = h5py.ExternalLink(str(secret), "kernel")
        else:
            file.create_dataset(bias, (3,), "f4", external=[(str(secret), 0, 12)])
    if weights is not path:
        with_member(path, weights.name, weights.read_bytes())
    assert loaded(path) is None


# --- models that no image fits; those that cannot be read are in `test_interpret_models.py`


@pytest.mark.parametrize(
    ("shape", "dtype", "words"),
    [
        ((8, 8, 2), "float32", "2 channels"),
        ((4, 8, 8, 3), "float32", "one image is needed"),
        ((8, 8, 1), "complex64", "complex64"),
        ((8, 8, 1), "bfloat16", "bfloat16"),
    ],
)
def test_models_that_no_image_fits(shape, dtype, words):
    image = keras.Input(shape, dtype=dtype)
    model = keras.Model(image, layers.Flatten()(image))
    _, said = attempt(explain, model, np.zeros((8, 8, 3), np.uint8))
    assert words in said
