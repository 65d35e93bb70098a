"""Which images are computed together: all that fit, or as many as the model was made for."""

import time

import numpy as np
import tensorflow as tf


def own_batch(graph) -> int | None:
    """Return how many images a model must be given at once; None if any number will do."""
    # Most models that say a number compute any other, too; a stateful layer, say, does not.
    if graph.batch is None:
        return None
    other, counts = graph.batch + 1, set()
    images = tf.TensorSpec((other, *graph.input_shape), graph.dtype)
    trace = tf.function(
        lambda images: graph._replace(batch=None).run(
            images,
            list(graph.outputs.values()),
            watch=lambda _, tensor: counts.update(tensor.shape[:1].as_list()),
        )
    )
    try:
        trace.get_concrete_function(images)
    except Exception:  # whatever the layers say
        return graph.batch
    return graph.batch if counts - {other, None} else None


def in_batches(graph, compute, size, *arrays):
    """Return what `compute` makes of arrays, given `size` rows at a time, as numpy arrays.

    A model that must be given another number at once gets that, the last row repeated as needed.
    """
    size, count = graph.batch or size, len(arrays[0])
    parts = [
        compute(*(filled(graph, array[start : start + size]) for array in arrays))
        for start in range(0, count, size)
    ]
    given = size * len(parts) if graph.batch else count

    def joined(*of_parts):
        whole = np.concatenate(of_parts)  # several rows an image, where it is cut into windows
        return whole[: len(whole) * count // given]

    return tf.nest.map_structure(joined, *parts)


def announced(compute, count, progress, patience=30):
    """Return `compute`, which tells `progress` how long `count` rows will take, if long."""
    begin, done, said = time.monotonic(), 0, False

    def computing(part):
        nonlocal done, said
        made = compute(part)
        done += len(part)
        left = (time.monotonic() - begin) / done * (count - done)
        if progress and not said and left > patience:
            progress(f"{done} of {count}, about {left:.0f} s for the others")
            said = True
        return made

    return computing


def filled(graph, array):
    """Return an array whose last row is repeated up to the number that a model must be given."""
    missing = max(0, (graph.batch or 0) - len(array))
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else array
