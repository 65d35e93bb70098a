"""Make the models of Keras 2 beside this file, as that version saved them, and what they answer.

It needs Keras 2, which the rest of the project does without, so it runs in an environment of its
own:

    python3 -m venv /tmp/keras2 && /tmp/keras2/bin/pip install tf_keras==2.21.0 tensorflow==2.21.0
    /tmp/keras2/bin/python tests/data/make_keras2_models.py

Each `NAME.h5` has a `NAME.npz` with `images` and, by head, what Keras 2 answers to them.
"""

from pathlib import Path

import numpy as np
from tf_keras import Input, Model, Sequential, layers

FOLDER = Path(__file__).parent


def sequential():
    """Gray images, one softmax head, batch normalization and dropout."""
    return Sequential(
        [
            layers.Rescaling(1 / 255, input_shape=(12, 12, 1)),
            layers.Conv2D(4, 3, activation="relu", name="first"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Conv2D(6, 3, name="second"),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(5, activation="softmax", name="digit"),
        ],
        name="keras2_sequential",
    )


def functional():
    """Colored images, a nested model, a residual addition, and a convolution for each head."""
    inner_pixels = Input((12, 12, 4))
    inner = Model(inner_pixels, layers.Conv2D(4, 3, padding="same", name="deep")(inner_pixels))
    pixels = Input((12, 12, 3), name="pixels")
    trunk = layers.Rescaling(1 / 255)(pixels)
    trunk = layers.Conv2D(4, 3, padding="same", activation="relu", name="trunk")(trunk)
    trunk = layers.Add()([trunk, inner(trunk)])
    trunk = layers.DepthwiseConv2D(3, strides=2, name="depthwise")(trunk)
    of_shape = layers.Conv2D(5, 3, activation="relu", name="shape_map")(trunk)
    of_color = layers.SeparableConv2D(3, 3, activation="relu", name="color_map")(trunk)
    shape = layers.Dense(3, name="shape_logits")(layers.GlobalAveragePooling2D()(of_shape))
    color = layers.Dense(1, activation="sigmoid", name="color")(layers.Flatten()(of_color))
    return Model(pixels, [layers.Softmax(name="shape")(shape), color], name="keras2_functional")


def nested():
    """A functional model in a Sequential, and a Sequential called twice in that."""
    inner = Sequential(
        [Input((12, 12, 2)), layers.Conv2D(2, 3, padding="same"), layers.BatchNormalization()]
    )
    pixels = Input((12, 12, 3))
    start = layers.Conv2D(2, 1, activation="relu")(layers.RandomFlip()(pixels))
    once = inner(start)
    features = Model(pixels, layers.Concatenate()([once, inner(once)]), name="features")
    return Sequential(
        [
            layers.Rescaling(1 / 255, input_shape=(12, 12, 3)),
            features,
            layers.SpatialDropout2D(0.5),
            layers.Conv2DTranspose(2, 3, strides=2),
            layers.GlobalMaxPooling2D(),
            layers.Dense(2, activation="sigmoid", name="both"),
        ],
        name="keras2_nested",
    )


def save(model, random):
    """Give a model random weights, variances above 0, and save it with its answers."""
    for layer in model.submodules:
        for variable in getattr(layer, "_trainable_weights", []):
            variable.assign(random.normal(0, 0.4, variable.shape))
        for variable in getattr(layer, "_non_trainable_weights", []):
            variable.assign(random.uniform(0.2, 2, variable.shape))
    brightness = np.linspace(0.1, 1, 6)[:, None, None, None]
    images = (brightness * random.integers(0, 256, (6, *model.input_shape[1:]))).astype(np.uint8)
    answers = model.predict(images.astype(np.float32), verbose=0)
    answers = answers if isinstance(answers, list) else [answers]
    model.save(FOLDER / f"{model.name}.h5")
    np.savez_compressed(
        FOLDER / f"{model.name}.npz",
        images=images,
        **dict(zip(model.output_names, answers, strict=True)),
    )


if __name__ == "__main__":
    generator = np.random.default_rng(0)
    for made in (sequential(), functional(), nested()):
        save(made, generator)
