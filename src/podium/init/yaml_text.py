"""Lines of YAML with comments, for a person to read and edit."""

import json
import re
from typing import Any

from ruamel.yaml import YAML

PLAIN = re.compile(r"[A-Za-z_./~][\w./~-]*", re.ASCII)
OLD_WORDS = {"y", "n", "yes", "no", "on", "off"}  # true or false in YAML 1.1
COMMENTS, WIDEST = 23, 44  # characters before a comment: at least, and at most


def scalar(value: Any) -> str:
    """A value as YAML on one line, quoted where it needs to be."""
    if isinstance(value, str):
        is_plain = PLAIN.fullmatch(value) and value.lower() not in OLD_WORDS
        if is_plain and YAML(typ="safe", pure=True).load(value) == value:
            return value
        if "\\" in value and value.isprintable():
            return "'" + value.replace("'", "''") + "'"
        return json.dumps(value, ensure_ascii=not value.isprintable())
    return json.dumps(value)


def plain(text: str) -> str:
    """A label as a comment can hold it."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def keys(indent: int, *rows: tuple[str, Any, str]) -> list[str]:
    """`key: value  # comment` of each row, the comments in one column; a list's items each have
    a line.
    """
    margin = " " * indent
    heads = [
        f"{margin}{key}:" + ("" if _is_list(value) else f" {scalar(value)}")
        for key, value, _ in rows
    ]
    commented = [len(head) for head, row in zip(heads, rows, strict=True) if row[2]]
    width = max([COMMENTS, *(length for length in commented if length <= WIDEST)])
    lines = list[str]()
    for head, (_, value, comment) in zip(heads, rows, strict=True):
        lines.append(f"{head:{width}} # {comment}" if comment else head)
        if _is_list(value):
            lines += [f"{margin}  - {scalar(item)}" for item in value]
    return lines


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value)
