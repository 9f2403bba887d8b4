"""The pattern `prepare.images`: what identifies an image in its path, and what is left of it."""

import re
from collections.abc import Mapping

COLUMN = re.compile(r"\{([^{}]*)\}")
ID = "{id}"


def columns(pattern: str | None) -> list[str]:
    """The columns whose values are parts of the paths: experiment and well for
    `{experiment}/{well}_*`; none for `{id}_*`.
    """
    names = dict.fromkeys(COLUMN.findall(pattern or ""))
    return [name for name in names if name != "id"]


def split(pattern: str) -> tuple[str, str]:
    """What the columns and the id together are the name of, and the pattern with `{id}` for such
    names: `{experiment}/{well}` and `{id}_*` for `{experiment}/{well}_*`.
    """
    places = [*COLUMN.finditer(pattern)]
    start, end = places[0].start(), places[-1].end()
    return pattern[start:end], f"{pattern[:start]}{ID}{pattern[end:]}"


def of_names(pattern: str) -> str:
    """The pattern with `{id}` for what the columns name together."""
    return split(pattern)[1]


def fill(template: str, cells: Mapping[str, str]) -> str:
    """The name with the `cells` of a row, by column."""
    return COLUMN.sub(lambda match: cells[match[1]], template)
