"""What readers of container files share."""

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

# The first bytes of encoded images, and the suffix of such files.
STARTS = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG\r\n": ".png",
    b"RIFF": ".webp",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"\0\0\0\x0cjP  ": ".jp2",
}
ID_NAMES = ("image_name", "image_id", "image", "id", "isic_id", "filename", "file_name", "name")
NAMED_AS_ID = re.compile(r"(.*[/_ ])?(id|name|filename|file|path)", re.IGNORECASE)
MAX_CELL = 200  # characters; longer texts are not put into the table


class ContainerError(OSError):
    """A container file that cannot be read; the message says why."""


class Content(NamedTuple):
    """The images of a container file and its other values."""

    images: dict[str, Any]  # file name of the image -> argument of `read`
    read: Callable[[Any], bytes]
    """Reads an image file: the encoded bytes of the container, or pixels as a .npy file.

    Raises: ContainerError, or another OSError."""
    table: pd.DataFrame | None = None  # other values, with ids or file names without suffix
    close: Callable[[], object] = lambda: None


def suffix_of(data: bytes) -> str | None:
    """The suffix for an encoded image; None if `data` is not one."""
    return next((suffix for start, suffix in STARTS.items() if data.startswith(start)), None)


def npy(array: np.ndarray) -> bytes:
    """An array as a .npy file."""
    content, header = np.ascontiguousarray(array), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(content))
    return header.getvalue() + content.tobytes()


def choose_ids(columns: Mapping[str, Sequence[Any]]) -> str | None:
    """The column with unique values whose name looks like an id or a file name; None if there is
    none.
    """
    named = [name for name in ID_NAMES if name in columns]
    named += [name for name in columns if name not in named and NAMED_AS_ID.fullmatch(name)]
    for name in named:
        values = columns[name]
        is_text = all(isinstance(value, str | int | np.integer) and value != "" for value in values)
        if is_text and len({*map(str, values)}) == len(values):
            return name
    return None


def table_of(rows: Sequence[Mapping[str, str]]) -> tuple[pd.DataFrame, str]:
    """The rows as a table, and its id column: `choose_ids`, or the row numbers from 1 as `id`."""
    table = pd.DataFrame(rows, dtype=str).fillna("")
    ids = choose_ids({str(name): table[name].tolist() for name in table})
    if ids is None:
        ids = "id"
        table.insert(0, ids, [str(number) for number in range(1, len(rows) + 1)])
    return table, ids


def cell(value: Any) -> str | None:
    """Format a value as a cell; None if it does not fit in a table."""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return None
    if isinstance(value, str):
        return value if len(value) <= MAX_CELL and value.isprintable() else None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list):
        return json.dumps(value) if len(value) <= MAX_CELL else None
    return "" if value is None else str(value)
