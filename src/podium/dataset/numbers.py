"""Numbers as people write them: with decimal commas, separators of thousands, or a unit."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from podium.competition.text.names import NUMBER

UNIT = r"[%‰$€£¥]?"
WITH_UNIT = re.compile(rf"([+-]?)({UNIT})\s*([\d.,' ]+)\s*({UNIT})")
SPACES = str.maketrans("\u00a0\u202f\u2009\u2019", "   '")
WAYS = [(",", "."), (",", " "), (",", "'"), (".", ","), (".", " "), (".", "'")]


class Numbers(NamedTuple):
    """What a column's cells mean."""

    plain: dict[str, str]
    """Each distinct cell as Python writes it: "1234.5" for "1.234,5"."""
    is_ambiguous: bool = False
    """Whether commas may be decimal or separate thousands: if all numbers are like 1,234."""


def read(cells: Iterable[str]) -> Numbers | None:
    """Read the cells that are not blank; None unless all are numbers, written in the same way. All
    may have the same unit, which is left out: "12.5 %" is 12.5.
    """
    texts = {cell: cell.translate(SPACES).strip() for cell in cells if cell.strip()}
    if all(NUMBER.fullmatch(text) for text in texts.values()):
        return Numbers(texts)
    matches = {cell: WITH_UNIT.fullmatch(text) for cell, text in texts.items()}
    bodies, units = dict[str, str](), set[tuple[str, str]]()
    for cell, match in matches.items():
        if match is None:
            return None
        sign, before, number, after = match.groups()
        bodies[cell] = f"{sign}{number.strip()}"
        units.add((before, after))
    if len(units) > 1:
        return None
    if all(NUMBER.fullmatch(body) for body in bodies.values()):
        return Numbers(bodies)
    return _in_one_way(bodies)


def _in_one_way(bodies: dict[str, str]) -> Numbers | None:
    """Read numbers with a decimal mark and a separator of thousands, each a comma or a point."""
    found = list[dict[str, str]]()
    for decimal, thousands in WAYS:
        grouped = rf"[1-9]\d{{0,2}}(?:{re.escape(thousands)}\d{{3}})+"
        pattern = re.compile(rf"[+-]?(?:{grouped}|\d*)(?:{re.escape(decimal)}\d+)?", re.ASCII)
        if all(pattern.fullmatch(body) and body[-1:].isdigit() for body in bodies.values()):
            values = {
                cell: body.replace(thousands, "").replace(decimal, ".")
                for cell, body in bodies.items()
            }
            if values not in found:
                found.append(values)
    if len(found) > 1:  # with groups of thousands, only numbers below 1,000 have no comma
        undivided = [body.lstrip("+-") for body in bodies.values() if "," not in body]
        is_grouped = 0 < max(map(len, undivided), default=0) <= len("999")
        return Numbers(found[-1], is_ambiguous=not is_grouped)
    return Numbers(found[0]) if found else None
