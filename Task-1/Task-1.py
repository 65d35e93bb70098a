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
# **Question.** A convolutional network is given, and a better one is to be found, for handwritten
# digits and for straight lines in 96 classes. What makes the difference, and what is a test
# accuracy worth?

# %% [markdown]
# **Answer.** A learning rate that falls, and more depth, remove most errors on digits and nearly
# all on lines. But a test set that looks like the training images does not see what a network
# relies on: one gray level under the lines, and a network that hardly erred misreads many of them.
# Training images that differ in what does not matter cure it, at a small price.

# %%
import sys
import time
from pathlib import Path

begin = time.perf_counter()
parents = (Path.cwd(), *Path.cwd().parents)
root = next((path for path in parents if (path / "cnnlab" / "runtime.py").is_file()), None)
sys.path.insert(0, str(root or sys.exit("Task-1.ipynb must run in its repository.")))

from cnnlab import runtime

runtime.start(seed=0)

# %% tags=["recipe"]
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

from cnnlab import corruptions, datasets, lines, metrics, notebook, plots, runtime
from cnnlab.experiments import ladder, leaks, stored, variations, varied
from cnnlab.lines import other_programs, variants
from cnnlab.notebook import percent, percent_range, table
from cnnlab.training import appearance
from cnnlab.training.augment import RandomWarp
from cnnlab.training.classifier import evaluate, served
from cnnlab.training.workers import side_by_side

# %% tags=["parameters", "recipe"]
SEED = 0
GIVEN_EPOCHS = 5
DIGIT_EPOCHS, LONG_DIGIT_EPOCHS = 6, 48  # of the final network: here, in study.py
LINE_EPOCHS = 9
SNAPPED, COMPRESSED = 0.7, 0.45  # shares of the final network's training lines that are redrawn

if runtime.in_smoke():
    GIVEN_EPOCHS = DIGIT_EPOCHS = LONG_DIGIT_EPOCHS = LINE_EPOCHS = 1

# %%
out, claims, stopwatch = notebook.outputs("Task-1"), notebook.Claims(), notebook.Stopwatch()
results = {"seed": SEED, "versions": runtime.versions(), "machine": runtime.machine()}
climb = {data: ladder.stored_errors(data) for data in ladder.RUNGS}
tested = {data: stored.runs("Task-1", f"ladder/{data}/as given")[0]["n"] for data in climb}
results["ladder"] = {
    data: [(test, list(rungs.items())) for test, rungs in tests.items()]  # in order
    for data, tests in climb.items()
}
results["tests of the ladder"] = tested
out.chart(plots.ladder(climb, tested), "ladder")
black, gray = (rungs["depth"] for rungs in climb["lines"].values())
claims("the deep network without the last changes misreads hardly a line", max(black) < 5)
claims("on one gray level it misreads many", min(gray) > tested["lines"] / 10)

# %% [markdown]
# **Figure 1.** From the given network (top) to ours, one more change on each line: errors on test
# images, and on the same ones with a gray ground instead of a black one (32 of 255 levels for
# digits, a single one for lines). *Averaged weights* are the mean over the last steps; the falling
# learning rate takes their place, for it does the same. Small dots are five seeds, large marks
# their means. All train for the same few epochs. From `study.json`, which `study.py` computed with
# the recipes of this notebook.

# %% [markdown]
# | section | question |
# |---|---|
# | 1 | What is a test accuracy worth? |
# | 2 | How far does the given network get? |
# | 3 | Which of nine design choices matter? |
# | 4 | How good is a network that is built with the answers in mind? |
# | 5 | What do the networks withstand? |
# | 6 | How sure are we? |

# %% [markdown]
# ## 1 · What is a test accuracy worth?
#
# *Digits* are MNIST's 70,000 gray images. The assignment splits them 60 : 40, each class alike; the
# validation images come out of the 60. *Lines* are drawn by `cnnlab.lines`: short or long, thin or
# thick, at twelve angles, red or blue. Each pixel holds the area that the line covers. Inside a
# class only the center varies, also between pixels.

# %%
digits, line_parts = datasets.digits(), datasets.line_classes()
table(
    [
        {"dataset": name} | {part: f"{len(getattr(data, part).labels):,}" for part in data._fields}
        for name, data in {"digits": digits, "lines": line_parts}.items()
    ]
)

