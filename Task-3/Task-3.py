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
# Tasks 1 and 2 trained networks that hardly err. What have they learned? Three techniques look
# inside: *activations* show what each layer makes of an image, *gradient ascent* shows what each
# filter looks for, and *Grad-CAM* shows which part of an image spoke for a prediction. A fourth
# part asks whether such pictures can be trusted.
#
# All of it is done by `cnnlab.interpret`, which works for any Keras 3 image model; the notebook
# shows its source where a technique is explained. No network is trained here. The images come from
# the test parts of Tasks 1 and 2, except where it says so, and are the first of a shuffled list.

# %%
import sys
import time
from pathlib import Path

begin = time.perf_counter()
here = Path.cwd()
roots = [folder for folder in (here, *here.parents) if (folder / "cnnlab" / "runtime.py").is_file()]
if roots:
    sys.path.insert(0, str(roots[0]))
else:
    sys.exit("Task-3.ipynb must run in its repository: no folder above this one holds cnnlab/.")

from cnnlab import runtime

runtime.start(seed=0)

# %%
import inspect

import cv2
import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Code, Image

from cnnlab import lines, mnist, notebook, plots, pretrained, splits
from cnnlab.interpret import (
    activations,
    ascent,
    attribute,
    checks,
    explain,
    filters,
    grad_cam,
    gradcam,
    maximize_filters,
    placement,
)
from cnnlab.interpret.activations import dead_channels
from cnnlab.interpret.checks import masking, probes
from cnnlab.interpret.checks.randomization import _cascade
from cnnlab.interpret.figures import checks as check_plots
from cnnlab.interpret.figures import pictures
from cnnlab.interpret.figures.sheet import Sheet, Tile, as_colors, through_colormap
from cnnlab.interpret.methods import PIXELWISE
from cnnlab.interpret.model import graph, loading, windows
from cnnlab.interpret.model.network import inspect_model
from cnnlab.lines import other_programs
from cnnlab.notebook import percent, table
from cnnlab.saving import save_figure
from cnnlab.training import heads

# %% tags=["parameters"]
SEED = 0
SHOWN = 6  # test images of each network in the figures of activations
TESTED = 10_000  # test images that each network classifies, to find its mistakes
PROBED = 4_000  # test images for the linear probes, half of them to train
CHECKED = 40  # test images for randomization, deletion and insertion
POINTED = 3_840  # test lines for the pointing game, 40 of each class
COMPARED = 2_000  # test images, of which the best one for each filter is looked for
STEPS = 64  # of gradient ascent

if runtime.in_smoke():
    TESTED, PROBED, CHECKED, POINTED, COMPARED, STEPS = 300, 200, 24, 96, 50, 3

# %%
out = notebook.outputs("Task-3")
stopwatch = notebook.Stopwatch()
results = {"seed": SEED, "versions": runtime.versions(), "machine": runtime.machine()}
table(
    [
        results["versions"]
        | {"processor": results["machine"]["processor"], "cores": results["machine"]["cores"]}
    ]
)


# %%
def show(figure, name):
    """Save a figure as a small PNG and return it to look at."""
    path = save_figure(figure, out.folder / "figures" / f"{name}.png", small=True)
    plt.close(figure)
    return Image(path)


def show_chart(figure, name):
    """The same for a chart, which is also saved as vectors, for the report."""
    with plt.rc_context({"svg.hashsalt": name}):  # no two charts call their parts the same
        save_figure(figure, out.folder / "figures" / f"{name}.svg")
    return show(figure, name)


# %% [markdown]
# ## 1 · Five networks and the images they never saw
#
# Part 1's network for both datasets, our own for both, and the four-headed one. `loading.load`
# takes a short name or any `.keras` or `.h5` file, never runs code that a file brings along, and
# says which notebook makes a model that is missing. The models are the committed ones, except under
# `make run`, which opens those that Tasks 1 and 2 have just trained; the line below names their
# folders.

# %%
FILES = {
    "Part 1, MNIST": "task1-part1-mnist",
    "final, MNIST": "task1-mnist",
    "Part 1, lines": "task1-part1-lines",
    "final, lines": "task1-lines",
    "four heads, lines": "task2",
}
TRAINED_IN = {name: "Task-2" if "heads" in name else "Task-1" for name in FILES}
files = notebook.model_files(map(pretrained.find, FILES.values()))
models = {name: loading.load(file) for name, file in zip(FILES, files, strict=True)}


def test_digits():
    """The digits of Task 1's test part, shuffled: images, classes."""
    images, classes = mnist.pool()
    test = np.random.default_rng(SEED).permutation(splits.held_out(classes).test)
    return images[test], classes[test]


def test_lines():
    """The lines of the test part of Tasks 1 and 2, shuffled: images, labels, centers."""
    drawn = lines.generate(per_class=30) if runtime.in_smoke() else lines.load()
    test = splits.held_out(lines.encode(drawn.labels)).test
    test = np.random.default_rng(SEED).permutation(test)
    return lines.Lines(*(column[test] for column in drawn))


digits, digit_classes = test_digits()
drawn = test_lines()
test_images = {name: digits if "MNIST" in name else drawn.images for name in models}


# %%
def true_labels(name):
    """{head: (n,) true classes} of a network's test images."""
    if name == "four heads, lines":
        return dict(zip(lines.HEADS, drawn.labels.T, strict=True))
    (head,) = inspect_model(models[name]).heads
    return {head: digit_classes if "MNIST" in name else lines.encode(drawn.labels)}


def predictions(name, images):
    """{head: (n,) classes} that a network predicts."""
    if name == "four heads, lines":
        return dict(zip(lines.HEADS, heads.predict(models[name], images).T, strict=True))
    (head,) = inspect_model(models[name]).heads
    return {head: models[name].predict(images, batch_size=1000, verbose=0).argmax(axis=1)}


