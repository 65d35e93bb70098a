"""What of all models can be looked into: each kind is tried, and docs/models.md says the same.

`python -m pytest tests/test_interpret_supported.py` says what came out otherwise; then
`PYTHONPATH=. python tests/test_interpret_supported.py` writes it down, and `make documents` fills
docs/models.md.
"""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops
from models import with_random_weights

from cnnlab import interpret

OUTCOMES = Path(__file__).parent / "data" / "supported.json"
IMAGE = np.random.default_rng(0).random((16, 16, 3), np.float32)


def built(end, shape=(16, 16, 3), start=lambda x: x):
    """A small model: `start`, a convolution, its rectifier, and `end`, which gives the outputs."""
    image = keras.Input(shape[-3:], batch_size=shape[0] if len(shape) > 3 else None)
    x = layers.ReLU(name="features")(layers.Conv2D(4, 3, strides=2)(start(image)))
    return with_random_weights(keras.Model(image, end(x)))


def dense(units, activation=None, **options):
    return lambda x: layers.Dense(units, activation, **options)(layers.Flatten()(x))


def two_heads(x):
    return {"kind": dense(3, "softmax")(x), "big": dense(1, "sigmoid")(x)}


def ensemble():
    members = [built(dense(3, "softmax")) for _ in "ab"]
    image = keras.Input((16, 16, 3))
    return keras.Model(image, layers.Average()([member(image) for member in members]))


def tokens(x):
    patches = layers.Reshape((49, 4))(x)
    seen = layers.MultiHeadAttention(2, 4)(patches, patches)
    return dense(3, "softmax")(layers.LayerNormalization()(patches + seen))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(3, 3, activation="relu")
        self.dense = layers.Dense(2, "softmax", name="dense")

    def call(self, images):
        return self.dense(ops.mean(self.conv(images), axis=(1, 2)))


class Deciding(Subclassed):
    def call(self, images):
        return super().call(images if float(ops.max(images)) > 1 else 255 * images)


def called(model):
    model(np.zeros((1, 16, 16, 3)))
    return model


def two_inputs():
    images = [keras.Input((16, 16, 3)) for _ in "ab"]
    return keras.Model(images, dense(3, "softmax")(layers.Concatenate()(images)))


def of_shape(*shape):
    image = keras.Input(shape)
    return keras.Model(image, layers.Dense(2)(layers.Flatten()(image)))


class Own(layers.Layer):
    """Mirrors and scales: nothing of it is known but what it makes of images."""

    def call(self, inputs):
        return 0.5 * inputs[:, :, ::-1]


def label_and_mask(x):
    return {"label": dense(3, "softmax")(x), "mask": layers.Conv2D(1, 1, activation="sigmoid")(x)}


RANGE = {"preprocess": "0..255"}
MODELS = {  # kind: (what makes a model, options of `explain`)
    "softmax, one class of several": (lambda: built(dense(3, "softmax")), {}),
    "one sigmoid unit": (lambda: built(dense(1, "sigmoid")), {}),
    "several sigmoid units, several classes at once": (lambda: built(dense(3, "sigmoid")), {}),
    "logits": (lambda: built(dense(3)), {"outputs": "logits"}),
    "numbers: an age, a box": (lambda: built(dense(4)), {}),
    "several heads": (lambda: built(two_heads), {}),
    "the mean of several members": (ensemble, {}),
    "preprocessing and augmentation inside": (
        lambda: built(
            dense(3, "softmax"),
            start=lambda x: layers.RandomFlip()(layers.Rescaling(1 / 127.5, offset=-1)(x)),
        ),
        {},
    ),
    "layers of one's own": (lambda: built(dense(3, "softmax"), start=lambda x: Own()(x)), {}),
    "any size": (
        lambda: built(
            lambda x: layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D()(x)),
            (None, None, 3),
        ),
        {},
    ),
    "batches of a fixed size": (lambda: built(dense(3, "softmax"), (4, 16, 16, 3)), {}),
    "a transformer whose tokens lie on a grid": (lambda: built(tokens), {}),
    "no feature maps": (lambda: of_shape(16, 16, 3), {}),
    "a segmentation: classes for each pixel": (
        lambda: built(lambda x: layers.Conv2D(3, 1, activation="softmax")(x)),
        {},
    ),
    "a mask next to classes": (lambda: built(label_and_mask), {}),
    "images of two or four channels": (lambda: built(dense(3, "softmax"), (16, 16, 4)), {}),
    "several inputs": (two_inputs, {}),
    "one or three dimensions": (lambda: of_shape(16, 3), {}),
    "channels first": (
        lambda: keras.Sequential(
            [keras.Input((3, 16, 16)), layers.Conv2D(2, 3, data_format="channels_first")]
        ),
        {},
    ),
    "a subclassed model": (lambda: called(Subclassed()), {}),
    "a subclassed model that looks at the numbers": (lambda: called(Deciding()), {}),
}


def refused(kind, make):
    """A row of the table for what is refused, with the sentence."""
    with pytest.raises(ValueError) as error:
        make()
    return {"model": kind, "activations": "–", "heatmaps": "–", "says": str(error.value)}


def outcome(kind):
    """A row of the table: what `explain` shows of a model of this kind, or says of it."""
    make, options = MODELS[kind]
    keras.utils.set_random_seed(0)
    keras.backend.clear_session()
    model = make()
    try:
        made = interpret.explain(model, IMAGE, **RANGE | options)
    except ValueError:
        return refused(kind, lambda: interpret.explain(model, IMAGE))
    of = {"of numbers" if m.outputs == "numbers" else "of classes" for m in made.heatmaps.values()}
    said = [words for words in made.summary.split("; ") if words.startswith("no heatmap")]
    said += [note for maps in made.heatmaps.values() for note in maps.note if "branch" in note]
    row = {"activations": "yes", "heatmaps": ", ".join(of) or "no", "says": "; ".join(said)}
    return {"model": kind} | row


def test_the_readme_says_what_is_supported():
    assert [outcome(kind) for kind in MODELS] == json.loads(OUTCOMES.read_text("utf-8"))


if __name__ == "__main__":
    rows = [outcome(kind) for kind in MODELS]
    OUTCOMES.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
