# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Task 1 · Foundations of convolutional networks
#
# One network is given (Part 1), a better one is to be found (Part 2), on two datasets:
# handwritten digits (MNIST, 10 classes) and straight lines (96 classes of length, width, angle
# and color).
#
# Four questions lead through the notebook:
#
# 1. What does a test accuracy mean, if the test images are not really new?
# 2. How far does the given network get?
# 3. Which of nine design choices matter, and do they matter equally on both datasets?
# 4. How good is a network that is built with these answers in mind?
#
# Everything below is computed when the notebook runs, except where it says that a figure comes
# from `study.json`: the same recipes, repeated with several seeds by `study.py`.

# %%
import sys
import time
from collections import Counter
from pathlib import Path

begin = time.perf_counter()
here = Path.cwd()
roots = [folder for folder in (here, *here.parents) if (folder / "cnnlab" / "runtime.py").is_file()]
if roots:
    sys.path.insert(0, str(roots[0]))
else:
    sys.exit("Task-1.ipynb must run in its repository: no folder above this one holds cnnlab/.")

from cnnlab import runtime

runtime.start(seed=0)

from cnnlab.training import fused_batch_norm

fused_batch_norm.switch_on()

# %% tags=["recipe"]
import json
from typing import NamedTuple

import keras
import numpy as np
from keras import layers
from sklearn.metrics import pairwise_distances_argmin

from cnnlab import lines, metrics, mnist, notebook, plots, runtime, splits
from cnnlab.lines import other_programs
from cnnlab.notebook import percent, percent_range, table
from cnnlab.saving import uncompiled
from cnnlab.training.augment import RandomAppearance, RandomWarp
from cnnlab.training.batches import batches
from cnnlab.training.compiled_loop import Schedule, train_in_one_loop
from cnnlab.training.workers import side_by_side

# %% [markdown]
# **Configuration.** The sizes of all experiments. The digit recipes were fixed on images held out
# of the official training set, before the official test images were touched; the line recipes on
# the validation part, with two corrections after a first study had been tested. The final line
# network then made 1, 1, 0, 0, 1 errors in five epochs: a mistake in the blurring was mended and
# one epoch added. The given network was unstable on lines: its learning rate was halved, and its
# weights are averaged over fewer steps. So the test figures for lines are not entirely untouched
# by choice. The number of epochs is fixed, so nothing is picked while training.
# `CNNLAB_BUDGET=smoke` lowers the sizes to check in a minute that everything runs.

# %% tags=["parameters", "recipe"]
SEED = 0
BATCH_SIZE = 128
MOMENTUM = 0.97  # of batch normalization; the usual 0.99 lags behind in runs of a few hundred steps

PART1_MNIST_EPOCHS, PART1_MNIST_LEARNING_RATE = 5, 1e-3
PART1_LINES_EPOCHS, PART1_LINES_LEARNING_RATE = 5, 5e-4
PART1_MNIST_MEMORY, PART1_LINES_MEMORY = 500, 200  # steps that Adam's weights are averaged over
SWEEP_IMAGES, SWEEP_EPOCHS = 8000, 4  # for the experiments of Part 2
MNIST_EPOCHS, MNIST_LEARNING_RATE = 12, 3e-3
LINES_EPOCHS, LINES_LEARNING_RATE = 6, 1e-2

if runtime.in_smoke():
    PART1_MNIST_EPOCHS = PART1_LINES_EPOCHS = SWEEP_EPOCHS = MNIST_EPOCHS = LINES_EPOCHS = 1
    SWEEP_IMAGES = 300

# Training images that are shown to the network that is trained in seconds.
QUICK_EXAMPLES = 1000 if runtime.in_smoke() else 90000

# %%
out = notebook.outputs("Task-1")
stopwatch = notebook.Stopwatch()
results = {"seed": SEED, "versions": runtime.versions(), "machine": runtime.machine()}
table(
    [
        results["versions"]
        | {"processor": results["machine"]["processor"], "cores": results["machine"]["cores"]}
    ]
)

# %% [markdown]
# ## 1 · The data
#
# ### MNIST
#
# 70,000 gray images of 28×28 pixels, values 0–255. The assignment splits them 60 : 40, stratified
# by class; the validation images are taken from the 60. The usual split is 60,000 : 10,000; we
# report both.


# %% tags=["recipe"]
def mnist_pool():
    """All 70,000 digits (n, 28, 28, 1) and their classes; the official test images come last."""
    images, classes = mnist.pool()
    return images[..., None], classes


def mnist_split():
    """MNIST split 60 : 40, as the assignment asks."""
    images, classes = mnist_pool()
    return smaller(splits.partition(images, classes, splits.held_out(classes)))


def mnist_official():
    """MNIST split 60,000 : 10,000, as everybody else does; nothing is held out for validation."""
    images, classes = mnist_pool()
    split = splits.Split(np.arange(60000), np.arange(0), np.arange(60000, 70000))
    return smaller(splits.partition(images, classes, split))


def mnist_for_choices():
    """The training and validation images of the 60 : 40 split that are in neither test set."""
    images, classes = mnist_pool()
    train, validation, _ = splits.held_out(classes)
    split = splits.Split(train[train < 60000], validation[validation < 60000], np.arange(0))
    return smaller(splits.partition(images, classes, split))


def smaller(dataset, most=1500):
    """In a smoke run, the first images of each part; otherwise all of them."""
    if not runtime.in_smoke():
        return dataset
    return splits.Dataset(
        *(splits.Part(part.images[:most], part.labels[:most]) for part in dataset)
    )


# %%
digits = mnist_split()


def sizes(name, dataset):
    return {"split": name} | {part: f"{len(dataset[i].labels):,}" for i, part in enumerate(PARTS)}


PARTS = ("training", "validation", "test")
table(
    [
        sizes("60 : 40", digits),
        sizes("60,000 : 10,000", mnist_official()),
        sizes("for choices: in neither test set", mnist_for_choices()),
    ]
)

# %% [markdown]
# No test image occurs, byte for byte, in training or validation; `splits.partition` raises an error
# if one does. What the 60 : 40 split cannot do is separate writers: the same hand's digits are on
# both sides of it, whereas the official test set was written by other people.

# %% [markdown]
# ### Lines
#
# Every image shows one line: short (7) or long (15 pixels), thin (1) or thick (3), at one of
# twelve angles, red or blue. Each pixel holds the exact area that the line covers, so the
# geometry can be measured back from the pixels. Inside a class only the center varies, over all
# positions, also between pixels, at which the whole line is inside the image.


# %% tags=["recipe"]
def line_pool():
    """All lines: images, labels and centers."""
    return lines.generate(per_class=30) if runtime.in_smoke() else lines.load()


def line_dataset():
    """The line dataset, split 60 : 40; classes 0..95."""
    drawn = line_pool()
    classes = lines.encode(drawn.labels)
    return splits.partition(drawn.images, classes, splits.held_out(classes))


# %%
drawn, line_parts = line_pool(), line_dataset()
different = len({image.tobytes() for image in drawn.images})
print(f"{len(drawn.images):,} images, {different:,} of them different")
table([sizes("60 : 40", line_parts)])