# %%
corners = [(length, width) for length in (0, 1) for width in (0, 1)]
shown = lines.encode(
    [(*corner, angle, color) for corner in corners for angle, color in ((1, 0), (8, 1))]
)
first = [np.flatnonzero(line_parts.train.labels == each)[0] for each in shown]
titles = ["{} {}\n{} {}".format(*lines.class_name(each).split()) for each in shown]
out.figure(plots.image_grid(line_parts.train.images[first], titles), "lines-examples")

# %% [markdown]
# **Figure 2.** Eight of the 96 classes. Pixels along the edges are covered in part; they carry the
# position between pixels.
#
# The best-known versions of this dataset place lines at whole pixels. Then a class has at most a
# few hundred different images, and a thousand of them must repeat. How much does that give away? A
# *dictionary* has learned nothing about lines. It knows the training images by heart, and guesses
# where it does not find one.


# %%
def dictionary_accuracy(dataset):
    """Accuracy of looking an image up among the training images, else guessing 1 class of 96."""
    train, _, test = dataset
    known = dict(zip((i.tobytes() for i in train.images), train.labels, strict=True))
    found = [known.get(image.tobytes()) for image in test.images]
    right = [
        1 / lines.CLASSES if label is None else label == true
        for label, true in zip(found, test.labels, strict=True)
    ]
    return float(np.mean(right))


# %%
def known(dataset):
    """How much of the test part is known from the training part."""
    return {
        "test images seen in training": leaks.seen_share(dataset),
        "dictionary": dictionary_accuracy(dataset),
        "nearest neighbor": leaks.neighbor_accuracy(dataset),
    }


per_class = 30 if runtime.in_smoke() else 1000
results["leak"] = {
    "whole pixels": known(leaks.whole_pixel_lines(per_class, SEED)),
    "ours": known(line_parts),
}
whole, ours = (row["dictionary"] for row in results["leak"].values())
claims("at whole pixels the dictionary is right for most test images", whole > 0.7)
claims("of our test images it knows none", ours < 0.02)
table(
    [{"centers": k} | {n: percent(v, 1) for n, v in r.items()} for k, r in results["leak"].items()]
)

# %% [markdown]
# **Reading.** At whole pixels a network's accuracy says as much about memory as about lines. With
# ours the dictionary can only guess. New does not mean far away, though: the nearest neighbor, the
# most similar training image, is right for about nine in ten of either. A network has to beat that.
#
# The study trained networks on lines at whole pixels, and tested them on lines that they had seen,
# that they had not, and on ours between pixels.

# %%
results["leak, trained"] = {
    name: {
        test: [
            1 - run["tests"][test]["errors"] / run["tests"][test]["n"]
            for run in stored.runs("Task-1", f"leak/{name}")
        ]
        for test in ("seen in training", "not seen", "between pixels")
    }
    for name in ("Part 1", "final")
}
table(
    [
        {"network, accuracy": name.replace("Part 1", "given")}
        | {test: percent(np.mean(v)) for test, v in row.items()}
        for name, row in results["leak, trained"].items()
    ]
)

# %% [markdown]
# **Reading.** Their own test looks solved. It never asks for a line that begins between two pixels,
# and there both networks misread {{leak final}} to {{leak given}} of the lines.
#
# How exactly are our lines drawn, and how new is a new one? The study measured length, width and
# angle of all 96,000 lines from their pixels: they are off by at most {{largest length}} pixels and
# {{largest angle}} degrees. And it compared each test line with all training lines of its class: in
# the median, the pixel most apart differs from the nearest one by {{nearest}} of 255 levels.

# %% [markdown]
# ## 2 · How far does the given network get?
#
# The assignment names the layers, Adam, and categorical cross-entropy. All else is Keras's default.
# The first layer scales the pixels, so that the saved model cannot be fed wrongly.


# %% tags=["recipe"]
def given_network(shape, classes, momentum=0.99):
    return keras.Sequential(
        [
            keras.Input(shape),  # 28, 28, channels
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 7, strides=1, name="conv_1"),  # 22, 22, 32
            layers.ReLU(name="relu_1"),
            layers.BatchNormalization(momentum=momentum, name="norm_1"),
            layers.MaxPooling2D(2, strides=2),  # 11, 11, 32
            layers.Flatten(),  # 3872
            layers.Dense(1024, name="dense"),
            layers.ReLU(name="relu_dense"),
            layers.Dense(classes, activation="softmax", name="class"),
        ]
    )


