"""At which layers heatmaps can be made, and at which they are made if none is named.

Grad-CAM takes the rectified output of the last convolution, the last features that still know where
they are (Selvaraju et al., 2017). Where a network branches, that may be one branch of many, and its
map leaves out what the others see. So the default is the last feature map that all paths from the
image to the head go through, a dominator of the graph (Prosser, 1959): that of the merged branches,
after its activation. Poolings and normalizations at the end are left out, because before them there
are more cells, and nothing below 0. Without such a map, as in an ensemble, each branch that has
any takes part with its own.
"""

import numpy as np
import tensorflow as tf

from cnnlab.interpret.model import kinds, scores
from cnnlab.interpret.model.graph import Call
from cnnlab.interpret.model.places import arranged


def usable(view, head) -> list[str]:
    """Return the layers with feature maps, or tokens that lie on a grid, on the way to a head."""
    calls = view.graph.ancestors(head.explained)
    return [call.name for call in calls if call.name in view.layers and _has_map(view, call)]


def find(view, name: str | None, head) -> tuple[Call, ...]:
    """Return the layer of that name, or the default: several, if branches share no map.

    Raises:
        ValueError: the layer is not usable, with the names of those that are, or none is.
    """
    names = usable(view, head)
    if not names:
        raise ValueError(f"no layer on the way to {head.name!r} has feature maps")
    if name is None:
        key = head.key
        default = view.default_layers.get(key) or _defaults(view, head)
        if not default:
            why = f"no layer on the way to {head.name!r} has learned feature maps"
            raise ValueError(f"{why}; usable by name are {', '.join(names)}")
        view.default_layers[key] = default
        return default
    call = view.layer(name)
    rows = view.geometry().rows(call.outputs[0])
    if rows != 1:
        why = f"gives {rows:g} rows for an image, as if cut into windows, not one"
    elif not _has_map(view, call):
        why = f"gives {call.shape}, neither (height, width, channels) nor tokens on a grid"
    elif call.outputs[0] not in view.graph.before(head.explained):
        what = "the head" if head.entering is None else "the logits of the head"
        why = f"does not feed {what} {head.name!r}"
    else:
        return (call,)
    raise ValueError(f"layer {call.name!r} {why}; usable are {', '.join(names)}")


def are_bypassed(view, calls, head) -> bool:
    """Say whether there are paths from the image to a head that go through none of the calls."""
    closed, reached = {call.outputs[0] for call in calls}, {0}
    for call in view.graph.ancestors(head.explained):
        if reached.intersection(call.inputs) and not kinds.is_given(call):
            reached.update(set(call.outputs) - closed)
    return head.explained in reached


def _has_map(view, call):
    """Say whether a call makes one map for an image, of (h, w, channels) or of tokens on a grid."""
    geometry, value = view.geometry(), call.outputs[0]
    if geometry.rows(value) != 1 or len(call.shape) not in (2, 3):
        return False
    return len(call.shape) == 3 or arranged(geometry.places[value]) is not None


def _defaults(view, head):
    """Return the default, see above; none if no layer with weights makes a feature map."""
    maps = _learned_maps(view, head)
    found = dict.fromkeys(_last_maps(view, head, head.explained, maps))
    return tuple(_narrowed_from(maps[number], maps) for number in found)


def _last_maps(view, head, value, maps):
    """Yield the last map on all paths from the image to a value, or else those to its inputs."""
    common = [number for number in view.graph.dominators(value) if number in maps]
    if common:
        tokens = [number for number in common if len(maps[number].shape) == 2]
        unread = set(tokens).difference(_read_by(view, head, tokens))
        yield ([number for number in common if number not in unread] or common)[-1]
        return
    maker = view.graph.maker(value)
    for number in maker.inputs if maker else ():
        if maps.keys() & view.graph.before(number):
            yield from _last_maps(view, head, number, maps)


def _narrowed_from(call, maps):
    """Return the call whose map is only pooled and normalized up to that of another one."""
    while kinds.keeps_channels(call) and call.inputs[0] in maps:
        call = maps[call.inputs[0]]
    return call


def _learned_maps(view, head):
    """Return {number: call} of learned maps with several cells in the image, else with one."""
    learned, wide, lost, single = set(), {}, {}, {}
    before = view.graph.before(head.explained)
    if head.is_map:  # a map of classes says no more than what the head gives
        before = before - {head.explained}
        squeezed = [call for call in view.graph.calls if kinds.squeezes(call)]
        before = before.difference(*(call.outputs for call in squeezed))
    for call in view.graph.ancestors(head.explained):
        value = call.outputs[0]
        has_weights = getattr(call.operation, "weights", ())
        if has_weights and not isinstance(call.operation, kinds.NORMALIZING):
            learned.update(call.outputs)
        if not learned.isdisjoint(call.inputs):
            learned.update(call.outputs)
        if value in learned & before and _has_map(view, call):
            places = view.geometry().places[value]
            if set(call.shape[:-1]) == {1}:
                single[value] = call
            elif places is None or arranged(places):
                wide[value] = call
            elif len(call.shape) == 3:  # it lies on no grid in the image, as far as is known
                lost[value] = call
    return wide or lost or single


def _read_by(view, head, numbers):
    """Return those of some values whose tokens a head looks at, and not at a class token alone."""
    if not numbers:
        return []
    image, kept = np.random.default_rng(0).random((1, *view.graph.input_shape)), {}
    with tf.GradientTape(watch_accessed_variables=False) as tape:

        def watch(number, tensor):
            if number in numbers:
                tape.watch(tensor)
                kept[number] = tensor

        _, scored = scores.answers(view.graph, head, image, watch)
    gradients = tape.gradient(scored, kept, unconnected_gradients="zero")
    places = view.geometry().places
    return [
        number
        for number in numbers
        if np.take(gradients[number], arranged(places[number])[0], axis=1).any()
    ]
