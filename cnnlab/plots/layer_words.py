"""What a Keras layer is, in words, by what it says itself. Importing this does not import Keras."""

import math
import re
from fractions import Fraction

# What a layer is, by the names of its class and of the classes above it; the first match counts.
KINDS = (
    ("input", r"InputLayer\b"),
    ("convolution", r"Conv(\dD|LSTM|\b)"),
    ("dense", r"\b(Einsum)?Dense\b"),
    ("normalization", r"Normalization\b|Activation\b|(?i:elu6?|silu|softmax|sigmoid|tanh)\b"),
    ("pooling", r"Pool|Flatten|Reshape|Permute|RepeatVector|Cropping|Padding|UpSampling|Resizing"),
)


def kind(layer):
    """Return one of KINDS, "model" for a model inside the model, or "other"."""
    if hasattr(layer, "layer"):  # a wrapper, such as TimeDistributed
        return kind(layer.layer)
    if hasattr(layer, "layers"):
        return "model"
    classes = " ".join(cls.__name__ for cls in type(layer).__mro__)
    return next((name for name, pattern in KINDS if re.search(pattern, classes)), "other")


def own_name(layer):
    """Return the layer's name, or "" if Keras made it up: "dense_7" depends on earlier models."""
    made_up = re.sub(r"_\d+$", "", layer.name).replace("_", "") == type(layer).__name__.lower()
    return "" if made_up else layer.name


def shape(tensor):
    """Write the shape of a tensor without its batch dimension: "7 × 7 × 48"."""
    sizes = tensor.shape[1:]
    return " × ".join("?" if size is None else str(size) for size in sizes) or "scalar"


def describe(layer):
    """Write what a layer is: "Conv2D 3×3, 48, stride 2", "Dense 12, softmax", "Flatten"."""
    name = type(layer).__name__
    if kind(layer) == "model":
        count = sum(kind(inner) != "input" for inner in layer.layers)
        return f"{name}, {count} layer{'' if count == 1 else 's'}"
    if hasattr(layer, "layer"):
        return f"{name} of {describe(layer.layer)}"
    return f"{name} {', '.join(_details(layer))}".strip()


def _details(layer):
    """Yield what distinguishes a layer; settings that Keras takes by default are left out."""
    window = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if isinstance(window, (tuple, list)):
        yield "×".join(map(str, window))
    for name, word in (("filters", ""), ("units", ""), ("num_heads", "heads "), ("rate", "")):
        value = getattr(layer, name, None)
        if isinstance(value, (int, float)):
            yield f"{word}{value:g}" if isinstance(value, float) else f"{word}{value}"
    usual = getattr(layer, "pool_size", 1)
    for name, word, default in (
        ("strides", "stride", usual),
        ("dilation_rate", "dilation", 1),
        ("groups", "groups", 1),
        ("negative_slope", "slope", 0),
        ("max_value", "at most", None),
    ):
        value = getattr(layer, name, None)
        if (
            value
            and isinstance(value, (int, float, tuple, list))
            and _sides(value) != _sides(default)
        ):
            yield f"{word} {_sides(value)}"
    if getattr(layer, "padding", "valid") in ("same", "causal"):
        yield f"padding {layer.padding}"
    if isinstance(getattr(layer, "scale", None), float):
        yield _fraction(layer.scale)
        if getattr(layer, "offset", 0):
            yield f"offset {layer.offset:g}"
    activation = _name(getattr(layer, "activation", None))
    if activation not in ("", "linear"):
        yield activation


def _sides(sizes):
    """Write a number, or one for each side of a window: 2 and (2, 2) as "2", (2, 1) as "2×1"."""
    sizes = sizes if isinstance(sizes, (tuple, list)) else (sizes,)
    texts = [str(size).removesuffix(".0") for size in sizes]
    return texts[0] if len(set(texts)) == 1 else "×".join(texts)


def _fraction(value):
    near = Fraction(value).limit_denominator(1000)
    return str(near) if math.isclose(near, value) else f"{value:g}"


def _name(activation):
    if activation is None:
        return ""
    named = getattr(activation, "__name__", None) or getattr(activation, "name", None)
    return named or type(activation).__name__
