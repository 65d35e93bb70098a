"""Which of many layers are worth a look: a few that tell how an image becomes an answer.

Those are learned maps that all paths to an output go through, once they are rectified or merged:
what is normalized or activated afterwards is not finished yet. The last one of each size sums up
what was found at that size; where that leaves room, others follow, evenly from first to last.
"""

import numpy as np

from cnnlab.interpret.model import kinds

MOST = 6


def telling_layers(view, size=None, most: int = MOST) -> list[str]:
    """Return the names of at most `most` layers, in order, for images of a (height, width).

    Without learned feature maps they are the last layers.
    """
    shapes = view.geometry(size).shapes
    maps = [call for call in _learned_maps(view) if set(shapes[call.outputs[0]][1:3]) != {1}]
    if not maps:
        return list(view.layers)[-most:]
    narrow = set.union(*(set(view.graph.dominators(v)) for v in view.graph.outputs.values()))
    for is_good in (
        lambda call: call.outputs[0] in narrow,
        lambda call: kinds.is_finished(call, view.graph),
    ):
        maps = list(filter(is_good, maps)) or maps
    last_of_size = {shapes[call.outputs[0]][1:3]: call.name for call in maps}
    chosen = list(last_of_size.values())[-most:]
    others = [call.name for call in maps if call.name not in chosen]
    places = np.linspace(0, len(others) - 1, max(0, min(most - len(chosen), len(others))))
    chosen += [others[place] for place in places.round().astype(int)]
    return [call.name for call in maps if call.name in chosen]


def _learned_maps(view):
    """Return the calls of layers that make feature maps of what has weights."""
    learned, maps, found = set(), set(view.feature_maps()), []
    for call in view.graph.calls:
        if getattr(call.operation, "weights", ()) or not learned.isdisjoint(call.inputs):
            learned.update(call.outputs)
            if call.name in maps:
                found.append(call)
    return found
