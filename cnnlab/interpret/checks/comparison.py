"""Which heatmap method, and which layer, finds the pixels that the network needs?"""

import numpy as np

from cnnlab.interpret.checks.deletion import deletion, insertion
from cnnlab.interpret.checks.masking import as_blank
from cnnlab.interpret.checks.statistics import known_interval
from cnnlab.interpret.gradcam import METHODS, grad_cam
from cnnlab.interpret.model.network import as_batch, as_list, inspect_model


def compare_methods(
    model, images, head=None, target=None, *, methods=tuple(METHODS), layers=(None,), **options
):
    """Compare heatmap methods, and layers, by deletion and insertion on the same images.

    The last row, "contrast", is no explanation: it is the distance of each pixel from `blank`, and
    knows nothing of the network. On a plain ground it is hard to beat, because it wastes no pixel
    on the ground.

    Args:
        model, images, head, target: as in `grad_cam`.
        methods: keys of METHODS, or one.
        layers: names of layers, or one; None stands for the one that `grad_cam` takes.
        options: steps, blank, repeats and seed, as in `deletion`.

    Returns:
        A list of dicts, one for each layer and method: `layer`, `method`, `empty` (the number of
        images without a map), and for each kind, "deletion" and "insertion": the mean area under
        its name, "..._gain", how much better than the moved maps, and "..._ahead", how much better
        than the first row on the same images. These two are (mean, low, high), 95 % intervals
        paired by image, and better is above 0 for both kinds.

    Raises:
        TypeError: as `deletion` and `grad_cam`.
        ValueError: as these, and for no method or no layer.
    """
    network = inspect_model(model, images)
    images = as_batch(network, images)
    maps = [
        grad_cam(model, images, head, target, layer, method)
        for layer in as_list(layers)
        for method in as_list(methods)
    ]
    if not maps:
        raise ValueError("there is nothing to compare: name at least one method and one layer")
    blanks = as_blank(options.get("blank", 0), images).astype(np.float64)
    contrast = np.abs(images.astype(np.float64) - blanks).sum(axis=3)
    rows = [{"layer": found.layer, "method": found.method} for found in maps]
    rows.append({"layer": "", "method": "contrast"})
    for kind, check, sign in (("deletion", deletion, -1), ("insertion", insertion, 1)):
        found = [check(model, images, heat, controls=("moved",), **options) for heat in maps]
        explained = (maps[0].head, maps[0].targets)
        found.append(check(model, images, contrast, *explained, controls=("moved",), **options))
        for row, curves in zip(rows, found, strict=True):
            ahead = sign * (curves.areas() - found[0].areas())
            row |= {
                "empty": curves.empty,
                kind: known_interval(curves.areas())[0],
                f"{kind}_gain": curves.gain(),
                f"{kind}_ahead": known_interval(ahead),
            }
    return rows
