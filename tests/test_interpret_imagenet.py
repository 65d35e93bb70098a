"""ImageNet's classes have their names where a model of keras.applications tells them apart."""

import keras
import numpy as np
import pytest
from keras import layers

from cnnlab import interpret
from cnnlab.interpret import imagenet
from cnnlab.interpret.model.network import inspect_model

IMAGE = np.zeros((32, 32, 3), np.uint8)
KNOWN = {0: "tench", 1: "goldfish", 281: "tabby", 388: "giant panda", 517: "crane (machine)"}


def test_a_thousand_names_each_another():
    names = imagenet.class_names()
    assert len(names) == len(set(names)) == imagenet.COUNT
    assert {number: names[number] for number in KNOWN} == KNOWN


@pytest.mark.parametrize(
    ("make", "size"),
    [("MobileNet", 32), ("MobileNetV2", 32), ("MobileNetV3Small", 32), ("NASNetMobile", 32)],
)
def test_models_of_keras_are_known_by_their_names(make, size):
    model = getattr(keras.applications, make)(weights=None, input_shape=(size, size, 3))
    (head,) = inspect_model(model).heads.values()
    assert imagenet.is_for(model, head)


def small(name, head="predictions", units=1000):
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, strides=4, activation="relu")(image)
    row = layers.Dense(units, "softmax", name=head)(layers.Flatten()(x))
    return keras.Model(image, row, name=name)


def test_others_are_counted():
    for model, known in (
        (small("efficientnetb0"), True),
        (small("mine"), False),
        (small("efficientnetb0", units=10), False),
        (small("efficientnetb0", head="dense"), False),
    ):
        shown = interpret.explain(model, IMAGE, preprocess="0..1")
        (of_head,) = shown.answers.values()
        assert all((name in imagenet.class_names()) == known for name, *_ in of_head[:5])


def test_names_that_are_given_go_first():
    names = {"predictions": [f"n{number}" for number in range(1000)]}
    shown = interpret.explain(small("efficientnetb0"), IMAGE, preprocess="0..1", names=names)
    assert all(name.startswith("n") for name, *_ in shown.answers["predictions"][:5])
