"""The headline results of a run next to the committed ones."""

import json
import re
from pathlib import Path


def of(folder: Path) -> list[dict[str, str]]:
    """Return the main results in a folder; none where there are no results."""
    path = folder / "results.json"
    return json.loads(path.read_bytes()).get("headline", []) if path.exists() else []


def comparison(before: dict[str, list], after: dict[str, list]) -> str:
    """Return the headlines {task: rows} of a run next to the committed ones, as aligned text."""
    rows = [["task", "result", "committed", "this run", ""]]
    for task, headline in after.items():
        old, new = ({row["what"]: row for row in part} for part in (before[task], headline))
        for what in new | old:
            pair = [part.get(what, {"value": "–"}) for part in (old, new)]
            rows.append([task, what, *(row["value"] for row in pair), _difference(*pair)])
    return f"\n{aligned(rows)}\n\nThe interval is Wilson's, of 95 %, of what is committed."


def aligned(rows: list[list[str]]) -> str:
    """Write rows of cells as text, each column as wide as its longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _difference(old: dict, new: dict) -> str:
    if old["value"] == new["value"]:
        return "same"
    try:
        share, other = (float(row["value"].removesuffix("%")) / 100 for row in (old, new))
        n = int(re.search(r"([\d,]+) unseen", old["conditions"])[1].replace(",", ""))
    except (KeyError, TypeError, ValueError):  # not a share of unseen images
        return "differs"
    from cnnlab.metrics import wilson_interval  # takes seconds, and only a run needs it

    low, high = wilson_interval(round(share * n), n)
    return "within the interval" if low <= other <= high else "differs"
