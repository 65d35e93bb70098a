"""A model as numbers that a web page can compute with: see `web/scripts/network.js`, which runs it.

What is written is the visualizer's own view of a model: its calls one after the other, the values
that they read, its heads, and where on the image the cells of each layer look. Batch normalization
becomes a factor and a shift for each channel; an activation inside a layer a step of its own.
"""

import base64

import keras
import numpy as np

from cnnlab.interpret.model import kinds
from cnnlab.interpret.model.network import inspect_model
from cnnlab.interpret.model.ranges import preprocessing_of
from cnnlab.interpret.placement import place

MOST = 128  # pixels a side: larger images would be computed for too long
layers = keras.layers
AXES = {layers.MaxPooling2D: "max", layers.AveragePooling2D: "average"}
WHOLE = {layers.GlobalMaxPooling2D: "max", layers.GlobalAveragePooling2D: "average"}
MERGED = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
# What `network.js` knows, by Keras's names.
ELEMENTWISE = (
    *("relu", "relu6", "leakyrelu", "elu", "selu", "gelu", "silu", "swish", "sigmoid", "tanh"),
    *("softplus", "softsign", "exponential", "hardsigmoid", "hardsilu", "hardswish", "softmax"),
)


class Writer:
    """Collects steps, and their numbers one behind the other."""

    def __init__(self, graph):
        self.graph = graph
        self.shapes = [list(graph.input_shape)]  # of the values of the page, which has more of them
        self.numbers = {0: 0}  # {value of the graph: value of the page}
        self.steps = []
        self.arrays = []
        self.length = 0

    def array(self, values) -> int:
        """Keep float32 numbers; returns where they begin."""
        flat = np.asarray(values, np.float32).ravel()
        if not np.isfinite(flat).all():
            raise ValueError("it has weights that are NaN or infinite")
        self.arrays.append(flat)
        self.length += len(flat)
        return self.length - len(flat)

    def step(self, kind, inputs, shape, **facts) -> int:
        """Add a step on values of the page; returns the number of the value that it makes."""
        self.shapes.append(list(shape))
        self.steps.append({"kind": kind, "inputs": list(inputs), "output": len(self.shapes) - 1})
        self.steps[-1] |= facts
        return len(self.shapes) - 1


def exported(model, name, names=None) -> dict:
    """Return a model as a dict that JSON can write; "weights" are float32 in base64.

    `names` are {head: names of its classes}; classes without are counted.

    Raises:
        ValueError: the model, or one of its layers, is not among what the page can compute.
    """
    view = inspect_model(model)
    graph = view.graph
    if None in graph.input_shape or max(graph.input_shape[:2]) > MOST:
        raise ValueError(
            f"the page computes images of a fixed size up to {MOST} × {MOST} pixels; the model "
            f"takes {graph.input_shape}"
        )
    writer, logits = Writer(graph), {}
    for call in graph.calls:
        if kinds.is_given(call) or len(call.outputs) != 1:
            raise ValueError(unknown(call))
        _write(writer, call, logits)
    preprocessing = preprocessing_of(view)
    told = {
        "name": name,
        "input": list(graph.input_shape),
        "range": [float(np.mean(preprocessing.low)), float(np.mean(preprocessing.high))],
        "bgr": preprocessing.bgr,
        "shapes": writer.shapes,
        "steps": writer.steps,
        "layers": _layers(view, writer),
        "heads": [_head(view, head, writer, logits, names or {}) for head in view.heads.values()],
    }
    weights = np.concatenate([*writer.arrays, np.zeros(0, np.float32)]).astype("<f4").tobytes()
    return told | {"weights": base64.b64encode(weights).decode()}


def unknown(call) -> str:
    """Say that the page cannot compute a call."""
    kind = type(call.operation).__name__
    return f"the page cannot compute the layer {call.name!r}, a {kind}"


def _layers(view, writer):
    """Return what is shown: {name: its value, and for maps where their cells look}."""
    shown = {}
    for name, call in view.layers.items():
        value = writer.numbers[call.outputs[0]]
        shown[name] = {"value": value, "kind": type(call.operation).__name__}
        if len(call.shape) == 3:
            cells, down, across = place(view, call, view.graph.input_shape[:2]).tables
            shown[name] |= {
                "cells": writer.array(cells),
                "grid": list(cells.shape),
                "down": writer.array(down),
                "across": writer.array(across),
            }
    return shown