# %% tags=["recipe"]
def train_given(dataset, classes, seed):
    """Train the given network; returns it and its history."""
    keras.utils.set_random_seed(seed)
    network = given_network(dataset.train.images.shape[1:], classes)
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    network.optimizer.build(network.trainable_variables)  # or the first step would, traced
    history = network.fit(
        served(dataset.train, classes, shuffle_seed=seed),
        shuffle=False,  # the batches are shuffled already
        validation_data=served(dataset.validation, classes, batch_size=1000),
        epochs=GIVEN_EPOCHS,
        verbose=0,
        callbacks=[notebook.epoch_lines()],
    )
    return network, history.history


def train_given_digits(dataset, seed):
    return train_given(dataset, 10, seed)


def train_given_lines(dataset, seed):
    return train_given(dataset, lines.CLASSES, seed)


# %% [markdown]
# Both networks are trained side by side, each on one core: so small a network hardly uses a second
# one. They do not get the test images.

# %%
seen_digits, seen_lines = digits._replace(test=None), line_parts._replace(test=None)
with stopwatch.measure("given networks: training"):
    trained = side_by_side(
        {
            "given network, digits": (train_given_digits, seen_digits, SEED),
            "given network, lines": (train_given_lines, seen_lines, SEED),
        }
    )
given = dict(zip(("digits", "lines"), trained.values(), strict=True))

# %%
histories = {name: history for name, (_, history) in given.items()}
out.chart(plots.learning_curves(histories), "given-learning-curves")
of_digits = histories["digits"]
claims(
    "the training error on digits falls below the validation error",
    of_digits["accuracy"][-1] > of_digits["val_accuracy"][-1],
)
steps = np.diff(histories["lines"]["val_accuracy"])
claims("on lines the validation error goes up and down", (steps < 0).any() and (steps > 0).any())

# %% [markdown]
# **Figure 3.** Learning curves of the given network, training (dashed) and validation (solid).
#
# **Reading.** Nearly all of four million weights are in the dense layer. On digits the training
# error falls below the validation error: they learn their own images. On lines a constant learning
# rate keeps them jumping around a minimum instead of settling in it: the error goes up and down.

# %% [markdown]
# ### On unseen digits

# %%
parts = {"digits": (digits.test, 10), "lines": (line_parts.test, lines.CLASSES)}
predictions, reports = {}, {}
for name, (network, _) in given.items():
    predictions[f"given, {name}"], reports[f"given, {name}"] = evaluate(network, *parts[name])
notebook.scores(reports)

# %%
matrix = metrics.confusion(digits.test.labels, predictions["given, digits"], 10)
out.chart(plots.confusion(matrix, range(10)).figure, "given-digits-confusion")
out.chart(plots.class_scores(reports["given, digits"], range(10)), "given-digits-scores")

# %% [markdown]
# **Figure 4.** Above: confusion matrix of the given network on unseen digits, on a log scale.
# Below: precision, recall and F-score of each digit; the scale starts just below the worst.


# %%
def hardest(name, network, class_name, columns):
    """Draw the errors with the highest confidence, with what was predicted and what is true."""
    part, predicted = parts[name.partition(", ")[2]][0], predictions[name]
    wrong = np.flatnonzero(predicted != part.labels)
    confidences = network.predict(part.images[wrong], verbose=0).max(axis=-1)
    order = np.argsort(-confidences, kind="stable")[: 2 * columns]
    titles = [
        f"read as {class_name(predicted[i])} ({percent(confidence, 0)})\n"
        f"is {class_name(part.labels[i])}"
        for i, confidence in zip(wrong[order], confidences[order], strict=True)
    ]
    return plots.image_grid(part.images[wrong[order]], titles, columns, tile=8.2 / columns)


figure = hardest("given, digits", given["digits"][0], str, columns=6)
out.figure(figure, "given-digits-mistakes")

# %% [markdown]
# **Figure 5.** The twelve errors in which the given network was surest, drawn as ink on paper. Some
# are slips of the pen that many people would misread; others can be read at a glance.

# %% [markdown]
# ### On unseen lines

# %%
names = [lines.class_name(number) for number in range(lines.CLASSES)]
groups = [f"{a} {b}" for a in ("short", "long") for b in ("thin", "thick")]
matrix = metrics.confusion(line_parts.test.labels, predictions["given, lines"], lines.CLASSES)
out.chart(plots.confusion(matrix, groups, group=24).figure, "given-lines-confusion")
out.chart(plots.class_scores(reports["given, lines"], names, worst=12), "given-lines-scores")

