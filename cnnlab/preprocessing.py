"""What a model may leave open, and its user then says: what it takes, and what its outputs are."""

import difflib
from typing import NamedTuple

import numpy as np

from cnnlab.validation import HEATMAP_METHODS, checked_range

# How heatmaps are made pixel by pixel; those of feature maps are `validation.HEATMAP_METHODS`.
PIXEL_METHODS = ("gradients", "smoothgrad", "integrated-gradients", "occlusion", "score-cam")
FITS = ("stretch", "crop", "pad")  # how an image of another shape becomes one of the model's
OUTPUTS = ("probabilities", "logits", "numbers")  # that a head may give

MEAN = np.array([0.485, 0.456, 0.406])  # of ImageNet's images, red, green and blue, 0..1
DEVIATION = np.array([0.229, 0.224, 0.225])
CAFFE_MEAN = np.array([103.939, 116.779, 123.68])  # blue, green and red, 0..255


class Preprocessing(NamedTuple):
    """How a picture, (..., channels) of 0..1 in RGB, becomes what a model takes."""

    low: float | np.ndarray  # what black is for the model, or (3,) for each of its channels
    high: float | np.ndarray  # what white is
    bgr: bool = False  # whether the model takes blue first
    guessed: bool = False  # whether nothing in the model tells

    def __str__(self):
        low, high = (
            "/".join(f"{number:.4g}" for number in np.ravel(end)) for end in (self.low, self.high)
        )
        guessed = " (guessed: the model does not tell)" if self.guessed else ""
        return f"{low} … {high}{' in BGR' if self.bgr else ''}{guessed}"

    def to_model(self, pictures):
        """Return pictures (..., channels), 0..1 in RGB, as the model takes them."""
        return self.low + (self.high - self.low) * self.in_order(pictures)

    def to_pictures(self, images):
        """Return float32 images (..., channels) that the model takes as pictures, 0..1 in RGB."""
        return self.in_order((np.asarray(images, np.float32) - self.low) / (self.high - self.low))

    def in_order(self, colors):
        """Return colors (..., channels) in RGB in the model's order, or the other way round."""
        return colors[..., ::-1] if self.bgr else colors


MODES = {
    "caffe": Preprocessing(-np.float32(CAFFE_MEAN), np.float32(255 - CAFFE_MEAN), bgr=True),
    "torch": Preprocessing(np.float32(-MEAN / DEVIATION), np.float32((1 - MEAN) / DEVIATION)),
}
APPLICATIONS = {  # what `preprocess_input` of the modules of keras.applications does
    **dict.fromkeys(("resnet", "resnet50", "vgg16", "vgg19"), "caffe"),
    **dict.fromkeys(("inception_resnet_v2", "inception_v3", "mobilenet", "mobilenet_v2"), "-1..1"),
    **dict.fromkeys(("nasnet", "resnet_v2", "xception"), "-1..1"),
    "densenet": "torch",
    # Nothing: the models have it inside.
    **dict.fromkeys(("convnext", "efficientnet", "efficientnet_v2", "mobilenet_v3"), "0..255"),
}


def require_any_method(method):
    """Raise ValueError unless it is the name of a method to make heatmaps, of either kind."""
    known = (*HEATMAP_METHODS, *PIXEL_METHODS)
    if not isinstance(method, str) or method not in known:
        raise ValueError(f"no method {method!r}; there are {', '.join(known)}")


def require_fit(fit):
    """Raise ValueError unless it is one of FITS."""
    if fit not in FITS:
        raise ValueError(f"no way to fit an image {fit!r}; there are {', '.join(FITS)}")


def require_outputs(outputs):
    """Raise ValueError unless it says what a head gives, or is None."""
    if outputs is not None and (not isinstance(outputs, str) or outputs not in OUTPUTS):
        raise ValueError(f"outputs {outputs!r} is not allowed: it must be {', '.join(OUTPUTS)}")


def named(asked) -> Preprocessing:
    """Return the preprocessing that is asked for by its name or range.

    Takes "LOW..HIGH", black and white, such as "0..255", or (low, high); "caffe", in BGR less the
    mean of ImageNet; "torch", 0..1 less that mean, by the deviation; or a key of APPLICATIONS.

    Raises:
        ValueError: another name, or no range.
    """
    if isinstance(asked, Preprocessing):
        return asked
    if not isinstance(asked, str):
        return Preprocessing(*checked_range(asked, "the range"))
    asked = APPLICATIONS.get(asked, asked)
    if asked in MODES:
        return MODES[asked]
    try:
        low, high = map(float, asked.split(".."))
    except ValueError:
        known = [*MODES, *APPLICATIONS]
        close = difflib.get_close_matches(asked, known, n=1)
        meant = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(
            f"no preprocessing {asked!r}{meant}; there are LOW..HIGH such as 0..255, "
            f"{', '.join(known)}"
        ) from None
    return Preprocessing(*checked_range((low, high), "the range"))
