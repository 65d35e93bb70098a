"""The kinds of layers, in tables, and the questions asked of them; of others nothing is known."""

import keras

SLIDING = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
CONVOLUTIONS = (*SLIDING, keras.layers.Conv2DTranspose)
POOLING = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
STRIDED = (*SLIDING, *POOLING)  # they slide a window over the image
NORMALIZING = (keras.layers.Normalization, keras.layers.BatchNormalization)
# They keep the channels of feature maps, and act on each by itself.
CHANNELWISE = (*NORMALIZING, *POOLING)

# They do nothing when a trained network predicts.
INACTIVE = (
    keras.layers.Identity,
    keras.layers.ActivityRegularization,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
)
# They leave a row of numbers as it is, though maybe along another axis.
SAME_ROW = (*INACTIVE, keras.layers.Flatten, keras.layers.Reshape)
SAME_ROW_OPERATIONS = ("Cast", "ExpandDims", "Identity", "Ravel", "Reshape", "Squeeze")
# They leave every value of an image as it is, though maybe at another position.
SAME_VALUES = (
    *INACTIVE,
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
    keras.layers.CenterCrop,
    keras.layers.Resizing,
    keras.layers.RandomBrightness,
    keras.layers.RandomContrast,
    keras.layers.RandomCrop,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
)
SAME_VALUES_OPERATIONS = ("Cast", "Identity")

# Layers that are an activation, and activations by the names that `activation_name` gives them.
ACTIVATIONS = (keras.layers.Activation, keras.layers.Softmax, keras.layers.PReLU)
RECTIFIERS = ("relu", "relu6")  # they give 0 for what is below 0
SMALL_BELOW_0 = ("leakyrelu", "prelu", "elu", "selu", "celu", "gelu", "silu", "swish", "softplus")
# They squeeze numbers and keep their order: what enters them is a logit.
UNITWISE = ("sigmoid", "logsigmoid", "hardsigmoid", "keras2hardsigmoid", "tanh")  # one by one
SQUEEZING = ("softmax", "logsoftmax", *UNITWISE)
BOUNDED = (*SQUEEZING, "hardtanh", "softsign")


def same_row(call) -> bool:
    """Say whether a call leaves a row of numbers as it is, apart from its axes."""
    return _is_one_of(call.operation, SAME_ROW, SAME_ROW_OPERATIONS)


def same_values(call) -> bool:
    """Say whether a call leaves every value as it is, apart from its position."""
    return _is_one_of(call.operation, SAME_VALUES, SAME_VALUES_OPERATIONS)


def _is_one_of(operation, layers, operations):
    if isinstance(operation, keras.layers.Activation):
        return operation.activation is keras.activations.linear
    if isinstance(operation, keras.layers.Layer):
        return isinstance(operation, layers)
    return type(operation).__name__ in operations


def has_inner_activation(operation) -> bool:
    """Say whether a layer with weights ends on an activation of its own that is not linear."""
    # An LSTM's is a property: it belongs to the cell and acts in the middle.
    activation = vars(operation).get("activation")
    return bool(
        isinstance(operation, keras.layers.Layer)
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
