"""Images in a JSON list of objects, as lists of numbers: one list per channel."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from podium.competition.containers.base import ContainerError, Content, cell, npy, table_of
from podium.competition.containers.shapes import MIN_PIXELS, Shapes
from podium.competition.source import Source

CHUNK_BYTES = 2**20
PROBED_ROWS = 16
BETWEEN = re.compile(r"[ \t\r\n,\[]*")
MIN_BYTES = 10_000  # smaller files have no images
HEAD_BYTES = 100_000
_NUMBER = rb"\s*-?[\d.]+(?:[eE][+-]?\d+)?\s*"
START = re.compile(rb"\s*\[\s*\{[^\[{]*\[(?:" + _NUMBER + rb",){%d}" % (MIN_PIXELS - 1))


def is_candidate(head: bytes) -> bool:
    """Whether a file that starts with `head`, of `HEAD_BYTES`, may contain images."""
    return START.match(head) is not None


def read(source: Source, _: str, shapes: Shapes) -> Content | None:
    """List the images of a file and its other values; None if the lists cannot be images.

    Objects are parsed one after the other; the whole file is never in memory.

    Raises:
        ContainerError: if it is not valid JSON.
    """
    rows, places = list[dict[str, Any]](), list[tuple[int, int]]()
    bands = list[str]()
    for start, size, record in _records(source):
        if not bands:
            bands = [name for name, value in record.items() if _is_pixels(value)]
        if len(rows) < PROBED_ROWS:
            values = [record.get(name, []) for name in bands]
            if not bands or len({*map(len, values)}) > 1 or not shapes.add(np.array(values)):
                return None
        rows.append({n: cell(v) or "" for n, v in record.items() if n not in bands})
        places.append((start, size))
    if not rows:
        return None
    table, ids = table_of(rows)

    def image(place: tuple[int, int]) -> bytes:
        with source.open() as file:
            file.seek(place[0])
            record = json.loads(file.read(place[1]))
        try:
            values = np.array([record[name] for name in bands], np.float32)
            channels = values.reshape(len(bands), *shapes.shape(values.shape[1]))
        except (KeyError, ValueError, TypeError) as error:
            raise ContainerError(f"the object at byte {place[0]} differs: {error}") from None
        return npy(channels[0] if len(bands) == 1 else np.stack([*channels], axis=-1))

    images = {f"{name}.npy": place for name, place in zip(table[ids], places, strict=True)}
    return Content(images, image, table)


def _is_pixels(value: Any) -> bool:
    is_long = isinstance(value, list) and len(value) >= MIN_PIXELS
    return is_long and all(isinstance(number, int | float) for number in value)


def _records(source: Source) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """The objects of a list: the offset and the length of each in bytes, and its value."""
    decoder, to_text = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")()
    text, place, position, is_end = "", 0, 0, False  # `position`: the byte of text[place]
    with source.open() as file:
        while True:
            match = BETWEEN.match(text, place)
            assert match is not None
            position, place = position + match.end() - place, match.end()  # ASCII
            if text.startswith("]", place):
                return
            try:
                record, end = decoder.raw_decode(text, place)
            except ValueError as error:
                if is_end:
                    raise ContainerError(f"not valid JSON: {error}") from None
                text, place = text[place:], 0
                chunk = file.read(max(CHUNK_BYTES, len(text)))
                is_end = not chunk
                try:
                    text += to_text.decode(chunk, is_end)
                except UnicodeError as damage:
                    raise ContainerError(f"not valid UTF-8: {damage}") from None
                continue
            if not isinstance(record, dict):
                raise ContainerError("not a list of objects only")
            size = len(text[place:end].encode())
            yield position, size, record
            position, place = position + size, end
