"""Damaged and unsafe model files are refused, and models that no image fits are named."""

import copy
import json
import os
import zipfile

import h5py
import numpy as np
import pytest
from damage import FLIPS, SHARES, cut, flip, without_permission
from PIL import Image

from cnnlab import __main__ as main
from cnnlab import runtime

runtime.start(seed=0)

import keras  # noqa: E402
from keras import layers  # noqa: E402

from cnnlab.interpret import explain  # noqa: E402
from cnnlab.interpret.model.loading import load  # noqa: E402

SUFFIXES = (".keras", ".h5")
# Keras asks for its own format instead of .h5.
pytestmark = pytest.mark.filterwarnings("ignore:.*HDF5 file")


def small(filters=2):
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(filters, 3, name="conv"),
            layers.Flatten(name="flat"),
            layers.Dense(3, "softmax", name="answer"),
        ],
        name="small",
    )


def saved(model, path):
    if path.name.startswith("compressed"):
        runtime.save_model(model, path)
    else:
        model.save(path)
    return path


@pytest.fixture(scope="module")
def model():
    return small()


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    """{name: bytes} of the model as Keras saves it, and as the notebooks do."""
    folder = tmp_path_factory.mktemp("whole")
    names = ("plain.keras", "compressed.keras", "old.h5")
    return {name: saved(model, folder / name).read_bytes() for name in names}


def loaded(path):
    """Load a model; return None where it was refused, in one sentence."""
    try:
        return load(path)
    except ValueError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
        return None


def changed_numbers(model, found):
    """Count the weights of a model that are not those of the other, bit for bit."""
    pairs = zip(model.get_weights(), found.get_weights(), strict=True)
    return sum(int((a.view("u4") != b.view("u4")).sum()) for a, b in pairs)


# --- damage


@pytest.mark.parametrize("name", ["plain.keras", "compressed.keras", "old.h5"])
def test_the_whole_file_is_loaded(tmp_path, whole, model, name):
    path = tmp_path / name
    path.write_bytes(whole[name])
    assert changed_numbers(model, loaded(path)) == 0


@pytest.mark.parametrize("name", ["compressed.keras", "old.h5"])
@pytest.mark.parametrize("share", SHARES)
def test_cut(tmp_path, whole, name, share):
    path = tmp_path / name
    path.write_bytes(cut(whole[name], share))
    assert loaded(path) is None


@pytest.mark.fault
@pytest.mark.parametrize("name", ["plain.keras", "compressed.keras"])
@pytest.mark.parametrize(("share", "bit"), FLIPS)
def test_a_flipped_bit(tmp_path, whole, model, name, share, bit):
    path = tmp_path / name
    path.write_bytes(flip(whole[name], share, bit))
    found = loaded(path)
    assert found is None or changed_numbers(model, found) == 0


@pytest.mark.fault
@pytest.mark.parametrize(("share", "bit"), FLIPS)
def test_a_flipped_bit_in_an_h5_file(tmp_path, whole, model, share, bit):
    """HDF5 as Keras writes it has no checksums: one weight may change, which no one can notice."""
    path = tmp_path / "old.h5"
    path.write_bytes(flip(whole[path.name], share, bit))
    found = loaded(path)
    assert found is None or changed_numbers(model, found) <= 1


@pytest.mark.fault
@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_in_what_describes_the_archive(tmp_path, whole, model, bit):
    """Names and sizes lie under no checksum: each byte of them."""
    path = tmp_path / "plain.keras"
    path.write_bytes(whole[path.name])
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
        offsets = [entry.header_offset for entry in archive.infolist()]
    places = [offset + step for offset in offsets for step in range(30)]
    refused = 0
    for place in (*places, *range(start, len(whole[path.name]))):
        content = bytearray(whole[path.name])
        content[place] ^= 1 << bit
        path.write_bytes(content)
        found = loaded(path)
        refused += found is None
        assert found is None or changed_numbers(model, found) == 0
    assert refused > 80


