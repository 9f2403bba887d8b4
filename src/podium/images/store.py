"""Prepared images: encoded bytes in memory-mapped Arrow IPC files.

A store is a folder of files `00000.arrow`, `00001.arrow`, … with the columns `id`, `image` and
`crc32`, the checksum of both, which every read verifies.
"""

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from podium.core.errors import UserError
from podium.images import codec
from podium.images.decoded import ImageError

SHARD_SIZE = 1024  # images per file: enough files to keep every core busy, few enough for DVC
ENCODINGS = (b"jpeg", b"png", b"original")
RERUN_HINT = "Run `dvc repro --force prepare`."
RECORD_BATCH_SIZE = 64  # images that a writer has in memory


def write_shard(
    path: Path,
    rows: Iterator[tuple[str, bytes]],
    *,
    encode: str,
    channels: int = 3,
    value_range: Sequence[float] | None = None,
    is_detected: bool = False,
) -> None:
    """Write images (id, encoded bytes) to one file of a store, one record batch at a time.

    With `encode="original"`, images with more than 8 bits per channel are scaled from `value_range`
    when they are decoded (`is_detected`: see `codec.decode`).
    """
    columns = [("id", pa.string()), ("image", pa.large_binary()), ("crc32", pa.uint32())]
    metadata = {"encode": encode}
    if channels != 3:
        metadata["channels"] = str(channels)
    if encode == "original" and value_range is not None:
        name = "detected_range" if is_detected else "value_range"
        metadata[name] = json.dumps([float(bound) for bound in value_range])
    schema = pa.schema(columns, metadata=metadata)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        while batch := list(islice(rows, RECORD_BATCH_SIZE)):
            ids, data = zip(*batch, strict=True)
            sums = [_crc32(*row) for row in batch]
            writer.write_batch(pa.record_batch([ids, data, sums], schema=schema))


def _crc32(image: str, data: Any) -> int:
    return zlib.crc32(data, zlib.crc32(image.encode()))


class ImageSource(Protocol):
    """A source of images by id."""

    folder: Path

    @property
    def channels(self) -> int:
        """The number of channels of all images: 1 is grayscale, 3 is RGB."""
        ...

    def decode(self, image: str) -> np.ndarray:
        """Return an image's pixels: uint8 [H, W, C]. Raises: UserError."""
        ...


class JoinedStores:
    """Several stores as one source. The ids of all but the first start with their key."""

    def __init__(self, first: ImageSource, others: Mapping[str, ImageSource]) -> None:
        self.folder, self.first, self.others = first.folder, first, others
        self.channels = first.channels

    def decode(self, image: str) -> np.ndarray:
        """As `ImageStore.decode`."""
        for key, store in self.others.items():
            if image.startswith(key):
                return store.decode(image.removeprefix(key))
        return self.first.decode(image)


class ImageStore:
    """Random access to a store's images by id. Unpickling reopens the files."""

    def __init__(self, folder: Path) -> None:
        """Open the store in `folder`.

        Raises:
            UserError: if it is empty or missing, or a file is damaged.
        """
        self.folder, self.channels = folder, 3
        self._rows: dict[str, tuple[Any, int, int]] = {}
        self._value_range: list[float] | None = None
        self._is_detected = False
        paths = sorted(folder.glob("*.arrow"))
        if not paths:
            raise UserError(f"{folder} contains no prepared images. Run `dvc repro prepare`.")
        encode = b""
        for path in paths:
            try:
                reader = pa.ipc.open_file(pa.memory_map(str(path)))
                encode = reader.schema.metadata[b"encode"]
                if encode not in ENCODINGS:
                    raise ValueError(f"unknown encoding {encode!r}")
                self.channels = int(reader.schema.metadata.get(b"channels", b"3"))
                for name in (b"value_range", b"detected_range"):
                    if value_range := reader.schema.metadata.get(name):
                        self._value_range = json.loads(value_range)
                        self._is_detected = name == b"detected_range"
                for number in range(reader.num_record_batches):
                    batch = reader.get_batch(number)
                    batch.validate(full=True)  # wrong offsets would crash the process
                    ids, column, sums = (batch.column(n) for n in ("id", "image", "crc32"))
                    for row, (image, crc32) in enumerate(
                        zip(ids.to_pylist(), sums.to_pylist(), strict=True)
                    ):
                        self._rows[image] = (column, row, crc32)
            except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
                raise UserError(f"{path} is damaged: {error}. {RERUN_HINT}") from None
        self._is_original = encode == b"original"

    def __reduce__(self) -> tuple[type["ImageStore"], tuple[Path]]:
        return ImageStore, (self.folder,)

    def __contains__(self, image: str) -> bool:
        return image in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def decode(self, image: str) -> np.ndarray:
        """Return an image's pixels: uint8 [H, W, C].

        Raises:
            UserError: if the image is missing or damaged.
        """
        if image not in self._rows:
            raise UserError(f"image {image} not found in {self.folder}. {RERUN_HINT}")
        column, row, crc32 = self._rows[image]
        data = memoryview(column[row].as_buffer())
        if _crc32(image, data) != crc32:
            raise UserError(f"image {image} in {self.folder} is damaged. {RERUN_HINT}")
        try:
            if self._is_original:
                limit = codec.POSSIBLE_MEGAPIXELS  # prepare has checked the size
                return codec.decode(
                    bytes(data),
                    channels=self.channels,
                    value_range=self._value_range,
                    is_detected=self._is_detected,
                    max_megapixels=limit,
                )
            return codec.decode_stored(data, self.channels)
        except ImageError as error:
            raise UserError(f"image {image} in {self.folder}: {error}. {RERUN_HINT}") from None

    def sha256(self) -> str:
        """The SHA-256 of the images' ids and checksums."""
        digest = hashlib.sha256()
        if self.channels != 3:
            digest.update(f"{self.channels} channels\n".encode())
        if self._value_range is not None:
            kind = "detected " if self._is_detected else ""
            digest.update(f"{kind}{self._value_range}\n".encode())
        for image, (_, _, crc32) in self._rows.items():
            digest.update(f"{crc32} {image}\n".encode())
        return digest.hexdigest()
