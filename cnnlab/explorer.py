"""The explorer: a web page that computes a network live, written into a folder.

The page itself is in `web/`; here its models are written beside it, each as a script, because a
page that is opened as a file may load nothing else.
"""

import hashlib
import json
import shutil
from pathlib import Path

from cnnlab.interpret.export import exported
from cnnlab.interpret.figures.page import files
from cnnlab.saving import atomic_path

PAGE, SCRIPTS = ("index.html", "style.css"), "scripts"
MODELS = "models"  # the folder of their scripts
LIST = "list.js"
ABOUT = (
    "Everything is computed here, in the browser: no picture leaves this page. Answers and "
    "heatmaps are those of the model in Python; the tests of cnnlab compare them."
)


def scripted(model, name: str, file: Path, names=None) -> str:
    """Return the script of a model that the page calls `name`.

    The SHA-256 of its `file` tells whether a script is old. `names` are as in `export.exported`.

    Raises:
        ValueError: the page cannot compute the model, see `export.exported`.
    """
    told = {"file": hashlib.sha256(file.read_bytes()).hexdigest()} | exported(model, name, names)
    return f"(window.LOADED ||= {{}})[{_quoted(name)}] = {_quoted(told)};\n"


def write_models(folder: Path, models, scripts, examples=()) -> None:
    """Write the scripts of models, {name: script}, and the list of them, into folder/models.

    Models are [{"name", "label", "title", "mode"}], mode "lines", "digits" or "image"; `examples`
    are [{"pixels", "label", "read"}] of digits.
    """
    lines = [f"window.MODELS = {_quoted(models)};", f"window.ABOUT = {_quoted(ABOUT)};"]
    lines += [f"window.EXAMPLES = {_quoted(list(examples))};"] if examples else []
    (folder / MODELS).mkdir(parents=True, exist_ok=True)
    files = {f"{name}.js": script for name, script in scripts.items()}
    for name, text in (files | {LIST: "\n".join([*lines, ""])}).items():
        with atomic_path(folder / MODELS / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def write_page(folder: Path, models, scripts) -> None:
    """Write a whole page into a folder; the arguments are those of `write_models`."""
    write_models(folder, models, scripts)
    for name in PAGE:
        shutil.copyfile(files() / name, folder / name)
    shutil.copytree(files() / SCRIPTS, folder / SCRIPTS)


def _quoted(value):
    # A script ends at </script>, wherever it is.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
