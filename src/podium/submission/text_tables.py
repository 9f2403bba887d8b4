"""Text tables: Markdown for files, aligned columns for the terminal."""

import re
from collections.abc import Sequence

Rows = Sequence[Sequence[str]]  # the header first; every row has as many cells

_NUMBER = re.compile(r"\**[-+]?\d[\d.,]*(e[-+]?\d+)?%?( ± [\d.]+)?\**")


def markdown(rows: Rows) -> str:
    """Format `rows` as a Markdown table that is aligned in plain text, too."""
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(3, *map(len, column)) for column in zip(*escaped, strict=True)]
    numeric = _numeric(rows)
    rule = [
        "-" * (width - 1) + (":" if right else "-")
        for width, right in zip(widths, numeric, strict=True)
    ]
    header, *body = (_justified(row, widths, numeric) for row in escaped)
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *body))


def plain(rows: Rows, *, indent: str = "", max_width: int | None = None) -> str:
    """Format `rows` as aligned columns, two spaces apart; a cell longer than `max_width` characters
    shifts the rest of its row.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths = [min(width, max_width or width) for width in widths]
    numeric = _numeric(rows)
    return "\n".join(
        (indent + "  ".join(_justified(row, widths, numeric))).rstrip() for row in rows
    )


def _numeric(rows: Rows) -> list[bool]:
    """Per column, whether all cells below the header are numbers or empty."""
    return [
        any(cells) and all(not cell or _NUMBER.fullmatch(cell) for cell in cells)
        for cells in ([row[column] for row in rows[1:]] for column in range(len(rows[0])))
    ]


def _justified(row: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> list[str]:
    return [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(row, widths, numeric, strict=True)
    ]