# %% [markdown]
# **Figure 6.** Above: confusion matrix of the given network on unseen lines, twelve angles in red
# and in blue for each kind of line; rings mark confusions. Below: the twelve classes with the
# lowest F-scores.

# %%
figure = hardest("given, lines", given["lines"][0], lines.class_name, columns=4)
out.figure(figure, "given-lines-mistakes")
wrong = predictions["given, lines"] != line_parts.test.labels
true, read = (
    lines.decode(labels[wrong]) for labels in (line_parts.test.labels, predictions["given, lines"])
)
one_head = (true != read).sum(axis=1) == 1
claims("most misread lines are wrong in one of their four labels", one_head.mean() > 0.5)
angle, color = (true != read)[:, 2:].mean(axis=0)
claims("more of them are wrong in angle than in color", angle > 2 * color)

# %% [markdown]
# **Figure 7.** The eight errors on lines in which the given network was surest.
#
# **Reading.** Most misread lines are wrong in a single label, and more of them in angle than in
# color. A line at two neighboring angles differs in a few half-covered pixels; its color can be
# seen all over it.

# %% [markdown]
# ## 3 · Which of nine design choices matter?
#
# One base network, one change at a time, everything else equal (`cnnlab.experiments.variations`).
# The base has two small convolutions and trains until its error hardly falls any more; lines are
# learned from {{lines of variations}} images, for all would leave no error to compare. A change may
# need another learning rate, so each one gets its own, from a grid, with two seeds. Then six other
# seeds follow. What is compared is the error on validation images; each seed uses a different
# validation fold. Here one factor is trained, with one seed of the study; all others come from
# `study.json`.

# %%
data = {"MNIST": datasets.digits_for_choices(), "lines": seen_lines}
live = [(d, s) for d in data for s in variations.variants("downsampling").values()]
rates = {each: stored.runs("Task-1", "variation/{}/{}".format(*each))[0]["rate"] for each in live}
settings = variations.settings()
jobs = {
    f"{d}, {s}": (varied.train, d, data[d], settings[s], rates[d, s], 2, print) for d, s in live
}
with stopwatch.measure("variations: training"):
    errors = side_by_side(jobs)
results["live variations"] = errors
table(
    [
        {"dataset": d, "setting": s, "validation error, here": percent(errors[f"{d}, {s}"][-1])}
        | {"same seed, in the study": percent(variations.stored_errors(d, s)[0, -1])}
        for d, s in live
    ]
)

# %%
results["variations"] = variations.effects()
out.chart(plots.factor_effects(results["variations"]), "variations")

# %% [markdown]
# **Figure 8.** What each change does to the error on validation images, in percentage points (the
# scale is linear up to a half, then logarithmic): mean of six seeds, with intervals that hold all
# together (Bonferroni): of so many, some would miss zero by chance. Colored: beyond chance by
# Holm's test, which finds a little more; better (blue) or worse (orange).

# %%
curves = {name: plots.factor_curves(variations.curves(name), variations.STEPS) for name in data}
out.chart(curves["MNIST"], "variations-mnist")
out.chart(curves["lines"], "variations-lines")

# %% [markdown]
# **Figure 9.** How the settings learn, digits above, lines below: mean of the seeds.
#
# **Reading.** Of {{comparisons}} comparisons, {{certain on digits}} is beyond chance on digits: a
# single convolution is worse. Nothing else can be told apart from the base there, neither filters
# nor dropout, L2, optimizer or loss. On lines, which need finer differences, {{certain on lines}}
# are. Larger filters, a third convolution and a little L2 help. A single convolution, half the
# filters, a constant learning rate and gradient descent, with momentum or without, hurt. A strided
# convolution instead of max pooling is the worst in the mean, yet within chance: its seeds differ
# too much. What wins with one seed may lose with the next.

# %% [markdown]
# ## 4 · The final networks
#
# ### Digits
#
# A network that learns the training digits by heart errs on new ones because it has seen too few
# shapes. So each image is rotated, enlarged, sheared, shifted and bent a little, differently in
# each epoch. And so that the network does not rely on how MNIST was scanned, some get thicker or
# thinner strokes, noise, a gray ground, less contrast, blur, a black square, or are inverted. With
# this supply it can be deeper. Where a convolution keeps the shape of its input, the input is added
# to its output (He et al., 2015).


