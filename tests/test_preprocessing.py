"""The preprocessing of a name is what Keras does under that name."""

from types import ModuleType

import keras
import numpy as np
import pytest

from cnnlab.preprocessing import APPLICATIONS, Preprocessing, named

PICTURE = np.random.default_rng(0).random((4, 5, 3), np.float32)
MODULES = {
    name: module
    for name, module in vars(keras.applications).items()
    if isinstance(module, ModuleType) and hasattr(module, "preprocess_input")
}
del MODULES["imagenet_utils"]  # of no model


def test_every_module_of_keras_is_known():
    assert set(APPLICATIONS) == set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_keras(name):
    how = named(name)
    expected = MODULES[name].preprocess_input(255 * PICTURE)
    np.testing.assert_allclose(how.to_model(PICTURE), expected, 1e-5, 1e-4)
    np.testing.assert_allclose(how.to_pictures(how.to_model(PICTURE)), PICTURE, atol=1e-5)


def test_blue_first():
    how = named((-1, 1))._replace(bgr=True)
    blue = how.to_model(np.array([0.0, 0.0, 1.0]))
    np.testing.assert_array_equal(blue, [1, -1, -1])
    assert str(how) == "-1 … 1 in BGR" and "guessed" in str(how._replace(guessed=True))
    assert str(named("torch")) == "-2.118/-2.036/-1.804 … 2.249/2.429/2.64"
    assert named("caffe").bgr and named(how) is how
    assert named("0..255") == named([0, 255]) == Preprocessing(0.0, 255.0)