# %%
examples = [
    lines.encode([[length, width, angle, color]])[0]
    for length in (0, 1)
    for width in (0, 1)
    for angle, color in ((0, 0), (2, 1), (6, 0), (9, 1))
]
first = [np.flatnonzero(line_parts.train.labels == each)[0] for each in examples]
figure = plots.image_grid(
    line_parts.train.images[first], [lines.class_name(each) for each in examples]
)
out.figure(figure, "lines-examples")

# %% [markdown]
# **Figure 1.** Sixteen of the 96 classes. The darker pixels along the edges are covered in part;
# they carry the position between pixels.
#
# ### What is a test accuracy worth?
#
# The best-known versions of this dataset place the lines at whole-pixel positions. How many
# different images can such a class have? We count the positions, draw 1,000 images a class the same
# way, split them 60 : 40, and test two "networks" that have learned nothing about lines. A
# *dictionary* of the training images predicts the class of an identical image if it holds one, and
# guesses otherwise. The *nearest neighbor* predicts the class of the most similar training image.


# %%
def whole_pixel_positions(label):
    """All centers, a whole number of pixels apart, at which a line of this class fits."""
    length, width, angle, _ = lines.geometry(label)
    low, high = lines.center_limits(length, width, angle)  # (x, y) each
    columns, rows = (np.floor(high - low + 1e-9) + 1).astype(int)
    return low + np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2)


def whole_pixel_lines(per_class, seed):
    """The line dataset as it is usually made: each center one of the whole-pixel positions."""
    random, images = np.random.default_rng(seed), []
    for label in lines.decode(np.arange(lines.CLASSES)):
        positions = whole_pixel_positions(label)
        length, width, angle, color = lines.geometry(label)
        different = lines.render(length, width, angle, positions, color)
        images.append(different[random.integers(len(positions), size=per_class)])
    return np.concatenate(images), np.repeat(np.arange(lines.CLASSES), per_class)


# %%
def dictionary_accuracy(train, test):
    """Accuracy of looking an image up among the training images, else guessing 1 class of 96."""
    known = dict(zip((i.tobytes() for i in train.images), train.labels, strict=True))
    predicted = [known.get(image.tobytes()) for image in test.images]
    right = [
        1 / lines.CLASSES if p is None else p == t
        for p, t in zip(predicted, test.labels, strict=True)
    ]
    return float(np.mean(right))


def neighbor_accuracy(train, test, most=1000):
    """Accuracy of the nearest training image (Euclidean), on `most` test images spread evenly."""
    chosen = np.linspace(0, len(test.labels) - 1, min(most, len(test.labels))).astype(int)
    flat = [
        images.reshape(len(images), -1) / np.float32(255)
        for images in (test.images[chosen], train.images)
    ]
    nearest = pairwise_distances_argmin(*flat)
    return float(np.mean(train.labels[nearest] == test.labels[chosen]))


def leak(images, classes):
    """How much of a dataset's test part is known from its training part."""
    train, _, test = (splits.Part(images[part], classes[part]) for part in splits.held_out(classes))
    copies = len(splits.duplicates(test.images, train.images))
    return {
        "images": len(images),
        "different images": len({image.tobytes() for image in images}),
        "test images with a twin": copies / len(test.labels),
        "dictionary": dictionary_accuracy(train, test),
        "nearest neighbour": neighbor_accuracy(train, test),
    }


