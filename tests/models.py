"""What the tests of `interpret` have in common: weights for small models, and plain functions."""

import numpy as np

from cnnlab import runtime

runtime.start(seed=0)


def with_random_weights(model, seed=0):
    """Give every weight values as after a training: kernels around 0, scales above it."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        values = random.normal(0, 0.2, variable.shape)
        if len(variable.shape) > 1:
            values = random.normal(0, 1.5 / np.prod(variable.shape[:-1]) ** 0.5, variable.shape)
        elif variable.path.endswith(("variance", "gamma")):
            values = random.uniform(0.5, 1.5, variable.shape)
        if "float" in variable.dtype:
            variable.assign(values)
    return model


def sigmoid(scores):
    return 1 / (1 + np.exp(-np.asarray(scores, float)))


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