# %% tags=["recipe"]
def final_digit_network(dropout=0.3):
    pixels = keras.Input((28, 28, 1))
    x = layers.Rescaling(1 / 255)(pixels)
    for k, filters, size, stride, padding in (
        (1, 32, 4, 2, "valid"),  # 13, 13, 32
        (2, 64, 3, 1, "valid"),  # 11, 11, 64
        (3, 64, 3, 1, "same"),
        (4, 64, 3, 1, "same"),
        (5, 96, 3, 2, "valid"),  # 5, 5, 96
        (6, 96, 3, 1, "same"),
        (7, 96, 3, 1, "same"),
        (8, 128, 3, 1, "valid"),  # 3, 3, 128
    ):
        options = {"strides": stride, "padding": padding, "use_bias": False}
        y = layers.Conv2D(filters, size, **options, name=f"conv_{k}")(x)
        y = layers.BatchNormalization(momentum=0.97, name=f"norm_{k}")(y)
        y = layers.ReLU(name=f"relu_{k}")(y)
        x = layers.Add()([x, y]) if padding == "same" else y
    x = layers.Dropout(dropout)(layers.Flatten()(x))  # 1152
    return keras.Model(pixels, layers.Dense(10, activation="softmax", name="class")(x))


# %% tags=["recipe"]
def new_shapes(seed):
    return [RandomWarp(10, (0.75, 1.6), scale=0.1, shear=0.1, shift=2, bend=1.2, seed=seed)]


def new_appearance(seed):
    """Now and then another pen, another scanner, another background."""
    return [
        appearance.RandomThickness(share=0.2, seed=seed + 1),
        appearance.RandomOcclusion(4, 10, share=0.2, seed=seed + 2),
        appearance.RandomBlur(1.5, share=0.2, seed=seed + 3),
        appearance.RandomContrast(0.15, share=0.2, seed=seed + 4),
        appearance.RandomBackground(76, share=0.2, seed=seed + 5),
        appearance.RandomNoise(90, share=0.2, seed=seed + 6),
        appearance.RandomInversion(share=0.1, seed=seed + 7),
    ]


# %%
def changed(images, changes):
    """The images as an epoch may show them: (n, h, w, channels) uint8."""
    for change in changes:
        images = change(images, training=True)
    return np.rint(images).astype("uint8")


some = digits.train.images[:8]
epochs = [changed(some, new_shapes(seed) + new_appearance(seed)) for seed in (1, 2)]
out.figure(plots.image_grid(np.concatenate([some, *epochs])), "digits-changed")

# %% [markdown]
# **Figure 10.** Eight training digits (top row), and as two epochs may show them to the network.
#
# Both final networks are trained alike: AdamW, and a learning rate that rises for an epoch and then
# falls along a cosine.


# %% tags=["recipe"]
def train_final(network, dataset, recipe, seed):
    """Train a network by a `Recipe`; returns the history."""
    steps = int(np.ceil(len(dataset.train.labels) / recipe.batch_size))
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 10,
        max(1, steps * (recipe.epochs - 1)),
        alpha=1e-3,
        warmup_target=recipe.learning_rate,
        warmup_steps=steps,
    )
    pixels = keras.Input(dataset.train.images.shape[1:])
    images = pixels
    for change in recipe.changes:
        images = change(images)
    trainer = keras.Model(pixels, network(images))  # shares its weights with the network
    trainer.compile(
        keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        steps_per_execution=10,  # faster than to return to Python after each
    )
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer.fit(
        served(dataset.train, recipe.classes, recipe.batch_size, seed),
        shuffle=False,  # the batches are shuffled already
        validation_data=served(dataset.validation, recipe.classes, 1000),
        epochs=recipe.epochs,
        verbose=0,
        callbacks=[notebook.epoch_lines(halves=True)],
    ).history


# %% tags=["recipe"]
class Recipe(NamedTuple):
    """How a final network is trained; `changes` are layers that change its images at random."""

    classes: int
    changes: list
    epochs: int
    learning_rate: float
    weight_decay: float
    batch_size: int = 128
    label_smoothing: float = 0.0


def digit_recipe(changes, epochs):
    return Recipe(
        10, changes, epochs, 4e-3, weight_decay=1e-2, batch_size=256, label_smoothing=0.05
    )