# %%
positions = [len(whole_pixel_positions(label)) for label in lines.decode(np.arange(lines.CLASSES))]
middle = np.median(positions)
print(f"whole-pixel positions of a class: {min(positions)}–{max(positions)}, median {middle:g}")
with stopwatch.measure("the data: leaks"):
    leaks = {
        "whole-pixel positions": leak(*whole_pixel_lines(len(drawn.images) // lines.CLASSES, SEED)),
        "ours": leak(drawn.images, lines.encode(drawn.labels)),
    }
del drawn  # 226 MB; later sections need its parts
results["leak"] = leaks | {"positions per class": [min(positions), middle, max(positions)]}
table(
    [
        {"centers": name}
        | {key: percent(v) if isinstance(v, float) else f"{v:,}" for key, v in row.items()}
        for name, row in leaks.items()
    ]
)

# %% [markdown]
# **Reading.** At whole-pixel positions a class has at most a few hundred different images, so a
# thousand of them must repeat, and three test images in four were seen in training: the dictionary,
# which has learned nothing about lines, gets those right. A network's accuracy on such a test says
# as much about memory as about lines. With centers between pixels no test image was seen, and the
# dictionary is left with guessing one class of 96.
#
# New does not mean far away, though: the nearest neighbor is right for about nine in ten test
# images of both datasets. That is the figure a network has to beat, and the last tenth, the lines
# whose nearest look-alike has another angle or width, is what it must have understood.

# %% [markdown]
# ## 2 · The recipes
#
# Three kinds of networks: the given one, a small one with one change at a time, and ours. None
# depends on what comes out of another, so they are all described first, then trained together.
#
# ### The given network
#
# 7×7 convolution with 32 filters → ReLU → batch normalization → 2×2 max pooling → 1,024 units →
# ReLU → softmax. Adam, categorical cross-entropy. Raw pixels 0–255 go in; the first layer of the
# model scales them, so that the saved model cannot be fed wrongly. The convolution uses no
# padding, which is the default where none is named.
#
# Nothing is said about the learning rate. A constant one keeps the weights of this network jumping
# around a minimum instead of settling in it; Figure 4 shows it. Rather than a decay, which is a
# subject of Part 2, we use an option of Keras's Adam, `use_ema`: when training ends, the weights
# become their own exponential average with a memory of a few hundred steps. The learning curves
# show the weights before averaging; the table below them compares both on validation images.


# %% tags=["recipe"]
def part1_network(shape, classes):
    return keras.Sequential(
        [
            keras.Input(shape),  # 28, 28, channels
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 7, strides=1),  # 22, 22, 32
            layers.ReLU(),
            layers.BatchNormalization(momentum=MOMENTUM),
            layers.MaxPooling2D(2, strides=2),  # 11, 11, 32
            layers.Flatten(),  # 3872
            layers.Dense(1024),
            layers.ReLU(),
            layers.Dense(classes, activation="softmax"),
        ]
    )


# %% tags=["recipe"]
def one_hot(part, classes):
    return keras.utils.to_categorical(part.labels, classes)


def train_part1(dataset, classes, epochs, learning_rate, memory, seed):
    """Train the given network; returns it and its history."""
    keras.utils.set_random_seed(seed)
    network = part1_network(dataset.train.images.shape[1:], classes)
    optimizer = keras.optimizers.Adam(learning_rate, use_ema=True, ema_momentum=1 - 1 / memory)
    network.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    optimizer.build(network.trainable_variables)  # or Keras would do it in the first step, traced
    history = network.fit(
        batches(dataset.train.images, one_hot(dataset.train, classes), BATCH_SIZE, seed),
        shuffle=False,  # the batches are shuffled already
        validation_data=validation_of(dataset, classes),
        epochs=epochs,
        verbose=0,
        callbacks=[notebook.epoch_lines()],
    )
    return network, history.history


def validation_of(dataset, classes):
    """Validation images and targets for `fit`; None for a dataset that holds none out."""
    if len(dataset.validation.labels) == 0:
        return None
    return batches(dataset.validation.images, one_hot(dataset.validation, classes), 1000)


# %% tags=["recipe"]
def train_part1_mnist(dataset, seed):
    options = PART1_MNIST_EPOCHS, PART1_MNIST_LEARNING_RATE, PART1_MNIST_MEMORY
    return train_part1(dataset, 10, *options, seed)


def train_part1_lines(dataset, seed):
    options = PART1_LINES_EPOCHS, PART1_LINES_LEARNING_RATE, PART1_LINES_MEMORY
    return train_part1(dataset, lines.CLASSES, *options, seed)


def predict(network, images):
    """The predicted class of each image, (n,) int64."""
    return network.predict(batches(images, batch_size=1000), verbose=0).argmax(axis=-1)


# %% [markdown]
# ### One change at a time
#
# One base network, one change at a time, everything else equal: the same 8,000 training images, the
# same seed, the same number of steps. The base is small, so that it has something left to gain.
# What is compared is the error on *validation* images after the last epoch; for digits only images
# that are in neither test set take part. All of it is repeated with two further seeds by
# `study.py`; another seed also means other training images. Two things cannot be kept equal: depth
# and number of filters also change the size of the dense layer behind them, and each optimizer runs
# at one usual learning rate (Adam, AdamW, RMSprop 0.001; SGD 0.1; with momentum 0.02), not at its
# best.

# %% tags=["recipe"]
BASE = {
    "filter size": 3,
    "filters": (16, 32),  # one block of convolution and downsampling for each number
    "downsampling": "max pooling",
    "learning rate": "constant",
    "dropout": 0.0,
    "L2": 0.0,
    "optimizer": "Adam",
    "loss": "cross-entropy",
}
VARIATIONS = {
    "filter size": ("filter size", [3, 5, 7]),
    "number of filters": ("filters", [(8, 16), (16, 32), (32, 64)]),
    "depth": ("filters", [(32,), (16, 32), (16, 32, 64)]),
    "downsampling": ("downsampling", ["max pooling", "average pooling", "strided convolution"]),
    "learning-rate decay": ("learning rate", ["constant", "exponential", "cosine"]),
    "dropout": ("dropout", [0.0, 0.25, 0.5]),
    "L2": ("L2", [0.0, 1e-4, 1e-3]),
    "optimizer": ("optimizer", ["Adam", "SGD", "SGD with momentum", "RMSprop", "AdamW"]),
    "loss": ("loss", ["cross-entropy", "label smoothing", "focal", "squared error"]),
}
# %% tags=["recipe"]
if runtime.in_smoke():
    VARIATIONS = {factor: VARIATIONS[factor] for factor in ("filter size", "downsampling")}


# %% tags=["recipe"]
def varied_network(shape, classes, setting):
    decay = keras.regularizers.L2(setting["L2"]) if setting["L2"] else None
    strided = setting["downsampling"] == "strided convolution"
    network = keras.Sequential([keras.Input(shape), layers.Rescaling(1 / 255)])
    for filters in setting["filters"]:
        network.add(
            layers.Conv2D(
                filters,
                setting["filter size"],
                strides=2 if strided else 1,
                padding="same",
                kernel_regularizer=decay,
            )
        )
        network.add(layers.ReLU())
        network.add(layers.BatchNormalization(momentum=MOMENTUM))
        if not strided:
            average = setting["downsampling"] == "average pooling"
            network.add(layers.AveragePooling2D(2) if average else layers.MaxPooling2D(2))
    network.add(layers.Flatten())
    network.add(layers.Dropout(setting["dropout"]))
    network.add(layers.Dense(64, activation="relu", kernel_regularizer=decay))
    network.add(layers.Dropout(setting["dropout"]))
    network.add(layers.Dense(classes, activation="softmax"))
    return network


# %% tags=["recipe"]
def varied_optimizer(setting, steps):
    rate = {"SGD": 0.1, "SGD with momentum": 0.02}.get(setting["optimizer"], 1e-3)
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


def varied_loss(name):
    return {
        "cross-entropy": keras.losses.CategoricalCrossentropy(),
        "label smoothing": keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        "focal": keras.losses.CategoricalFocalCrossentropy(),
        "squared error": keras.losses.MeanSquaredError(),
    }[name]


# %% tags=["recipe"]
def train_variation(dataset, classes, setting, seed):
    """Train one variation on a slice of the training images; returns its validation error, 0..1."""
    keras.utils.set_random_seed(seed)
    chosen = np.random.default_rng(seed).permutation(len(dataset.train.labels))[:SWEEP_IMAGES]
    train = splits.Part(dataset.train.images[chosen], dataset.train.labels[chosen])
    network = varied_network(train.images.shape[1:], classes, setting)
    steps = SWEEP_EPOCHS * int(np.ceil(len(chosen) / BATCH_SIZE))
    network.compile(varied_optimizer(setting, steps), varied_loss(setting["loss"]))
    network.optimizer.build(network.trainable_variables)
    targets = one_hot(train, classes)
    served = batches(train.images, targets, BATCH_SIZE, seed)
    network.fit(served, shuffle=False, epochs=SWEEP_EPOCHS, verbose=0)
    predicted = predict(network, dataset.validation.images)
    return float(np.mean(predicted != dataset.validation.labels))


# %% tags=["recipe"]
def sweep(dataset, classes, seed):
    """Train the base and every variation; returns {setting as JSON: validation error}."""
    errors = {}
    for key, values in VARIATIONS.values():
        for value in values:
            setting = BASE | {key: value}
            name = json.dumps(setting, sort_keys=True)
            if name not in errors:  # the base belongs to every factor, but is trained once
                errors[name] = train_variation(dataset, classes, setting, seed)
    return errors


def sweep_mnist(dataset, seed):
    return sweep(dataset, 10, seed)


def sweep_lines(dataset, seed):
    return sweep(dataset, lines.CLASSES, seed)


# %% [markdown]
# ### The final network for digits
#
# A network that learns 37,800 digits by heart errs on new ones because it has seen too few shapes.
# So the final network gets new shapes: every image is rotated, scaled, sheared, shifted and bent a
# little, differently in each epoch. With this supply it can be deeper: six convolutions, all with
# batch normalization, the first with stride 2, which leaves the others a quarter of the pixels.
# Dropout comes before the classifier, AdamW adds a weight decay, and the learning rate rises for an
# epoch and then falls along a cosine.
#
# The recipe was settled with 10,000 images held out of the official training set, so the official
# test set took no part in any choice. The 60 : 40 split deals out the same images again: part of
# what its test set holds was looked at then. Where the two figures differ, trust the official one.


# %% tags=["recipe"]
def final_mnist_network():
    """Convolutions without padding or pooling: each one takes the border off its input."""
    pixels = keras.Input((28, 28, 1))
    x = layers.Rescaling(1 / 255)(pixels)
    for filters, size, stride in (
        (24, 4, 2),  # 13, 13, 24
        (48, 3, 1),  # 11, 11, 48
        (48, 3, 1),  # 9, 9, 48
        (48, 3, 1),  # 7, 7, 48
        (72, 3, 1),  # 5, 5, 72
        (96, 3, 1),  # 3, 3, 96
    ):
        x = layers.Conv2D(filters, size, strides=stride, use_bias=False)(x)
        x = layers.BatchNormalization(momentum=MOMENTUM)(x)
        x = layers.ReLU()(x)
    x = layers.Dropout(0.3)(layers.Flatten()(x))  # 864
    return keras.Model(pixels, layers.Dense(10, activation="softmax")(x))


# %% tags=["recipe"]
class Recipe(NamedTuple):
    """How a final network is trained; `changes` are layers that change its images at random."""

    classes: int
    changes: list
    epochs: int
    learning_rate: float
    weight_decay: float


def train_final(network, dataset, recipe, seed):
    """Train a network by a `Recipe`; returns the history.

    The learning rate rises for one epoch and then falls along a cosine to almost nothing.
    """
    classes, changes, epochs, learning_rate, weight_decay = recipe
    steps = int(np.ceil(len(dataset.train.labels) / BATCH_SIZE))
    rate = keras.optimizers.schedules.CosineDecay(
        learning_rate / 10,
        max(1, steps * (epochs - 1)),
        alpha=1e-3,
        warmup_target=learning_rate,
        warmup_steps=steps,
    )
    pixels = keras.Input(dataset.train.images.shape[1:])
    changed = pixels
    for change in changes:
        changed = change(changed)
    trainer = keras.Model(pixels, network(changed))  # shares its weights with the network
    trainer.compile(
        keras.optimizers.AdamW(rate, weight_decay=weight_decay),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    trainer.optimizer.build(trainer.trainable_variables)
    history = trainer.fit(
        batches(dataset.train.images, one_hot(dataset.train, classes), BATCH_SIZE, seed),
        shuffle=False,  # the batches are shuffled already
        validation_data=validation_of(dataset, classes),
        epochs=epochs,
        verbose=0,
        callbacks=[notebook.epoch_lines()],
    )
    return history.history


# %% tags=["recipe"]
def digit_changes(seed):
    return [RandomWarp(rotation=10, scale=0.1, shear=0.1, shift=2, bend=1.2, seed=seed)]


def train_final_mnist(dataset, seed):
    keras.utils.set_random_seed(seed)
    network = final_mnist_network()
    recipe = Recipe(10, digit_changes(seed), MNIST_EPOCHS, MNIST_LEARNING_RATE, weight_decay=1e-2)
    return network, train_final(network, dataset, recipe, seed)


# %%
shown = digits.train.images[:8]
warped = [np.asarray(digit_changes(seed)[0](shown, training=True)) for seed in (1, 2)]
figure = plots.image_grid(np.concatenate([shown, *warped]))
out.figure(figure, "mnist-warped")

# %% [markdown]
# **Figure 2.** Eight training digits (top row), and as two epochs may show them to the network.

# %% [markdown]
# ### The final network for lines
#
# Lines need no new shapes: the dataset already holds positions in plenty. What they lack is variety
# in *how* a line is drawn, since all come from one exact renderer. So of the training images a
# random half is hardened (each pixel on or off, at a random threshold), a random half blurred, a
# random half dimmed: generic changes that any program could have caused. The network is small,
# downsamples by strides, and decays its learning rate like the other.


# %% tags=["recipe"]
def final_lines_network():
    pixels = keras.Input((28, 28, 3))
    x = layers.Rescaling(1 / 255)(pixels)
    for filters, size, stride in ((24, 5, 2), (48, 3, 1), (48, 3, 2), (72, 3, 2)):
        x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=MOMENTUM)(x)
        x = layers.ReLU()(x)  # 14, 14, 24 → 14, 14, 48 → 7, 7, 48 → 4, 4, 72
    x = layers.Flatten()(x)  # 1152
    return keras.Model(pixels, layers.Dense(lines.CLASSES, activation="softmax")(x))


# %% tags=["recipe"]
def line_changes(seed):
    return [
        RandomAppearance(probability=0.5, threshold=(0.2, 0.7), blur=0.8, dimmest=0.4, seed=seed)
    ]


def train_final_lines(dataset, seed):
    keras.utils.set_random_seed(seed)
    network = final_lines_network()
    recipe = Recipe(
        lines.CLASSES, line_changes(seed), LINES_EPOCHS, LINES_LEARNING_RATE, weight_decay=1e-3
    )
    return network, train_final(network, dataset, recipe, seed)


# %%
shown = line_parts.train.images[first[:8]]
changed = [np.rint(line_changes(seed)[0](shown, training=True)).astype("uint8") for seed in (1, 2)]
figure = plots.image_grid(np.concatenate([shown, *changed]))
out.figure(figure, "lines-changed")
# %% [markdown]
# **Figure 3.** Eight training lines (top row), and as two epochs may show them to the network.

# %% [markdown]
# ### Training
#
# Now all of them are trained, each in a process that uses one core (`cnnlab.training.workers`):
# networks so small do not fully use a second one. The sections that follow look at what came out.
# These trainings are not given the test images.


# %%
def without_optimizer(train):
    """The same training; but the network comes without Adam's variables, twice its own size."""

    def trained(dataset, seed):
        network, history = train(dataset, seed)
        return uncompiled(network), history

    return trained


if runtime.in_smoke():  # nbgrader allows a cell 30 seconds
    VARIATIONS = {"downsampling": VARIATIONS["downsampling"]}
SETTINGS = {
    json.dumps(BASE | {key: value}, sort_keys=True): BASE | {key: value}
    for key, values in VARIATIONS.values()
    for value in values
}


def one_by_one(data, dataset, classes):
    """The trainings that `sweep` does one after the other."""
    return {
        f"{data}: {name}": (train_variation, dataset, classes, setting, SEED)
        for name, setting in SETTINGS.items()
    }


# %%
seen_digits, seen_lines = digits._replace(test=None), line_parts._replace(test=None)
del digits, line_parts  # with the test images, which need not be in memory meanwhile
small = [
    *one_by_one("MNIST", mnist_for_choices(), 10).items(),
    *one_by_one("lines", seen_lines, lines.CLASSES).items(),
]
large = [
    ("final network, lines", (without_optimizer(train_final_lines), seen_lines, SEED)),
    ("Part 1, MNIST", (without_optimizer(train_part1_mnist), seen_digits, SEED)),
    ("final network, MNIST", (without_optimizer(train_final_mnist), seen_digits, SEED)),
    ("Part 1, lines", (without_optimizer(train_part1_lines), seen_lines, SEED)),
]
# A process that has grown since its first job is replaced: so each meets a small network first.
# Small ones also stand between the large ones, which grow most, and at the end, so none waits long.
opening, between, closing = small[:2], small[2:20], small[20:]
jobs = dict(opening + large[:2] + between + large[2:] + closing)
with stopwatch.measure("all networks: training"):
    outcomes = side_by_side(jobs)
mnist_sweep, lines_sweep = (
    {name: outcomes[f"{data}: {name}"] for name in SETTINGS} for data in ("MNIST", "lines")
)
print(f"variations: {len(mnist_sweep)} networks trained on digits, {len(lines_sweep)} on lines")

# %% [markdown]
# ## 3 · Part 1: how far does the given network get?

# %%
del seen_digits, seen_lines, small, large, jobs
digits, line_parts = mnist_split(), line_dataset()
part1_mnist, part1_mnist_history = outcomes["Part 1, MNIST"]
part1_lines, part1_lines_history = outcomes["Part 1, lines"]
part1_mnist.summary()

# %%
figure = plots.learning_curves(
    {"MNIST": part1_mnist_history, "lines": part1_lines_history}, "Part 1: the given network"
)
out.figure(figure, "part1-learning-curves")

# %% [markdown]
# **Figure 4.** Learning curves of the given network, training (dashed) and validation (solid), on
# log scales; an error of 0 leaves a gap. On both datasets the training error falls for four epochs
# and rises in the fifth, on lines from 0.1 to 1.5 %: the steps of a constant learning rate throw
# the weights about.

# %%
averaging = [
    {
        "dataset": name,
        "validation images": f"{len(dataset.validation.labels):,}",
        "error, last step's weights": percent(1 - history["val_accuracy"][-1]),
        "error, averaged weights": percent(
            np.mean(predict(network, dataset.validation.images) != dataset.validation.labels)
        ),
    }
    for name, network, dataset, history in (
        ("MNIST", part1_mnist, digits, part1_mnist_history),
        ("lines", part1_lines, line_parts, part1_lines_history),
    )
]
results["averaging"] = averaging
table(averaging)


# %%
def evaluate(network, part, classes):
    """Test a network: its predictions, and all figures of merit with their interval."""
    predicted = predict(network, part.images)
    report = metrics.class_report(part.labels, predicted, classes)
    correct, n = int((predicted == part.labels).sum()), len(predicted)
    low, high = metrics.wilson_interval(correct, n)
    return predicted, report | {"n": n, "errors": n - correct, "interval_95": [low, high]}


# %%
def scores_row(name, report):
    return {
        "network": name,
        "test images": f"{report['n']:,}",
        "errors": report["errors"],
        "accuracy": percent(report["accuracy"], 3),
        "95 % interval": percent_range(*report["interval_95"], 3),
        "macro precision": percent(report["macro"]["precision"], 3),
        "macro recall": percent(report["macro"]["recall"], 3),
        "macro F-score": percent(report["macro"]["f_score"], 3),
    }


# %%
with stopwatch.measure("Part 1: testing"):
    predictions, reports = {}, {}
    predictions["Part 1, MNIST"], reports["Part 1, MNIST"] = evaluate(part1_mnist, digits.test, 10)
    predictions["Part 1, lines"], reports["Part 1, lines"] = evaluate(
        part1_lines, line_parts.test, lines.CLASSES
    )
table([scores_row(name, report) for name, report in reports.items()])

# %%
figure = plots.class_scores({"Part 1, MNIST": reports["Part 1, MNIST"]}, names=range(10))
out.figure(figure, "part1-mnist-scores")
# %% [markdown]
# **Figure 5.** Precision, recall and F-score of each digit. Recall is lowest for the fives,
# precision for the eights; the vertical scale starts just below the worst figure.

# %%
matrix = metrics.confusion(digits.test.labels, predictions["Part 1, MNIST"], 10)
out.figure(plots.confusion(matrix, range(10)).figure, "part1-mnist-confusion")
# %% [markdown]
# **Figure 6.** Confusion matrix of the given network on 28,000 unseen digits. Colors are on a log
# scale, empty cells white. The most frequent confusions are 5 predicted as 6, 7 as 2, 9 as 8, and 6
# as 0.

# %%
figure = plots.class_scores({"Part 1, lines": reports["Part 1, lines"]}, names=None)
out.figure(figure, "part1-lines-scores")
# %% [markdown]
# **Figure 7.** The same for the 96 classes of lines, numbered as in the dataset. The recall of all
# long classes (48 to 95) is close to perfect; what is lost is lost on short lines. Some of these
# are predicted to be long, which costs a few long classes up to 1.2 points of precision.

# %%
groups = [f"{a} {b}" for a in ("short", "long") for b in ("thin", "thick")]
matrix = metrics.confusion(line_parts.test.labels, predictions["Part 1, lines"], lines.CLASSES)
out.figure(plots.confusion(matrix, groups, group=24).figure, "part1-lines-confusion")

# %% [markdown]
# **Figure 8.** Confusion matrix of the given network on 38,400 unseen lines; rings mark confusions.
# In two of three errors the prediction is the neighboring angle of the same length, width and
# color, mostly next to the diagonal; most of the others are wrong in length alone.


# %%
def hardest(network, part, predicted, names, most=16):
    """Draw the errors with the highest confidence, with what was predicted and what is true."""
    wrong = np.flatnonzero(predicted != part.labels)
    if len(wrong) == 0:
        print(f"no errors among {len(predicted):,} test images")
        return None
    highest = network.predict(part.images[wrong], verbose=0).max(axis=-1)
    shown = wrong[np.argsort(-highest, kind="stable")][:most]
    confidence = dict(zip(wrong, highest, strict=True))
    titles = [
        f"predicted {names(predicted[i])}\nconfidence {100 * confidence[i]:.1f} %\n"
        f"true {names(part.labels[i])}"
        for i in shown
    ]
    return plots.image_grid(part.images[shown], titles, columns=4, tile=2.0)


# %%
figure = hardest(part1_mnist, digits.test, predictions["Part 1, MNIST"], str)
out.figure(figure, "part1-mnist-mistakes")
# %% [markdown]
# **Figure 9.** The sixteen wrong predictions on digits in which the given network had the highest
# confidence. Some are slips of the pen that most people would misread as well (the first is labeled
# 5 and looks like a 3); others can be read at a glance.

# %%
figure = hardest(part1_lines, line_parts.test, predictions["Part 1, lines"], lines.class_name)
if figure:
    out.figure(figure, "part1-lines-mistakes")

# %% [markdown]
# **Figure 10.** The sixteen wrong predictions on lines in which the given network had the highest
# confidence. All sixteen lines are short. Half of the predictions are one step of 15° off; six of
# these lines lie at the border, where the filters without padding see them through fewer windows.
# The other half says that they are long.
#
# **What Part 1 teaches.** (1) One convolution and a large dense layer already read all but about
# one digit in a hundred. Nearly all of the four million weights are in the dense layer; they
# suffice to learn the training images by heart, since the training error falls below the validation
# error on digits and stays there. (2) Averaging the weights over the last few hundred steps removes
# two fifths of the validation error on digits and three quarters on lines, at no cost: the table
# under Figure 4 shows the same network before and after. So a good part of the last step's error is
# not in the network but in where the last step happened to land. (3) On lines the network fails
# where the evidence is smallest: a short line at two neighboring angles differs in a handful of
# half-covered pixels.

# %% [markdown]
# ## 4 · Part 2: which choices matter?


# %%
def sweep_rows(sweeps):
    """Arrange sweeps of several seeds by factor: one row for each value of it."""
    return [
        {
            "factor": factor,
            "variant": " + ".join(map(str, value)) if isinstance(value, tuple) else str(value),
            "base": BASE[key] == value,
            "base values": [errors[json.dumps(BASE, sort_keys=True)] for errors in sweeps],
            "values": [
                errors[json.dumps(BASE | {key: value}, sort_keys=True)] for errors in sweeps
            ],
        }
        for factor, (key, values) in VARIATIONS.items()
        for value in values
    ]


# %%
study_path = runtime.repository_root() / "Task-1" / "study.json"
use_study = study_path.exists() and not runtime.in_smoke()  # a slice of data is not another seed
study = json.loads(study_path.read_text()) if use_study else {"runs": {}}


def study_runs(name):
    """The results of all seeds of one experiment of study.py, in the order of the seeds."""
    by_seed = {
        int(key.rpartition("/")[2]): run
        for key, run in study["runs"].items()
        if key.startswith(name + "/")
    }
    return [by_seed[seed] for seed in sorted(by_seed)]


def sweep_summary(name, live):
    """Rows of this notebook's sweep together with those of the study's other seeds."""
    return sweep_rows([live, *(run["validation_errors"] for run in study_runs(name))])


# %%
def difference(row):
    """Mean difference to the base of the same seed, in percent points, and its 95 % interval."""
    differences = 100 * np.subtract(row["values"], row["base values"])
    if row["base"] or len(differences) < 2:
        return "–" if row["base"] else f"{differences[0]:+.2f}"
    mean, low, high = metrics.mean_interval(differences)
    return f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"


def sweep_table(rows):
    return table(
        [
            {
                "factor": row["factor"],
                "variant": ("**" + row["variant"] + "** (base)") if row["base"] else row["variant"],
                "validation error": percent(np.mean(row["values"])),
                "difference to the base": difference(row),
                "seeds": len(row["values"]),
            }
            for row in rows
        ]
    )


# %%
mnist_rows = sweep_summary("sweep-mnist", mnist_sweep)
lines_rows = sweep_summary("sweep-lines", lines_sweep)
results["sweep"] = {
    "mnist": mnist_rows,
    "lines": lines_rows,
    "images": SWEEP_IMAGES,
    "epochs": SWEEP_EPOCHS,
}
sweep_table(mnist_rows)

# %%
out.figure(plots.factor_effects(mnist_rows, "MNIST: one change at a time"), "sweep-mnist")
# %% [markdown]
# **Figure 11.** What each change does to the validation error on digits (log scale; left is
# better). Large dot: mean of three seeds; small dots: each seed; gray band: the range of the base.
# Blue: the base's own setting, which the vertical line continues. The table has the interval of the
# difference (Student's t over three seeds, so it is wide).
#
# **Reading.** Two changes differ from the base by more than the interval of their difference:
# exponential decay and, only just, focal loss hurt. Strides in place of pooling and dropout of one
# half just miss it, and hurt with every seed. Average pooling is the best of all in the mean, and
# better than max pooling with each seed, without leaving the interval either. Nothing else can be
# told from the base: its own error goes from 2.7 to 3.6 % with the seed, which is more than most
# changes do. The seed that this notebook trains shows how one is misled: by it alone RMSprop helps
# by 1.1 points; with the two others it is as good as Adam, and 1.2 points worse. What hurts has a
# common cause, we think: 252 steps are few, and whatever slows learning (small late steps, dropped
# units) shows as a worse result. A conclusion about regularization would need longer runs.

# %%
sweep_table(lines_rows)

# %%
out.figure(plots.factor_effects(lines_rows, "Lines: one change at a time"), "sweep-lines")

# %% [markdown]
# **Figure 12.** The same experiments on lines.
#
# **Reading.** With 83 training images for each of 96 classes, and four epochs, the base has only
# begun to learn: it misreads 35 to 49 % of the lines, depending on the seed. So this figure
# compares how *fast* variations learn, not how good they become. 7×7 filters and a third block
# halve the error, beyond the interval, because an angle is a matter of many pixels in a row and
# both widen what one unit sees. Dropout of one half costs 50 points, exponential decay 35, and
# average pooling, plain SGD, strides in place of pooling and squared error 25 to 32, cosine decay
# 19: what pays late costs much when training is cut short. Nothing else leaves its interval:
# neither 5×5 filters and moderate dropout, which move the mean by 10 and 23 points, nor SGD with
# momentum, whose seeds lie between 40 and 96 %.
#
# Digits and lines agree on what slows learning: strides, decay and dropout. The effects are larger
# on lines, where the choice of architecture matters more than on MNIST, on which everything works.
# They disagree on average pooling: the best on digits, and ruinous on lines, whose edges it blurs;
# that is our explanation, which we did not test. Of the 42 intervals of both figures, at 95 % each,
# about two miss the truth by chance.

# %% [markdown]
# ## 5 · The final networks

# %%
final_mnist, final_mnist_history = outcomes["final network, MNIST"]
final_lines, final_lines_history = outcomes["final network, lines"]
final_mnist.summary()

# %%
final_lines.summary()

# %%
figure = plots.learning_curves(
    {"MNIST": final_mnist_history, "lines": final_lines_history}, "The final networks"
)
out.figure(figure, "final-learning-curves")
# %% [markdown]
# **Figure 13.** Learning curves of the final networks. Training images are changed at random and
# validation images are not, so here the validation error ends *below* the training error. On lines
# it is 0 from the fifth epoch on, which a log scale cannot show: the curve ends at the fourth.
#
# ### Tested, once

# %%
with stopwatch.measure("final networks: testing"):
    predictions["final, MNIST"], reports["final, MNIST"] = evaluate(final_mnist, digits.test, 10)
    predictions["final, lines"], reports["final, lines"] = evaluate(
        final_lines, line_parts.test, lines.CLASSES
    )
table([scores_row(name, report) for name, report in reports.items()])


# %%
def compare(part, before, after):
    """Errors of two networks on the same images, and McNemar's exact p-value."""
    right = predictions[before] == part.labels, predictions[after] == part.labels
    return {
        "networks": f"{before} → {after}",
        "only the first is wrong": int(np.sum(~right[0] & right[1])),
        "only the second is wrong": int(np.sum(right[0] & ~right[1])),
        "McNemar p": float(f"{metrics.mcnemar(*right):.2g}"),
    }


# %%
comparisons = [
    compare(digits.test, "Part 1, MNIST", "final, MNIST"),
    compare(line_parts.test, "Part 1, lines", "final, lines"),
]
results["mcnemar"] = comparisons
table(comparisons)

# %%
tested = {"MNIST": digits.test.labels, "lines": line_parts.test.labels}
mistaken = {}
for name, predicted in predictions.items():
    true = tested[name.rpartition(" ")[2]]
    wrong = np.flatnonzero(predicted != true)
    mistaken[name] = Counter(zip(true[wrong].tolist(), predicted[wrong].tolist(), strict=True))
most = [
    {
        "network": name,
        "true": lines.class_name(pair[0]) if "lines" in name else pair[0],
        "predicted": lines.class_name(pair[1]) if "lines" in name else pair[1],
        "images": count,
    }
    for name, confusions in mistaken.items()
    for pair, count in confusions.most_common(3)
]
table(most)

# %%
figure = plots.class_scores(
    {"final, MNIST": reports["final, MNIST"], "final, lines": reports["final, lines"]}, names=None
)
out.figure(figure, "final-scores")
# %% [markdown]
# **Figure 14.** Precision, recall and F-score of each class of both final networks. On lines every
# figure is 100 % but for three classes (0, 24 and 48: red horizontal lines), which the two errors
# concern; none is below 99.7 %.

# %%
matrix = metrics.confusion(digits.test.labels, predictions["final, MNIST"], 10)
out.figure(plots.confusion(matrix, range(10)).figure, "final-mnist-confusion")
# %% [markdown]
# **Figure 15.** Confusion matrix of the final network on 28,000 unseen digits. The most frequent
# confusions left are 4 predicted as 9, 5 as 3 and 6, and 1 as 7: pairs that differ in one stroke.

# %%
matrix = metrics.confusion(line_parts.test.labels, predictions["final, lines"], lines.CLASSES)
out.figure(plots.confusion(matrix, groups, group=24).figure, "final-lines-confusion")
# %% [markdown]
# **Figure 16.** Confusion matrix of the final network on 38,400 unseen lines. Two images lie off
# the diagonal, one in each ring.

# %%
figure = hardest(final_mnist, digits.test, predictions["final, MNIST"], str)
if figure:
    out.figure(figure, "final-mnist-mistakes")

# %% [markdown]
# **Figure 17.** The wrong predictions in which the final network had the highest confidence.
# Several images carry a label that a second reader would dispute (the 5 in the first picture is
# written like a 3), which sets a limit that no network should pass.

# %%
figure = hardest(final_lines, line_parts.test, predictions["final, lines"], lines.class_name)
if figure:
    out.figure(figure, "final-lines-mistakes")

# %% [markdown]
# **Figure 18.** The two lines that the final network misread. Both are thin, red and horizontal and
# lie along the upper edge of the image. One prediction is wrong in length, the other in width;
# their confidences are 74 % and 49 %.
#
# Two errors among 38,400 put its true error rate between 0.001 and 0.019 %, with 95 % confidence.

# %% [markdown]
# ### Lines drawn by other programs
#
# Does the network know lines, or only our renderer? Four ways in which other programs draw the same
# lines, none used in training: OpenCV's `cv2.line`, plain and anti-aliased, Pillow's
# `ImageDraw.line`, and a bar that Pillow rotates without interpolation. Programs disagree on
# what a width is: OpenCV's thickness 3 covers five pixels and its ends are round. So each is called
# in two ways: *matched*, so that what it draws has our length and width, and with the *same
# numbers*, whatever comes out. The strength of the changes above was chosen on two further ways of
# drawing, marked in the table, so that these four stayed out of every choice.
#
# Not every drawing is still of its class: pixels are coarse for a line of seven. As a yardstick,
# the column *angle intact* measures the angle of each drawing by its second moments, and counts
# the drawings that are nearer to their own class's angle than to any other's.


# %%
def unseen_lines(every):
    """Every so many of the test lines."""
    drawn = line_pool()
    chosen = splits.held_out(lines.encode(drawn.labels)).test[::every]
    return lines.Lines(*(column[chosen] for column in drawn))


unseen = unseen_lines(every=1 if runtime.in_smoke() else 4)
true_classes = lines.encode(unseen.labels)
true_angles = np.array(lines.ANGLES)[unseen.labels[:, 2]]
drawings = {
    (program, call): other_programs.draw(
        program, unseen.labels, unseen.centers, matched=call == "matched"
    )
    for program in (*other_programs.TEST, *other_programs.DEVELOPMENT)
    for call in ("matched", "same numbers")
}


# %%
def angle_intact(images):
    """Share of drawings whose measured angle is within half a step of the class's."""
    off = np.abs(other_programs.measured_angle(images) - true_angles) % 180
    return float(np.mean(np.minimum(off, 180 - off) < 7.5))


other_rows, results["other_programs"] = [], {}
for (program, call), images in drawings.items():
    intact = angle_intact(images)
    row = {
        "program": program,
        "used for choices": "yes" if program in other_programs.DEVELOPMENT else "no",
        "called": call,
        "images": f"{len(images):,}",
        "angle intact": percent(intact),
    }
    if call == "matched" or not np.array_equal(images, drawings[program, "matched"]):
        right = {
            name: int(np.sum(predict(network, images) == true_classes))
            for name, network in (("Part 1", part1_lines), ("final", final_lines))
        }  # else the two calls of a program draw the same, and both rows have the same results
    for name, correct in right.items():
        low, high = metrics.wilson_interval(correct, len(images))
        row[name] = f"{percent(correct / len(images))} ({percent_range(low, high, 1)})"
        results["other_programs"][f"{program} / {call} / {name}"] = {
            "accuracy": correct / len(images),
            "n": len(images),
            "interval_95": [low, high],
            "angle intact": intact,
        }
    other_rows.append(row)
table(other_rows)

# %%
wanted = lines.encode([(0, 0, 1, 0), (0, 1, 1, 1), (1, 0, 3, 0), (1, 1, 8, 1)])
picked = np.array([np.flatnonzero(true_classes == each)[0] for each in wanted])
shown = {"ours": unseen.images} | {p: drawings[p, "matched"] for p in other_programs.TEST}
pictures = np.concatenate([images[picked] for images in shown.values()])
titles = [name for name in shown for _ in picked]
figure = plots.image_grid(pictures, titles, columns=4, tile=1.8)
out.figure(figure, "other-programs")

# %% [markdown]
# **Figure 19.** The same four lines as five programs draw them. Pillow draws the short thick line
# at 15° as a horizontal bar with a hook at each end; the others differ in how they treat partly
# covered pixels.
#
# **Reading.** The given network has learned our renderer: on the same lines drawn without
# half-covered pixels it misreads a third to two fifths of them. The final network reads more than
# 99.8 % of anti-aliased OpenCV lines and of rotated bars, neither of which it has seen. On plain
# OpenCV and Pillow lines it comes within one point of the share of drawings whose own angle is
# still that of their class; most of what is missing there is missing in the picture. Called with
# the *same numbers*, OpenCV draws a thick line five pixels wide and three longer, which is a line
# of neither class, and an eighth to a seventh of the predictions are wrong. So generic changes of
# training images teach a network to look past how a line is drawn, as far as the drawing still
# shows the line.

# %% [markdown]
# ### 99 % in five seconds
#
# The final digit network takes minutes. What do the first 99 % cost? Less than one may think: a
# network a fifth as large, and 90,000 images, so that half of the digits are seen twice. Three
# things make it quick. The outermost two pixels on each side are cut off. The first convolution,
# which has the most pixels, has stride 2 and no batch normalization. And all steps run in one
# compiled loop: plain stochastic gradient descent with Nesterov momentum, with label smoothing and
# a learning rate that rises to 0.4 and falls again.
#
# The recipe was chosen with 10,000 images held out of the official training set, but the test
# images were looked at once too often: a first recipe, with 72,000 images and without label
# smoothing, had come to 98.99 % there in the mean of ten seeds.


# %% tags=["recipe"]
def quick_network():
    pixels = keras.Input((28, 28, 1))
    x = layers.Cropping2D(2)(layers.Rescaling(1 / 255)(pixels))  # 24, 24, 1
    x = layers.ReLU()(layers.Conv2D(24, 4, strides=2)(x))  # 11, 11, 24
    for filters, stride in ((32, 2), (64, 1)):
        x = layers.Conv2D(filters, 3, strides=stride, use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)  # 5, 5, 32 → 3, 3, 64
    return keras.Model(pixels, layers.Dense(10)(layers.Flatten()(x)))


def train_quick_mnist(dataset, seed):
    """Train the quick network; returns it and the number of steps."""
    keras.utils.set_random_seed(seed)
    network = quick_network()
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05)
    targets = one_hot(dataset.train, 10)
    schedule = Schedule(QUICK_EXAMPLES, batch_size=128, learning_rate=0.4, seed=seed)
    steps = train_in_one_loop(network, dataset.train.images, targets, loss, schedule)
    return network, steps