with stopwatch.measure("answers to all test images"):
    mistakes = {}
    for name in models:
        predicted, true = predictions(name, test_images[name][:TESTED]), true_labels(name)
        wrong = [predicted[head] != true[head][:TESTED] for head in predicted]
        mistakes[name] = np.flatnonzero(np.any(wrong, axis=0))

# %%
rows = []
for name, model in models.items():
    network = inspect_model(model)
    rows.append(
        {
            "network": name,
            "trained in": TRAINED_IN[name],
            "parameters": model.count_params(),
            "convolutions": len(network.convolutions()),
            "heads": ", ".join(f"{h.classes}-way {h.ending}" for h in network.heads.values()),
            "test images": min(TESTED, len(test_images[name])),
            "mistakes": len(mistakes[name]),
        }
    )
results["networks"] = rows
table([row | {key: f"{row[key]:,}" for key in ("parameters", "test images")} for row in rows])

# %% [markdown]
# **How to look inside without touching.** The usual way to see a layer's output is to build a
# second model that ends there. That fails for a Sequential without an input, for layers of models
# inside the model, and for the logits of a layer with the softmax inside it; exchanging the softmax
# changes the user's model. Here the model is read once as a flat list of calls, and this function
# makes them itself, one after the other. It can watch any value on the way, leave an activation
# out, and use other weights, while the model stays as it was.

# %%
Code(inspect.getsource(graph.Graph.run), language="python")

# %% [markdown]
# ## 2 · Activations
#
# **Question.** What does each layer make of an image?
#
# All layers are computed in one pass. The figures show six test images, one in a row, and the first
# 24 channels of the first, the middle and the last rectified layer. Within a layer all tiles share
# one color scale, so a dark tile is a channel that hardly responds to that image.


# %%
def rectified(name):
    """The layers of a network that rectify feature maps, from first to last."""
    layers = inspect_model(models[name]).layers.values()
    return [c.name for c in layers if type(c.operation).__name__ == "ReLU" and len(c.shape) == 3]


def bare(name):
    """The last convolution of a network, whose rectifier is a layer of its own."""
    return inspect_model(models[name]).convolutions()[-1]


