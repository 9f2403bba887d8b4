"""The prepared images: encoded bytes in Arrow IPC files, memory-mapped for reading.

A store is a folder of files `00000.arrow`, `00001.arrow`, … with the columns `id` and `image`.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from podium import images
from podium.errors import UserError

SHARD = 1024  # images a file: enough files to keep every core busy, few enough for DVC
BATCH = 64  # images a record batch: what a writer holds in memory


def write_shard(path: Path, rows: Iterator[tuple[str, bytes]], *, encode: str) -> None:
    """Write images (id, encoded bytes) to one file of a store, holding `BATCH` at a time."""
    schema = pa.schema(
        [("id", pa.string()), ("image", pa.large_binary())], metadata={"encode": encode}
    )
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        ids: list[str] = []
        data: list[bytes] = []

        def flush() -> None:
            if ids:
                writer.write_batch(pa.record_batch([ids, data], schema=schema))
                ids.clear()
                data.clear()

        for image, encoded in rows:
            ids.append(image)
            data.append(encoded)
            if len(ids) == BATCH:
                flush()
        flush()


class ImageStore:
    """Random access to a store's images by id. Can be sent to another process: it opens anew."""

    def __init__(self, folder: Path) -> None:
        """Open the store in `folder`.

        Raises:
            UserError: if it is not there, or a file of it is damaged.
        """
        self.folder = folder
        self._open()

    def __contains__(self, image: str) -> bool:
        return image in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def decode(self, image: str) -> np.ndarray:
        """The pixels of an image: uint8 [H, W, 3], RGB.

        Raises:
            UserError: if the store lacks it or cannot decode it.
        """
        try:
            column, row = self._rows[image]
        except KeyError:
            raise UserError(f"{self.folder} holds no image {image}") from None
        try:
            return self._decoder(memoryview(column[row].as_buffer()))
        except images.ImageError as error:
            raise UserError(f"image {image} in {self.folder}: {error}") from None

    def sha256(self) -> str:
        """The SHA-256 of all files of the store, read anew."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.glob("*.arrow")):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def _open(self) -> None:
        self._rows: dict[str, tuple[Any, int]] = {}
        paths = sorted(self.folder.glob("*.arrow"))
        if not paths:
            raise UserError(f"{self.folder} holds no prepared images: run `dvc repro prepare`")
        encode = b""
        for path in paths:
            try:
                reader = pa.ipc.open_file(pa.memory_map(str(path)))
                batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
            except (pa.ArrowInvalid, OSError) as error:
                raise UserError(
                    f"{path} is damaged: {error}; run `dvc repro --force prepare`"
                ) from None
            encode = reader.schema.metadata[b"encode"]
            for batch in batches:
                column = batch.column("image")
                for row, image in enumerate(batch.column("id").to_pylist()):
                    self._rows[image] = (column, row)
        self._decoder = (
            (lambda data: images.decode(bytes(data)))
            if encode == b"original"
            else images.decode_plain
        )

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.folder = state["folder"]
        self._open()
