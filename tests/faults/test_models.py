"""Damaged and unsafe model files are refused, and models that no image fits are named."""

import json
import os
import zipfile

import h5py
import numpy as np
import pytest
from damage import FLIPS, SHARES, cut, flip, flipped
from PIL import Image

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
    try:
        return load(path)
    except ValueError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
        return None


def changed_numbers(model, other):
    """Count the weights of a model that are not those of the other, bit for bit; 0 for None."""
    pairs = zip(model.get_weights(), other.get_weights(), strict=True) if other else ()
    return sum(int((a.view("u4") != b.view("u4")).sum()) for a, b in pairs)


# --- damage


@pytest.mark.parametrize("name", ["plain.keras", "compressed.keras", "old.h5"])
def test_the_whole_file_is_loaded(tmp_path, whole, model, name):
    other = loaded(tmp_path / name, whole[name])
    assert other is not None and changed_numbers(model, other) == 0


@pytest.mark.parametrize("name", ["compressed.keras", "old.h5"])
@pytest.mark.parametrize("share", SHARES)
def test_cut(tmp_path, whole, name, share):
    assert loaded(tmp_path / name, cut(whole[name], share)) is None


@pytest.mark.parametrize("name", ["plain.keras", "compressed.keras", "old.h5"])
@pytest.mark.parametrize(("share", "bit"), FLIPS)
def test_a_flipped_bit(tmp_path, whole, model, name, share, bit):
    """HDF5 as Keras writes it has no checksums: one weight may change, which no one can notice."""
    other = loaded(tmp_path / name, flip(whole[name], share, bit))
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
        other = loaded(path, flipped(content, position, position % 8))
        refused += other is None
        assert changed_numbers(model, other) == 0
    assert refused > 80


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("kind", ["directory", "named pipe", "link to itself", "dangling link"])
def test_something_else_in_the_place_of_a_model(tmp_path, suffix, kind):
    path = tmp_path / f"model{suffix}"
    if kind == "directory":
        path.mkdir()
    elif kind == "named pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path if kind == "link to itself" else tmp_path / "nothing")
    with pytest.raises((ValueError, FileNotFoundError), match=path.name) as caught:
        load(path)
    assert "\n" not in str(caught.value)


DESCRIPTIONS = {
    "no text": b"\xff\xfe",
    "null": b"null",
    "empty": b"{}",
    "no layers": b'{"class_name": "Sequential", "config": {"name": "m", "layers": []}}',
    "a layer": b'{"class_name": "Dense", "module": "keras.layers", "config": {}}',
    "no name": b'{"class_name": ["a"], "registered_name": ["b"], "config": {}}',
    "deep": b'{"a": ' * 900 + b"1" + b"}" * 900,
    "too deep for Python": b'{"a": ' * 50_000 + b"1" + b"}" * 50_000,
}


@pytest.mark.parametrize("kind", [*DESCRIPTIONS, "none"])
def test_archives_that_are_no_models(tmp_path, kind):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "images.npy" if kind == "none" else "config.json", DESCRIPTIONS.get(kind, b"")
        )
    assert loaded(path) is None