# %%
digits_official = mnist_official()
inner = digits_official.train.images[:, 2:-2, 2:-2]
ink = digits_official.train.images.sum(axis=(1, 2, 3), dtype=np.int64)
cut = 1 - inner.sum(axis=(1, 2, 3), dtype=np.int64) / ink
print(f"ink in the outermost two pixels: {percent(cut.mean(), 3)} of a training digit's on average")
with stopwatch.measure("quick network: training"):
    quick, quick_steps = train_quick_mnist(digits_official, SEED)
_, quick_report = evaluate(quick, digits_official.test, 10)
results["quick"] = quick_report | {"parameters": quick.count_params(), "steps": quick_steps}
row = scores_row("quick, MNIST 60,000 : 10,000", quick_report)
table([row | {"parameters": f"{quick.count_params():,}", "steps": quick_steps}])

# %% [markdown]
# How long the training took, compilation included, is in `times.json`; the next section has ten
# seeds and their times.

# %% [markdown]
# ## 6 · How reliable are these figures?
#
# One network trained once proves little. `study.py` repeats the recipes above with several seeds,
# for digits on the official split. Those runs train on all 60,000 images and are tested once, after
# the last epoch. The times are of one core of an Intel Xeon, while another network trains on a
# second, and at times the machine did more; the quick network had two for itself. The interval of
# the mean (Student's t over the seeds) says how far other seeds may lead; the interval of the
# errors (Wilson, at their median) is for the error of one such network on all images of this kind,
# of which the test set is a sample.


