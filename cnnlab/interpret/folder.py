"""A folder of images: what a model says of each, as a table, and its heatmaps, as a page."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnnlab import image_files
from cnnlab.interpret.answers import answers
from cnnlab.interpret.attribution import heatmaps
from cnnlab.interpret.figures import page, pictures
from cnnlab.interpret.figures.page import Section, parts
from cnnlab.interpret.model.network import inspect_model
from cnnlab.interpret.request import Options, resolve
from cnnlab.saving import atomic_path

COLUMNS = ("file", "head", "answer", "probability", "number", "layer", "peak", "note", "steps")
TOGETHER = 64  # images that are explained at once, if they have one size
IN_A_SECTION = 60  # images of a section of the page
IN_A_ROW = 8  # tiles, about


class Gallery(NamedTuple):
    """What a model says of many images."""

    rows: list[dict]  # {column: value} for each image and head; for a file that is no image one row
    sections: tuple[Section, ...]  # the images with their heatmaps
    summary: str  # in one sentence

    def table(self) -> str:
        """Return the rows as CSV."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()

    def save(self, folder, title="cnnlab", say=print) -> None:
        """Write table.csv and page.html into a folder, which is made."""
        folder = Path(folder)
        folder.mkdir(exist_ok=True)
        with atomic_path(folder / "table.csv") as temporary:
            temporary.write_text(self.table(), encoding="utf-8")
        page.save_html(title, {}, self.sections, folder / "page.html", say)


def explain_folder(
    model, folder, layer=None, head=None, target=None, read=image_files.read, **options
) -> Gallery:
    """Return what a model says of all images in a folder, in the order of their names.

    What is not an image gets a row that says why. `read` returns the image of a path; all else is
    as in `explain`.

    Raises:
        ValueError: there is no image in the folder, or as `explain`.
    """
    options = Options(**options)
    say = options.progress or (lambda step: None)
    rows, ready = {}, {}  # {path: its rows}, {path: what `resolve` returns}
    paths = sorted(path for path in Path(folder).iterdir() if path.is_file())
    say(f"reading {len(paths)} files")
    for path in paths:
        try:
            image = read(path)
        except (ValueError, OSError) as error:
            rows[path] = [_without_answer(path, error)]
            continue
        try:
            ready[path] = resolve(model, image, layer, head, target, options)
        except ValueError as error:
            if getattr(error, "argument", None) != "image":  # wrong for all of them
                raise
            rows[path] = [_without_answer(path, error)]
    if not ready:
        why = f": {rows[paths[0]][0]['note']}" if paths else ""
        raise ValueError(f"there is no image in {folder} that the model takes{why}")
    say("heatmaps")
    tiles = {}
    for of_one_size in _by_size(ready):
        for part in parts(of_one_size, TOGETHER):
            rows |= _explained(model, {path: ready[path] for path in part}, options, tiles)
    first = next(iter(ready.values()))
    words = []
    if first.heat_layers:
        heads = ", ".join(first.heat_layers)
        words.append(f"{options.method} of {heads}: each map from dark to yellow, its own peak.")
    if first.preprocessing.guessed:
        words.append(f"The images are taken as {first.preprocessing}.")
    words += [f"Left out: {row[0]['note']}." for path, row in rows.items() if path not in ready]
    sections = []
    for part in parts([path for path in paths if path in tiles], IN_A_SECTION):
        of_part = [tiles[path] for path in part]
        columns = len(of_part[0]) * max(1, IN_A_ROW // len(of_part[0]))
        flat = sum(of_part, [])
        sections.append(
            Section(
                f"{part[0].name} … {part[-1].name}",
                lambda sheet, flat=flat, columns=columns: sheet.tiles(flat, columns=columns),
                () if sections else tuple(words),
            )
        )
    others = len(paths) - len(ready)
    summary = f"{len(ready)} images" + (f", {others} other files" if others else "")
    return Gallery([row for path in paths for row in rows[path]], tuple(sections), summary)


def _without_answer(path, error):
    why = " ".join(str(error).replace(str(path), path.name).split())
    return {"file": path.name, "note": why if path.name in why else f"{path.name}: {why}"}


def _by_size(ready):
    """Return lists of the paths whose images have one size."""
    sizes = {}
    for path, request in ready.items():
        sizes.setdefault(request.image.batch.shape, []).append(path)
    return sizes.values()


def _explained(model, ready, options, tiles):
    """Return {path: rows} for images of one size, and add to {path: tiles}."""
    first = next(iter(ready.values()))
    batch = np.concatenate([request.image.batch for request in ready.values()])
    shown = list(map(pictures.as_colors, first.preprocessing.to_pictures(batch)))
    rows = {path: [] for path in ready}
    for path, image in zip(ready, shown, strict=True):
        tiles[path] = [pictures.Tile(image, path.name)]
    for name, layer in first.heat_layers.items():
        maps = heatmaps(model, batch, name, first.target, first.how(layer, options))
        for index, (path, request) in enumerate(ready.items()):
            answer = pictures.answer(maps, index, first.names)
            rows[path].append(_row(path, maps, index, answer, request.image.steps))
            label = answer if len(first.heat_layers) == 1 else f"{name}: {answer}"
            note = maps.note[index]
            if note.startswith("empty"):
                tiles[path].append(pictures.Tile(pictures.EMPTY, label, note))
            else:
                heat = pictures.overlay(shown[index], maps.maps[index])
                tiles[path].append(pictures.Tile(heat, label))
    for name, why in first.without_heat.items():
        is_head = name in inspect_model(model).heads
        told = answers(model, batch, name, options.outputs) if is_head else None
        for index, path in enumerate(ready):
            row = {"file": path.name, "head": name, "note": f"no heatmap: {why}"}
            if told:
                ((answer, value),) = told.top(index, first.names.get(name), 1)
                kind = "number" if told.outputs == "numbers" else "probability"
                row |= {"answer": answer, kind: f"{value:.6g}"}
                label = f"{tiles[path][0].label}\n{name}: {answer}"
                tiles[path][0] = tiles[path][0]._replace(label=label)
            rows[path].append(row)
    return rows


def _row(path, maps, index, answer, steps):
    is_number = maps.outputs == "numbers"
    value = f"{maps.scores[index]:.6g}" if is_number else f"{maps.probabilities[index]:.6f}"
    return {
        "file": path.name,
        "head": maps.head,
        "answer": answer.rpartition(" = " if is_number else " (")[0],
        "number" if is_number else "probability": value,
        "layer": maps.layer,
        "peak": f"{maps.peak[index]:.6g}",
        "note": maps.note[index],
        "steps": "; ".join(steps),
    }