def _head(view, head, writer, logits, names):
    if head.is_map or (head.outputs == "probabilities" and head.entering is None):
        raise ValueError(
            f"the page cannot compute the head {head.name!r}: it needs one row of numbers, or of "
            "probabilities from a softmax or sigmoid"
        )
    value = head.explained
    default = view.heat_layers(None, head) if view.feature_maps(head) else ()
    is_inside = head.entering is not None and head.entering.is_inside
    return {
        "name": head.name,
        "outputs": head.outputs,
        "value": writer.numbers[head.value],
        "logits": logits[value] if is_inside else writer.numbers[value],
        "units": head.units,
        "layer": default[0].name if len(default) == 1 else None,
        "names": list(names.get(head.name, map(str, range(head.classes)))),
    }


def _write(writer, call, logits):
    """Add the steps of a call, and say which value of the page is its output."""
    inputs = [writer.numbers[number] for number in call.inputs]
    shapes = [writer.shapes[number] for number in inputs]
    operation, shape = call.operation, call.shape
    made = _computed(writer, call, inputs, shapes)
    if kinds.has_inner_activation(operation):
        logits[call.outputs[0]] = made
        made = _activated(writer, call, [made], shape)
    writer.numbers[call.outputs[0]] = made


def _computed(writer, call, inputs, shapes):
    operation, shape = call.operation, call.shape
    kind = kinds.kind_of(call)
    if isinstance(operation, layers.Conv2D | layers.DepthwiseConv2D | layers.SeparableConv2D):
        return _convolution(writer, call, inputs, shapes[0])
    if isinstance(operation, layers.Dense):
        kernel, bias = _kernel(operation, operation.kernel), _bias(operation, shape[-1])
        size = [shapes[0][-1], shape[-1]]
        return writer.step(
            "dense", inputs, shape, kernel=writer.array(kernel), bias=writer.array(bias), size=size
        )
    affine = _affine(operation, shape[-1] if shape else 1)
    if affine:
        scale, shift = map(writer.array, affine)
        return writer.step("affine", inputs, shape, scale=scale, shift=shift)
    if isinstance(operation, tuple(AXES)):
        window, strides = operation.pool_size, operation.strides
        before = _padding(operation.padding, shapes[0], window, strides, (1, 1))
        how = AXES[type(operation)]
        facts = {"window": list(window), "strides": list(strides), "before": before}
        return writer.step("pool", inputs, shape, how=how, **facts)
    if isinstance(operation, tuple(WHOLE)):
        return writer.step("whole", inputs, shape, how=WHOLE[type(operation)])
    if isinstance(operation, layers.ZeroPadding2D | layers.Cropping2D):
        is_padding = isinstance(operation, layers.ZeroPadding2D)
        edges = operation.padding if is_padding else operation.cropping
        before = [edge[0] if is_padding else -edge[0] for edge in edges]
        return writer.step("move", inputs, shape, before=before)
    if isinstance(operation, layers.UpSampling2D) and operation.interpolation == "nearest":
        return writer.step("repeat", inputs, shape, times=list(operation.size))
    if kind == "Concatenate" and operation.axis in (-1, len(shape)):
        return writer.step("concatenate", inputs, shape)
    if kind in MERGED and len(call.inputs) > 1 and all(one == list(shape) for one in shapes):
        return writer.step("merge", inputs, shape, how=kind.lower())
    if isinstance(operation, kinds.INACTIVE) or kind.startswith("Random"):
        return inputs[0]
    if kind in ("Flatten", "Reshape", "Ravel", "Squeeze", "ExpandDims", "Identity"):
        return writer.step("reshape", inputs, shape)
    return _activated(writer, call, inputs, shape)


