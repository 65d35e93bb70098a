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
# # Task 3 · Looking inside
#
# **Question.** Tasks 1 and 2 trained networks that hardly err. What have they learned, and can the
# pictures that show it be trusted?
#
# **Answer.** First layers take images apart into edges; untrained ones do that, too. What training
# makes are the later layers: from them, digits and angles can be read off. Heatmaps differ from
# head to head, and those of our final networks depend on the weights. But where the ground is
# empty, a map that only knows brightness does better. A picture of a network is a hypothesis, and
# has to be tested like one.

# %%
import sys
import time
from pathlib import Path

begin = time.perf_counter()
parents = (Path.cwd(), *Path.cwd().parents)
root = next((path for path in parents if (path / "cnnlab" / "runtime.py").is_file()), None)
sys.path.insert(0, str(root or sys.exit("Task-3.ipynb must run in its repository.")))

from cnnlab import runtime

runtime.start(seed=0)

# %%
import cv2
import keras
import numpy as np
import tensorflow as tf

from cnnlab import lines, mnist, notebook, plots, pretrained, splits
from cnnlab.interpret import (
    activations,
    ascent,
    checks,
    explain,
    grad_cam,
    gradcam,
    load,
    maximize_filters,
)
from cnnlab.interpret.checks.probes import linear_probes
from cnnlab.interpret.figures import checks as charts
from cnnlab.interpret.figures import lesson
from cnnlab.interpret.methods import PIXELWISE
from cnnlab.interpret.model.network import inspect_model
from cnnlab.notebook import percent, table

# %% tags=["parameters"]
SEED = 0
SHOWN = 6  # test images of each network in the figures
PROBED = 4_000  # test images for the linear probes, half of them to train
CHECKED = 40  # test images for randomization, deletion and insertion
POINTED = 3_840  # test lines for the pointing game, 40 of each class
STEPS = 64  # of gradient ascent

if runtime.in_smoke():
    PROBED, CHECKED, POINTED, STEPS = 200, 24, 96, 3

# %%
out, claims, stopwatch = notebook.outputs("Task-3"), notebook.Claims(), notebook.Stopwatch()
results = {"seed": SEED, "versions": runtime.versions(), "machine": runtime.machine()}
FILES = {
    "given, digits": "task1-part1-mnist",
    "final, digits": "task1-mnist",
    "given, lines": "task1-part1-lines",
    "final, lines": "task1-lines",
    "four heads": "task2",
}
paths = notebook.model_files(map(pretrained.find, FILES.values()))
models = {name: load(path) for name, path in zip(FILES, paths, strict=True)}


def shuffled(*columns, test):
    """The columns of the images that no training saw, shuffled."""
    order = np.random.default_rng(SEED).permutation(test)
    return [column[order] for column in columns]


pool = mnist.pool()
digits, digit_labels = shuffled(*pool, test=splits.held_out(pool[1]).test)
drawn = lines.generate(per_class=30) if runtime.in_smoke() else lines.load()
drawn = lines.Lines(*shuffled(*drawn, test=splits.held_out(lines.encode(drawn.labels)).test))
images = {name: digits if "digits" in name else drawn.images for name in models}


def various(name):
    """Six test images of different kinds: other digits, or other lengths, widths and colors."""
    labels = digit_labels[:, None] if "digits" in name else drawn.labels[:, [0, 1, 3]]
    _, firsts = np.unique(labels, axis=0, return_index=True)
    return images[name][np.sort(firsts)[:SHOWN]]


# %% [markdown]
# One image, the four-headed network of Task 2, and for each head the part of the image that spoke
# for its answer:

# %%
four, line = models["four heads"], drawn.images[:1]
out.figure(lesson.heatmaps(four, line, lines.CLASS_NAMES), "first-look")

# %% [markdown]
# **Figure 1.** An unseen line, and the Grad-CAM heatmaps of four heads of one network, on one
# scale: the brighter, the more of the answer comes from there. A map has few cells, which are
# enlarged; those at its border reach to the edge of the image.
#
# | section | question | technique |
# |---|---|---|
# | 1 | What does each layer make of an image? | activations |
# | 2 | What does each layer know? | linear probes, with an untrained control |
# | 3 | What does each filter look for? | gradient ascent |
# | 4 | Which part of an image spoke for the answer? | Grad-CAM |
# | 5 | Can the maps be trusted? | randomization, deletion, a true mask |
# | 6 | How do I open my own network? | one function |

