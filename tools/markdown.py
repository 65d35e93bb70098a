"""What a Markdown text holds, as GitHub reads it: prose, headings, links."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)")
COMMENT = re.compile(r"<!--.*?-->")
HEADING = re.compile(r" {0,3}#{1,6}\s+(.*?)(?:\s+#+)?\s*$")
UNDERLINE = re.compile(r" {0,3}(?:=+|-+)\s*$")
TARGETS = (
    re.compile(r"\]\(\s*(?:<(?P<spaced>[^>]*)>|(?P<plain>[^\s)]*))(?:\s+[\"'(][^)]*)?\s*\)"),
    re.compile(r"^ {0,3}\[[^\]^]+\]:\s*(?:<(?P<spaced>[^>]*)>|(?P<plain>\S+))"),
    re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)\s*=\s*[\"'](?P<spaced>)(?P<plain>[^\"']*)"),
)
ANCHOR = re.compile(r"<a\b[^>]*?\b(?:id|name)\s*=\s*[\"']([^\"']+)")
EXTERNAL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//")


class Link(NamedTuple):
    """A relative link or image.

    Attributes:
        line: where it stands, from 1.
        path: the file or folder as written, "" for this file.
        anchor: what follows "#", or "".
    """

    line: int
    path: str
    anchor: str


def prose_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield (number, line) for the lines outside fenced code, numbered from 1."""
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        found = FENCE.match(line)
        if fence:
            closes = found and found[1].startswith(fence) and not line.strip(" `~")
            fence = "" if closes else fence
        elif found:
            fence = found[1]
        else:
            yield number, line


def without_code(line: str) -> str:
    """Return a line without its `code`."""
    return CODE.sub("", line)


def links(text: str) -> Iterator[Link]:
    """Yield the relative links and images, also those of HTML; addresses are left out."""
    for number, line in prose_lines(text):
        shown = COMMENT.sub("", without_code(line))
        for pattern in TARGETS:
            for found in pattern.finditer(shown):
                target = found["spaced"] or found["plain"]
                if not EXTERNAL.match(target):
                    path, _, anchor = target.partition("#")
                    yield Link(number, unquote(path), unquote(anchor))


def anchors(text: str) -> set[str]:
    """Return what links can point to after "#": the headings, and the anchors of HTML."""
    found, seen = set(), Counter()
    for heading in _headings(text):
        name = slug(heading)
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found.union(*(ANCHOR.findall(without_code(line)) for _, line in prose_lines(text)))


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading: lower case, hyphens, no punctuation."""
    shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)  # of a link its text
    shown = re.sub(r"(?<!\w)(_+)(\S.*?)\1(?!\w)", r"\2", shown)  # emphasis
    return re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")


def _headings(text: str) -> Iterator[str]:
    above, above_number = "", 0
    for number, line in prose_lines(text):
        if found := HEADING.match(line):
            yield found[1]
            line = ""
        elif above.strip() and above_number == number - 1 and UNDERLINE.match(line):
            yield above.strip()
            line = ""
        above, above_number = line, number
