"""Names as archives, tables and people spell them: one reading for labels, groups and ids."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import PurePosixPath

from podium.core.errors import UserError, examples, nearest

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# With an exponent only as number formats write it: "1e5", not "00e1", which may be a hash.
_CANONICAL_NUMBER = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+|([1-9]\d*\.?\d*|0?\.0*[1-9]\d*)[eE][+-]?\d{1,2})", re.ASCII
)
# Not U+200C and U+200D, which change how neighboring letters look.
INVISIBLE = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
FILES_OF_TOOLS = {  # in lower case; those of macOS, Jupyter and git start with a dot
    "__macosx", "__pycache__", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "lost+found",
    "system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini",
}  # fmt: skip


def is_hidden(path: str) -> bool:
    """Whether a file, or a folder above it, is hidden or was left behind by another tool."""
    return any(
        (part.startswith(".") and not part.startswith("..")) or part.lower() in FILES_OF_TOOLS
        for part in PurePosixPath(path).parts
    )


def nfc(text: str) -> str:
    """Convert to composed form (NFC), without invisible characters: macOS writes file names
    decomposed (NFD), and copying from other programs adds marks such as U+200B or U+FEFF.
    """
    return text if text.isascii() else unicodedata.normalize("NFC", INVISIBLE.sub("", text))


def is_number(text: str) -> bool:
    """Whether `canonical` reads `text` as a number."""
    return _CANONICAL_NUMBER.fullmatch(text.strip()) is not None


def canonical(text: str) -> str:
    """The same text for all spellings of a number ("1", "1.0", "1e0", "+1", " 1") and for all
    Unicode normalizations of other text, with or without invisible characters. Leading zeros are
    kept: 4 is not 04.
    """
    text = nfc(text)
    if not is_number(text):
        return text
    number = text.strip()
    if "e" in number.lower():
        number = format(Decimal(number), "f")
    whole, _, fraction = number.lstrip("+-").partition(".")
    fraction = fraction.rstrip("0")
    value = f"{whole or '0'}.{fraction}" if fraction else whole or "0"
    return f"-{value}" if number.startswith("-") and value.strip("0.") else value


def normalize(text: str) -> str:
    """The same text for names that also differ in case or whitespace only."""
    return " ".join(canonical(text).casefold().split())


def natural_order(name: str) -> tuple[bool, float, list[str | int], str]:
    """A sort key: -1, 0, 2, 10, then class_2, class_10."""
    if is_number(name):
        return False, float(name), [], name
    digits_at_odd = re.split("([0-9]+)", name)
    return True, 0.0, [int(part) if n % 2 else part for n, part in enumerate(digits_at_odd)], name


class NameIndex:
    """Finds names however they are spelled: exactly so, else in another spelling of the same number
    or another Unicode normalization, else in another case or with other whitespace.
    """

    def __init__(self, names: Iterable[str], *, ignore_case: bool = True) -> None:
        readings: list[Callable[[str], str]] = [str, canonical, lambda text: nfc(text).strip()]
        self._tables = [
            (reading, dict[str, str | None]())
            for reading in (*readings, *[normalize] * ignore_case)
        ]
        for name in dict.fromkeys(names):
            for reading, table in self._tables:
                key = reading(name)
                table[key] = None if key in table else name

    def find(self, text: str) -> str | None:
        """The name that `text` spells; None if there is none, or several."""
        for reading, table in self._tables:
            if (key := reading(text)) in table:
                return table[key]
        return None

    def find_all(self, texts: Iterable[str]) -> list[str] | None:
        """The names that `texts` spell; None unless each spells one, and no two the same."""
        found = [self.find(text) for text in texts]
        names = [name for name in found if name is not None]
        return names if len(names) == len(found) == len(set(names)) else None


def find_class(name: str, classes: Iterable[str], key: str) -> str:
    """The class called `name`, which params.yaml has in `key`, as `classes` spell it.

    Raises:
        UserError: if there is none.
    """
    known = list(classes)
    found = NameIndex(known).find(name)
    if found is None and is_number(name):  # YAML reads 04 as 4
        equal = [label for label in known if is_number(label) and float(label) == float(name)]
        found = equal[0] if len(equal) == 1 else None
    if found is None:
        hint = nearest(name, known) or f"; the classes are {examples(known)}"
        raise UserError(f"{key}: unknown class {name}{hint}")
    return found