# %%
def seeds_summary(experiment):
    """What all seeds of an experiment say together, from study.json."""
    runs = study_runs(experiment)
    errors, n = [run["errors"] for run in runs], runs[0]["n"]
    mean, low, high = metrics.mean_interval([run["accuracy"] for run in runs])
    middle = float(np.median(errors))
    return {
        "seeds": len(runs),
        "n": n,
        "errors": errors,
        "median errors": middle,
        "mean accuracy": mean,
        "interval of the mean": [low, min(high, 1.0)],
        "interval of the errors": [1 - x for x in metrics.wilson_interval(n - middle, n)][::-1],
        "parameters": runs[0]["parameters"],
        "longest seconds": max(run["seconds"] for run in runs),
    }


def seeds_row(name, summary):
    return {
        "experiment": name,
        "parameters": f"{summary['parameters']:,}",
        "test images": f"{summary['n']:,}",
        "mean accuracy": percent(summary["mean accuracy"], 3),
        "95 % interval of the mean": percent_range(*summary["interval of the mean"], 3),
        "errors by seed": ", ".join(map(str, summary["errors"])),
        "95 % interval of the errors": percent_range(*summary["interval of the errors"], 3),
        "training, s (longest)": f"{summary['longest seconds']:.0f}",
    }


# %%
EXPERIMENTS = {
    "part1-mnist-official": "Part 1, MNIST 60,000 : 10,000",
    "final-mnist-official": "final, MNIST 60,000 : 10,000",
    "quick-mnist-official": "quick, MNIST 60,000 : 10,000",
    "part1-lines": "Part 1, lines 60 : 40",
    "final-lines": "final, lines 60 : 40",
}
results["study"] = {key: seeds_summary(key) for key in EXPERIMENTS if len(study_runs(key)) > 1}
seed_rows = [seeds_row(EXPERIMENTS[key], row) for key, row in results["study"].items()]
table(seed_rows) if seed_rows else print("no study.json in this run")

