"""Text tables: Markdown for files, aligned columns for the terminal."""

import re
from collections.abc import Sequence

# Characters that mean something in Markdown or HTML. An underscore within a word does not.
_SPECIAL = re.compile(
    r"""[`*\[\]|~$<>]|&(?=\#?\w+;)|\\(?=[!-/:-@\[-`{-~]|$)|(?<![^\W_])_|_(?![^\W_])"""
)
_HTML = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}

Rows = Sequence[Sequence[str]]  # the header first; every row has as many cells

_NUMBER = re.compile(r"\**[-+]?\d[\d.,]*(e[-+]?\d+)?%?( ± \d[\d.,]*(e[-+]?\d+)?)?\**")


class Markup(str):
    """Text that is Markdown already."""

    __slots__ = ()


def escape(text: str) -> str:
    """Return Markdown that shows `text` on one line: names contain anything."""
    if isinstance(text, Markup) or _NUMBER.fullmatch(text):
        return text
    return _SPECIAL.sub(lambda match: _HTML.get(match[0], f"\\{match[0]}"), " ".join(text.split()))


def code(text: str) -> str:
    """Return Markdown that shows `text` as code, also within a table."""
    text = " ".join(text.split()).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"


def markdown(rows: Rows) -> str:
    """Format `rows` as a Markdown table that is aligned in plain text, too."""
    escaped = [[escape(cell) for cell in row] for row in rows]
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