def train_final_digits(dataset, seed, epochs=DIGIT_EPOCHS):
    keras.utils.set_random_seed(seed)
    network = final_digit_network()
    recipe = digit_recipe([*new_shapes(seed), *new_appearance(seed)], epochs)
    return network, train_final(network, dataset, recipe, seed)


def train_long_digits(dataset, seed):
    return train_final_digits(dataset, seed, LONG_DIGIT_EPOCHS)


# %% [markdown]
# ### Lines
#
# Lines need no new shapes: the dataset holds positions in plenty. They lack variety in *how* a line
# is drawn, since one exact renderer draws them all on perfect black. We redraw some training lines
# with ends on whole pixels, and store some as JPEG files. In each batch some are hardened (each
# pixel on or off), blurred or dimmed; others get a faint gray ground or noise. Any program, camera
# or file could have caused that.


# %% tags=["recipe"]
def final_line_network():
    pixels = keras.Input((28, 28, 3))
    x = layers.Rescaling(1 / 255)(pixels)
    for k, filters, size, stride in ((1, 16, 5, 2), (2, 32, 3, 1), (3, 64, 3, 2), (4, 96, 3, 2)):
        options = {"strides": stride, "padding": "same", "use_bias": False}
        x = layers.Conv2D(filters, size, **options, name=f"conv_{k}")(x)
        x = layers.BatchNormalization(momentum=0.97, name=f"norm_{k}")(x)
        x = layers.ReLU(name=f"relu_{k}")(x)  # 14, 14, 16 → 14, 14, 32 → 7, 7, 64 → 4, 4, 96
    x = layers.Dense(96, use_bias=False, name="dense")(layers.Flatten()(x))  # 1536 → 96
    x = layers.BatchNormalization(momentum=0.97, name="norm_dense")(x)
    x = layers.ReLU(name="relu_dense")(x)
    return keras.Model(pixels, layers.Dense(lines.CLASSES, activation="softmax", name="class")(x))


# %% tags=["recipe"]
def redrawn_lines(seed):
    """The training images: some with line ends on whole pixels, some stored as JPEG."""
    images, labels, centers = datasets.part_of_lines("train")
    random = np.random.default_rng(seed)
    chosen = np.flatnonzero(random.random(len(images)) < SNAPPED)
    images[chosen] = variants.snapped(labels[chosen], centers[chosen])
    chosen = np.flatnonzero(random.random(len(images)) < COMPRESSED)
    images[chosen] = corruptions.jpeg(images[chosen], random.integers(40, 96, len(chosen)))
    return images


def line_changes(seed):
    return [
        appearance.RandomThreshold(0.2, 0.7, share=0.5, seed=seed),
        appearance.RandomBlur(0.8, share=0.3, seed=seed + 1),
        appearance.RandomContrast(0.25, share=0.5, seed=seed + 2),
        appearance.RandomBackground(16, share=0.1, seed=seed + 3),
        appearance.RandomNoise(16, share=0.1, seed=seed + 4),
    ]


def line_recipe(changes, epochs):
    return Recipe(lines.CLASSES, changes, epochs, learning_rate=1e-2, weight_decay=1e-3)


def train_final_lines(dataset, seed):
    keras.utils.set_random_seed(seed)
    network = final_line_network()
    redrawn = dataset._replace(train=dataset.train._replace(images=redrawn_lines(seed)))
    recipe = line_recipe(line_changes(seed), LINE_EPOCHS)
    return network, train_final(network, redrawn, recipe, seed)


# %%
some = line_parts.train.images[first]
epochs = [changed(redrawn_lines(seed)[first], line_changes(seed)) for seed in (1, 2)]
out.figure(plots.image_grid(np.concatenate([some, *epochs])), "lines-changed")

# %% [markdown]
# **Figure 11.** Eight training lines (top row), and as two trainings may show them to the network.

# %%
with stopwatch.measure("final networks: training"):
    trained = side_by_side(
        {
            "final network, digits": (train_final_digits, seen_digits, SEED),
            "final network, lines": (train_final_lines, seen_lines, SEED),
        }
    )
final = dict(zip(("digits", "lines"), trained.values(), strict=True))
histories = {name: history for name, (_, history) in final.items()}
out.chart(plots.learning_curves(histories), "final-learning-curves")

# %% [markdown]
# **Figure 12.** Learning curves of the final networks. Training images are changed at random and
# validation images are not, so here the validation error ends *below* the training error.
#
# ### Tested

