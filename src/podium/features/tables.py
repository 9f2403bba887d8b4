"""Parquet tables of features, keyed by image id: a column of vectors per view."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from podium.core import checksums, files
from podium.core.errors import UserError
from podium.core.provenance import EmbeddingProvenance


@dataclass(frozen=True)
class Features:
    """Features with the ids of their images."""

    ids: list[str]
    values: np.ndarray  # float32 [N, V, D]
    provenance: EmbeddingProvenance

    @property
    def views(self) -> list[str]:
        """The names of the views, [V]."""
        views: list[str] = self.provenance.config["views"]
        return views


def write(path: Path, features: Features) -> None:
    """Write the columns `id` and one per view atomically."""
    columns: dict[str, pa.Array] = {"id": pa.array(features.ids, pa.string())}
    for index, view in enumerate(features.views):
        flat = np.ascontiguousarray(features.values[:, index]).reshape(-1)
        size = features.values.shape[2]
        columns[view] = pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), size)
    arrays = _arrays(features.ids, features.values)
    header = {checksums.KEY: checksums.sign(features.provenance.to_json(), arrays)}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(header), buffer)
    files.write_bytes(path, buffer.getvalue())


def read(path: Path) -> Features:
    """Read a table that `write` wrote.

    Raises:
        UserError: if it is missing, damaged, or was not written by `write`.
    """
    try:
        table = pq.read_table(path)
        header = checksums.header(table.schema.metadata, path=path)
        ids = table["id"].to_pylist()
        views = [
            table[name].combine_chunks().flatten().to_numpy().reshape(len(ids), -1 if ids else 1)
            for name in table.column_names
            if name != "id"
        ]
        values = np.stack(views, axis=1)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read: {error}. {files.RERUN_HINT}") from None
    content, _ = checksums.verify(header, _arrays(ids, values), path=path)
    return Features(ids, values, EmbeddingProvenance.from_json(content, path=path))


def _arrays(ids: list[str], values: np.ndarray) -> Iterable[tuple[str, np.ndarray]]:
    yield "ids", np.frombuffer("\n".join(ids).encode(), dtype=np.uint8)
    yield "values", values
