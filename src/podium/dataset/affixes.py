"""Columns whose names differ by a common prefix or suffix: X4 and X4_mean, pred_age and age."""

import re
from collections.abc import Iterator, Sequence

SEPARATOR = re.compile(r"[\W_]")


def pairings(columns: Sequence[str], names: Sequence[str]) -> list[dict[str, str]]:
    """The ways to pair each of `columns` with one of `names`, all of which are longer by the same
    prefix and suffix, or all shorter: X4 with X4_mean, X11 with X11_mean. A separator divides the
    affix from the name; case does not matter.
    """
    known = {name.lower(): name for name in names}
    lower = [column.lower() for column in columns]
    ways = list[dict[str, str]]()
    for name in known:
        longer = (_add(lower, *affixes) for affixes in _affixes(name, lower[0]))
        shorter = (_remove(lower, *affixes) for affixes in _affixes(lower[0], name))
        for paired in (*longer, *shorter):
            if len({*paired} & known.keys()) == len(columns):
                found = [known[text] for text in paired]
                ways.append(dict(zip(columns, found, strict=True)))
    return ways


def _affixes(longer: str, shorter: str) -> Iterator[tuple[str, str]]:
    """What precedes and follows `shorter` wherever it is a part of `longer`."""
    for match in re.finditer(re.escape(shorter), longer) if shorter else ():
        prefix, suffix = longer[: match.start()], longer[match.end() :]
        is_divided = not prefix or SEPARATOR.fullmatch(prefix[-1])
        if (prefix or suffix) and is_divided and (not suffix or SEPARATOR.fullmatch(suffix[0])):
            yield prefix, suffix


def _add(columns: Sequence[str], prefix: str, suffix: str) -> list[str]:
    return [f"{prefix}{column}{suffix}" for column in columns]


def _remove(columns: Sequence[str], prefix: str, suffix: str) -> list[str]:
    return [
        column[len(prefix) : len(column) - len(suffix)]
        if column.startswith(prefix) and column.endswith(suffix)
        else ""
        for column in columns
    ]
