"""The digest of a recipe follows all that a run depends on, and nothing else."""

import shutil
from pathlib import Path

import pytest
from small_repository import edit

from cnnlab.training import fused_batch_norm
from tools import recipes, studies

ROOT = Path(__file__).resolve().parents[1]
CODE = '''
from math import pi, tau
from package import rooms, table
from package.rooms import deep
RATE, EPOCHS = 1, 2
if EPOCHS:
    SIZE = 3
def inner(x):
    """Doc."""
    return x * RATE
def outer(x):
    return inner(x) + pi
def other():
    return SIZE
def train(x):
    from package import late
    return rooms.shown(deep.A + late.VALUE)
def every():
    return [vars(table)]
'''
FILES = {
    "package/__init__.py": "",
    "package/rooms/__init__.py": "from .inside import shown\n",
    "package/rooms/inside.py": "import json\n\ndef shown(x):\n    return Part(x)\n"
    "class Part:\n    def method(self):\n        return json.dumps(1)\n"
    "def hidden():\n    return 5\n",
    "package/rooms/deep.py": "from .. import effects\nA, B = 1, 2\n",
    "package/late.py": "VALUE = 4\n",
    "package/effects.py": "import os\n\nos.umask(18)\nUNUSED = 1\n",
    "package/table.py": "ROWS = 6\n",
}


@pytest.fixture
def package(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_digest_follows_what_is_used_and_nothing_else(tmp_path):
    def digest(old="", new=""):
        return recipes.code_digest(CODE.replace(old, new), ["outer"], tmp_path)

    for old, new in (
        ("x * RATE", "x + RATE"),
        ("RATE, EPOCHS = 1", "RATE, EPOCHS = 9"),
        ("+ pi", "- pi"),
        ("import pi, tau", "import e as pi, tau"),
    ):
        assert digest(old, new) != digest(), new
    for old, new in (("SIZE = 3", "SIZE = 4"), ("Doc.", "Text."), ("pi, tau", "pi, e")):
        assert digest(old, new) == digest(), new
    with pytest.raises(KeyError, match="do not define absent"):
        recipes.code_digest(CODE, ["outer", "absent.part"], tmp_path)


@pytest.mark.parametrize(
    ("file", "old", "new", "names"),
    [
        ("rooms/inside.py", "Part(x)", "Part(-x)", "train"),  # an attribute, handed on by a room
        ("rooms/inside.py", "dumps(1)", "dumps(2)", "train"),  # a name that an attribute uses
        ("rooms/inside.py", "import json", "import orjson as json", "train"),
        ("rooms/inside.py", "return 5", "return 6", ""),
        ("rooms/deep.py", "A, B = 1", "A, B = 7", "train"),
        ("late.py", "4", "5", "train"),  # imported inside a function
        ("effects.py", "18", "0", "outer train every"),  # executed by every import
        ("effects.py", "UNUSED = 1", "UNUSED = 2", ""),
        ("table.py", "6", "7", "every"),  # a module that is handed on as a whole
    ],
)
def test_digest_follows_into_modules(package, file, old, new, names):
    functions = ("outer", "train", "every")
    before = [recipes.code_digest(CODE, [name], package) for name in functions]
    edit(package / "package" / file, old, new)
    after = [recipes.code_digest(CODE, [name], package) for name in functions]
    pairs = zip(functions, before, after, strict=True)
    assert [name for name, old, new in pairs if old != new] == names.split()


def test_moved_definitions_are_the_same(package):
    before = recipes.code_digest(CODE, ["train"], package)
    (package / "package/rooms/inside.py").rename(package / "package/rooms/elsewhere.py")
    edit(package / "package/rooms/__init__.py", "inside", "elsewhere")
    assert recipes.code_digest(CODE, ["train"], package) == before


@pytest.mark.parametrize("task", ["Task-1", "Task-2"])
def test_every_study_depends_on_the_fused_batch_normalization(tmp_path, task):
    """And on no figure."""
    study, script = studies.module(f"{task}/study.py"), tmp_path / task / f"{task}.py"
    kinds = [kind for kind in study.KINDS if kind != "variation"]  # the same as "rate"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "cnnlab", tmp_path / "cnnlab", ignore=ignored)
    script.parent.mkdir()
    shutil.copy(ROOT / task / f"{task}.py", script)

    def digests():
        study.digest.cache_clear()
        return [study.digest(kind, script) for kind in kinds]

    before = digests()
    assert before == [study.digest(kind) for kind in kinds]
    for file in (tmp_path / "cnnlab" / "plots").rglob("*.py"):
        file.write_text(file.read_text().replace("\n    return ", "\n    print()\n    return "))
    assert digests() == before
    file = tmp_path / Path(fused_batch_norm.__file__).relative_to(ROOT)
    edit(file, "* layer.momentum", "* (layer.momentum + 0)")
    assert not set(digests()) & set(before)


@pytest.mark.parametrize("task", ["Task-1", "Task-2"])
def test_committed_studies_are_of_the_current_recipes(task):
    study = studies.module(f"{task}/study.py")
    stored = studies.load(ROOT / task / "study.json")
    for key, run in stored.items():
        assert run["recipe"] == study.digest(key.partition("/")[0]), f"{key} is of an older recipe"
    runs = study.runs_of("final-lines" if task == "Task-1" else "final", stored)
    assert len(runs) == 5 and not studies.missing(stored, runs)
