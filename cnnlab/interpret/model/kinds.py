"""The kinds of layers, in tables, and the questions asked of them; of others nothing is known."""

import keras
import numpy as np

from cnnlab.interpret.model.given import Given

SLIDING = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
CONVOLUTIONS = (*SLIDING, keras.layers.Conv2DTranspose)
POOLING = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
ADAPTIVE_POOLING = (keras.layers.AdaptiveMaxPooling2D, keras.layers.AdaptiveAveragePooling2D)
POOLING_OPERATIONS = ("AdaptiveAveragePool", "AdaptiveMaxPool", "AveragePool", "MaxPool")
NORMALIZING = (keras.layers.Normalization, keras.layers.BatchNormalization)
# They keep the channels of feature maps, and act on each by itself.
CHANNELWISE = (*NORMALIZING, *POOLING, *ADAPTIVE_POOLING)

# How the cells of feature maps move, see `geometry` and `windows`: (layers, names of operations).
# They slide a window over the image, or, transposed, write one window beside the other.
STRIDED = (
    (*SLIDING, *POOLING),
    ("AveragePool", "Conv", "DepthwiseConv", "ExtractPatches", "MaxPool", "SeparableConv"),
)
TRANSPOSED = ((keras.layers.Conv2DTranspose,), ("ConvTranspose",))
# They spread their input, or a part of it, evenly over what they make.
SPREADING = (
    (
        *ADAPTIVE_POOLING,
        keras.layers.CenterCrop,
        keras.layers.Resizing,
        keras.layers.UpSampling2D,
    ),
    ("AdaptiveAveragePool", "AdaptiveMaxPool", "DepthToSpace", "Repeat", "Resize"),
)
# They only move values about, leave some out, or put others between.
MOVING = (
    (
        keras.layers.Concatenate,
        keras.layers.Cropping1D,
        keras.layers.Permute,
        keras.layers.Reshape,
        keras.layers.ZeroPadding1D,
    ),
    (
        *("AffineTransform", "ArraySplit", "Concatenate", "CropImages"),
        *("ExpandDims", "Flip", "Fliplr", "Flipud", "GetItem", "Hstack"),
        *("Moveaxis", "Pad", "PadImages", "PerspectiveTransform", "Ravel", "Reshape"),
        *("Roll", "Rot90", "ScaleAndTranslate", "Slice", "SpaceToDepth", "Split", "Squeeze"),
        *("Stack", "Swapaxes", "Take", "TakeAlongAxis", "Tile", "Transpose", "Unstack", "Vstack"),
    ),
)
# What they make comes from many positions at once, and has none of its own.
GATHERING = (
    (keras.layers.Dot,),
    (
        *("Amax", "Amin", "Dot", "Einsum", "Inner", "Matmul", "Max", "Mean", "Median", "Min"),
        *("Prod", "Std", "Sum", "Tensordot", "Var"),
    ),
)
MERGING = tuple(
    getattr(keras.layers, name)
    for name in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
)
# Each position of their first input looks at all positions of the others.
ATTENTION = (
    keras.layers.AdditiveAttention,
    keras.layers.Attention,
    keras.layers.GroupQueryAttention,
    keras.layers.MultiHeadAttention,
)

