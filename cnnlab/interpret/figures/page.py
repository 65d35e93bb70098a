"""Pages of sections: one figure, the pages of a PDF, the pictures of a folder, or an HTML file."""

import base64
import html
import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.backends.backend_pdf import PdfPages

import cnnlab
from cnnlab.interpret.figures.sheet import Sheet
from cnnlab.runtime import repository_root
from cnnlab.saving import UNDATED, atomic_path, save_figure

PAGE = 13.0  # inches high, at most, of a PDF's page with several sections
SUFFIXES = (".png", ".pdf", ".svg", ".html")
PATIENCE = 30  # seconds: what takes longer is said beforehand

# What a report has and the explorer has not; all else is the explorer's style.
STYLE = """
body { max-width: 1000px; padding-top: 16px }
h1 { margin-bottom: 16px }
figure { margin: 0; overflow-x: auto }
img { max-width: max(100%, 45em); background: white; border-radius: 4px }
summary { cursor: pointer; font-weight: 600; margin: .8em 0 .4em }
"""


class Section(NamedTuple):
    """A part of a page, drawn only when it is needed."""

    title: str
    draw: Callable[[Sheet], None]  # adds the pictures to a sheet
    paragraphs: tuple[str, ...] = ()  # above the pictures
    answers: tuple[str, ...] = ()  # the same, where there is no table of answers
    pictures: int = 1  # how many are drawn, about: the time that it takes

    def sheet(self, with_text: bool = True) -> Sheet:
        """Return the section alone."""
        return stacked([self], with_text)


def stacked(sections, with_text: bool = True) -> Sheet:
    """Return sections below each other."""
    sheet = Sheet()
    for section in sections:
        for paragraph in (*section.paragraphs, *section.answers) if with_text else ():
            sheet.text(paragraph)
        section.draw(sheet)
    return sheet


def save_pages(sections, path: Path, say=print) -> None:
    """Write sections as the pages of a PDF, small ones together."""
    with atomic_path(path) as temporary, PdfPages(temporary, metadata=UNDATED[".pdf"]) as pdf:
        page = []
        for section in _timed(sections, say):
            if page and stacked([*page, section]).height > PAGE:
                pdf.savefig(stacked(page).figure())
                page = []
            page.append(section)
        pdf.savefig(stacked(page).figure())


def files() -> Path:
    """Return the folder of the explorer's own files: in the repository, or in a wheel."""
    installed = Path(cnnlab.__file__).with_name("page")
    return installed if installed.is_dir() else repository_root() / "web"


def is_folder(path: Path) -> bool:
    """Say whether a path is a folder, or names one that is not there yet."""
    return path.is_dir() or not path.suffix


def save_folder(sections, folder: Path, say=print) -> None:
    """Write each section as a PNG into a folder, which is made; they are numbered in order.

    Raises:
        ValueError: the folder is not empty: those of another model would be mixed with these.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: name a new folder")
    folder.mkdir(exist_ok=True)
    for number, section in enumerate(_timed(sections, say)):
        name = re.sub(r"[^\w.-]+", "-", section.title).strip("-")[:80]
        save_figure(section.sheet().figure(), folder / f"{number:03}-{name}.png")


def save_html(title: str, answers, sections, path: Path, say=print) -> None:
    """Write one file that needs no other: sections to fold, and {head: [(name, value, text)]}.

    A value is a probability 0..1, or None for a number.
    """
    written = [_answers(answers)] if answers else []
    for number, section in enumerate(_timed(sections, say)):
        text = "".join(f"<p>{html.escape(words)}</p>" for words in section.paragraphs)
        opened = "" if number else " open"
        written.append(
            f"<details{opened}><summary>{html.escape(section.title)}</summary>{text}"
            f"{_picture(section)}</details>"
        )
    name = html.escape(title)
    style = (files() / "style.css").read_text(encoding="utf-8") + STYLE
    head = f'<meta charset="utf-8"><title>{name}</title><style>{style}</style>'
    view = '<meta name="viewport" content="width=device-width">'
    page = f'<!doctype html><html lang="en"><head>{head}{view}</head><body><h1>{name}</h1>'
    with atomic_path(path) as temporary:
        temporary.write_text(f"{page}{''.join(written)}</body></html>\n", encoding="utf-8")


def _answers(answers):
    """Return the most likely classes of each head, with bars, or its numbers."""
    heads = []
    for head, of_head in answers.items():
        rows = []
        for name, value, text in of_head:
            bar = "" if value is None else f'<i style="width:{100 * value:.2f}%"></i>'
            words = f"<span>{html.escape(name)}</span><span>{html.escape(text)}</span>"
            rows.append(f"<span class=bar>{words}{bar}</span>")
        name = f"<span class=name>{html.escape(head)}</span>"
        heads.append(f"<div class=head>{name}<span class=bars>{''.join(rows)}</span></div>")
    return f"<div id=answers>{''.join(heads)}</div>"


def _picture(section):
    sheet = section.sheet(with_text=False)
    if not sheet.height:
        return ""
    content = base64.b64encode(as_png(sheet.figure())).decode()
    image = f'<img alt="{html.escape(section.title)}" src="data:image/png;base64,{content}">'
    # Too wide for a telephone, it is scrolled rather than made too small to read.
    return f"<figure tabindex=0>{image}</figure>"


def as_png(figure) -> bytes:
    """Return a figure as the bytes of a PNG."""
    drawn = io.BytesIO()
    with matplotlib.rc_context():
        figure.savefig(drawn, format="png", metadata=UNDATED[".png"])
    return drawn.getvalue()


def parts(items, size: int) -> list:
    """Return items, a list or range, as parts of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def _timed(sections, say):
    """Yield sections, and say after the first ones how long the others will take, if long."""
    begin, said, drawn = time.monotonic(), False, 0
    whole = sum(section.pictures for section in sections)
    for number, section in enumerate(sections):
        yield section
        spent, drawn = time.monotonic() - begin, drawn + section.pictures
        left = spent / drawn * (whole - drawn)
        if not said and number and left > PATIENCE:
            say(f"drawing {whole:,} pictures, about {left:.0f} s")
            said = True
