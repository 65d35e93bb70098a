"""The text of a Typst file without its code: what no expression has filled in."""

import re

STATEMENT = re.compile(r"#(?:let|import|include|set|show|if|for|while)\b")
NAME = re.compile(r"#[\w-]+")
CLOSED_BY = {"(": ")", "{": "}", "[": "]"}


def text_of(source: str) -> str:
    """Return the markup of a Typst file: no code, strings, comments, formulas or labels."""
    source = re.sub(r"(?<!:)//.*|\$[^$]*\$|`[^`]*`|<[\w-]+>|@[\w-]+", " ", source)
    return " ".join(_markup(source, 0, None)[0].split())


def _markup(source: str, place: int, end: str | None) -> tuple[str, int]:
    """Return the text from a place to the end of its brackets, and the place behind them."""
    text = []
    while place < len(source) and source[place] != end:
        if source[place] == "\\":
            place += 2
        elif STATEMENT.match(source, place):
            inside, place = _code(source, place + 1, "\n")
            text.append(inside)
        elif name := NAME.match(source, place):
            inside, place = _call(source, name.end())
            text.append(inside)
        else:
            text.append(source[place])
            place += 1
    return "".join(text), place + 1


def _call(source: str, place: int) -> tuple[str, int]:
    """Return the text in the arguments of a call, and the place behind it; fields may follow."""
    text = []
    while place < len(source):
        if source[place] in "([":
            read = _markup if source[place] == "[" else _code
            inside, place = read(source, place + 1, CLOSED_BY[source[place]])
            text.append(inside)
        elif field := re.compile(r"\.[a-z][\w-]*").match(source, place):
            place = field.end()
        else:
            break
    return " ".join(text), place


def _code(source: str, place: int, end: str) -> tuple[str, int]:
    """Return the text in the brackets of a piece of code, and the place behind it."""
    text = []
    while place < len(source) and source[place] != end:
        if source[place] == '"':
            place = source.index('"', place + 1) + 1
        elif source[place] in CLOSED_BY:
            read = _markup if source[place] == "[" else _code
            inside, place = read(source, place + 1, CLOSED_BY[source[place]])
            text.append(inside)
        else:
            place += 1
    return " ".join(text), place + 1