# %% [markdown]
# ## 1 · What does each layer make of an image?
#
# A layer's output is a stack of maps, one for each filter. `activations` runs the network and
# returns them, {layer: (images, height, width, channels)}, without touching the model.


# %%
def rectified(name):
    """The rectified layers of a network, from first to last."""
    calls = inspect_model(models[name]).layers.values()
    return [c.name for c in calls if type(c.operation).__name__ == "ReLU" and len(c.shape) == 3]


def first_middle_last(name):
    """{title: layer} of three rectified layers of a network, or of its only one."""
    layers = rectified(name)
    places = dict.fromkeys([0, (len(layers) - 1) // 2, len(layers) - 1])
    return {f"rectifier {place + 1} of {len(layers)}": layers[place] for place in places}


for name in models:
    layers = first_middle_last(name)
    made = activations(models[name], various(name), list(layers.values()))
    shown = {title: made[layer] for title, layer in layers.items()}
    figure = lesson.activations(various(name), shown, channels=5)
    out.figure(figure, f"activations-{name.replace(', ', '-').replace(' ', '-')}".lower())

# %% [markdown]
# **Figures 2–6.** The given and the final network for digits, the same for lines, and the
# four-headed one. Each row is one test image. The columns are the five channels that respond most
# of the first, the middle and the last rectified layer (ReLU), with one color scale for each layer.
#
# **Reading.** First layers redraw the image, taken apart into edges. In the last layer of the final
# networks a channel responds to some images and not to others. The given one has a single
# convolution, so all that is not edges is left to its dense layer.


# %%
with stopwatch.measure("activations"):
    alive = {
        name: {
            layer: int(maps.max(axis=(0, 1, 2)).astype(bool).sum())
            for layer, maps in activations(model, images[name][:500], rectified(name)).items()
        }
        for name, model in models.items()
    }
channels = {name: activations(m, images[name][:1], rectified(name)) for name, m in models.items()}
claims(
    "no channel of any network is dead: each responds to some of 500 test images",
    all(
        alive[name][layer] == maps.shape[-1]
        for name, of_name in channels.items()
        for layer, maps in of_name.items()
    ),
)

# %% [markdown]
# ## 2 · What does each layer know?
#
# To look at maps is not to know what they hold. A *linear probe* is the simplest classifier there
# is, trained on a layer's activations: what it can tell, the layer has made easy to tell (Alain and
# Bengio, 2016). It sees the mean and the maximum of each channel, and so cannot use positions.
#
# **Control.** The same layers with random weights. A wide layer may make classes easy to tell
# without having learned anything.


# %%
def untrained(name):
    """A network of the same layers, with the weights that a training would begin with."""
    keras.utils.set_random_seed(SEED)
    return keras.models.clone_model(models[name])


def probe(name, model):
    """{layer: {question: accuracy}} on test images that the probe was not trained on."""
    questions = dict(zip(lines.HEADS, drawn.labels[:PROBED].T, strict=True))
    if "digits" in name:
        questions = {"digit": digit_labels[:PROBED]}
    return linear_probes(model, images[name][:PROBED], questions, rectified(name))


with stopwatch.measure("linear probes"):
    probes = {name: (probe(name, models[name]), probe(name, untrained(name))) for name in models}
results["linear probes"] = {name: trained for name, (trained, _) in probes.items()}
results["linear probes, untrained"] = {name: control for name, (_, control) in probes.items()}
out.chart(charts.probes(probes, {"digit": "black"} | plots.HEAD_COLORS), "linear-probes")

# %% [markdown]
# **Figure 7.** Errors of linear probes on the image and on each rectified layer, log scale, where
# the bottom is no error: solid the trained network, dashed the same layers with random weights.


# %%
def last(name, question, control=False):
    """The accuracy of a probe on the last layer."""
    return list(probes[name][control].values())[-1][question]


deep = [(name, "digit" if "digits" in name else "angle") for name in models if "given" not in name]
claims(
    "the last layers of our networks tell digits and angles far better than untrained ones",
    all(last(*at) > last(*at, control=True) + 0.05 for at in deep),
)
claims(
    "color and width are read off the first layer without training",
    all(
        list(probes[name][1].values())[1][question] > 0.99
        for name in ("final, lines", "four heads")
        for question in ("color", "width")
    ),
)

# %% [markdown]
# **Reading.** Color and width are in every layer, and already in the mean brightness of the image.
# Random layers make digits and angles easier to read, too, but only the first few; then the error
# of the control stays, or rises again. What training adds is that each further layer helps. Without
# the dashed lines we would have taken all of it for learned.

# %% [markdown]
# ## 3 · What does each filter look for?
#
# From a blank image, the pixels ascend along the gradient of one filter's response (Erhan et al.,
# 2009): the picture that the filter would like to see. In each step the image is shifted by up to a
# pixel and neighboring pixels share a part of their gradient, against noise (Olah et al., 2017).
# The idea in a few lines:


# %%
def climb(model, layer, number, steps=STEPS):
    """The picture that one filter responds to most, and its response before and after."""
    image = tf.Variable(tf.random.uniform((1, *model.input_shape[1:]), 100, 155, seed=SEED))
    response = keras.Model(model.inputs, model.get_layer(layer).output)
    values = []
    for _ in range(steps):
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(response(image, training=False)[..., number])
        gradient = tape.gradient(value, image)
        image.assign(tf.clip_by_value(image + 30 * gradient / tf.norm(gradient), 0, 255))
        values.append(float(value))
    return image.numpy()[0], values[0], values[-1]


first = inspect_model(models["final, digits"]).convolutions()[0]
_, before, after = climb(models["final, digits"], first, 0)
claims("the ascent raises what the filter responds with", after > before)

# %% [markdown]
# `maximize_filters` does this for all filters of a layer at once, and for a mean over positions or
# the middle position alone.


# %%
def ascend(name, model, everywhere=True):
    """{layer: FilterImages} of the first, a middle and the last convolution, five filters each."""
    layers = inspect_model(model).convolutions()
    chosen = list(dict.fromkeys([layers[0], layers[len(layers) // 2], layers[-1]]))
    how = ascent.Ascent(steps=STEPS, everywhere=everywhere)
    return {layer: maximize_filters(model, layer, range(5), ascent=how) for layer in chosen}


with stopwatch.measure("gradient ascent"):
    filters = {name: ascend(name, model) for name, model in models.items()}
    middle = ascend("final, digits", models["final, digits"], everywhere=False)
    control = ascend("final, digits", untrained("final, digits"))
rows = filters | {"final, digits: one position": middle, "final, digits: untrained": control}
out.figure(lesson.filters(rows), "filters")

# %% [markdown]
# **Figure 8.** What five filters of the first, a middle and the last convolution look for. Two
# controls below: the response at one position instead of the mean over all, and random weights.
#
# **Reading.** First layers look for stripes, or dots, of one direction. In the last layer of the
# digit network the stripes bend, and end. A field of stripes is partly the method's: a mean over
# positions is raised by whatever repeats. Asked at one position, filters of the first layers look
# for a single stroke. And untrained filters have pictures, too: that something can be found is no
# evidence of learning; that strokes bend and end is.
#
# The given network's filters for lines love green, which no line has: nothing ever trained the
# weights that read the green channel, and they are as random as at the start.

# %%
green = {
    name: np.mean([of.images[..., 1].mean() for of in filters[name].values()])
    / np.mean([of.images.mean() for of in filters[name].values()])
    for name in ("given, lines", "final, lines", "four heads")
}
claims(
    "the given network's filters for lines ask for more green than those of our networks",
    green["given, lines"] > max(green["final, lines"], green["four heads"]),
)

# %% [markdown]
# ## 4 · Which part of an image spoke for the answer?
#
# Grad-CAM (Selvaraju et al., 2017) weighs each channel of a feature map with the mean gradient of
# the class's score and adds the channels up; what is above 0 speaks for the class. The score is the
# logit, because a softmax close to 1 has hardly any gradient. In a dozen lines:


# %%
def grad_cam_by_hand(model, images, layer, target):
    """The sums (n, height, width) of Grad-CAM, before they are enlarged."""
    head = model.layers[-1]
    features = keras.Model(model.input, [model.get_layer(layer).output, head.input])
    with tf.GradientTape() as tape:
        maps, before_head = features(images[..., None].astype("float32"), training=False)
        logits = before_head @ head.kernel + head.bias
        score = tf.gather(logits, target, axis=1, batch_dims=1)
    gradients = tape.gradient(score, maps)
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)).numpy()


network, layer = models["final, digits"], rectified("final, digits")[-1]
by_library = grad_cam(network, digits[:SHOWN], layer=layer)
by_hand = grad_cam_by_hand(network, digits[:SHOWN], layer, by_library.targets)
np.testing.assert_allclose(by_hand, np.maximum(by_library.raw, 0), rtol=1e-3, atol=1e-4)

# %% [markdown]
# The library's function gives the same, for any head, layer and batch, and places each cell of the
# map where it looks.


# %%
def names_of(name):
    """{head: names of its classes}."""
    path = paths[list(models).index(name)]
    every = lines.HEADS if name == "four heads" else list(inspect_model(models[name]).heads)
    return pretrained.class_names(path, every)


SHOW = {"final, digits": rectified("final, digits")[2]}  # its last map has 3 x 3 cells only
for name in models:
    figure = lesson.heatmaps(models[name], various(name), names_of(name), SHOW.get(name))
    out.figure(figure, f"heatmaps-{name.replace(', ', '-').replace(' ', '-')}".lower())

# %% [markdown]
# **Figures 9–13.** Six unseen images of each network: the image, its heatmap, both laid over each
# other; above each the answer. For the final digit network the third of eight rectified layers is
# shown, since its last map has nine cells; for the four-headed one each head has its own map.
#
# **Reading.** The maps of the final digit network are hot on strokes and, more so, on the ground
# beside them: where no ink is counts as well. For lines the heat lies along the line and around it.
# The heads of one network do not give the same map: *angle* is hot along the line; *length* at the
# line if it is long, and on the ground away from it if it is short. The maps of *angle* have the
# highest peaks, in logits.

# %%
peaks = {head: grad_cam(four, drawn.images[:CHECKED], head).peak.mean() for head in lines.HEADS}
claims("of the four heads, angle has the highest peaks", max(peaks, key=peaks.get) == "angle")

# %% [markdown]
# **Which layer?** A convolution whose rectifier is a layer of its own gives numbers below 0, which
# say nothing to the layers above, but count in Grad-CAM's sum. There, the given network's maps are
# often empty: the weighted sum is negative everywhere. At the rectifier they are not. The default
# is therefore the last rectified map that all paths lead through.

# %%
bare = inspect_model(models["given, digits"]).convolutions()[-1]
empty = {
    where: sum(note.startswith("empty") for note in maps.note)
    for where, maps in {
        "convolution": grad_cam(models["given, digits"], digits[:CHECKED], layer=bare),
        "rectifier": grad_cam(models["given, digits"], digits[:CHECKED]),
    }.items()
}
results["empty maps"] = empty
table(
    [
        {"maps of the given network, digits": CHECKED}
        | {f"empty at the {k}": v for k, v in empty.items()}
    ]
)

# %% [markdown]
# ## 5 · Can the maps be trusted?
#
# ### Do they depend on what was learned?
#
# Some explanations are outlines of the image and stay the same when the network is random (Adebayo
# et al., 2018). So the layers are made random one after the other, from the head down, and the maps
# of the same class are compared with the first ones. How alike is alike? As a yardstick: maps of
# *different* images by the trained network.

# %%
with stopwatch.measure("randomization"):
    cascades = {
        f"{name}: {head}" if "heads" in name else name: checks.randomization(
            model, images[name][:CHECKED], head, shuffling=checks.Shuffling(3)
        )
        for name, model in models.items()
        for head in inspect_model(model).heads
    }
shown = {name: cascades[name] for name in ("given, digits", "final, digits", "four heads: angle")}
out.chart(charts.cascade(shown), "randomization")

# %% [markdown]
# **Figure 14.** Rank correlation of the maps with the first ones while the layers become random,
# from the top down: blue with their sign, orange without. Thin lines are three draws of random
# weights, dashed lines the correlation between maps of different images. Beside each stage: how
# many maps were empty, so that nothing could be compared; where it was most of them the mark is
# hollow.
#
# **Reading.** Maps of our networks become as unlike as maps of different images. Those of the given
# networks do so only in part: without sign, something of the image shows through even random
# weights, for their single feature map is hardly more than the image taken apart into edges.

# %%
claims(
    "with its sign, the similarity is far from one in all networks once the head is random",
    all(cascade.similarity()[0] < 0.5 for cascade in cascades.values()),
)
claims(
    "the maps of our networks follow the weights, those of the given ones only in part",
    all(checks.verdict(c).sensitive == ("given" not in name) for name, c in cascades.items()),
)

# %% [markdown]
# ### Does the network need what is hot?
#
# Pixels are blackened, the hottest first, and the probability of the answer is watched (Samek et
# al., 2017). Two controls: random pixels, and the *displaced* map, which has the same patches at
# wrong places.

# %%
with stopwatch.measure("deletion"):
    deleted = {
        head: checks.deletion(
            four, drawn.images[:CHECKED], grad_cam(four, drawn.images[:CHECKED], head)
        )
        for head in lines.HEADS
    }
labels = {
    f"{head}: {lines.CLASS_NAMES[head][label]}": deleted[head].of_target(label)
    for head in ("length", "width", "color")
    for label in (0, 1)
}
out.chart(charts.curves({"angle": deleted["angle"]} | labels), "deletion")

# %% [markdown]
# **Figure 15.** Deletion, for each answer by itself: the lower the curve, the better the map.
#
# **Reading.** For the angle the maps beat both controls by far. For the other heads the two answers
# differ: one falls, the other stays, because a black image is an answer, too.

# %%
black = {head: grad_cam(four, np.zeros_like(line), head) for head in lines.HEADS}
results["empty image"] = [
    {"head": head, "answer": lines.CLASS_NAMES[head][maps.targets[0]]}
    | {"probability": maps.probabilities[0]}
    for head, maps in black.items()
]
table([row | {"probability": percent(row["probability"], 1)} for row in results["empty image"]])

# %% [markdown]
# "Short" needs nothing on the image that speaks for it: nothing is short. No map of pixels that
# are there can explain such an answer.
#
# ### Are the maps better than the image itself?
#
# A last control knows nothing of the network: *contrast* takes the brightest pixels first.

# %%
with stopwatch.measure("comparison"):
    methods = [*gradcam.METHODS, *PIXELWISE]
    results["faithfulness"] = {
        name: {
            head: checks.compare_methods(
                model,
                images[name][:CHECKED],
                head,
                methods=[gradcam.GradCam(None, method) for method in methods],
                masking=checks.Masking(steps=10, repeats=2),
            )
            for head in inspect_model(model).heads
        }
        for name, model in models.items()
    }
compared = {
    f"{name}: {head}" if "heads" in name else name: rows
    for name, of_heads in results["faithfulness"].items()
    for head, rows in of_heads.items()
}
out.chart(charts.gains(compared), "faithfulness")

# %% [markdown]
# **Figure 16.** How much better than its own displaced map each of eight methods is, on 40 test
# images with 95 % intervals; the last mark of each group is contrast. *Insertion* is deletion
# backwards: the hottest pixels come first. Grad-CAM++ and LayerCAM weigh the channels otherwise;
# Score-CAM weighs them by trial; the others give each pixel a value of its own, from gradients or
# by covering patches (occlusion).


# %%
def gains(method, over="gain"):
    """How much better a method is: than its displaced map, or than Grad-CAM ("ahead")."""
    rows = [row for rows in compared.values() for row in rows if row["method"] == method]
    kinds = ("deletion", "insertion")
    return np.array([row[f"{kind}_{over}"][0] for row in rows for kind in kinds])


claims(
    "Grad-CAM beats its displaced map in at least nine of ten comparisons",
    (gains("grad-cam") > 0).mean() >= 0.9,
)
claims(
    "contrast, which knows no network, beats Grad-CAM in most comparisons",
    (gains("contrast", "ahead") > 0).mean() > 0.5,
)

# %% [markdown]
# **Reading.** This is the section's caution. On a black ground, deletion and insertion can show
# that a map is bad. They cannot show that it is better than the image. Integrated Gradients, which
# multiply with the image, come out well for that reason, too.
#
# ### Does the heat lie on the line?
#
# For lines the truth is known: which pixels were drawn.

# %%
pointed = lines.Lines(*(column[:POINTED] for column in drawn))
masks = checks.line_masks(pointed)
games, heats = {}, {}
with stopwatch.measure("pointing game"):
    for name in ("given, lines", "final, lines", "four heads"):
        for head in inspect_model(models[name]).heads:
            title = f"{name}: {head}" if "heads" in name else name
            maps = grad_cam(models[name], pointed.images, head)
            games[title] = checks.pointing_game(maps, masks)
            heats[title] = checks.heat_inside(maps, masks)
results["pointing game"] = {
    title: {"hottest pixel": game.share, "chance": game.chance, "heat": heats[title].share}
    for title, game in games.items()
}
out.chart(charts.localization(games, heats), "pointing-game")

# %% [markdown]
# **Figure 17.** How often the hottest pixel lies on the line, and how much of the heat; the tick is
# what chance would give. The given network's maps have smaller cells, so its row is not to be
# compared with the others.

# %%
claims(
    "the hottest pixel lies on the line far more often than by chance",
    all(game.share > 3 * game.chance for game in games.values()),
)
short, long = (
    np.nanmean(games["four heads: length"].of_images[pointed.labels[:, 0] == label])
    for label in (0, 1)
)
claims(
    "for long lines the hottest pixel is often on the line, for short ones hardly ever",
    long > 10 * short,
)

# %% [markdown]
# A test that expects heat on the line would call the maps of "short" mistakes. They are not: the
# network reads "short" off the empty ground.

# %% [markdown]
# ## 6 · How do I open my own network?
#
# All of this stands behind one function, and one command:
# `cnnlab explain --model mine.keras --image photo.png --out photo.html`. An image alone gives
# heatmaps, answers and a few telling layers; a layer alone its filters; both, the image at that
# layer. The image may have any size and color mode.

# %%
photo = np.zeros((40, 60, 3), np.uint8)
cv2.line(photo, (12, 30), (48, 10), (230, 40, 40), 5, cv2.LINE_AA)
out.figure(explain(four, photo, names=lines.CLASS_NAMES, progress=print).figure, "explain")

# %%
first = inspect_model(four).convolutions()[0]
out.figure(explain(four, layer=first, filters=16, progress=print).figure, "explain-layer")

# %%
both = explain(four, photo, layer=first, names=lines.CLASS_NAMES, progress=print)
out.figure(both.figure, "explain-both")

# %% [markdown]
# **Figures 18–20.** A drawing that OpenCV made, and what `explain` says of it; the filters of the
# first convolution; the drawing at this layer.

# %% [markdown]
# ## 7 · What the networks have learned
#
# * **First layers** take images apart into edges and color. Untrained ones do nearly the same.
# * **Middle layers** put strokes together. This is learned: probes improve from layer to layer,
#   where those of untrained networks soon stop.
# * **Last layers** know the class, and heads of one network have different maps.
# * **An answer can rest on what is absent.** A black image is "short".
# * **Maps must be tested too.** They depend on the layer, and on an empty ground brightness alone
#   does better.
#
# Not settled: one trained network of each kind was opened; probes cannot use position, which the
# networks' dense layers can; an image with blackened pixels is one that no network was trained on.
#
# All statements about this run, and whether they hold in it:

# %%
results["claims"] = claims.holds
claims.table()

# %%
stopwatch.seconds["everything above"] = round(time.perf_counter() - begin, 1)
out.json(stopwatch.seconds, "times.json")
results["headline"] = [
    {
        "what": f"hottest pixel of Grad-CAM on the line, {title}",
        "value": percent(games[title].share, 1),
        "conditions": f"chance {percent(games[title].chance, 1)}; {len(masks):,} unseen lines",
    }
    for title in ("given, lines", "final, lines", "four heads: angle")
]
out.json(results)
table(results["headline"])
