"""TFRecords of tf.train.Example, read without TensorFlow.

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details, and
example.proto and feature.proto of TensorFlow.
"""

import struct
from collections.abc import Iterator
from typing import Any

import pandas as pd

from podium.competition.containers.base import ContainerError, Content, cell, choose_ids, suffix_of
from podium.competition.source import Source
from podium.core.errors import counted

LENGTH = struct.Struct("<QI")  # of a record, and the checksum of these 8 bytes
CHECKSUM = struct.Struct("<I")
ZLIB_START = b"x"
MASK = 0xA282EAD8
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5  # wire types of Protocol Buffers

Features = dict[str, Any]  # a list of numbers, or of memoryviews


def read(source: Source, stem: str, *_: object) -> Content | None:
    """List the images of a file, the first encoded image of each record; None if there are none.
    All other features are columns of the table.

    Raises:
        ContainerError: if it is damaged. The checksum of a record is verified when it is read.
    """
    data = source.map()
    rows, places, suffix = list[dict[str, str | None]](), list[tuple[int, int, str]](), None
    for number, (start, size) in enumerate(_records(data)):
        features = _features(data[start : start + size], number)
        found = next(
            ((k, s) for k, v in sorted(features.items()) if (s := _suffix(v)) is not None),
            (None, None),
        )
        if found[0] is None or found[1] is None:
            return None
        suffix = suffix or found[1]
        places.append((start, size, found[0]))
        rows.append({n: cell(_value(v)) for n, v in features.items() if n != found[0]})
    if not rows:
        return None
    names = sorted({name for row in rows for name in row})  # TensorFlow writes them in random order
    columns = {name: [row.get(name, "") for row in rows] for name in names}
    columns = {n: values for n, values in columns.items() if None not in values}
    ids = choose_ids(columns)
    if ids is None:
        ids = "id"
        columns = {"id": [f"{stem}-{number}" for number in range(len(rows))], **columns}

    def image(place: tuple[int, int, str]) -> bytes:
        start, size, name = place
        record = data[start : start + size]
        (expected,) = CHECKSUM.unpack_from(data, start + size)
        if _masked_crc(record) != expected:
            raise ContainerError(f"the checksum of the record at byte {start} is wrong")
        return bytes(_features(record, 0)[name][0])

    stems = [f"{value}".removesuffix(suffix or "") for value in columns[ids]]
    images = {f"{name}{suffix}": place for name, place in zip(stems, places, strict=True)}
    table = pd.DataFrame(columns, dtype=str)
    return Content(images, image, table[[ids, *(c for c in table if c != ids)]], data.release)


def _records(data: memoryview) -> Iterator[tuple[int, int]]:
    """The offset and the size of each record."""
    position, number = 0, 0
    while position < len(data):
        if position + LENGTH.size > len(data):
            raise ContainerError(f"truncated after {counted(number, 'record')}")
        size, expected = LENGTH.unpack_from(data, position)
        if _masked_crc(data[position : position + 8]) != expected:
            if not number and bytes(data[:1]) == ZLIB_START:
                raise ContainerError("ZLIB compression is not supported. Use GZIP or none")
            raise ContainerError(f"the checksum of the length of record {number} is wrong")
        start = position + LENGTH.size
        position = start + size + CHECKSUM.size
        if position > len(data):
            raise ContainerError(f"truncated after {counted(number, 'record')}")
        yield start, size
        number += 1


def _masked_crc(data: memoryview) -> int:
    import google_crc32c

    crc = google_crc32c.value(bytes(data))
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF


def _suffix(values: list[Any]) -> str | None:
    is_bytes = len(values) == 1 and isinstance(values[0], memoryview)
    return suffix_of(bytes(values[0][:16])) if is_bytes else None


def _value(values: list[Any]) -> Any:
    """The single value of a feature, or its list of numbers."""
    plain = [bytes(v) if isinstance(v, memoryview) else v for v in values]
    if len(plain) != 1:
        return [v.decode(errors="replace") if isinstance(v, bytes) else v for v in plain]
    return plain[0]


def _features(record: memoryview, number: int) -> Features:
    """The features of an Example: name -> list of values."""
    features: Features = {}
    try:
        for _, example in _fields(record, 1):
            for _, entry in _fields(example, 1):  # a map is encoded as a list of entries
                parts = dict(_fields(entry, 1, 2))
                features[bytes(parts[1]).decode()] = _list(parts.get(2, memoryview(b"")))
    except (ValueError, IndexError, KeyError, struct.error) as error:
        reason = str(error) or type(error).__name__
        raise ContainerError(f"record {number} is not a tf.train.Example: {reason}") from None
    return features


def _list(feature: memoryview) -> list[Any]:
    """The values of a Feature: a list of bytes, floats or integers."""
    values = list[Any]()
    for kind, content in _fields(feature, 1, 2, 3):
        for wire, value in _raw_fields(content):
            if kind == 1:
                values.append(value)
            elif kind == 2:
                raw = bytes(value) if wire == BYTES else struct.pack("<I", value)
                values += struct.unpack(f"<{len(raw) // 4}f", raw)
            elif wire == BYTES:  # packed
                position = 0
                while position < len(value):
                    item, position = _varint(value, position)
                    values.append(_signed(item))
            else:
                values.append(_signed(value))
    return values


def _fields(message: memoryview, *numbers: int) -> Iterator[tuple[int, memoryview]]:
    """The fields of a message with these numbers that are messages or bytes."""
    for number, wire, value in _numbered(message):
        if number in numbers and wire == BYTES:
            yield number, value


def _raw_fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Wire type and value of each field with number 1."""
    for number, wire, value in _numbered(message):
        if number == 1:
            yield wire, value


def _numbered(message: memoryview) -> Iterator[tuple[int, int, Any]]:
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        wire = key & 7
        if wire == VARINT:
            value, position = _varint(message, position)
            yield key >> 3, wire, value
            continue
        size = {FIXED_64: 8, FIXED_32: 4}.get(wire)
        if wire == BYTES:
            size, position = _varint(message, position)
        if size is None or position + size > len(message):
            raise ValueError("a field is cut off, or has an unknown type")
        content = message[position : position + size]
        position += size
        yield key >> 3, wire, content if wire == BYTES else int.from_bytes(content, "little")


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
