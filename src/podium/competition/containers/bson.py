"""Images in BSON documents, one document per row, as in the Cdiscount challenge.

Source: https://bsonspec.org/spec.html
"""

import struct
from collections.abc import Iterator
from typing import Any

from podium.competition.containers.base import ContainerError, Content, cell, suffix_of, table_of
from podium.competition.source import Source
from podium.core.errors import counted

DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, OBJECT_ID, BOOLEAN = 1, 2, 3, 4, 5, 7, 8
DATE, NULL, INT_32, TIMESTAMP, INT_64 = 9, 10, 16, 17, 18
NUMBERS = {DOUBLE: "<d", BOOLEAN: "<?", INT_32: "<i", INT_64: "<q"}
SIZES = {DATE: 8, TIMESTAMP: 8, NULL: 0}
HEAD_BYTES = 16

Location = tuple[int, int]  # offset and size of an image


def read(source: Source, *_: object) -> Content | None:
    """List the images of a file: `<id>`, or `<id>-0`, `<id>-1`, … if a document has several; None
    if there are none. Numbers and texts are columns of the table.

    Raises:
        ContainerError: if it is damaged.
    """
    data = source.map()
    rows, row_images = list[dict[str, str]](), list[list[Location]]()
    position = 0
    while position < len(data):
        try:
            end = _end(data, position, len(data))
            row, locations = {}, list[Location]()
            for name, value in _elements(data, position + 4, end - 1):
                if isinstance(value, tuple):
                    locations.append(value)
                elif name and (text := cell(value)) is not None:
                    row[name] = text
        except (ValueError, IndexError, struct.error) as error:
            raise ContainerError(
                f"damaged after {counted(len(rows), 'document')}: {error}"
            ) from None
        rows.append(row)
        row_images.append(locations)
        position = end
    if not any(row_images):
        return None
    table, ids = table_of(rows)
    is_single = max(map(len, row_images)) == 1
    images = {}
    for name, locations in zip(table[ids], row_images, strict=True):
        for number, (start, size) in enumerate(locations):
            suffix = suffix_of(bytes(data[start : start + HEAD_BYTES]))
            images[f"{name}{suffix}" if is_single else f"{name}-{number}{suffix}"] = start, size

    def image(location: Location) -> bytes:
        return bytes(data[location[0] : location[0] + location[1]])

    return Content(images, image, table, data.release)


def _end(data: memoryview, start: int, limit: int) -> int:
    """The end of the document that starts at `start`."""
    (size,) = struct.unpack_from("<i", data, start)
    if size < 5 or start + size > limit or data[start + size - 1] != 0:
        raise ValueError("a document is cut off")
    return int(start + size)


def _elements(data: memoryview, position: int, end: int) -> Iterator[tuple[str, Any]]:
    """The numbers and texts of a document by name, and the locations of its images, including those
    in nested documents and arrays.
    """
    while position < end:
        kind, position = data[position], position + 1
        name, position = _c_string(data, position, end)
        if kind in NUMBERS:
            (value,) = struct.unpack_from(NUMBERS[kind], data, position)
            yield name, value
            position += struct.calcsize(NUMBERS[kind])
        elif kind in (DOCUMENT, ARRAY):
            inner = _end(data, position, end)
            for _, value in _elements(data, position + 4, inner - 1):
                if isinstance(value, tuple):
                    yield "", value
            position = inner
        elif kind in (STRING, BINARY):
            (size,) = struct.unpack_from("<i", data, position)
            start = position + (5 if kind == BINARY else 4)
            position = start + size
            if size < 0 or position > end:
                raise ValueError("an element is cut off")
            if kind == STRING:
                yield name, bytes(data[start : position - 1]).decode()
            elif suffix_of(bytes(data[start : start + HEAD_BYTES])) is not None:
                yield name, (start, size)
        elif kind == OBJECT_ID:
            yield name, bytes(data[position : position + 12]).hex()
            position += 12
        elif kind in SIZES:
            position += SIZES[kind]
        else:
            raise ValueError(f"unknown type of element {kind}")


def _c_string(data: memoryview, position: int, end: int) -> tuple[str, int]:
    start = position
    while data[position] != 0:
        position += 1
        if position >= end:
            raise ValueError("a name is cut off")
    return bytes(data[start:position]).decode(), position + 1