def first_middle_last(layers):
    return list(dict.fromkeys([layers[0], layers[(len(layers) - 1) // 2], layers[-1]]))


def draw_activations(name):
    """The first 24 channels of the first, middle and last layer for the first test images."""
    images = test_images[name][:SHOWN]
    shown = activations(models[name], images, first_middle_last(rectified(name)))
    sheet = Sheet()
    for layer, maps in shown.items():
        channels = range(min(24, maps.shape[-1]))
        pictures.add_activation_rows(sheet, layer, images / 255, maps, channels, dead[name][layer])
    return sheet.figure()


# %%
with stopwatch.measure("dead channels"):
    dead = {
        name: dead_channels(model, test_images[name][:PROBED], rectified(name))
        for name, model in models.items()
    }
results["dead channels"] = {
    name: {layer: int(channels.sum()) for layer, channels in rows.items()}
    for name, rows in dead.items()
}

# %%
show(draw_activations("Part 1, MNIST"), "activations-part1-mnist")

# %% [markdown]
# *Figure: six test digits and the first 24 of 32 channels of Part 1's only convolution. Look along
# a row: on the common scale most channels respond weakly, a few redraw the strokes.*


# %%
show(draw_activations("final, MNIST"), "activations-final-mnist")

# %% [markdown]
# *Figure: the final MNIST network. Look down a column: in the first layer every digit is redrawn by
# every channel; in the middle one a channel responds to strokes of one direction; in the last, the
# three threes light up the same channels (3, 4, 8, 11, 12) and the 1 hardly any of them.*


# %%
show(draw_activations("Part 1, lines"), "activations-part1-lines")

# %% [markdown]
# *Figure: Part 1's network for lines. Channels respond along the line, on one of its two sides, or
# everywhere else.*


# %%
show(draw_activations("final, lines"), "activations-final-lines")

# %% [markdown]
# *Figure: the final network for lines. From layer to layer fewer channels respond to one line.*


# %%
show(draw_activations("four heads, lines"), "activations-four-heads")

# %% [markdown]
# *Figure: the four-headed network. In the middle layer channel 7 responds to lines at 15° and 30°,
# channel 8 most to steep ones.*
#
# **Reading.** First layers copy the image, taken apart into edges; in later ones a channel responds
# to some images and not to others. What they know is measured next. No channel of any network is
# dead: each responds to some of the 4,000 test images (`results.json`, "dead channels").
#
# ### What does each layer know?
#
# **Experiment.** A *linear probe* is the simplest classifier there is, trained on a layer's
# activations: what it can tell, the layer has made easy to tell (Alain & Bengio, 2016). It sees of
# each channel only the mean and the maximum over positions, so that it cannot use position. Half of
# 4,000 test images train it, the other half is counted.


# %%
Code(inspect.getsource(probes.linear_probes), language="python")

# %%
line_labels = dict(zip(lines.HEADS, drawn.labels[:PROBED].T, strict=True))


def probe(name, model):
    """{layer: {question: accuracy}} of a network, or of an untrained one with its layers."""
    labels = {"digit": digit_classes[:PROBED]} if "MNIST" in name else line_labels
    return probes.linear_probes(model, test_images[name][:PROBED], labels, rectified(name))


with stopwatch.measure("linear probes"):
    probed = {name: probe(name, model) for name, model in models.items()}
results["linear probes"] = probed
colors = {"digit": "black"} | plots.HEAD_COLORS
show_chart(check_plots.probes(probed, colors), "linear-probes")

# %% [markdown]
# *Figure: errors of linear probes on the image and on each rectified layer, log scale; no error
# among 2,000 images is drawn at the lower border, where width and color coincide.*

# %%
table(
    [
        {"network": name, "layer": layer}
        | {q: percent(row[q]) if q in row else "–" for q in ("digit", *lines.HEADS)}
        for name, rows in probed.items()
        for layer, row in rows.items()
    ]
)

# %% [markdown]
# **Control.** What would the same layers tell with random weights? A wide layer may make classes
# easy to tell without having learned anything. So the same probes read networks that were never
# trained.


# %%
def untrained(name):
    """A network of the same layers, with weights that a training would begin with."""
    keras.utils.set_random_seed(SEED)
    return keras.models.clone_model(models[name])


with stopwatch.measure("linear probes"):
    results["linear probes, untrained"] = {name: probe(name, untrained(name)) for name in models}
table(
    [
        {"network": name, "layer": layer, "question": question}
        | {"untrained": percent(accuracy), "trained": percent(probed[name][layer][question])}
        for name, rows in results["linear probes, untrained"].items()
        for layer, row in list(rows.items())[-1:]
        for question, accuracy in row.items()
    ]
)

# %% [markdown]
# **Reading.** *First layers* already hold color and width, which even the mean brightness of the
# three color channels tells, and length, which it does not: 76.85 % on the image, 96.05–100.00 %
# after one layer. But so do first layers that were never trained, and these tell nearly as many
# angles and digits as the trained ones: to take an image apart into edges, any filters will do.
# *Middle and last layers* are what training makes. In our networks the angle rises from 79–88 %
# after the first layer (13.1 % on the image, 8.3 % is chance) to 98.75–99.8 % after the last;
# untrained, it falls from layer to layer, to 39–45 %. For digits the trained layers go from 63.45
# to 99.65 %, the untrained ones stop at 86 %. Part 1's single wide convolution leaves 9.35 % of the
# digits and 5.2 % of the angles unread by this measure: presumably its dense layer of 1,024 units,
# which looks at every position separately, does the rest.
#
# ## 3 · Filters
#
# **Question.** What does each filter look for?
#
# From a blank image, the pixels ascend along the gradient of one filter's response (Erhan et al.,
# 2009). The response is the mean over positions of what enters the rectifier, so that a filter
# whose rectifier outputs 0 still has a gradient; what is below 0 counts a hundredth, or else a
# filter would raise all positions a little rather than some of them much. In each step the image is
# shifted by up to a pixel and neighboring pixels share a part of their gradient (after Olah et al.,
# 2017), against checkerboards and noise. All filters of a layer ascend at once:

# %%
Code(inspect.getsource(ascent.compile_ascent), language="python")


# %%
def ascend(name, model, how=None):
    """{layer: FilterImages} of every convolution of a network, all its filters."""
    images, how = test_images[name][:COMPARED], how or ascent.Ascent(steps=STEPS)
    return {
        layer: maximize_filters(model, layer, images=images, ascent=how)
        for layer in inspect_model(model).convolutions()
    }


def draw_filters(name, most=32):
    """The first filters of all convolutions, each with the test image that it responds to most."""
    sheet = Sheet()
    for number, (layer, of_layer) in enumerate(maximized[name].items()):
        weights = filters.first_layer_weights(models[name], layer) if number == 0 else None
        images = test_images[name][:COMPARED] / 255
        images = images[..., None] if images.ndim == 3 else images
        pictures.add_filters(sheet, of_layer, images, weights, most=most)
    return sheet.figure()


with stopwatch.measure("gradient ascent, all filters"):
    maximized = {name: ascend(name, models[name]) for name in models if "MNIST" in name}

# %%
with stopwatch.measure("gradient ascent, all filters"):
    maximized |= {name: ascend(name, models[name]) for name in models if "lines" in name}


# %%
def filter_rows(maximized):
    """What the ascent reached, one row for each layer of {network: {layer: FilterImages}}."""
    return [
        {
            "network": name,
            "layer": layer,
            "filters": len(of_layer.images),
            "blank image": float(of_layer.start.mean()),
            "after": float(of_layer.end.mean()),
            "best test image": float(of_layer.best_response.mean()),
            "raised": int((of_layer.end > of_layer.start).sum()),
            "above the best test image": int((of_layer.end > of_layer.best_response).sum()),
            "dead": int(of_layer.dead.sum()),
            "one tone": sum(note.startswith("one tone") for note in of_layer.note),
        }
        for name, layers in maximized.items()
        for layer, of_layer in layers.items()
    ]


def filter_table(rows):
    responses = ("blank image", "after", "best test image")
    return table([row | {key: f"{row[key]:.3g}" for key in responses} for row in rows])


results["filters"] = filter_rows(maximized)
filter_table(results["filters"])

# %% [markdown]
# **Controls.** Are the patterns those of the weights, or of the method? An untrained network has
# filters too. And a mean over positions asks for something that repeats: stripes may come from
# that. So the filters of the final digit network ascend once more, for the middle position alone.

# %%
with stopwatch.measure("gradient ascent, all filters"):
    name, once = "final, MNIST", ascent.Ascent(steps=STEPS, everywhere=False)
    controls = {
        f"{name}, untrained": ascend(name, untrained(name)),
        f"{name}, the middle alone": ascend(name, models[name], once),
    }
results["filters, controls"] = filter_rows(controls)
filter_table(results["filters, controls"])

# %% [markdown]
# **Reading.** No filter of the five networks is dead, and each picture beats the blank image;
# nearly each beats the best of 2,000 test images, by a factor of about two for deep digit filters
# and of up to ten and more for those of lines. The response is a mean over positions, and a line
# covers few: in four of the eight layers for lines even the blank gray image has a higher one than
# the best line.
#
# That the ascent succeeds says nothing about learning: the filters of the untrained network are
# raised above the best test image just as often. What training changes is how strongly they
# respond, more than ten times, and to what. For the middle position alone every picture beats the
# best test image, too, though by less: a digit can fill what one position sees, not a whole field.
#
# In the figures the first 32 filters of every convolution are shown, a star where the middle of a
# picture is one tone ("one tone" in the table), or where it says little for another reason, given
# below.

# %%
show(draw_filters("Part 1, MNIST"), "filters-part1-mnist")

# %% [markdown]
# *Figure: Part 1's filters for digits: weights, picture, best test digit. Most look for stripes of
# one direction and distance, that is, for strokes; the weights alone hardly show it.*


# %%
show(draw_filters("final, MNIST"), "filters-final-mnist")

# %% [markdown]
# *Figure: the final network for digits, six convolutions. Filters of the first and second look for
# stripes; in the third the stripes begin to bend; from the fourth on they are strokes that end,
# meet and turn, around one position in the image.*


# %%
show(draw_filters("Part 1, lines"), "filters-part1-lines")

# %% [markdown]
# *Figure: Part 1's filters for lines. Many pictures are full of green, which no line has, red and
# blue being all there is: the weights that read the green channel had nothing to learn from and are
# still as random as at the start. Task 2 found the same by testing a network on green lines.*


# %%
show(draw_filters("final, lines"), "filters-final-lines")

# %% [markdown]
# *Figure: the final network for lines. Stripes of one direction in every layer, and in the last one
# still: lines have nothing more complicated to offer. Green, or its complement magenta, is
# everywhere: nothing ever taught these filters about it.*


# %%
show(draw_filters("four heads, lines"), "filters-four-heads")

# %% [markdown]
# *Figure: the four-headed network, a tenth of whose training lines had other colors. Filters of the
# first layer look for white, or for a color or two; in later layers nearly all stripes are white,
# and green is rare: the filters respond to a direction in any color.*
#
# Almost no picture looks like a line on black. A filter's response is a mean over all positions, so
# a whole field of parallel lines gives more than one; what it shows is the direction, the width and
# the color that the filter looks for, not an image that the network expects.


# %% [markdown]
# ## 4 · Heatmaps
#
# **Question.** Which part of an image spoke for the prediction?
#
# Grad-CAM (Selvaraju et al., 2017) weighs each channel of the last feature map, after its
# rectifier, with the mean gradient of the class's score and adds the channels up; what is above 0
# speaks for the class. The score is the logit, since a softmax close to 1 has hardly any gradient;
# for a sigmoid that predicts 0 it is the negated logit. Images are explained in batches by one
# compiled function:

# %%
Code(inspect.getsource(gradcam._compile), language="python")

# %% [markdown]
# The combination itself is a line or two, and so are Grad-CAM++ (Chattopadhay et al., 2018) and
# LayerCAM (Jiang et al., 2021):


# %%
Code("\n\n".join(map(inspect.getsource, gradcam.METHODS.values())), language="python")


# %%
def class_names(name):
    """{head: names of its classes} of a network."""
    if name == "four heads, lines":
        return lines.CLASS_NAMES
    (head,) = inspect_model(models[name]).heads
    if "MNIST" in name:
        return {head: [str(digit) for digit in range(10)]}
    return {head: [lines.class_name(number) for number in range(lines.CLASSES)]}


def draw_heatmaps(name, images, titles, layer=None, method="grad-cam"):
    """The heatmaps of all heads for some images."""
    model, sheet = models[name], Sheet()
    order = lines.HEADS if name == "four heads, lines" else inspect_model(model).heads
    maps = {head: grad_cam(model, images, head, None, layer, method) for head in order}
    colors = (images / 255)[..., None] if images.ndim == 3 else images / 255
    pictures.add_heatmaps(sheet, colors, maps, titles, class_names(name))
    return sheet.figure()


def chosen(name, most_mistakes=3):
    """Test images to explain: the last mistakes, if any, after the first ones that are right."""
    wrong = mistakes[name][:most_mistakes]
    right = np.setdiff1d(np.arange(30), mistakes[name])[: 9 - len(wrong)]
    return np.concatenate([right, wrong])


def true_titles(name, indices):
    """What the images show, in words."""
    if "MNIST" in name:
        return [f"true {digit_classes[index]}" for index in indices]
    words = [lines.class_name(c).split() for c in lines.encode(drawn.labels[indices])]
    return [f"true: {length}\n{width} {angle} {color}" for length, width, angle, color in words]


def draw_chosen(name, layer=None, method="grad-cam"):
    """The heatmaps of a network for its chosen test images."""
    indices = chosen(name)
    titles = true_titles(name, indices)
    return draw_heatmaps(name, test_images[name][indices], titles, layer, method)


# %% [markdown]
# Each image is followed by its heatmap and by both laid over each other. Above the map are the
# prediction, its probability, and the *peak*, the highest value of the map in logits. Mistakes,
# where there are any among the test images, come last.

# %%
show(draw_chosen("Part 1, MNIST", bare("Part 1, MNIST")), "heatmaps-part1-mnist-bare")

# %% [markdown]
# *Figure: Part 1's network for digits, at its only convolution. Several maps are empty, and say
# why: nowhere does the sum of the channels speak for the class.*
#
# The reason is known: this convolution has no activation inside, the rectifier is a layer of its
# own. Below 0 a filter says nothing to the layers above, but counts in Grad-CAM's sum. So if no
# layer is named, heatmaps are made after the rectifier, at the last feature map that all paths from
# the image to the head go through. There the maps are:


# %%
show(draw_chosen("Part 1, MNIST"), "heatmaps-part1-mnist")

# %% [markdown]
# *Figure: the same images at the rectifier. Heat lies on edges and on strokes' ends, and also next
# to the digit.*


# %%
show(draw_chosen("final, MNIST"), "heatmaps-final-mnist")

# %% [markdown]
# *Figure: the final MNIST network, six digits and three mistakes. The last feature map has 3 × 3
# cells, and without padding their middles lie at the pixels 12, 14 and 16 of 28, so a map says no
# more than which quarter of the image spoke for the prediction. An earlier layer, and LayerCAM, see
# finer:*

# %%
middle = rectified("final, MNIST")[2]
show(draw_chosen("final, MNIST", middle, "layercam"), "heatmaps-final-mnist-layercam")

# %% [markdown]
# *Figure: LayerCAM at the third of six rectifiers. Much of the heat lies where strokes meet or
# turn. Beyond the outermost cells it is continued to the border of the image, hence the streaks;
# peaks in them, as below the 1 that is read as 7, are not to be trusted.*


# %%
show(draw_chosen("Part 1, lines"), "heatmaps-part1-lines")

# %% [markdown]
# *Figure: Part 1's network for lines; the last three are mistakes. Heat lies along the line, and,
# for lines near the border, on the empty ground between it and the border.*


# %%
show(draw_chosen("final, lines"), "heatmaps-final-lines")

# %% [markdown]
# *Figure: the final network for lines, which makes no mistake on 10,000 test images. The heat
# surrounds the line, as well as 4 × 4 cells can.*


# %%
show(draw_chosen("four heads, lines"), "heatmaps-four-heads")

# %% [markdown]
# *Figure: the four-headed network; for each head the map and its overlay. The maps share one color
# scale, so they show which head has the most to say; the overlays go up to each map's own peak.*
#
# **Reading.** The heads look at different things. *Angle* looks along the line. *Length* does two
# things: "long" is supported by the line, "short" by the empty ground away from it. *Width* has
# weaker maps, mostly at the line. *Color* has weak maps that spread over the ground, those of "red"
# the weakest.
#
# ### Where it fails: lines of another program
#
# Task 2 ended with lines that Pillow draws, on which the same network errs. There are mistakes to
# look at.


# %%
def drawn_by_pillow():
    """The first test lines, drawn by Pillow, and (n, 4) what the four-headed network misreads."""
    labels, centers = drawn.labels[:PROBED], drawn.centers[:PROBED]
    images = other_programs.draw("Pillow line", labels, centers)
    predicted = np.stack(list(predictions("four heads, lines", images).values()), axis=1)
    return images, predicted != labels


pillow_images, misread = drawn_by_pillow()
results["misread Pillow lines"] = {
    "lines": len(misread),
    "any head": int(misread.any(axis=1).sum()),
    **dict(zip(lines.HEADS, misread.sum(axis=0).tolist(), strict=True)),
}
table([results["misread Pillow lines"]])

# %% [markdown]
# Lines that any head misreads, and by head: length and color are always right.

# %%
some = np.flatnonzero(misread.any(axis=1))[:SHOWN]
figure = draw_heatmaps("four heads, lines", pillow_images[some], true_titles("lines", some))
show(figure, "heatmaps-pillow")

# %% [markdown]
# *Figure: six of the misread lines, drawn by Pillow.* The angle's heat lies on the line or near one
# of its ends, as before; *why* such a line is misread, the maps do not say.


# %% [markdown]
# ## 5 · Can the pictures be trusted?
#
# ### Do they depend on what was learned?
#
# Some explanations are no more than outlines of the image, and stay the same when the network is
# random (Adebayo et al., 2018). So the layers are made random one after the other, from the head
# down, and the maps of the same class are compared with those of the trained network. An empty map
# cannot be compared: it counts as invalid, not as changed.

# %%
Code(inspect.getsource(_cascade), language="python")


# %%
def cascades(name, draws=3):
    """{head: Cascade} of a network."""
    images, shuffling = test_images[name][:CHECKED], checks.Shuffling(draws)
    return {
        head: checks.randomization(models[name], images, head, shuffling=shuffling)
        for head in inspect_model(models[name]).heads
    }


with stopwatch.measure("cascading randomization"):
    randomized = {name: cascades(name) for name in models}


# %%
results["randomization"] = [
    {
        "network": name,
        "head": head,
        "layer": cascade.layer,
        "stages": cascade.stages,
        "different images": cascade.reference,
        "similarity": {kind: cascade.similarity(kind) for kind in ("signed", "absolute")},
        "lost to empty maps": cascade.invalid.mean(),
        "reading": checks.verdict(cascade).text,
    }
    for name, of_heads in randomized.items()
    for head, cascade in of_heads.items()
]


def in_words(row):
    """A row of the randomization as text: rank correlations with and without sign."""
    signed, absolute = row["similarity"].values()
    return {key: row[key] for key in ("network", "head", "layer")} | {
        "different images": ", ".join(f"{value:.2f}" for value in row["different images"].values()),
        "head random": f"{signed[0]:.2f}, {absolute[0]:.2f}",
        "all random": f"{signed[-1]:.2f}, {absolute[-1]:.2f}",
        "lost to empty maps": percent(row["lost to empty maps"], 0),
        "reading": row["reading"],
    }


table([in_words(row) for row in results["randomization"]])

# %%
four = randomized["four heads, lines"]
show_chart(check_plots.cascade({head: four[head] for head in lines.HEADS}), "randomization")

# %% [markdown]
# *Figure: the four heads. Each row down, one more layer is random. Thin lines are single draws,
# dashed lines the similarity of the maps of different images, "% empty" the comparisons lost.*
#
# **Reading.** In the table, each pair is the rank correlation with and without sign, the mean of
# three draws. With its sign it falls to 0.15 or less once the head is random, in all networks.
# Single draws differ widely for length: a random head with two classes may keep or turn the sign.
# Without sign some outlines stay. The last column asks whether the maps become as unlike the
# trained ones as maps of different images are. Those of our networks do, before any convolution is
# random. Those of Part 1's do not, even when all is random: they follow the weights only in part.
# For the final network for digits, two fifths of the comparisons are lost to empty maps.
#
# ### Does the network need what is hot?
#
# Pixels are taken away, the hottest first, and the probability of the class is watched; or put on
# an empty image, the hottest first (Samek et al., 2017; Petsiuk et al., 2018). Two controls say
# what is early: random pixels, and the *displaced* map, mirrored
# and shifted, which has the same patches as the map at wrong positions.


# %%
Code(inspect.getsource(masking._compile), language="python")

# %%
with stopwatch.measure("deletion and insertion"):
    four, images = models["four heads, lines"], drawn.images[:CHECKED]
    maps = {head: grad_cam(four, images, head) for head in lines.HEADS}
    deleted = {head: checks.deletion(four, images, maps[head]) for head in lines.HEADS}
    inserted = {head: checks.insertion(four, images, maps[head]) for head in lines.HEADS}
for kind, found in {"deletion": deleted, "insertion": inserted}.items():
    results[kind] = {
        head: {
            "curves": np.nanmean(curves.curves, axis=0),
            "random": np.nanmean(curves.random, axis=0),
            "moved": np.nanmean(curves.displaced, axis=0),
        }
        | {"fractions": curves.fractions, "gain": curves.gain()}
        for head, curves in found.items()
    }
show_chart(check_plots.curves(deleted), "deletion")

# %% [markdown]
# *Figure: deletion, mean of 40 test lines with 95 % interval. The lower the curve, the better the
# map. The curves end at what each head predicts for an empty image:*

# %%
black = np.zeros((28, 28, 3), np.uint8)
to_black = {head: grad_cam(four, black, head) for head in lines.HEADS}
results["empty image"] = [
    {
        "head": head,
        "answer to a black image": lines.CLASS_NAMES[head][maps.targets[0]],
        "probability": maps.probabilities[0],
    }
    for head, maps in to_black.items()
]
table([row | {"probability": percent(row["probability"], 1)} for row in results["empty image"]])

# %% [markdown]
# The mean over all lines mixes two labels of a head: one ends where it began, the other at 0. Each
# label by itself, with half of the pixels gone and with all:


# %%
def by_label(curves, head):
    """Rows of a head's deletion curves, one for each of its labels."""
    middle = len(curves.fractions) // 2
    parts = {name: curves.of_target(label) for label, name in enumerate(lines.CLASS_NAMES[head])}
    return [
        {
            "head": head,
            "label": name,
            "lines": len(part.targets),
            "probability": np.nanmean(part.curves[:, 0]),
            "half deleted": np.nanmean(part.curves[:, middle]),
            "all deleted": np.nanmean(part.curves[:, -1]),
            "gain over displaced maps": part.gain()[0],
        }
        for name, part in parts.items()
        if np.isfinite(part.curves).any()
    ]


results["deletion by label"] = [
    row for head in ("length", "width", "color") for row in by_label(deleted[head], head)
]
table(
    [
        {key: f"{v:.2f}" if isinstance(v, float) else v for key, v in row.items()}
        for row in results["deletion by label"]
    ]
)

# %%
show_chart(check_plots.curves(inserted), "insertion")

# %% [markdown]
# *Figure: insertion of the same pixels. The higher the curve, the better.*
#
# **Reading.** For all four heads the maps beat both controls, except color in insertion, where a
# few random pixels of the line tell the color just as well. With the hottest 20 % of the pixels
# gone, the angle is at chance. A black image already is "short" to this network, and it leans to
# "thin" (67.5 %) and "red" (73.6 %): "short" needs nothing on the image that speaks for it, the
# other two little.
#
# ### Which method is the most faithful?
#
# Grad-CAM, Grad-CAM++ and LayerCAM, each at the last convolution and after its rectifier, where
# they are made by default. The figures are the areas between the curve of the map and that of the
# displaced maps; above 0 the map is better. The last row of each is not an explanation: *contrast*
# takes the brightest pixels first, knowing nothing of the network.


# %%
def compare(name):
    """{head: rows of `checks.compare_methods`}, at the last convolution and its rectifier."""
    images, masking = test_images[name][:CHECKED], checks.Masking(steps=10, repeats=2)
    methods = [
        gradcam.GradCam(layer, method) for layer in (bare(name), None) for method in gradcam.METHODS
    ]
    return {
        head: checks.compare_methods(models[name], images, head, None, methods, masking)
        for head in inspect_model(models[name]).heads
    }


with stopwatch.measure("comparison of methods"):
    compared = {name: compare(name) for name in models if "heads" not in name}

# %%
with stopwatch.measure("comparison of methods"):
    compared |= {name: compare(name) for name in models if "heads" in name}


# %%
results["faithfulness"] = compared
convolutions = {bare(name) for name in models}
titles = {
    f"{name}: {head}" if len(of_heads) > 1 else name: rows
    for name, of_heads in compared.items()
    for head, rows in of_heads.items()
}
show_chart(check_plots.gains(titles, convolutions), "faithfulness")


# %%
def count(layers):
    """How often the maps at some layers beat the displaced map: on the mean, and with certainty."""
    gains = [
        row[f"{kind}_gain"]
        for rows in titles.values()
        for row in rows
        for kind in ("deletion", "insertion")
        if row["layer"] in layers
    ]
    better = sum(mean > 0 for mean, _, _ in gains)
    surely = sum(low > 0 for _, low, _ in gains)
    return {"comparisons": len(gains), "map better": better, "interval above 0": surely}


rectifiers = {rectified(name)[-1] for name in models}
table([{"at": "convolution"} | count(convolutions), {"at": "rectifier"} | count(rectifiers)])

# %% [markdown]
# *Figure: 40 test images of each network; dots right of 0 are better than the displaced map, bars
# are 95 % intervals over the images.*
#
# **Reading.** At the rectifier the maps are better than displaced ones on the mean in all 48
# comparisons, and beyond the interval in 45; at the bare convolution in 45 and 39. It helps Part
# 1's networks, where Grad-CAM fails for digits at the convolution with nearly half of its maps
# empty. For ours it changes little for Grad-CAM and LayerCAM, which do better at the convolution
# for color, and in deletion for width. Grad-CAM++ at the convolution is the best map for Part 1's
# digits and the worst for all networks for lines: its weights assume activations that are not
# negative. We did not find one method that is better throughout.
#
# And a caution: *contrast*, which only sees that strokes are brighter than the ground, is ahead of
# all maps in most of the rows. On a plain ground, deletion and insertion can show that a map is
# bad, and not that it is better than the image itself.
#
# ### Other ways to ask
#
# Grad-CAM asks a layer. Other methods ask the pixels, and stand behind the same functions: the
# *gradient* of the score with respect to the image (Simonyan et al., 2014), its mean over noisy
# copies (*SmoothGrad*, Smilkov et al., 2017), its integral on the way from black to the image
# (*Integrated Gradients*, Sundararajan et al., 2017, whose pixels add up to what the score rose on
# the way), how much it falls where a black square hides the image (*occlusion*, Zeiler & Fergus,
# 2014), and *Score-CAM* (Wang et al., 2020), which weighs feature maps by what they let through.


# %%
METHODS = ["grad-cam", *PIXELWISE]


def draw_methods(asked):
    """What each method says of some images, a list of (network, head, index of its test image)."""
    tiles = []
    for name, head, index in asked:
        image = test_images[name][[index]]
        label = head if "heads" in name else name
        tiles.append(Tile(as_colors(image[0] / 255), label))
        for method in METHODS:
            found = attribute(models[name], image, head, method=method)
            label = method.replace("integrated-", "integrated\n")
            tiles.append(Tile(through_colormap(found.maps[0], 0, 1, pictures.HEAT), label))
    sheet = Sheet()
    sheet.color_bar("share of the map's own peak", 0, 1, pictures.HEAT)
    sheet.tiles(tiles, columns=1 + len(METHODS))
    return sheet.figure()


(digit_head,) = inspect_model(models["final, MNIST"]).heads
asked = [("final, MNIST", digit_head, index) for index in chosen("final, MNIST")[[0, 3]]]
asked += [("four heads, lines", head, 0) for head in ("angle", "color")]
with stopwatch.measure("other methods, figure"):
    figure = draw_methods(asked)
show(figure, "other-methods")

# %% [markdown]
# *Figure: two digits of the final network, then angle and color of one line. Grad-CAM and
# Score-CAM go by the cells of a layer, occlusion by squares, the others by pixels. The gradients
# are large all over the empty ground; Integrated Gradients stay on what is drawn.*


# %%
def compare_others(name):
    """{head: rows of `checks.compare_methods`} of Grad-CAM and of what asks the pixels."""
    images, masking = test_images[name][:CHECKED], checks.Masking(steps=10, repeats=2)
    return {
        head: checks.compare_methods(models[name], images, head, None, METHODS, masking)
        for head in inspect_model(models[name]).heads
    }


with stopwatch.measure("other methods, comparison"):
    others = {name: compare_others(name) for name in models}
results["other methods"] = others
shown = {
    f"{name}: {head}" if len(of_heads) > 1 else name: rows
    for name, of_heads in others.items()
    for head, rows in of_heads.items()
}
show_chart(check_plots.gains(shown), "other-methods-gains")


# %%
def counted(method):
    """How often a method beats the displaced maps, on the mean, and with certainty."""
    rows = [row for rows in shown.values() for row in rows if row["method"] == method]
    gains = [row[f"{kind}_gain"] for row in rows for kind in ("deletion", "insertion")]
    better = sum(mean > 0 for mean, _, _ in gains)
    return {"method": method, "comparisons": len(gains), "better": better} | {
        "interval above 0": sum(low > 0 for _, low, _ in gains),
        "interval below 0": sum(high < 0 for _, _, high in gains),
    }


table([counted(method) for method in (*METHODS, "contrast")])

# %% [markdown]
# *Figure: 40 test images of each network, as above, each method against its own map displaced.*
#
# **Reading.** On the mean, Grad-CAM, Integrated Gradients, occlusion and Score-CAM are better than
# displaced maps in all comparisons, and nearly always beyond the interval. Plain gradients are
# worse than displaced ones in our two networks for lines, SmoothGrad for three of the four heads.
# They say how the score would change if a pixel did, and a black pixel could become anything; the
# question was what the image has. Integrated Gradients answer that one: each pixel's gradient is
# multiplied with its difference from black, so what is black gets nothing. That is also why they
# come out well: like *contrast*, which is not an explanation and keeps up with them, they cannot
# waste a pixel on the ground. Where the ground speaks, as for "short", no such map can show it, and
# Grad-CAM can.
#
# ### Does the heat lie on the line?

# %%
Code(inspect.getsource(checks.pointing_game), language="python")

# %%
pointed = lines.Lines(*(column[:POINTED] for column in drawn))
masks = checks.line_masks(pointed)
pointed_at = {
    f"{name}: {head}" if "heads" in name else name: (name, head)
    for name in models
    if "lines" in name
    for head in inspect_model(models[name]).heads
}
pointed_maps, games, heats = {}, {}, {}
with stopwatch.measure("pointing game"):
    for title, (name, head) in pointed_at.items():
        maps = pointed_maps[title] = grad_cam(models[name], pointed.images, head)
        games[title] = checks.pointing_game(maps, masks)
        heats[title] = checks.heat_inside(maps, masks)
show_chart(check_plots.localization(games, heats), "pointing-game")

# %% [markdown]
# *Figure: how often the hottest pixel lies on the line (left), and how much of the heat (right);
# 3,840 test lines, the 95 % intervals are about as wide as the dots.*
#
# A map has to be enlarged before it can be compared with the line, and that moves heat. Usually it
# is stretched over the image, as if the cells of a layer shared it out evenly. They do not: without
# padding, the outermost cells look at positions further inside. `interpret` computes from
# kernels, strides and padding where each cell looks. In the table, "stretched" is the same heat
# enlarged in the usual way.

# %%
Code(
    "\n\n".join(map(inspect.getsource, (windows.strided, placement.interpolation))),
    language="python",
)


# %%
def stretched_maps(maps):
    """The same heat stretched evenly over the image, as is usual."""
    rows, columns = maps.raw.shape[1:]
    down = placement.interpolation(placement.stretched(rows, 28), rows, 28)
    across = placement.interpolation(placement.stretched(columns, 28), columns, 28)
    return down @ np.maximum(maps.raw, 0) @ across.T


def on_the_line(title, name, head):
    """How much lies on the line: heat placed where cells look, stretched, of the convolution."""
    game, heat = games[title], heats[title]
    usual = stretched_maps(pointed_maps[title])
    earlier = grad_cam(models[name], pointed.images, head, layer=bare(name))
    return {
        "hottest pixel": game.share,
        "times chance": game.share / game.chance,
        "if stretched": checks.pointing_game(usual, masks).share,
        "at the convolution": checks.pointing_game(earlier, masks).share,
        "heat": heat.share,
        "heat times chance": heat.share / heat.chance,
        "heat if stretched": checks.heat_inside(usual, masks).share,
        "chance": game.chance,
        "empty": game.empty,
    }


def in_percent(row):
    """A row as text: shares in percent, factors with one decimal, all else as it is."""
    texts = {key: f"{row[key]:.1f}" for key in row if "times" in key}
    shares = {key: percent(share, 1) for key, share in row.items() if isinstance(share, float)}
    return row | shares | texts


with stopwatch.measure("pointing game"):
    results["pointing game"] = {title: on_the_line(title, *at) for title, at in pointed_at.items()}
table([{"network": title} | in_percent(row) for title, row in results["pointing game"].items()])

# %% [markdown]
# A head with two classes can tell one of them by the ground. So here is the same again, by the true
# class:

# %%
results["pointing game by answer"] = [
    {
        "head": head,
        "answer": class_name,
        "lines": int(of_class.sum()),
        "hottest pixel": np.nanmean(games[title].of_images[of_class]),
        "heat": np.nanmean(heats[title].of_images[of_class]),
        "empty": int(np.isnan(heats[title].of_images[of_class]).sum()),
    }
    for head, column in zip(lines.HEADS, pointed.labels.T, strict=True)
    if head != "angle"
    for title in (f"four heads, lines: {head}",)
    for number, class_name in enumerate(lines.CLASS_NAMES[head])
    for of_class in (column == number,)
]
table([in_percent(row) for row in results["pointing game by answer"]])

# %% [markdown]
# **Reading.** The hottest pixel lies on the line 4 to 13 times as often as chance, except for color
# (1.7 times); the heat 2 to 6 times: most of it lies next to the line. Placing the heat where the
# cells look takes Part 1's hottest pixels from 42.2 % to 64.2 %. For the 4 × 4 maps it moves them
# by −5 to +3 points. At the bare convolution fewer hottest pixels lie on the line, except for
# width, where a few more do, and color, where far more do.
#
# By class, "long" has its hottest pixel on the line for 42.9 % of the lines, "short" for none: it
# is told by the ground, as the black image showed. Of the heat of "red", to which a black image
# leans, 11.8 % lies on the line, of that of "blue" 7.1 %. A test that expects heat on the line
# interprets such maps as mistakes.
#
# ## 6 · One entry point
#
# All of this stands behind one function, for any Keras model: an image alone gives activations and
# heatmaps, a layer alone its filters, both that image at that layer. The image may have any size
# and color mode; `explain` says how it was converted.

# %%
photo = np.zeros((40, 60, 3), np.uint8)
cv2.line(photo, (12, 30), (48, 10), (230, 40, 40), 5, cv2.LINE_AA)
explanation = explain(
    models["four heads, lines"],
    photo,
    layer="conv2d_9",
    names=class_names("four heads, lines"),
    progress=print,
)
show(explanation.figure, "explain")

# %% [markdown]
# *Figure: a drawing of 60 × 40 pixels, explained at the first convolution.* From the shell it is
# `python -m cnnlab explain --model task2 --image photo.png --out photo.pdf`.
#
# ## 7 · What the networks have learned
#
# * **First layers** take images apart into edges and strokes of one direction, and color. Their
#   filters look for stripes (section 3). A linear probe on them reads width and color without an
#   error on 2,000 images and most of the angles (section 2); on untrained ones nearly as much.
# * **Middle layers** put strokes together, and this is learned: the probes climb from layer to
#   layer, where those of untrained networks stop or fall, and the filters' pictures of digits bend.
# * **Last layers** know the class: probes reach 99.65 % for digits and 98.75–99.8 % for the angle.
# * **The heads of the four-headed network look at different parts of the image.** Angle and width
#   at the line; "long" at the line, "short" at the ground away from it; color's weak heat spreads
#   over the ground.
# * **Heatmaps must be questioned.** They depend on the weights, Part 1's only in part, and at the
#   rectifier all beat the displaced map on the mean. But at a bare convolution Grad-CAM can be
#   empty or no better than displaced heat; stretching misplaces the maps of convolutions without
#   padding; and on a plain ground brightness alone does as well.
#
# What this notebook does not settle: one trained network of each kind was looked at, one seed; the
# probes cannot use position, which the networks' dense layers can; and an image with deleted pixels
# is one that no network was trained on.

#
# Two runs on one machine give the same results, but not the same times; these are kept apart, in
# `times.json`.


# %%
stopwatch.seconds["everything above"] = round(time.perf_counter() - begin, 1)
out.json(stopwatch.seconds, "times.json")
results["headline"] = [
    {
        "what": f"hottest pixel of Grad-CAM on the line, {title}",
        "value": percent(games[title].share, 1),
        "conditions": f"chance {percent(games[title].chance, 1)}; {len(masks):,} unseen lines; "
        "one network, seed 0",
    }
    for title in ("Part 1, lines", "final, lines", "four heads, lines: angle")
]
out.json(results)
table(results["headline"])
