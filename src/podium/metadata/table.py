"""Parquet tables of metadata: one row per image, unencoded numbers and categories."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from podium.core import checksums, files
from podium.core.errors import UserError

ID = "id"


def write(path: Path, table: pd.DataFrame) -> None:
    """Write a table atomically. The index contains the image ids; numbers are float64 (NaN:
    missing), categories are text (None: missing).
    """
    columns = {ID: pa.array(table.index.tolist(), pa.string())}
    for name in table:
        kind = pa.float64() if is_numeric(table[name]) else pa.string()
        columns[f"column {name}"] = pa.array(table[name], kind, from_pandas=True)
    content = pa.table(columns)
    header = {checksums.KEY: checksums.sign({}, _arrays(content))}
    buffer = io.BytesIO()
    pq.write_table(content.replace_schema_metadata(header), buffer)
    files.write_bytes(path, buffer.getvalue())


def read(path: Path) -> pd.DataFrame:
    """Read a table that `write` wrote.

    Raises:
        UserError: if it is missing, damaged, or was not written by `write`.
    """
    try:
        content = pq.read_table(path)
        header = checksums.header(content.schema.metadata, path=path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read: {error}. {files.RERUN_HINT}") from None
    checksums.verify(header, _arrays(content), path=path)
    columns = {
        name.removeprefix("column "): content[name].to_numpy() for name in content.column_names[1:]
    }
    return pd.DataFrame(columns, index=pd.Index(content[ID].to_pylist(), dtype=object))


def is_numeric(column: pd.Series) -> bool:
    """Whether a column is numeric rather than categorical."""
    return column.dtype == np.float64


def _arrays(content: pa.Table) -> Iterable[tuple[str, np.ndarray]]:
    """The columns as bytes: numbers, or lines of text with "\\0" for missing values."""
    for name in content.column_names:
        if content[name].type == pa.float64():
            yield name, content[name].to_numpy()
        else:
            lines = ("\0" if text is None else text for text in content[name].to_pylist())
            yield name, np.frombuffer("\n".join(lines).encode(), np.uint8)