# %% [markdown]
# **Reading.** On the official MNIST test set the given network is right 99.2 % of the time and ours
# about 99.67 %, with a twenty-fifth of the weights; the seeds of ours err on 28 to 37 of 10,000
# digits. On the 60 : 40 split both figures are lower, as is to be expected with two thirds of the
# training images. The final line network makes no error with three seeds of five, and one or two
# with the others. Seeds differ less than samples of images do: the second interval is the wider
# one, and the one to quote when a single network is to be used on new images.

# %% [markdown]
# ## 7 · What was learned
#
# * **A test is only worth as much as its images are new.** With lines at whole pixels three
#   quarters of the test set were seen in training; a table look-up then scores 74 %.
# * **Steps, not layers, limited the given network.** Averaging its weights over the last steps
#   removed two fifths of its validation errors on digits and three quarters on lines; no layer was
#   changed.
# * **What helps depends on how long one trains.** Decay and dropout lose in the short runs of
#   Part 2; the final networks train longer and decay their learning rate, the digit network also
#   uses dropout. Variations should be compared at the length at which they will be used.
# * **The supply of training images matters most.** The final digit network has a twenty-fifth of
#   the given network's weights and less than half its errors; the difference is new shapes in
#   every epoch, and depth to use them.
# * **The first 99 % are cheap.** A network with 32,000 weights, trained for seconds, is right as
#   often as the given one with four million; the last half percent takes minutes and new shapes.
# * **Almost perfect on its own images is not perfect.** The given line network is right on 99.7 %
#   of unseen lines of our renderer, and on three fifths of the same lines drawn by OpenCV's plain
#   `cv2.line`.
#
# What this notebook does not settle: the sweeps above have short runs and three seeds, and the
# recipes of the final networks were found by hand, not by a search.

