"""Which heatmap method, and which layer, finds the pixels that the network needs?"""

from dataclasses import replace

import numpy as np

from cnnlab.interpret.attribution import heatmaps
from cnnlab.interpret.checks.deletion import deletion, insertion
from cnnlab.interpret.checks.masking import DEFAULT_MASKING
from cnnlab.interpret.checks.statistics import known_interval
from cnnlab.interpret.gradcam import METHODS
from cnnlab.interpret.model.network import as_batch, as_list, inspect_model


def compare_methods(
    model, images, head=None, target=None, methods=tuple(METHODS), masking=DEFAULT_MASKING
):
    """Compare heatmap methods, and layers, by deletion and insertion on the same images.

    `methods` are keys of METHODS or, for another layer, `GradCam`; the only control is the
    displaced map. Returns a dict for each: `layer`, `method`, `empty` (how many images have no
    map), and for "deletion" and "insertion" the mean area, "..._gain", how much better than the
    displaced maps, and "..._ahead", how much better than the first row. These two are (mean, low,
    high), 95 % intervals paired by image, above 0 where better, for both kinds.

    The last row, "contrast", is not an explanation but the distance of each pixel from the blank.
    On a plain ground it is hard to beat, because it wastes no pixel on the ground.

    Raises:
        ValueError: no method; else as `deletion` and `grad_cam`.
    """
    view = inspect_model(model, images)
    images = as_batch(view, images)
    masking = replace(masking, controls="displaced")
    maps = [heatmaps(model, images, head, target, how) for how in as_list(methods)]
    if not maps:
        raise ValueError("there is nothing to compare: give at least one method")
    contrast = np.abs(images.astype(np.float64) - masking.blank).sum(axis=3)
    rows = [{"layer": of_method.layer, "method": of_method.method} for of_method in maps]
    rows.append({"layer": "", "method": "contrast"})
    for kind, check, sign in (("deletion", deletion, -1), ("insertion", insertion, 1)):
        curves = [check(model, images, of_method, masking=masking) for of_method in maps]
        asked = maps[0].head, maps[0].targets, masking, maps[0].outputs
        curves.append(check(model, images, contrast, *asked))
        for row, of_row in zip(rows, curves, strict=True):
            row |= {
                "empty": of_row.empty,
                kind: known_interval(of_row.areas())[0],
                f"{kind}_gain": of_row.gain(),
                f"{kind}_ahead": known_interval(sign * (of_row.areas() - curves[0].areas())),
            }
    return rows
