"""The training of Part 2: the base network of `variations`, with one change."""

import itertools

import keras
import numpy as np
from keras import layers
from sklearn.model_selection import StratifiedKFold

from cnnlab import splits
from cnnlab.experiments import variations
from cnnlab.training.classifier import predict, served

BATCH_SIZE, MOMENTUM = 128, 0.97  # of batch normalization
FOLDS = 12  # parts of the training part; each seed holds out another one


def fold(dataset, seed, images):
    """Hold a fold of the training and validation part out; learn from so many of the others.

    Each seed holds out another one, so no image is in the validation part of two seeds. Returns two
    `splits.Part`: images (n, height, width, channels) and labels (n,) to learn from, and held out.
    """
    pool = [np.concatenate(columns) for columns in zip(*dataset[:2], strict=True)]
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(*pool)
    rest, held_out = next(itertools.islice(folds, seed % FOLDS, None))
    if images:
        rest = np.random.default_rng(seed).permutation(rest)[:images]
    return [splits.Part(*(column[chosen] for column in pool)) for chosen in (rest, held_out)]


def network(shape, classes, setting):
    """Build the network of a setting, for images of a `shape` (height, width, channels)."""
    decay = keras.regularizers.L2(setting["L2"]) if setting["L2"] else None
    strided = setting["downsampling"] == "strided convolution"
    model = keras.Sequential([keras.Input(shape), layers.Rescaling(1 / 255)])
    for filters in setting["filters"]:
        model.add(
            layers.Conv2D(
                filters,
                setting["filter size"],
                strides=2 if strided else 1,
                padding="same",
                kernel_regularizer=decay,
            )
        )
        model.add(layers.ReLU())
        model.add(layers.BatchNormalization(momentum=MOMENTUM))
        if not strided:
            average = setting["downsampling"] == "average pooling"
            model.add(layers.AveragePooling2D(2) if average else layers.MaxPooling2D(2))
    model.add(layers.Flatten())
    model.add(layers.Dropout(setting["dropout"]))
    model.add(layers.Dense(64, activation="relu", kernel_regularizer=decay))
    model.add(layers.Dropout(setting["dropout"]))
    model.add(layers.Dense(classes, activation="softmax"))
    return model


def optimizer(setting, rate, steps):
    """Return the optimizer of a setting, at `rate` times its usual learning rate."""
    rate *= {"SGD": 0.1, "SGD with momentum": 0.02}.get(setting["optimizer"], 1e-3)
    schedules = keras.optimizers.schedules
    rate = {
        "constant": rate,
        "exponential": schedules.ExponentialDecay(rate, steps, 0.05),
        "cosine": schedules.CosineDecay(rate, steps),
    }[setting["learning rate"]]
    return {
        "Adam": lambda: keras.optimizers.Adam(rate),
        "AdamW": lambda: keras.optimizers.AdamW(rate, weight_decay=1e-2),
        "RMSprop": lambda: keras.optimizers.RMSprop(rate),
        "SGD": lambda: keras.optimizers.SGD(rate),
        "SGD with momentum": lambda: keras.optimizers.SGD(rate, momentum=0.9),
    }[setting["optimizer"]]()


def loss(name):
    """Return a loss by its name in `variations.FACTORS`."""
    return {
        "cross-entropy": keras.losses.CategoricalCrossentropy(),
        "label smoothing": keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        "focal": keras.losses.CategoricalFocalCrossentropy(),
        "squared error": keras.losses.MeanSquaredError(),
    }[name]


def train(data, dataset, change, rate, seed, say=lambda line: None):
    """Train the base with a change of its settings.

    Args:
        data: a key of `variations.DATA`, which says how long, and on how many images.
        dataset: a `splits.Dataset`; its test part takes no part.
        change: such as {"dropout": 0.5}, a value of `variations.settings()`.
        rate: of learning, times the usual one.
        seed: of the weights and the order, which also chooses the fold.
        say: called with a line at each check.

    Returns:
        The errors on the validation images, 0..1, at each check.
    """
    classes, epochs, images = variations.DATA[data]
    setting = variations.BASE | change
    training, validation = fold(dataset, seed, images)
    keras.utils.set_random_seed(seed)
    model = network(training.images.shape[1:], classes, setting)
    steps = epochs * int(np.ceil(len(training.labels) / BATCH_SIZE))
    model.compile(optimizer(setting, rate, steps), loss(setting["loss"]))
    model.optimizer.build(model.trainable_variables)
    batched = served(training, classes, BATCH_SIZE, seed)
    errors = []
    for check in range(variations.CHECKS):
        begin, end = (epochs * k // variations.CHECKS for k in (check, check + 1))
        model.fit(batched, shuffle=False, initial_epoch=begin, epochs=end, verbose=0)
        errors.append(float(np.mean(predict(model, validation.images) != validation.labels)))
        say(f"epoch {end:2}/{epochs}  validation error {errors[-1]:.4f}")
    return errors
