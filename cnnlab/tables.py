"""Small tables for notebooks."""


def table(rows):
    """Turn rows into a table that Jupyter draws.

    Args:
        rows: non-empty list of dicts with the same keys, in the order of the columns; values are
            shown with `str`.

    Returns:
        An `IPython.display.Markdown`, to stand at the end of a cell.

    Raises:
        ValueError: no rows, or rows with different keys.
    """
    from IPython.display import Markdown

    if not rows or any(list(row) != list(rows[0]) for row in rows):
        raise ValueError("a table needs at least one row, and all rows the same keys")
    head = [_line(rows[0]), _line("---" for _ in rows[0])]
    return Markdown("\n".join(head + [_line(row.values()) for row in rows]))


def _line(values):
    cells = (str(value).replace("|", "\\|") for value in values)
    return "| " + " | ".join(cells) + " |"


def percent(share, decimals=2):
    """Write a share 0..1 as percent: 0.9971 -> '99.71 %'."""
    return f"{100 * share:.{decimals}f} %"


def percent_range(low, high, decimals=2):
    """Write an interval of shares as percent: '99.60–99.80 %'."""
    return f"{100 * low:.{decimals}f}–{100 * high:.{decimals}f} %"
