"""Names that may differ in Unicode normalization, as in archives and tables."""

import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from podium.core.errors import UserError, examples, nearest

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
    """Convert to composed form (NFC): macOS writes file names decomposed (NFD)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def find_class(name: str, classes: Iterable[str], key: str) -> str:
    """The class called `name`, which params.yaml has in `key`, as `classes` spell it.

    Raises:
        UserError: if there is none.
    """
    by_nfc = {nfc(label): label for label in classes}
    if nfc(name) not in by_nfc:
        hint = nearest(name, by_nfc) or f"; the classes are {examples([*by_nfc])}"
        raise UserError(f"{key}: unknown class {name}{hint}")
    return by_nfc[nfc(name)]