# They do nothing when a trained network predicts.
INACTIVE = (
    keras.layers.Identity,
    keras.layers.ActivityRegularization,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
    keras.layers.AlphaDropout,
)
# Nor do those that augment: RandomFlip, RandomHue and so on.
AUGMENTING = tuple(
    layer
    for name, layer in vars(keras.layers).items()
    if name.startswith(("Rand", "AugMix", "CutMix", "MixUp", "Equalization", "Solarization"))
)
# They leave a row of numbers as it is, though maybe along another axis.
SAME_ROW = (*INACTIVE, keras.layers.Flatten, keras.layers.Reshape)
SAME_ROW_OPERATIONS = ("Cast", "ExpandDims", "Identity", "Ravel", "Reshape", "Squeeze")
# They leave every value of an image as it is, though maybe at another position.
SAME_VALUES = (
    *INACTIVE,
    *AUGMENTING,
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
    keras.layers.CenterCrop,
    keras.layers.Resizing,
)
SAME_VALUES_OPERATIONS = ("Cast", "Identity")
# What they give lies between the lowest and the highest of what enters: picked, or averaged.
WITHIN = (
    *SAME_ROW,
    keras.layers.Average,
    keras.layers.AveragePooling2D,
    keras.layers.Concatenate,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.MaxPooling2D,
    keras.layers.Permute,
    keras.layers.UpSampling2D,
)
WITHIN_OPERATIONS = (
    *SAME_ROW_OPERATIONS,
    *("Average", "Concatenate", "Flip", "GetItem", "Max", "Mean", "Min", "Moveaxis", "Roll"),
    *("Split", "Stack", "Swapaxes", "Take", "Transpose"),
)
# They put the values, or means of them, elsewhere: also into other channels.
REARRANGING = (
    *POOLING,
    keras.layers.Concatenate,
    keras.layers.Flatten,
    keras.layers.Permute,
    keras.layers.Reshape,
    keras.layers.UpSampling2D,
)
REARRANGING_OPERATIONS = (
    *("Concatenate", "Stack", "Split", "Unstack", "GetItem", "Take", "Repeat", "Tile"),
    *("Flip", "Roll", "Rot90", "Transpose", "Swapaxes", "Moveaxis"),
    *("Reshape", "ExpandDims", "Squeeze", "Pad", "Resize", "CropImages", "PadImages"),
    "RGBToGrayscale",
)

# Layers that are an activation, and activations by the names that `activation_name` gives them.
ACTIVATIONS = (keras.layers.Activation, keras.layers.Softmax, keras.layers.PReLU)
RECTIFIERS = ("relu", "relu6")  # they give 0 for what is below 0
SMALL_BELOW_0 = ("leakyrelu", "prelu", "elu", "selu", "celu", "gelu", "silu", "swish", "softplus")
# They squeeze numbers and keep their order: what enters them is a logit.
EXCLUSIVE = ("softmax", "logsoftmax", "sparsemax")  # one class of a row, not several
HARD = ("hardsigmoid", "keras2hardsigmoid")
SQUEEZING = (*EXCLUSIVE, "sigmoid", "logsigmoid", *HARD, "sparsesigmoid")
BOUNDED = (*SQUEEZING, "tanh", "hardtanh", "softsign")
LIMITS = {  # the lowest and the highest number that they can give
    **dict.fromkeys(("softmax", "sparsemax", "sigmoid", *HARD, "sparsesigmoid"), (0, 1)),
    **dict.fromkeys(("tanh", "hardtanh", "softsign"), (-1, 1)),
    "relu6": (0, 6),
}


def is_of(operation, kind) -> bool:
    """Say whether an operation is of a kind, given as (layers, names of operations)."""
    layers, operations = kind
    if isinstance(operation, keras.layers.Layer):
        return isinstance(operation, layers)
    return type(operation).__name__ in operations


def is_given(call) -> bool:
    """Say whether a call gives the same for each image: no path from the image leads through it."""
    return isinstance(call.operation, Given)


def is_own(operation) -> bool:
    """Say whether this is code of the user's own, of which nothing is known."""
    if isinstance(operation, Given):
        return False
    is_keras = type(operation).__module__.startswith("keras.")
    return not is_keras or isinstance(operation, keras.layers.Lambda)


def acts_on_numbers(call) -> bool:
    """Say whether a call of Keras's own acts on each number by itself, wherever it is."""
    operation = call.operation
    if isinstance(operation, keras.layers.Layer):
        return isinstance(operation, (*INACTIVE, *NORMALIZING, *MERGING, keras.layers.Rescaling))
    return not (is_own(operation) or is_of(operation, GATHERING))


def gathers_channels(call, shape) -> bool:
    """Say whether a call makes one number of the channels of each cell, of this shape."""
    is_reduction = kind_of(call) in ("Amax", "Amin", "Max", "Mean", "Min", "Sum")
    axis = getattr(call.operation, "axis", None) if is_reduction else None
    is_last = np.ravel(axis).tolist() in ([-1], [len(shape)])
    return is_last and not call.operation.keepdims


