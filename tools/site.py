"""Build the site from what is committed, without executing anything. From the repository's root:

python -m tools.site    into run/site
"""

import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import typst

from cnnlab.runtime import repository_root

PAGES = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md", "benchmarks/README.md"),
    *("Task-1/README.md", "Task-2/README.md", "Task-3/README.md", "docs/coming-from.md"),
    *("docs/models.md", "docs/grading.md", "docs/studies.md", "docs/what-it-withstands.md"),
)
NOTEBOOKS = ("Task-1/Task-1.ipynb", "Task-2/Task-2.ipynb", "Task-3/Task-3.ipynb")
PICTURES = (
    "Task-1/figures/ladder.png",
    "Task-2/figures/size-responses-plain.png",
    "Task-3/figures/first-look.png",
)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
CAPTION = re.compile(r"^\*\*Figures? .*?(?=\n\n|\Z)", re.S | re.M)
FOLDED = 12  # lines of a cell that only prepares a table, from which on it is folded


def lay_out(root: Path, source: Path) -> None:
    """Copy what the site shows into a folder, in the form that Sphinx reads."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(root / "site", source)
    for page in source.glob("*.md"):  # they lie one folder higher there
        _write(page, page.read_text(encoding="utf-8").replace("](../", "]("))
    for name in PAGES:
        text = _without_dead_links((root / name).read_text(encoding="utf-8"), root / name, root)
        _write(source / name, text)
    for name in NOTEBOOKS:
        notebook = nbformat.read(root / name, as_version=4)
        _prepare(notebook, root / name, root)
        _write(source / name, nbformat.writes(notebook))
    for folder in ("Task-1", "Task-2", "Task-3"):
        shutil.copytree(root / folder / "figures", source / folder / "figures")
    for name in ("overview.png", "report.pdf"):
        shutil.copyfile(root / name, source / name)
    (source / "static").mkdir()
    (source / "site.css").rename(source / "static" / "site.css")
    for name in PICTURES:
        shutil.copyfile(root / name, source / "static" / Path(name).name)
    shutil.copytree(root / "web", source / "extra" / "explorer")
    _write(source / "summary.md", _summary(root))


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _without_dead_links(text, file, root):
    """Return Markdown whose links to files that the site does not have are only their words."""
    kept = {*PAGES, *NOTEBOOKS, "report.pdf"}

    def link(found):
        is_image, words, target = found.groups()
        path = target.partition("#")[0]
        if is_image or "://" in target or not path:
            return found.group()
        try:
            name = (file.parent / path).resolve().relative_to(root.resolve()).as_posix()
        except ValueError:
            return words
        if name in kept:
            return found.group()
        if f"{name}/README.md" in kept:
            return f"[{words}]({path.rstrip('/')}/README.md)"
        return words

    return LINK.sub(link, text)


def _prepare(notebook, file, root):
    """Give figures their captions as alternative texts, and fold what only prepares a table."""
    words = ""
    for cell in notebook.cells[::-1]:
        if cell.cell_type == "markdown":
            captions = CAPTION.findall(cell.source)
            words = " ".join(" ".join(captions).replace("*", "").split())
            cell.source = _without_dead_links(cell.source, file, root)
            continue
        for output in cell.outputs:
            if "text/html" in output.get("data", {}):  # colors that are hard to read
                text = output["data"]["text/html"]
                output["data"]["text/html"] = re.sub(
                    r' style="(text-decoration-)?color[^"]*"', "", text
                )
        shown = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        if shown:
            cell.metadata["mystnb"] = {"image": {"alt": words or "A figure of this notebook"}}
        lines = cell.source.splitlines()
        if len(lines) >= FOLDED and "table(" in cell.source and "def " not in cell.source:
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]


def _summary(root):
    """Return the report's first section, its headline and its table, as a page."""
    made = typst.compile(
        root / "report" / "report.typ",
        root=root,
        ignore_system_fonts=True,
        format="html",
        sys_inputs={"digest": ""},
    ).decode("utf-8")
    body = made.partition("<body>")[2].partition("<nav")[0]
    body = re.sub(r'<a href="#[^"]*">(.*?)</a>', r"\1", body, flags=re.S)
    return (
        "# The report's summary\n\nAll of it: {download}`report.pdf <report.pdf>`\n\n"
        f"```{{raw}} html\n{body}\n```\n"
    )


def build(root: Path) -> int:
    """Build the site into run/site; returns Sphinx's status, with warnings as errors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # the functions' page imports them
    from sphinx.cmd.build import build_main

    source, made = root / "run" / "site-source", root / "run" / "site"
    lay_out(root, source)
    shutil.rmtree(made, ignore_errors=True)
    status = build_main(["-q", "-W", "--keep-going", "-j", "2", str(source), str(made)])
    for page in made.rglob("*.html"):
        if "explorer" not in page.parts:
            # Code and tables scroll where they are too wide, so the keyboard must get there.
            text = page.read_text(encoding="utf-8")
            page.write_text(re.sub(r"<(pre|table)\b", r'<\1 tabindex="0"', text), encoding="utf-8")
    return status


def main() -> int:
    """Build the site, and say where it is."""
    root = repository_root()
    status = build(root)
    if status == 0:
        print(root / "run" / "site" / "index.html")
    return status


if __name__ == "__main__":
    sys.exit(main())
