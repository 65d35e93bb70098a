"""Runs the scripts of web/ in Node, on numbers that Python gives it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[1] / "web" / "scripts"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")


def in_node(code, given, folder):
    """What a script returns, as JSON; `given` is what it finds under that name."""
    (folder / "given.json").write_text(json.dumps(given), encoding="utf-8")
    program = f"""
const fs = require("fs"), web = (name) => require({str(WEB)!r} + "/" + name);
const given = JSON.parse(fs.readFileSync("given.json"));
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
fs.writeFileSync("made.json", JSON.stringify((() => {{ {code} }})()));
"""
    (folder / "program.js").write_text(program, encoding="utf-8")
    subprocess.run(["node", "program.js"], cwd=folder, check=True)
    return json.loads((folder / "made.json").read_text(encoding="utf-8"))