# %%
for name, (network, _) in final.items():
    predictions[f"final, {name}"], reports[f"final, {name}"] = evaluate(network, *parts[name])
right = {
    name: predictions[name] == parts[name.partition(", ")[2]][0].labels for name in predictions
}
results["mcnemar"] = {
    name: metrics.mcnemar(right[f"given, {name}"], right[f"final, {name}"]) for name in parts
}
for name, p in results["mcnemar"].items():
    fewer = reports[f"final, {name}"]["errors"] < reports[f"given, {name}"]["errors"]
    claims(f"on {name} the final network errs less than the given one", fewer and p < 1e-6)
claims("it misreads at most a handful of lines", reports["final, lines"]["errors"] <= 10)
notebook.scores(reports)

# %%
matrix = metrics.confusion(digits.test.labels, predictions["final, digits"], 10)
out.chart(plots.confusion(matrix, range(10)).figure, "final-digits-confusion")
figure = hardest("final, digits", final["digits"][0], str, columns=6)
out.figure(figure, "final-digits-mistakes")

# %% [markdown]
# **Figure 13.** Above: confusion matrix of the final network on the digits of Figure 4. Below: the
# twelve errors in which it was surest. Several carry a label that a second reader would dispute,
# which sets a limit that no network should pass.

# %% [markdown]
# **What made the difference?** Figure 1 climbs from the given network to these two, in few epochs
# and with five seeds. First the network must settle: weights averaged over the last steps (Polyak
# and Juditsky, 1992) or a falling learning rate. With depth this takes the mean from
# {{digits as given}} errors to {{digits deep}} on digits, and from {{lines as given}} to
# {{lines deep}} on lines. Dropout does nothing that five seeds could show.
#
# The last changes are for other images. On one gray level the given network misreads
# {{lines as given on gray}} of {{lines tested}} lines, the deep one even {{lines deep on gray}}.
# Lines drawn otherwise already cure that ({{lines redrawn on gray}}). The last rung is for noise
# and other grounds; on clean images it costs a little: {{digits new shapes}} errors on digits
# become {{digits final}}, {{lines redrawn}} on lines {{lines final}}. *A test that looks like the
# training images cannot see what is gained.*

# %% [markdown]
# ## 5 · What do the networks withstand?
#
# Does a network know lines, or only our renderer? Four other programs draw the test lines. None was
# used in training.

# %%
drawn = lines.Lines(*(c[:: 1 if runtime.in_smoke() else 4] for c in datasets.part_of_lines("test")))
drawings = {"ours": drawn.images} | {
    program: other_programs.draw(program, drawn.labels, drawn.centers, matched=True)
    for program in other_programs.TEST
}
wanted = lines.encode([(0, 0, 1, 0), (0, 1, 1, 1), (1, 0, 3, 0), (1, 1, 8, 1)])
picked = [np.flatnonzero(lines.encode(drawn.labels) == each)[0] for each in wanted]
pictures = np.concatenate([images[picked] for images in drawings.values()])
titles = [name for name in drawings for _ in picked]
out.figure(plots.image_grid(pictures, titles, columns=4, tile=1.5), "other-programs")

# %% [markdown]
# **Figure 14.** The same four lines as five programs draw them. Pillow draws the short thick line
# as a bar with a hook at each end; the others differ in how they treat partly covered pixels.

# %%
kinds = {"digits": corruptions.DIGITS, "lines": corruptions.LINES}
compared = {
    "digits": {"given": "given-mnist-official", "final": "final-mnist-official"},
    "lines": {"given": "given-lines", "final": "final-lines"},
}
results["robustness"] = {
    name: [
        row | {"test": row["test"].removesuffix(", matched")}
        for row in stored.accuracies("Task-1", networks.values(), kinds[name])
        if "same numbers" not in row["test"]
    ]
    for name, networks in compared.items()
}
out.chart(plots.robustness(results["robustness"], compared), "robustness")

