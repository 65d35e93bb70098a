"""Too little memory is said in a sentence before anything is computed, and less is taken at once.

With a limit of the system itself: `faults/test_resources.py`.
"""

import keras
import numpy as np
import pytest
from keras import layers
from models import with_random_weights

from cnnlab import interpret, memory
from cnnlab.interpret import activations, grad_cam, maximize_filters
from cnnlab.interpret.ascent import Ascent
from cnnlab.interpret.model import batches
from cnnlab.interpret.model.loading import load

FAST = Ascent(steps=1)


def small(size=8, units=3):
    image = keras.Input((size, size, 3))
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(image))
    return with_random_weights(keras.Model(image, layers.Dense(units, name="head")(features)))


def attentive():
    """A model whose memory is taken inside of a layer: each position looks at each other one."""
    image = keras.Input((None, None, 1))
    rows = layers.Reshape((-1, 1))(image)
    rows = layers.MultiHeadAttention(2, 3, name="attention")(rows, rows)
    return keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling1D()(rows)))


def images(count=1, size=8, channels=3):
    return np.random.default_rng(0).uniform(0, 1, (count, size, size, channels)).astype("f4")


# Of 8 × 8 pixels: 192 numbers of the image, 144 of the convolution, 4, and those of the head. What
# a call reads and makes counts twice, and so do the results.
CASES = {  # (what is computed, how many numbers it needs)
    "activations": (
        lambda: activations(small(), images(5), "conv"),
        2 * (192 + 144) + 2 * 5 * 144,
    ),
    "a heatmap": (lambda: grad_cam(small(), images(5)), 144 + 4 + 3 + 2 * (192 + 144)),
    "a filter": (
        lambda: maximize_filters(small(), "conv", 0, ascent=FAST),
        192 + 144 + 2 * (192 + 144) + 2 * 192,
    ),
    "filters of many units": (
        lambda: maximize_filters(small(units=400), "head", ascent=FAST),
        192 + 144 + 4 + 400 + 2 * (4 + 400) + 2 * 400 * 192,
    ),
    "inside of a layer": (
        lambda: activations(attentive(), np.zeros((1, 20, 50, 1)), "attention"),
        2 * 2 * 1000 * 1000 + 2 * 1000,
    ),
    "an image": (lambda: interpret.explain(small(900), images()[0]), 3 * 900 * 900 * 3),
    "a first image": (lambda: maximize_filters(small(900), "conv"), 3 * 900 * 900 * 3),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_needed_and_what_there_is(case, monkeypatch):
    compute, needed = CASES[case]
    monkeypatch.setattr(memory, "free_memory", lambda: 4 * needed - 1)
    with pytest.raises(MemoryError, match="pixels need about .* GiB of memory, and .* are free"):
        compute()
    if "image" not in case:
        monkeypatch.setattr(memory, "free_memory", lambda: 4 * needed)
        compute()


def test_with_less_memory_fewer_images_are_computed_at_once(monkeypatch):
    sizes = []

    def counting(graph, compute, size, *arrays):
        sizes.append(size)
        return batches.in_batches(graph, compute, size, *arrays)

    monkeypatch.setattr("cnnlab.interpret.gradcam.in_batches", counting)
    model, several = small(), images(7)
    expected = grad_cam(model, several)
    monkeypatch.setattr(memory, "free_memory", lambda: 2 * 3 * 4 * (144 + 4 + 3 + 2 * (192 + 144)))
    heat = grad_cam(model, several)
    assert sizes == [256, 3]  # three in one half of it
    np.testing.assert_allclose(heat.raw, expected.raw, 1e-5, 1e-7)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:.*HDF5 file")
def test_weights_that_do_not_fit(tmp_path, monkeypatch, suffix):
    """Those of the optimizer, twice as many, are not needed."""
    model = small()
    model.compile("adam", "mse")
    model.fit(images(), np.zeros((1, 3)), verbose=0)
    model.save(path := tmp_path / f"model{suffix}")
    needed = 4 * (3 * 3 * 3 * 4 + 4 + 4 * 3 + 3)
    monkeypatch.setattr(memory, "free_memory", lambda: needed)
    load(path)
    monkeypatch.setattr(memory, "free_memory", lambda: needed - 1)
    with pytest.raises(MemoryError, match=rf"the weights in .*model{suffix} need about 0.0 GiB"):
        load(path)