# %%
for name, network in {
    "part1-mnist": part1_mnist,
    "part1-lines": part1_lines,
    "final-mnist": final_mnist,
    "final-lines": final_lines,
}.items():
    out.model(network, name)

# %% [markdown]
# Two runs on one machine give the same results, but not the same times; these are kept apart, in
# `times.json`.

# %%
stopwatch.seconds["everything above"] = round(time.perf_counter() - begin, 1)
out.json(stopwatch.seconds, "times.json")
results["reports"] = reports
results["histories"] = {
    "Part 1, MNIST": part1_mnist_history,
    "Part 1, lines": part1_lines_history,
    "final, MNIST": final_mnist_history,
    "final, lines": final_lines_history,
}
results["confusions"] = {  # [true class, predicted class, images], where they differ
    name: [[*pair, count] for pair, count in sorted(confusions.items())]
    for name, confusions in mistaken.items()
}
results["headline"] = [
    {
        "what": EXPERIMENTS[key],
        "value": percent(row["mean accuracy"], 3),
        "conditions": f"mean of {row['seeds']} seeds; errors {', '.join(map(str, row['errors']))} "
        f"in {row['n']:,} unseen images; at most {row['longest seconds']:.0f} s of training",
    }
    for key, row in results["study"].items()
] + [
    {
        "what": f"{name} 60 : 40, this run",
        "value": percent(report["accuracy"], 3),
        "conditions": f"seed {SEED}; {report['errors']} errors in {report['n']:,} unseen images",
    }
    for name, report in reports.items()
]
out.json(results)
table(results["headline"])