def positions_in(part, position=()):
    """Yield the position of each value in nested dicts and lists."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part):
        yield (*position, key)
        if isinstance(value, dict | list):
            yield from positions_in(value, (*position, key))


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


def description_of(model):
    return json.loads(json.dumps(keras.saving.serialize_keras_object(model)))


WRONG_VALUES = (None, [], {}, "x", -1, 0.5, float("nan"), [[]], {"class_name": "x"})


@pytest.mark.fault
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("first", [0, 4])
def test_a_description_with_any_one_value_exchanged(tmp_path, whole, model, name, first):
    """Either it is refused, or the model has the weights that the file has."""
    refused = 0
    for number, position in enumerate(positions_in(description_of(model)), first):
        description = exchanged(position, WRONG_VALUES[number % len(WRONG_VALUES)])
        other = loaded(described(tmp_path / name, whole[name], description))
        refused += other is None
        assert changed_numbers(model, other) == 0, position
    assert refused > 10


# --- weights


@pytest.mark.parametrize(
    ("name", "layer", "value"),
    [("a.keras", "conv", np.nan), ("a.keras", "class", -np.inf), ("a.h5", "class", np.inf)],
)
def test_weights_that_are_no_numbers(tmp_path, name, layer, value):
    model = small()
    kernel, bias = model.get_layer(layer).get_weights()
    model.get_layer(layer).set_weights([kernel, np.append(bias[1:], value)])
    model.save(tmp_path / name)
    with pytest.raises(ValueError, match=f"{layer}/bias"):
        load(tmp_path / name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "other",
    [
        lambda: small(filters=3),
        lambda: keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten()]),
        lambda: keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3)]),
    ],
)
def test_weights_of_another_model(tmp_path, name, other):
    """The file describes one model and holds the weights of another."""
    other().save(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    assert loaded(described(tmp_path / name, content, description_of(small()))) is None


# --- code in a description


def with_activation(**part):
    """Return the description of a model in which a layer's activation is something else."""
    return exchanged(("config", "layers", 1, "config", "activation"), part)


def with_layer(**layer):
    right = description_of(small())
    right["config"]["layers"].insert(1, {"registered_name": None, **layer})
    return right


def inside(wrapper, layer):
    """Return the description of a layer that wraps another one."""
    key, value = {"Sequential": ("layers", [layer]), "RNN": ("cell", layer)}.get(
        wrapper, ("layer", layer)
    )
    module = "keras" if wrapper == "Sequential" else "keras.layers"
    return {"class_name": wrapper, "module": module, "config": {"name": "wrapper", key: value}}


LAMBDA = {
    "class_name": "__lambda__",
    "config": {"value": "4wEAAAAAAAAAAAAAAAEAAAABAAAAQwAAAHMEAAAAfABTAA==\n"},
}
UNSAFE = {
    "Lambda": {"module": "keras.layers", "config": {"name": "l"}},
    "TFSMLayer": {"module": "keras.layers", "config": {"filepath": "x"}},
    "TorchModuleWrapper": {"module": "keras.layers", "config": {"module": "x"}},
    "Mine": {"module": "mine", "config": {"name": "x"}},
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("wrapper", "unsafe"),
    [("TimeDistributed", unsafe) for unsafe in UNSAFE]
    + [(wrapper, "Lambda") for wrapper in ("Bidirectional", "RNN", "Sequential")],
)
def test_unsafe_layers_inside_others(tmp_path, monkeypatch, whole, name, unsafe, wrapper):
    layer = {"class_name": unsafe, **UNSAFE[unsafe]}
    path = described(tmp_path / name, whole[name], with_layer(**inside(wrapper, layer)))
    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: pytest.fail("Keras saw it"))
    assert loaded(path) is None


@pytest.mark.parametrize(
    "key", ["activation", "kernel_initializer", "bias_regularizer", "kernel_constraint", "dtype"]
)
def test_lambdas_in_the_place_of_any_argument(tmp_path, whole, key):
    position = ("config", "layers", 1, "config", key)
    description = exchanged(position, LAMBDA)
    for name in NAMES:
        with pytest.raises(ValueError, match="'conv' would run Python code"):
            load(described(tmp_path / name, whole[name], description))


FUNCTIONS = [
    ("os", "system"),
    ("builtins", "eval"),
    ("keras.config", "enable_unsafe_deserialization"),
    ("keras.saving", "load_model"),
    ("keras.src.utils.file_utils", "get_file"),
    ("keras_hub.there", "anything"),
    ("keras_cv", "anything"),
    ("keras_nlp", "anything"),
    ("there", "anything"),
]


