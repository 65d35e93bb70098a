"""Where the boxes of a graph and the arrows between them stand: rows from top to bottom.

All lengths are in points (1/72 inch), x to the right and y downwards.
"""

import math
from collections import Counter
from itertools import combinations, pairwise, permutations
from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression, linprog
from scipy.sparse import coo_array

APART = 14  # between boxes or lines side by side
GAP = 17  # between two rows joined by straight arrows only
BEND = 4  # more where a line bends
TRACK = 7  # from one horizontal line to the next between the same rows
PORT = 9  # between two arrows that enter a box
NEAR = 5  # lines that run closer than this look like one
SWEEPS = 12  # over all rows, to find an order of the boxes with few crossings
SEARCHED = 6  # with more lines than this that bend between two rows, their order is not searched


class Layout(NamedTuple):
    """Where everything stands.

    Attributes:
        boxes: (left, top, width, height) of each box.
        routes: {edge: corners (x, y) of its line, from the first box to the second}.
        width, height: of all together; left and top are at 0.
    """

    boxes: list[tuple[float, float, float, float]]
    routes: dict[tuple[int, int], list[tuple[float, float]]]
    width: float
    height: float


class Lane(NamedTuple):
    """The place that lines from a box keep free in a row that they pass."""

    box: int
    row: int


def levels(count, edges):
    """Return the row of each box: the number of edges on the longest path to it.

    Args:
        count: number of boxes.
        edges: (from, to), all to a later box.
    """
    rows = [0] * count
    for start, end in sorted(edges, key=lambda edge: edge[1]):
        rows[end] = max(rows[end], rows[start] + 1)
    return rows


def alone(count, edges):
    """Return the boxes that have nothing of another branch beside them, no box and no line.

    Lines around a box, from one that leads to it, may be beside it.
    """
    rows, before = levels(count, edges), _ancestors(count, edges)
    beside = {box: set() for box in range(count)}
    for box in beside:
        beside[box] |= {other for other in range(count) if rows[other] == rows[box]} - {box}
        beside[box] |= {start for start, end in edges if rows[start] < rows[box] < rows[end]}
    return {box for box, others in beside.items() if others <= before[box]}


def place(sizes, edges):
    """Place boxes in rows, and lines between them that pass beside all other boxes.

    Args:
        sizes: (width, height) of each box; those of a row become as high as the highest.
        edges: (from, to), all to a later box.

    Returns:
        A `Layout`.
    """
    level = levels(len(sizes), edges)
    paths = {edge: _path(edge, level) for edge in edges}
    hops = list(dict.fromkeys(hop for path in paths.values() for hop in pairwise(path)))
    rows = [[] for _ in range(max(level) + 1)]
    for box, row in enumerate(level):
        rows[row].append(box)
    for lane in dict.fromkeys(node for path in paths.values() for node in path[1:-1]):
        rows[lane.row].append(lane)
    rows = _ordered(rows, hops)
    widths = {node: 0 if isinstance(node, Lane) else sizes[node][0] for row in rows for node in row}
    center = _centers(rows, hops, widths, _ancestors(len(sizes), edges))
    ports = {hop: x for node in center for hop, x in _ports(node, hops, center, widths)}
    bends = [_bends(row, hops, center, ports) for row in rows]
    tops, tracks, height = _heights(rows, sizes, bends)
    boxes = []
    for box, (top, bottom) in enumerate(tops[row] for row in level):
        boxes.append((center[box] - widths[box] / 2, top, widths[box], bottom - top))
    routes = {
        edge: _route(path, level, center, ports, tops, tracks) for edge, path in paths.items()
    }
    return Layout(boxes, routes, max(center[node] + widths[node] / 2 for node in center), height)


def _path(edge, level):
    """Return an edge as nodes in successive rows: a box, lanes, a box."""
    start, end = edge
    return [start, *(Lane(start, row) for row in range(level[start] + 1, level[end])), end]


def _ancestors(count, edges):
    found = [set() for _ in range(count)]
    for start, end in sorted(edges, key=lambda edge: edge[1]):
        found[end] |= {start} | found[start]
    return found


