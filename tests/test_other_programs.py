"""Lines of other programs: right place, color and size, and not our own renderer in disguise."""

import numpy as np
import pytest

from cnnlab import lines
from cnnlab.lines import other_programs

PROGRAMS = [*other_programs.TEST, *other_programs.DEVELOPMENT]


@pytest.fixture(scope="module")
def drawn():
    return lines.generate(per_class=3, seed=7)


@pytest.mark.parametrize("program", PROGRAMS)
def test_place_color_and_size(program, drawn):
    images = other_programs.draw(program, drawn.labels, drawn.centers)
    assert images.shape == drawn.images.shape and images.dtype == np.uint8
    color = drawn.labels[:, 3]
    assert not images[color == 0, :, :, 1:].any()  # red only
    assert not images[color == 1, :, :, :2].any()  # blue only
    light = images.sum(axis=-1) / 255.0  # (n, 28, 28)
    area = light.sum(axis=(1, 2))
    y, x = np.mgrid[:28, :28] + 0.5
    centers = np.stack([(light * x).sum(axis=(1, 2)), (light * y).sum(axis=(1, 2))], 1)
    assert np.abs(centers / area[:, None] - drawn.centers).max() < 1.2


@pytest.mark.parametrize("program", PROGRAMS)
def test_matched_drawings_measure_what_they_should(program, drawn):
    """Length along the class's angle, by second moments; a pixel is coarse, so on average."""
    images = other_programs.draw(program, drawn.labels, drawn.centers)
    light = images.sum(axis=-1) / 255.0
    y, x = np.mgrid[:28, :28]
    for label in ((0, 0), (0, 1), (1, 0), (1, 1)):
        chosen = np.all(drawn.labels[:, :2] == label, axis=1)
        angle = np.radians(np.array(lines.ANGLES)[drawn.labels[chosen, 2]])[:, None, None]
        along = np.cos(angle) * x - np.sin(angle) * y
        weight = light[chosen] / light[chosen].sum(axis=(1, 2), keepdims=True)
        middle = (weight * along).sum(axis=(1, 2), keepdims=True)
        variance = (weight * (along - middle) ** 2).sum(axis=(1, 2))
        length = np.sqrt(12 * np.maximum(variance - 1 / 12, 0))
        width = light[chosen].sum(axis=(1, 2)) / length
        true = lines.LENGTHS[label[0]], lines.WIDTHS[label[1]]
        assert abs(length.mean() - true[0]) < 1.0, f"{label}: length {length.mean():.2f}"
        assert abs(width.mean() - true[1]) < 0.6, f"{label}: width {width.mean():.2f}"


def test_wrong_names_and_labels(drawn):
    with pytest.raises(ValueError, match=r"no program 'GIMP'; there are OpenCV line, "):
        other_programs.draw("GIMP", drawn.labels, drawn.centers)
    with pytest.raises(ValueError, match="angle label 12"):
        other_programs.draw(PROGRAMS[0], [[0, 0, 12, 0]], [[14, 14]])
