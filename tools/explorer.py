"""Write the models of the explorer, web/models, from the committed ones; or say which are old.

python -m tools.explorer build
python -m tools.explorer check
"""

import argparse
import base64
import sys
from pathlib import Path

from cnnlab import pretrained
from cnnlab.runtime import repository_root
from tools.provenance import digest

MODELS = [
    {
        "name": "task2",
        "label": "trained on varied backgrounds",
        "title": "How long, how wide, at which angle, in which color?",
        "mode": "lines",
    },
    {
        "name": "task2-plain",
        "label": "trained on black backgrounds only",
        "title": "How long, how wide, at which angle, in which color?",
        "mode": "lines",
    },
    {
        "name": "task1-mnist",
        "label": "digits",
        "title": "Which digit?",
        "mode": "digits",
        "layer": "relu_3",  # of the last one the maps have nine cells
    },
]
RIGHT, WRONG = 10, 8  # examples: a digit of each class, and those that are misread most certainly


def build(root: Path) -> None:
    """Write all scripts of models, and the list of them."""
    from cnnlab import explorer, runtime

    runtime.start(seed=0)
    from cnnlab.interpret import load
    from cnnlab.interpret.model.network import inspect_model

    scripts = {}
    for each in MODELS:
        model, name = load(each["name"]), each["name"]
        names = pretrained.class_names(name, list(inspect_model(model).heads))
        scripts[name] = explorer.scripted(model, name, pretrained.find(name), names)
    digits = examples(load("task1-mnist"))
    explorer.write_models(root / "web", MODELS, scripts, examples=digits)


def examples(model) -> list[dict]:
    """Return unseen digits: one of each class, and the misread ones, the most certain first."""
    from cnnlab import mnist, splits

    images, labels = mnist.pool()
    unseen = splits.held_out(labels).test
    answers = model.predict(images[unseen][..., None], batch_size=1000, verbose=0)
    read, certain = answers.argmax(axis=1), answers.max(axis=1)
    labels = labels[unseen]
    right = [((labels == digit) & (read == digit)).argmax() for digit in range(RIGHT)]
    wrong = sorted((read != labels).nonzero()[0], key=lambda index: -certain[index])[:WRONG]
    return [
        {
            "pixels": base64.b64encode(images[unseen[index]].tobytes()).decode(),
            "label": str(labels[index]),
            "read": str(read[index]),
        }
        for index in [*right, *wrong]
    ]


def old(root: Path) -> list[str]:
    """Return the names of models whose script is not that of the committed file."""
    names = []
    for each in MODELS:
        script = root / "web" / "models" / f"{each['name']}.js"
        model = digest((root / pretrained.MODELS[each["name"]]).read_bytes())
        if not script.is_file() or f'"file":"{model}"' not in script.read_text(encoding="utf-8"):
            names.append(each["name"])
    return names


def main(arguments: list[str] | None = None) -> int:
    """Build or check; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.explorer", description=__doc__)
    parser.add_argument("what", choices=("build", "check"))
    root = repository_root()
    if parser.parse_args(arguments).what == "build":
        build(root)
        return 0
    names = old(root)
    if names:
        print(f"explorer: old: {', '.join(names)}; python -m tools.explorer build makes them")
    else:
        print("explorer: nothing wrong")
    return int(bool(names))


if __name__ == "__main__":
    sys.exit(main())