def _ordered(rows, hops):
    """Order the nodes inside the rows by the mean place of their neighbors, down, up, down ..."""
    best, fewest = rows, _crossings(rows, hops)
    for sweep in range(SWEEPS):
        rows = _swept(rows, hops if sweep % 2 else [(end, start) for start, end in hops], sweep % 2)
        crossings = _crossings(rows, hops)
        if crossings < fewest:
            best, fewest = rows, crossings
    return best


def _swept(rows, neighbors, upwards):
    """Sort each row by the places in the row before it; `neighbors` are (node, node there)."""
    towards = {}
    for node, other in neighbors:
        towards.setdefault(node, []).append(other)
    swept, place = [], {}
    for row in reversed(rows) if upwards else rows:
        means = {node: index for index, node in enumerate(row)}
        means |= {
            node: np.mean([place[other] for other in towards[node]])
            for node in row
            if swept and node in towards
        }
        swept.append(sorted(row, key=means.get))
        place |= {node: index for index, node in enumerate(swept[-1])}
    return swept[::-1] if upwards else swept


def _crossings(rows, hops):
    at = {
        node: (number, index) for number, row in enumerate(rows) for index, node in enumerate(row)
    }
    lines = [(*at[start], at[end][1]) for start, end in hops]
    return sum(
        row == other_row and (start - other_start) * (end - other_end) < 0
        for (row, start, end), (other_row, other_start, other_end) in combinations(lines, 2)
    )


def _centers(rows, hops, widths, ancestors):
    """Return the x of each node's center: lines as straight as the order of the rows allows.

    A linear program: the sum of all sideways steps, weighted, becomes as small as possible.
    """
    number = {node: index for index, node in enumerate(widths)}
    wishes = [
        (weight, {start: 1, end: -1})
        for weight, (start, end) in zip(_weights(hops), hops, strict=True)
    ]
    wishes += _middles(hops, ancestors)
    left = [(a, b, (widths[a] + widths[b]) / 2 + APART) for row in rows for a, b in pairwise(row)]
    entries, limits = [], []  # of the conditions: sums of (value * variable) <= limit
    for a, b, distance in left:
        entries += [(len(limits), number[a], 1), (len(limits), number[b], -1)]
        limits.append(-distance)
    for index, (_, parts) in enumerate(wishes):
        for sign in (1, -1):  # |sum of parts| <= the step's own variable
            entries += [(len(limits), number[node], sign * x) for node, x in parts.items()]
            entries.append((len(limits), len(number) + index, -1))
            limits.append(0)
    costs = [1e-4] * len(number) + [weight for weight, _ in wishes]
    bounds = [(width / 2, None) for width in widths.values()] + [(0, None)] * len(wishes)
    if not limits:
        return {node: width / 2 for node, width in widths.items()}
    row, column, value = zip(*entries, strict=True)
    matrix = coo_array((value, (row, column)), shape=(len(limits), len(costs)))
    return dict(zip(widths, linprog(costs, matrix, limits, bounds=bounds).x.tolist(), strict=False))


def _weights(hops):
    """Return how much a step aside matters: little where a line begins or ends to pass a branch."""
    leaving, entering = (Counter(ends) for ends in zip(*hops, strict=True)) if hops else ({}, {})
    weights = []
    for start, end in hops:
        begins = isinstance(end, Lane) and leaving[start] > 1
        ends = isinstance(start, Lane) and entering[end] > 1
        both = isinstance(start, Lane) and isinstance(end, Lane)
        weights.append(4 if both else 0.1 if begins or ends else 1)
    return weights


