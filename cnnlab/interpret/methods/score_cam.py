"""Score-CAM (Wang et al., 2020): feature maps as masks, weighed by what they let through."""

import numpy as np
import tensorflow as tf

from cnnlab.interpret.placement import enlarged, place

MASKS = 64  # images in one call: bounds the memory


def score_cam(scorer, images, targets):
    """Return (n, height, width), the rectified sum of a layer's enlarged maps, each weighed.

    A map, scaled to 0..1, is multiplied with the image, and black shows where it is 0. The weights
    are the softmax over the channels of how far the scores are above that of black.
    """
    view = scorer.view
    call, *others = view.heat_layers(scorer.layer, scorer.head)
    placement = place(view, call, images.shape[1:3])
    black = scorer.blank(images)
    base = scorer.scores(black, targets)
    raw = np.zeros(images.shape[:3], np.float32)
    for index, image in enumerate(images):
        value = [call.outputs[0]]
        (maps,) = view.graph.run(image[None], value, weights=list(scorer.weights))
        maps = placement.as_maps(tf.cast(maps, "float32"))[0]  # (h, w, channels)
        large = np.asarray(enlarged(tf.transpose(maps, (2, 0, 1)), *placement.tables))
        low, high = (part(axis=(1, 2), keepdims=True) for part in (large.min, large.max))
        masks = (large - low) / np.where(high > low, high - low, 1)
        above = np.empty(len(masks), np.float32)
        for start in range(0, len(masks), MASKS):
            part = masks[start : start + MASKS, ..., None]
            seen = black[index] + part * (image - black[index])
            of_part = np.full(len(part), targets[index], np.int32)
            above[start : start + MASKS] = scorer.scores(seen, of_part) - base[index]
        weights = np.exp(above - above.max())
        raw[index] = np.maximum(np.tensordot(weights / weights.sum(), large, axes=1), 0)
    remarks = [f"of {call.name} alone, one of several branches"] if others else []
    remarks += [placement.remark] if placement.remark else []
    return raw, ["; ".join(remarks)] * len(images)
