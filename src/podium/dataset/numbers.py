"""Numbers as people write them: with decimal commas, separators of thousands, or a unit."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from podium.competition.text.names import NUMBER

UNIT = r"[%‰$€£¥]?"
WITH_UNIT = re.compile(rf"([+-]?)({UNIT})\s*([\d.,' ]+)\s*({UNIT})")
WITH_POINT = "$", "£", "¥"  # currencies of countries where commas separate thousands
SPACES = str.maketrans("\u00a0\u202f\u2009\u2019", "   '")
POINT, COMMA = ".", ","
THOUSANDS = {POINT: ",' ", COMMA: ".' "}  # their separators, by decimal mark
FORMS = {
    decimal: re.compile(
        rf"[+-]?(?:[1-9]\d{{0,2}}(?:([{separators}])\d{{3}}(?:\1\d{{3}})*)|\d*)"
        rf"(?:{re.escape(decimal)}\d+)?",
        re.ASCII,
    )
    for decimal, separators in THOUSANDS.items()
}
DIVIDED = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)  # 1,234: either mark
UNDIVIDED = re.compile(r"[+-]?\d{1,3}", re.ASCII)
# Where whole numbers have no decimals, fractions do not end with a 0. A tenth of them has fewer
# digits, so 50 numbers with three digits after the comma are thousands (0.9 ** 50 < 0.01).
MIN_DIVIDED, MIN_UNDIVIDED = 50, 3  # distinct numbers
MAX_OVERLAP = 0.5  # of what is on both sides of commas: more is on both sides in lists


class Numbers(NamedTuple):
    """What a column's cells mean."""

    plain: dict[str, str]
    """Each distinct cell as Python writes it: "1234.5" for "1.234,5"."""
    decimal: str = POINT
    """The decimal mark: a point, or a comma."""
    is_ambiguous: bool = False
    """Whether commas may be decimal or separate thousands, as in 1,234; then they are read as the
    latter.
    """


def read(cells: Iterable[str]) -> Numbers | None:
    """Read the cells that are not blank; None unless all are numbers, written in the same way. All
    may have the same unit, which is left out: "12.5 %" is 12.5.
    """
    texts = {cell: cell.translate(SPACES).strip() for cell in cells if cell.strip()}
    if all(NUMBER.fullmatch(text) for text in texts.values()):
        return Numbers(texts)
    bodies, units = dict[str, str](), set[tuple[str, str]]()
    for cell, text in texts.items():
        if (match := WITH_UNIT.fullmatch(text)) is None:
            return None
        sign, before, number, after = match.groups()
        bodies[cell] = f"{sign}{number.strip()}"
        units.add((before, after))
    if len(units) > 1:
        return None
    if all(NUMBER.fullmatch(body) for body in bodies.values()):
        return Numbers(bodies)
    found = [
        Numbers({cell: text for cell, text in values.items() if text is not None}, decimal)
        for decimal in (POINT, COMMA)
        if None not in (values := {c: _plain(b, decimal) for c, b in bodies.items()}).values()
    ]
    if len(found) < 2 or found[0].plain == found[1].plain:
        return found[0] if found else None
    is_clear = {*units.pop()} & {*WITH_POINT} or _are_thousands(bodies)
    return found[0]._replace(is_ambiguous=not is_clear)


def read_cell(cell: str, decimal: str) -> str | None:
    """One cell of a column whose usual `decimal` mark is known, as Python writes it, without a
    unit; None if it is not a number.
    """
    match = WITH_UNIT.fullmatch(cell.translate(SPACES).strip())
    if match is None:
        return None
    body = f"{match[1]}{match[3].strip()}"
    other = COMMA if decimal == POINT else POINT
    return _plain(body, decimal) or _plain(body, other)


def are_lists(cells: Iterable[str]) -> bool:
    """Whether numbers with commas or spaces are lists of labels ("3,7"): on both sides are the same
    labels, and never equal ones.
    """
    parts = [cell.replace(" ", ",").split(",") for cell in cells]
    lists = [part for part in parts if len(part) > 1]
    first, others = {part[0] for part in parts}, {text for part in lists for text in part[1:]}
    overlap = len(first & others) / max(1, len(first | others))
    return overlap >= MAX_OVERLAP and all(len({*part}) == len(part) for part in lists)


def _plain(body: str, decimal: str) -> str | None:
    """A number without a unit as Python writes it; None if it cannot have this `decimal` mark."""
    if not body[-1:].isdigit() or FORMS[decimal].fullmatch(body) is None:
        return None
    for separator in THOUSANDS[decimal]:
        body = body.replace(separator, "")
    return body.replace(decimal, POINT)


def _are_thousands(bodies: Mapping[str, str]) -> bool:
    """Whether the commas in numbers like 1,234 surely separate thousands: some end with a 0, or
    there are many, and only numbers below 1,000 have none.
    """
    divided = {body for body in bodies.values() if DIVIDED.fullmatch(body)}
    undivided = {*bodies.values()} - divided
    end_with_0 = any(body.endswith("0") for body in divided)
    return (
        (end_with_0 or len(divided) >= MIN_DIVIDED)
        and len(undivided) >= MIN_UNDIVIDED
        and all(UNDIVIDED.fullmatch(body) for body in undivided)
    )
