"""What a computation takes of the memory, by the shapes of its values, before it is computed."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from cnnlab import memory

NUMBER = 4  # bytes


class Sizes(NamedTuple):
    """How many numbers there are to compute for one image."""

    values: list[int]  # for each value of the graph
    inside: list[int]  # for each, the most in one tensor of the call that makes it, if known


def sizes(graph, size) -> Sizes:
    """Return the sizes for images of (height, width), None for a model that takes only its own.

    No number is computed, but layers raise whatever they raise for images that do not fit.
    """
    if size is None:
        return Sizes(_numbers(graph.shapes), [0] * len(graph.shapes))
    shapes, inside, before = list(graph.shapes), [0] * len(graph.shapes), 0

    def note(number, tensor):
        nonlocal before
        operations = tensor.graph.get_operations()
        made = [one.shape for operation in operations[before:] for one in operation.outputs]
        inside[number] = max(_numbers(shape[1:] for shape in made if shape.rank), default=0)
        shapes[number], before = tensor.shape[1:], len(operations)

    images = tf.TensorSpec((graph.batch or 1, *size, graph.input_shape[2]), graph.dtype)
    outputs = list(graph.outputs.values())
    trace = tf.function(lambda images: graph.run(images, outputs, watch=note))
    trace.get_concrete_function(images)
    return Sizes(_numbers(shapes), inside)


def _numbers(shapes):
    """Return how many numbers there are in tensors of these shapes, of which None counts 1."""
    return [int(np.prod([size or 1 for size in shape], dtype=float)) for shape in shapes]


def images_that_fit(
    view, size, most, wanted, since=(), results=0, what="activations for images"
) -> int:
    """Return how many images of (height, width) to compute at once, `most` or what fits.

    `wanted` are the numbers of the values to compute, `since` those of which gradients are asked,
    and `results` how many numbers there will be for all images. MemoryError says what is needed.
    """
    # What a call reads and makes, and in a gradient or inside of the call as much again.
    values, inside = view.require_size(size)
    calls, kept, working = view.graph.ancestors(*wanted), [], [0]
    if since:  # a gradient needs all that comes in between
        before = set(map(id, view.graph.ancestors(*since)))
        after = [value for call in calls if id(call) not in before for value in call.outputs]
        kept = [*since, *after]
    for call in calls:
        around = sum(values[value] for value in {*call.inputs, *call.outputs})
        working.append(max(around, inside[call.outputs[0]]))
    each = NUMBER * (sum(values[value] for value in kept) + 2 * max(working))
    fixed, results = view.graph.batch, NUMBER * results
    least = (fixed or 1) * each + results
    memory.require_memory(least, f"{what} of {size[1]} × {size[0]} pixels")
    fitting = (memory.free_memory() - results) // 2 // max(1, each)  # half is left to others
    return fixed or max(1, min(most, fitting))


def require_image(height, width, channels) -> None:
    """Raise MemoryError if there is too little memory for an image in numbers of a model."""
    needed = 3 * NUMBER * height * width * channels  # it is copied while it is converted
    memory.require_memory(needed, f"images of {width} × {height} pixels")