@pytest.mark.parametrize("suffix", SUFFIXES)
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


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"images.npy": b"some array"},
        {"config.json": b"\xff\xfe"},
        {"config.json": b"null"},
        {"config.json": b"3"},
        {"config.json": b"{}"},
        {"config.json": b'{"class_name": "Sequential"}'},
        {"config.json": b'{"class_name": "Sequential", "config": {"name": "m", "layers": []}}'},
        {"config.json": b'{"class_name": "Dense", "module": "keras.layers", "config": {}}'},
        {"config.json": b'{"class_name": ["a"], "registered_name": ["b"], "config": {}}'},
        {"config.json": b'{"a": ' * 900 + b"1" + b"}" * 900},
        {"config.json": b'{"a": ' * 50_000 + b"1" + b"}" * 50_000},
        {"config.json": b"[" * 900 + b"]" * 900},
    ],
)
def test_archives_that_are_no_models(tmp_path, members):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert loaded(path) is None


def places(part, place=()):
    """Yield the place of each value in nested dicts and lists."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part):
        yield (*place, key)
        if isinstance(value, dict | list):
            yield from places(value, (*place, key))


def exchanged(description, place, value):
    """Return a copy of a description with the value at one place exchanged."""
    description = copy.deepcopy(description)
    part = description
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return description


def described(path, whole, description):
    """Write a model file with another description; the rest stays as it was."""
    path.write_bytes(whole[path.name])
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = json.dumps(description)
        return path
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = json.dumps(description)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def description_of(model):
    return json.loads(json.dumps(keras.saving.serialize_keras_object(model)))


WRONG_VALUES = (None, [], {}, "", "x", -1, 0.5, float("nan"), [[]], {"class_name": "x"})


@pytest.mark.fault
@pytest.mark.parametrize("name", ["plain.keras", "old.h5"])
@pytest.mark.parametrize("value", WRONG_VALUES, ids=str)
def test_a_description_with_any_one_value_exchanged(tmp_path, whole, model, name, value):
    """Either it is refused, or the model has the weights that the file has."""
    right = description_of(model)
    refused = 0
    for place in places(right):
        found = loaded(described(tmp_path / name, whole, exchanged(right, place, value)))
        refused += found is None
        assert found is None or changed_numbers(model, found) == 0, place
    assert refused > 10


# --- no permission to read


@pytest.mark.fault
@pytest.mark.parametrize("folder", ["open", "closed"])
@pytest.mark.parametrize("name", ["plain.keras", "old.h5"])
def test_without_permission(tmp_path, whole, folder, name):
    tmp_path.chmod(0o755)
    (tmp_path / folder).mkdir()
    (tmp_path / name).write_bytes(whole[name])  # loaded before, for all that Keras imports late
    path = tmp_path / folder / name
    path.write_bytes(whole[name])
    path.chmod(0)
    (tmp_path / folder).chmod(0o755 if folder == "open" else 0)
    prepare = f"""
        from cnnlab import runtime
        runtime.start(seed=0)
        from cnnlab.interpret.loading import load
        load("{name}")
    """
    code = f"""
        try:
            load("{folder}/{name}")
        except ValueError as error:
            print(error)
    """
    printed = without_permission(tmp_path, prepare, code)
    (tmp_path / folder).chmod(0o755)
    assert printed == f"{folder}/{name} cannot be read: Permission denied"


# --- weights


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("layer", ["conv", "answer"])
def test_weights_that_are_no_numbers(tmp_path, suffix, value, layer):
    model = small()
    kernel, bias = model.get_layer(layer).get_weights()
    bias = np.append(bias[1:], value)
    model.get_layer(layer).set_weights([kernel, bias])
    with pytest.raises(ValueError, match=f"{layer}/bias has NaN or infinite values"):
        load(saved(model, tmp_path / f"model{suffix}"))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "other",
    [
        lambda: small(filters=3),
        lambda: keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Flatten()]),
        lambda: keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten()]),
        lambda: keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3)]),
    ],
)
def test_weights_of_another_model(tmp_path, whole, suffix, other):
    """The file describes one model and holds the weights of another."""
    path = saved(other(), tmp_path / f"other{suffix}")
    described(path, {path.name: path.read_bytes()}, description_of(small()))
    assert loaded(path) is None


# --- code in a description


def with_part(name, **part):
    """Return the description of a model in which a layer's activation is something else."""
    return exchanged(
        description_of(small()), ("config", "layers", 1, "config", "activation"), part
    ) | {"name": name}


def with_layer(**layer):
    right = description_of(small())
    right["config"]["layers"].insert(1, {"registered_name": None, **layer})
    return right