def _middles(hops, ancestors):
    """Wish forks and joins into the middle of their branches; lines past a branch are no branch."""
    below, above = {}, {}
    for start, end in hops:
        if not isinstance(start, Lane) and not isinstance(end, Lane):
            below.setdefault(start, []).append(end)
        if not isinstance(end, Lane):
            above.setdefault(end, []).append(start)
    for end, starts in above.items():
        passed = set().union(*(ancestors[a.box if isinstance(a, Lane) else a] for a in starts))
        above[end] = [a for a in starts if not (isinstance(a, Lane) and a.box in passed)]
    groups = [(node, others) for side in (below, above) for node, others in side.items()]
    return [
        (4, {node: 1} | {other: -1 / len(others) for other in others})
        for node, others in groups
        if len(others) > 1
    ]


def _ports(node, hops, center, widths):
    """Return (hop, x) of the lines that enter a node: each straight from above, if it can be."""
    entering = sorted((hop for hop in hops if hop[1] == node), key=lambda hop: center[hop[0]])
    if isinstance(node, Lane) or (
        len(entering) == 1 and abs(center[entering[0][0]] - center[node]) > widths[node] / 2 - PORT
    ):
        return [(hop, center[node]) for hop in entering]
    if not entering:
        return []
    half = max(widths[node] / 2 - PORT, 0)
    steps = np.arange(len(entering)) * min(PORT, 2 * half / max(1, len(entering) - 1))
    wished = np.clip([center[start] - center[node] for start, _ in entering], -half, half)
    free = np.clip(isotonic_regression(wished - steps).x, -half, half - steps[-1])
    return list(zip(entering, (center[node] + free + steps).tolist(), strict=True))


def _heights(rows, sizes, bends):
    """Return (top, bottom) of each row, {node: y where its lines bend}, and the height of all."""
    tops, tracks, y = [], {}, -GAP
    for row, bent in zip(rows, bends, strict=True):
        top = y + GAP
        y = top + max(sizes[node][1] for node in row if not isinstance(node, Lane))
        tops.append((top, y))
        tracks |= {node: y + GAP / 2 - 2 + index * TRACK for index, node in enumerate(bent)}
        y += BEND + TRACK * (len(bent) - 1) if bent else 0
    return tops, tracks, y


def _bends(row, hops, center, ports):
    """Return the nodes of a row whose lines bend below it, from the highest bend to the lowest.

    A line that would come down on top of another one moves aside: its place in `ports` changes.
    """
    leaving = [hop for hop in hops if hop[0] in row]
    bent = dict.fromkeys(hop[0] for hop in leaving if _aside(center[hop[0]], ports[hop]))
    bent = {node: [ports[hop] for hop in leaving if hop[0] == node] for node in bent}
    order = _least_crossed(bent, center) if len(bent) <= SEARCHED else tuple(bent)
    for upper, lower in combinations(order, 2):
        for start, end in leaving:
            clash = start == upper and not _aside(center[lower], ports[start, end], NEAR)
            if clash and not isinstance(end, Lane):
                side = math.copysign(NEAR, center[upper] - center[lower])
                ports[start, end] = center[lower] + side
    return order


def _aside(x, other, tolerance=0.5):
    return abs(x - other) > tolerance


def _least_crossed(bent, center):
    """Order {node: x of the ends of its lines} by the height of their bends: few lines cross."""
    span = {
        node: (min(center[node], *ends), max(center[node], *ends)) for node, ends in bent.items()
    }

    def cost(upper, lower):
        """Count what crosses when one bends above another; lines on top of each other are worse."""
        same = sum(not _aside(center[lower], x, NEAR) for x in bent[upper])
        crossed = sum(span[lower][0] <= x <= span[lower][1] for x in bent[upper])
        return 10 * same + crossed + (span[upper][0] <= center[lower] <= span[upper][1])

    return min(
        permutations(bent), key=lambda order: sum(cost(*two) for two in combinations(order, 2))
    )


def _route(path, level, center, ports, tops, tracks):
    """Return the corners of an edge's line."""
    first = level[path[0]]
    corners = []
    for row, (start, end) in enumerate(pairwise(path), first):
        x, port = center[start], ports[start, end]
        corners.append((x, tops[row][1]))
        if _aside(x, port):
            corners += [(x, tracks[start]), (port, tracks[start])]
        corners.append((port, tops[row + 1][0]))
    return corners
