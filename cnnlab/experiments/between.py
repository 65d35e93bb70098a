"""What heads predict between their classes: for a line at 7.5 degrees, or 11 pixels long."""

import numpy as np

from cnnlab import lines, plots, runtime
from cnnlab.lines import variants
from cnnlab.training import heads

PER_STEP = 4 if runtime.in_smoke() else 64  # lines drawn for one point of a curve


def random_lines(random, lengths, widths, angles, brightness=1.0):
    """Draw lines of these measures (n,) at random positions, red or blue: (n, 28, 28, 3) uint8."""
    low, high = lines.center_limits(lengths, widths, angles)
    centers = low.T + random.random((len(lengths), 2)) * (high - low).T
    colors = np.array(list(lines.COLORS.values()))[random.integers(0, 2, len(lengths))]
    images = lines.render(lengths, widths, angles, centers, colors)
    return variants.dimmed(images, brightness)


def response(network, head, varied, values, brightness=1.0, seed=0):
    """Return mean probabilities of a head, (values, 1 or 12), while one measure takes `values`.

    `varied` is "lengths", "widths" or "angles"; the other measures are those of the dataset, at
    random.
    """
    random = np.random.default_rng(seed)
    n = len(values) * PER_STEP
    measures = {
        "lengths": random.choice(lines.LENGTHS, n).astype(float),
        "widths": random.choice(lines.WIDTHS, n).astype(float),
        "angles": random.choice(lines.ANGLES, n).astype(float),
    } | {varied: np.repeat(values, PER_STEP)}
    images = random_lines(random, **measures, brightness=brightness)
    p = heads.probabilities(network, images)[head]
    return p.reshape(len(values), PER_STEP, -1).mean(axis=1)


def size_responses(network, lengths, widths, levels=(1.0, 0.7, 0.4)):
    """Return the probabilities of "long" and "thick": two of {"70 % bright": (values,), ...}."""
    by_length, by_width = {}, {}
    for brightness in levels:
        name = f"{100 * brightness:.0f} % bright"
        by_length[name] = response(network, "length", "lengths", lengths, brightness)[:, 0]
        by_width[name] = response(network, "width", "widths", widths, brightness)[:, 0]
    return by_length, by_width


def angle_borders(probabilities):
    """Return where each angle class and the next are equally likely: twelve degrees, or None.

    Takes (180, 12) mean probabilities, one row for each whole degree.
    """
    degrees = []
    for index, low in enumerate(lines.ANGLES):
        positions = np.arange(low, low + 16)
        now, after = (probabilities[positions % 180, k % 12] for k in (index, index + 1))
        crossings = plots.crossings_of(positions.astype(float), now - after)
        degrees.append(float(crossings[0]) if len(crossings) else None)
    return degrees