@pytest.mark.parametrize(("module", "what"), FUNCTIONS)
def test_functions_from_elsewhere(tmp_path, monkeypatch, whole, module, what):
    """Nor is a module imported that lies in the folder of a model."""
    for package in ("keras_hub", "keras_cv", "keras_nlp", "there"):
        (tmp_path / package).mkdir()
        for file in ("__init__.py", "there.py"):
            (tmp_path / package / file).write_text("raise SystemExit('it was imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    of_class = {"class_name": what, "module": module, "config": {}, "registered_name": what}
    function = of_class | {"class_name": "function", "config": what, "registered_name": "function"}
    for name in NAMES:
        for part in (of_class, function):
            for description in (with_activation(**part), with_layer(**part)):
                assert loaded(described(tmp_path / name, whole[name], description)) is None
    with pytest.raises(SystemExit):
        __import__("keras_hub")  # else the test would show nothing


@pytest.mark.parametrize("layer", ["StringLookup", "IntegerLookup", "TextVectorization"])
def test_a_vocabulary_is_not_read_from_a_file_of_the_user(tmp_path, whole, layer):
    secret = tmp_path / "secret.txt"
    secret.write_text("one\ntwo\n")
    config = {"name": "words", "vocabulary": str(secret)}
    description = with_layer(class_name=layer, module="keras.layers", config=config)
    for name in NAMES:
        assert loaded(described(tmp_path / name, whole[name], description)) is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["external link", "external dataset", "soft link"])
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
        bias = file.visititems(
            lambda name, item: getattr(item, "shape", 0) == (3,) and name or None
        )
        del file[bias]
        if kind == "external link":
            file[bias] = h5py.ExternalLink(str(secret), "kernel")
        elif kind == "soft link":
            file["aside"] = np.ones(3, "f4")
            file[bias] = h5py.SoftLink("/aside")
        else:
            file.create_dataset(bias, (3,), "f4", external=[(str(secret), 0, 12)])
    if weights is not path:
        with_member(path, weights.name, weights.read_bytes())
    assert loaded(path) is None


# --- models that no image fits


def with_input(shape, *middle, dtype="float32"):
    value = image = keras.Input(shape, dtype=dtype)
    for layer in middle or (layers.Flatten(), layers.Dense(3)):
        value = layer(value)
    return keras.Model(image, value)


def named_inputs():
    image, words = keras.Input((8, 8, 1), name="image"), keras.Input((3,), name="words")
    row = layers.Concatenate()([layers.Flatten()(image), words])
    return keras.Model({"image": image, "words": words}, layers.Dense(3)(row))


UNFIT = {  # a model, and what is said of it
    "2 channels": (lambda: with_input((8, 8, 2)), "2 channels"),
    "5 channels": (lambda: with_input((8, 8, 5)), "5 channels"),
    "any": (lambda: with_input((8, 8, None), layers.GlobalAveragePooling2D()), "channels"),
    "a sequence": (lambda: with_input((8, 4), layers.LSTM(3)), "one image is needed"),
    "gray without channels": (lambda: with_input((8, 8)), "one image is needed"),
    "a film": (lambda: with_input((4, 8, 8, 3)), "one image is needed"),
    "text": (
        lambda: with_input((1,), layers.TextVectorization(vocabulary=["a"]), dtype="string"),
        "one image is needed",
    ),
    "an image and words": (named_inputs, "one image is needed"),
    "text in the shape of an image": (
        lambda: with_input((8, 8, 1), layers.StringLookup(vocabulary=["a"]), dtype="string"),
        "string",
    ),
    "complex": (lambda: with_input((8, 8, 1), layers.Flatten(), dtype="complex64"), "complex64"),
    "bfloat16": (lambda: with_input((8, 8, 1), dtype="bfloat16"), "bfloat16"),
}


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(path)
    return path


@pytest.mark.parametrize("kind", UNFIT)
def test_models_that_no_image_fits(photo, kind):
    builder, message = UNFIT[kind]
    with pytest.raises(ValueError, match=message) as caught:
        explain(builder(), photo)
    assert "\n" not in str(caught.value)