def same_row(call) -> bool:
    """Say whether a call leaves a row of numbers as it is, apart from its axes."""
    return _is_one_of(call.operation, SAME_ROW, SAME_ROW_OPERATIONS)


def keeps_order(call) -> bool:
    """Say whether the numbers of a row stay at their place and in their order, or become equal."""
    return same_row(call) or kind_of(call) == "Clip"


def kind_of(call) -> str:
    """Return the name of Keras's own operation or layer; "" for a class of the user's."""
    kind = type(call.operation)
    return kind.__name__.removeprefix("True") if kind.__module__.startswith("keras.") else ""


def squeezes(call) -> bool:
    """Say whether what a call gives are probabilities, or their logarithms."""
    return activation_name(call.operation) in SQUEEZING


def same_values(call) -> bool:
    """Say whether a call leaves every value as it is, apart from its position."""
    return _is_one_of(call.operation, SAME_VALUES, SAME_VALUES_OPERATIONS)


def within(call) -> bool:
    """Say whether a call gives nothing below the lowest or above the highest of what enters."""
    return _is_one_of(call.operation, WITHIN, WITHIN_OPERATIONS)


def rearranges(call) -> bool:
    """Say whether a call puts values, or means of them, elsewhere, also into other channels."""
    return _is_one_of(call.operation, REARRANGING, REARRANGING_OPERATIONS)


def keeps_channels(call) -> bool:
    """Say whether a call pools, normalizes or only passes on the channels of its input."""
    return same_row(call) or is_of(call.operation, (CHANNELWISE, POOLING_OPERATIONS))


def is_finished(call, graph) -> bool:
    """Say whether a map is rectified or the like, or a merge or a sum that nothing rectifies."""
    if activation_name(call.operation):
        return True
    merges = isinstance(call.operation, (*MERGING, keras.layers.Concatenate))
    readers = [other for other in graph.calls if call.outputs[0] in other.inputs]
    return merges and not all(_readies(reader) for reader in readers)


def _readies(call):
    """Say whether a call only normalizes or activates what it reads."""
    return isinstance(call.operation, (*NORMALIZING, *ACTIVATIONS, keras.layers.ReLU)) or bool(
        activation_name(call.operation) and not getattr(call.operation, "weights", ())
    )


def _is_one_of(operation, layers, operations):
    if isinstance(operation, keras.layers.Activation):
        return operation.activation is keras.activations.linear
    return is_of(operation, (layers, operations))


def has_inner_activation(operation) -> bool:
    """Say whether a layer with weights ends on an activation of its own that is not linear."""
    # An LSTM's is a property: it belongs to the cell and acts in the middle. So may that of a layer
    # whose `call` is the user's own.
    activation = vars(operation).get("activation")
    return bool(
        isinstance(operation, keras.layers.Layer)
        and type(operation).call.__module__.startswith("keras.")
        and not isinstance(operation, keras.layers.Activation)
        and operation.weights
        and activation not in (None, keras.activations.linear)
    )


def activation_name(operation) -> str:
    """Return the activation that an operation is, or ends on, as one small word, or ""."""
    activation = operation  # a Softmax layer, or `keras.ops.sigmoid` and its like
    if isinstance(operation, keras.layers.Activation) or has_inner_activation(operation):
        activation = operation.activation
    name = getattr(activation, "__name__", type(activation).__name__).replace("_", "").lower()
    name = name.removesuffix("v2")  # `tf.nn.softmax` calls itself softmax_v2
    if name == "relu" and any(
        getattr(activation, part, 0) for part in ("negative_slope", "threshold")
    ):
        return "leakyrelu"
    is_known = name in (*RECTIFIERS, *SMALL_BELOW_0, *BOUNDED)
    is_activation = isinstance(operation, ACTIVATIONS) or activation is not operation
    return name if (is_known or is_activation) and name != "linear" else ""