def inside(wrapper, layer):
    """Return the description of a layer that wraps another one."""
    config = {"name": "wrapper", "layer": layer}
    if wrapper == "Sequential":
        config = {"name": "wrapper", "layers": [layer]}
    if wrapper == "RNN":
        config = {"name": "wrapper", "cell": layer}
    module = "keras" if wrapper == "Sequential" else "keras.layers"
    return {"class_name": wrapper, "module": module, "config": config}


LAMBDA = {
    "class_name": "__lambda__",
    "config": {"value": "4wEAAAAAAAAAAAAAAAEAAAABAAAAQwAAAHMEAAAAfABTAA==\n"},
}
LAYER = {"class_name": "Lambda", "module": "keras.layers", "config": {"name": "l"}}
TFSM = {"class_name": "TFSMLayer", "module": "keras.layers", "config": {"filepath": "x"}}
TORCH = {"class_name": "TorchModuleWrapper", "module": "keras.layers", "config": {"module": "x"}}
OWN = {"class_name": "Mine", "module": "mine", "config": {"name": "x"}}


@pytest.mark.parametrize("name", ["plain.keras", "old.h5"])
@pytest.mark.parametrize("unsafe", [LAYER, TFSM, TORCH, OWN], ids=lambda u: u["class_name"])
@pytest.mark.parametrize("wrapper", ["TimeDistributed", "Bidirectional", "RNN", "Sequential"])
def test_unsafe_layers_inside_others(tmp_path, monkeypatch, whole, name, unsafe, wrapper):
    path = described(tmp_path / name, whole, with_layer(**inside(wrapper, unsafe)))
    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: pytest.fail("Keras saw it"))
    with pytest.raises(ValueError, match="is not loaded"):
        load(path)


@pytest.mark.parametrize("name", ["plain.keras", "old.h5"])
@pytest.mark.parametrize(
    "key", ["activation", "kernel_initializer", "bias_regularizer", "kernel_constraint", "dtype"]
)
def test_lambdas_in_the_place_of_any_argument(tmp_path, whole, name, key):
    place = ("config", "layers", 1, "config", key)
    description = exchanged(description_of(small()), place, LAMBDA)
    with pytest.raises(ValueError, match="'conv' would run Python code"):
        load(described(tmp_path / name, whole, description))


