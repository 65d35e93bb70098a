"""What in an image speaks for an answer: all methods behind one function."""

import numpy as np

from cnnlab.interpret import gradcam
from cnnlab.interpret.gradcam import GradCam, Heatmaps
from cnnlab.interpret.methods import PIXELWISE, WITHOUT_LAYER
from cnnlab.interpret.methods.base import Scorer
from cnnlab.interpret.model import scores
from cnnlab.interpret.model.heads import check_targets
from cnnlab.interpret.model.network import as_batch, inspect_model
from cnnlab.interpret.model.ranges import preprocessing_of


def attribute(
    model,
    images,
    head=None,
    target=None,
    method="grad-cam",
    layer=None,
    outputs=None,
    range_=None,
    region=None,
) -> Heatmaps:
    """Return what in each image speaks for a class, or for a higher number, by any method.

    Methods are those of `grad_cam` and the keys of `methods.PIXELWISE`, which go pixel by pixel:
    their `raw` is as large as the images. `range_` is black and white for the model, as in
    `preprocessing.named`; left out, it is read off the model, or (0, 1). All else is as there.

    A head may be a map of classes, as of a segmentation: its score is the mean in `region`, (h, w)
    as the head gives them, 0 elsewhere; left out, where the class is the likeliest.

    Raises:
        ValueError: an unknown method, a layer where the method has none, or as `grad_cam`.
    """
    how = GradCam(layer, method, outputs, range_, region)
    return heatmaps(model, images, head, target, how)


def heatmaps(model, images, head, target, how, weights=()) -> Heatmaps:
    """Return the same of images (n, height, width, channels) by a `GradCam` or a method's name.

    `weights` are as in `gradcam.heatmaps`.

    Raises:
        ValueError: a layer for a method that asks the pixels.
    """
    how = how if isinstance(how, GradCam) else GradCam(method=how)
    if how.method in gradcam.METHODS:
        return gradcam.heatmaps(model, images, head, target, how, weights)
    view = inspect_model(model, images)
    images = as_batch(view, images).astype(np.float32)
    head = how.head(view, head)
    targets = check_targets(head, target, len(images))
    black, white = preprocessing_of(view, how.range_)[:2]
    at_layer = how.method not in WITHOUT_LAYER
    if how.layer is not None and not at_layer:
        raise ValueError(f"{how.method} asks the pixels, and no layer such as {how.layer!r}")
    scorer = Scorer(view, head, how.layer, black, white, tuple(weights))
    facts = scorer.ask(images, targets)
    head.require_probabilities(facts["probabilities"])
    layers = [call.name for call in view.heat_layers(how.layer, head)[:1]] if at_layer else ()
    raw, remarks = PIXELWISE[how.method](scorer, images, facts["targets"])
    raw = raw.astype(np.float32)
    peak = raw.max(axis=(1, 2))
    finite = np.isfinite(raw).all(axis=(1, 2))
    shown = finite & (peak >= scores.TINY)
    scale = np.where(shown, peak, 1)[:, None, None]
    why = np.select(
        [~finite, scores.nowhere(head, facts["probabilities"])],
        ["empty: the network computes NaN or infinity", scores.NOWHERE],
        "empty: no pixel speaks for it",
    )
    return Heatmaps(
        maps=np.where(shown[:, None, None], np.maximum(raw, 0) / scale, 0).astype(np.float32),
        layers=tuple(layers),
        head=head.name,
        outputs=head.outputs,
        targets=facts["targets"],
        scores=facts["score"],
        probabilities=facts["probabilities"],
        answers=facts["answers"],
        peak=peak,
        raw=raw,
        note=tuple(
            remark if good else "; ".join(filter(None, (reason, remark)))
            for good, reason, remark in zip(shown, why.tolist(), remarks, strict=True)
        ),
        method=how.method,
        of_area=head.is_map,
    )