# %% [markdown]
# **Figure 15.** Errors of the given and the final network on changed test images and on drawings of
# other programs: medians of several seeds, from `study.json`. Noise (standard deviation) and
# background in gray levels, JPEG by quality, rotation in degrees; blur, shift, thickness and
# occlusion in pixels.
#
# **Reading.** The given network has learned our renderer: of the same lines drawn without
# half-covered pixels (`cv2.line`) it misreads {{given OpenCV}}, and with one gray level of
# background {{given gray}}. The final one misreads {{final OpenCV}}, and on gray {{final gray}} of
# {{lines tested}} lines. On digits the final network is ahead on {{digits ahead}} of
# {{digit rows}} tests. Most of these changes it has met in training, in other strengths. The other
# programs, and scikit-learn's digits from another source, it has not. (Programs are asked here for
# lines of our extent. Asked with the same numbers, the round brush draws longer ones: there the
# final network misreads {{final brush}}, more than the given one with {{given brush}}.)

# %% [markdown]
# ## 6 · How sure are we?
#
# One network trained once proves little. `study.py` repeats the recipes with several seeds. Each
# network trains for a fixed number of epochs and is tested once, after the last. The interval is
# for the recipe: a bootstrap draws seeds and test images again, to see how far the mean error moves
# by chance. There are ten seeds where two hundredths of a percent matter, else five. *Long* is the
# final digit network trained for 48 epochs instead of 6; *quick* is a small one that trains for
# seconds (`cnnlab.experiments.quick`). How long training takes depends on the machine: the study
# ran on an AMD EPYC, the long networks on one core each.

# %%
EXPERIMENTS = {
    "given-mnist": "as given, digits 60 : 40",
    "given-mnist-official": "as given, digits 60,000 : 10,000",
    "final-mnist-official": "ours, digits 60,000 : 10,000",
    "quick-mnist-official": "quick, digits 60,000 : 10,000",
    "given-lines": "as given, lines 60 : 40",
    "final-lines": "ours, lines 60 : 40",
}
results["study"] = {k: stored.summary("Task-1", k, title) for k, title in EXPERIMENTS.items()}
table(
    [
        {"network": each["title"], "weights": f"{each['parameters']:,}"}
        | {"test images": f"{each['n']:,}", "mean accuracy": percent(each["mean accuracy"], 3)}
        | {"errors by seed": ", ".join(map(str, each["errors"]))}
        | {"95 % interval of the error": percent_range(*each["interval of the errors"], 3)}
        | {"training, s (longest)": f"{np.ceil(max(each['seconds'])):.0f}"}
        for each in results["study"].values()
    ]
)

# %% [markdown]
# **What saw which images.** The digit recipes were chosen on images held out of the official
# training set, to which most test digits of the 60 : 40 split belong. Earlier recipes had been
# tested before that, so the test images are not entirely untouched by choice. Where the figures of
# the two splits differ, trust the official one. The line recipes were chosen on lines drawn anew,
# in other colors, with noise, as JPEG files, and as two programs draw them: OpenCV's polygon and a
# round brush. A few trials were also tested on the four programs of Figure 14; the last choice was
# made without.

# %% [markdown]
# ## 7 · What was learned
#
# * **A test is worth as much as its images are new.** With lines at whole pixels, a look-up that
#   has learned nothing is right for most test images.
# * **Settling and depth make the difference.** A falling learning rate lets the given network
#   settle; depth does the rest, with a fraction of its weights.
# * **Most of the usual choices cannot be told apart** with six seeds and a learning rate each.
# * **A test like the training images cannot see what a network relies on.** Ask for one gray level.
# * **The first 99 % are cheap**: a small network gets there in seconds.
#
# Not settled here: the final recipes were found by hand, not by a search, and the ladder has one
# order of changes.
#
# ### Do the statements hold in this run?
#
# What the text says of this run's networks, and whether it holds in it:

# %%
claims.table()

# %%
for kind, networks in (("part1", given), ("final", final)):
    for name, (network, _) in networks.items():
        file = f"{kind}-{'mnist' if name == 'digits' else name}"
        of_classes = list("0123456789") if name == "digits" else names
        out.model(network, file, {network.layers[-1].name: of_classes})
stopwatch.seconds["everything above"] = round(time.perf_counter() - begin, 1)
out.json(stopwatch.seconds, "times.json")
results |= {"reports": reports, "claims": claims.holds}
tests = {name: parts[name.partition(", ")[2]][0].labels for name in predictions}
results["confusions"] = {n: metrics.mistaken(tests[n], predictions[n]) for n in predictions}
results["histories"] = {
    f"{kind}, {name}": history
    for kind, nets in (("given", given), ("final", final))
    for name, (_, history) in nets.items()
}
results["headline"] = [stored.headline(each) for each in results["study"].values()]
out.json(results)