FUNCTIONS = [
    ("os", "system"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("subprocess", "run"),
    ("keras.utils", "get_file"),
    ("keras.config", "enable_unsafe_deserialization"),
    ("keras.saving", "load_model"),
    ("keras.src.utils.file_utils", "get_file"),
    ("keras_hub.there", "anything"),
    ("keras_cv", "anything"),
    ("keras_nlp", "anything"),
    ("there", "anything"),
]


@pytest.mark.parametrize("name", ["plain.keras", "old.h5"])
@pytest.mark.parametrize("kind", ["function", "class"])
@pytest.mark.parametrize(("module", "what"), FUNCTIONS)
def test_functions_from_elsewhere(tmp_path, monkeypatch, whole, name, kind, module, what):
    """Nor is a module imported that lies in the folder beside a model."""
    for package in ("keras_hub", "keras_cv", "keras_nlp", "there"):
        (tmp_path / package).mkdir()
        for file in ("__init__.py", "there.py"):
            (tmp_path / package / file).write_text("raise SystemExit('it was imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    part = {"class_name": what, "module": module, "config": {}, "registered_name": what}
    if kind == "function":
        part |= {"class_name": "function", "config": what, "registered_name": "function"}
    for description in (with_part("m", **part), with_layer(**part)):
        assert loaded(described(tmp_path / name, whole, description)) is None
    with pytest.raises(SystemExit):
        __import__("keras_hub")  # else the test would show nothing


@pytest.mark.parametrize("name", ["plain.keras", "old.h5"])
@pytest.mark.parametrize("layer", ["StringLookup", "IntegerLookup", "TextVectorization"])
def test_a_vocabulary_is_not_read_from_a_file_of_the_user(tmp_path, whole, name, layer):
    secret = tmp_path / "secret.txt"
    secret.write_text("one\ntwo\n")
    config = {"name": "words", "vocabulary": str(secret)}
    description = with_layer(class_name=layer, module="keras.layers", config=config)
    assert loaded(described(tmp_path / name, whole, description)) is None


@pytest.mark.parametrize("name", ["plain.keras", "old.h5"])
@pytest.mark.parametrize("kind", ["external link", "external dataset", "soft link"])
def test_weights_that_lie_in_another_file(tmp_path, whole, name, kind):
    """Links in HDF5 may name any file of the user's; they are not followed to the model."""
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["kernel"] = np.ones(3, "f4")
    path = tmp_path / name
    path.write_bytes(whole[name])
    weights = path if path.suffix == ".h5" else tmp_path / "model.weights.h5"
    if weights is not path:
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
        with zipfile.ZipFile(path) as archive:
            members = {member: archive.read(member) for member in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for member, content in (members | {weights.name: weights.read_bytes()}).items():
                archive.writestr(member, content)
    assert loaded(path) is None


# --- models that no image fits


def one_input(shape, *middle, dtype="float32"):
    value = image = keras.Input(shape, dtype=dtype)
    for layer in middle:
        value = layer(value)
    return keras.Model(image, value)


def two_inputs():
    first, second = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    row = layers.Flatten()(layers.Add()([first, second]))
    return keras.Model([first, second], layers.Dense(3)(row))


def named_inputs():
    image, words = keras.Input((8, 8, 1), name="image"), keras.Input((3,), name="words")
    row = layers.Concatenate()([layers.Flatten()(image), words])
    return keras.Model({"image": image, "words": words}, layers.Dense(3)(row))


def many_channels(channels):
    return one_input((8, 8, channels), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3))


NO_IMAGE = "one image is needed"
UNFIT = {
    "5 channels": (lambda: many_channels(5), "takes 5 channels; an image has 1 or 3"),
    "2 channels": (lambda: many_channels(2), "takes 2 channels; an image has 1 or 3"),
    "4 channels": (lambda: many_channels(4), "takes 4 channels; an image has 1 or 3"),
    "a row": (lambda: one_input((64,), layers.Dense(3)), NO_IMAGE),
    "one number": (lambda: one_input((1,), layers.Dense(3)), NO_IMAGE),
    "a sequence": (lambda: one_input((8, 4), layers.LSTM(3)), NO_IMAGE),
    "a gray image without channels": (
        lambda: one_input((8, 8), layers.Flatten(), layers.Dense(3)),
        NO_IMAGE,
    ),
    "a film": (
        lambda: one_input((4, 8, 8, 3), layers.Conv3D(2, 3), layers.Flatten(), layers.Dense(3)),
        NO_IMAGE,
    ),
    "text": (
        lambda: one_input((1,), layers.TextVectorization(vocabulary=["a", "b"]), dtype="string"),
        NO_IMAGE,
    ),
    "words": (
        lambda: one_input((5,), layers.Embedding(9, 4), layers.Flatten(), layers.Dense(3)),
        NO_IMAGE,
    ),
    "two images": (two_inputs, NO_IMAGE),
    "an image and words": (named_inputs, NO_IMAGE),
    "channels first": (
        lambda: one_input(
            (3, 8, 8), layers.GlobalAveragePooling2D(data_format="channels_first"), layers.Dense(3)
        ),
        "has the channels first",
    ),
    "text in the shape of an image": (
        lambda: one_input((8, 8, 1), layers.StringLookup(vocabulary=["a"]), dtype="string"),
        "takes string values; float16",
    ),
    "complex numbers": (
        lambda: one_input((8, 8, 1), layers.Flatten(), dtype="complex64"),
        "takes complex64 values; float16",
    ),
    "bfloat16": (
        lambda: one_input((8, 8, 1), layers.Flatten(), layers.Dense(3), dtype="bfloat16"),
        "takes bfloat16 values; float16",
    ),
    "any number of channels": (
        lambda: one_input((8, 8, None), layers.GlobalAveragePooling2D()),
        "channels",
    ),
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


@pytest.mark.parametrize("kind", UNFIT)
def test_the_command_names_models_that_no_image_fits(tmp_path, photo, capsys, kind):
    builder, message = UNFIT[kind]
    path = saved(builder(), tmp_path / "model.keras")
    out = tmp_path / "out.png"
    code = main.main(["explain", "--model", str(path), "--image", str(photo), "--out", str(out)])
    printed = capsys.readouterr()
    said = [line for line in printed.err.splitlines() if not line.endswith(" ...")]
    assert (code, len(said), printed.out) == (2, 1, "")
    assert message in said[0]
    assert not out.exists()