def _activated(writer, call, inputs, shape):
    name, facts = kinds.activation_name(call.operation), {}
    operation = call.operation
    if isinstance(operation, layers.ReLU):
        highest = operation.max_value
        facts = {"slope": float(operation.negative_slope), "above": float(operation.threshold)}
        facts["highest"] = None if highest is None else float(highest)
        name = "rectify"
    elif isinstance(operation, layers.LeakyReLU):
        facts, name = {"slope": float(operation.negative_slope)}, "rectify"
    elif isinstance(operation, layers.ELU | layers.PReLU) or name not in ELEMENTWISE:
        raise ValueError(unknown(call))
    elif name == "leakyrelu":
        facts, name = {"slope": 0.2}, "rectify"
    elif name in ("relu", "relu6"):
        facts = {"highest": 6.0} if name == "relu6" else {}
        name = "rectify"
    elif name == "softmax" and getattr(operation, "axis", -1) not in (-1, len(shape)):
        raise ValueError(unknown(call))
    if name == "rectify":
        facts = {"slope": 0.0, "above": 0.0, "highest": None} | facts
    return writer.step(name, inputs, shape, **facts)


def _convolution(writer, call, inputs, given):
    """Return the value of a convolution; a separable one is two."""
    layer, shape = call.operation, list(call.shape)
    strides, dilation = list(layer.strides), list(layer.dilation_rate)
    window = list(layer.kernel_size)
    facts = {"window": window, "strides": strides, "dilation": dilation}
    facts["before"] = _padding(layer.padding, given, window, strides, dilation)
    bias = writer.array(_bias(layer, shape[-1]))
    if isinstance(layer, layers.Conv2D):
        if layer.groups != 1:
            raise ValueError(unknown(call))
        kernel = writer.array(_kernel(layer, layer.kernel))
        return writer.step("conv", inputs, shape, kernel=kernel, bias=bias, **facts)
    if isinstance(layer, layers.DepthwiseConv2D):
        kernel = writer.array(_kernel(layer, layer.kernel))
        return writer.step("depthwise", inputs, shape, kernel=kernel, bias=bias, **facts)
    between = [*shape[:2], given[2] * layer.depth_multiplier]
    kernel = writer.array(_kernel(layer, layer.depthwise_kernel))
    empty = writer.array(np.zeros(between[2]))
    middle = writer.step("depthwise", inputs, between, kernel=kernel, bias=empty, **facts)
    kernel = writer.array(_kernel(layer, layer.pointwise_kernel))
    point = {"window": [1, 1], "strides": [1, 1], "dilation": [1, 1], "before": [0, 0]}
    return writer.step("conv", [middle], shape, kernel=kernel, bias=bias, **point)


def _kernel(layer, kernel):
    return keras.ops.convert_to_numpy(kernel)


def _bias(layer, count):
    return np.zeros(count) if layer.bias is None else keras.ops.convert_to_numpy(layer.bias)


def _padding(padding, given, window, strides, dilation):
    """Return how many rows and columns of zeros TensorFlow puts before an image."""
    if padding == "valid":
        return [0, 0]
    before = []
    for side, size, stride, apart in zip(given, window, strides, dilation, strict=False):
        missing = (-(-side // stride) - 1) * stride + (size - 1) * apart + 1 - side
        before.append(max(0, missing) // 2)
    return before


def _affine(layer, channels):
    """Return the factor and the shift of each channel, float64, or None for other layers."""
    ones = np.ones(channels)
    if isinstance(layer, layers.Rescaling):
        return ones * layer.scale, ones * layer.offset
    if isinstance(layer, layers.Normalization):
        axis = layer.axis
        if layer.invert or tuple(np.ravel(axis)) not in ((-1,), (3,), ()):
            return None
        mean, variance = (np.ravel(np.asarray(part)) for part in (layer.mean, layer.variance))
        scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
        return ones * scale, ones * -mean * scale
    if isinstance(layer, layers.BatchNormalization):
        mean, variance = (
            np.asarray(part, np.float64) for part in (layer.moving_mean, layer.moving_variance)
        )
        scale = 1 / np.sqrt(variance + layer.epsilon)
        scale = scale * np.asarray(layer.gamma) if layer.scale else scale
        return scale, (np.asarray(layer.beta) if layer.center else 0) - mean * scale
    return None
