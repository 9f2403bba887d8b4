"""Tables of logits in Parquet, keyed by image id: what models and ensembles pass on."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from podium import files, seal
from podium.errors import UserError, examples


class Predictions(NamedTuple):
    """Logits with the ids that they belong to."""

    ids: list[str]
    logits: np.ndarray  # float32 [N, C]
    made_from: dict[str, Any]  # what the logits were made from; holds the classes


def write(path: Path, predictions: Predictions) -> None:
    """Write a table with the columns `id` and `logit_<class>` atomically."""
    classes = predictions.made_from["classes"]
    columns = {f"logit_{name}": predictions.logits[:, i] for i, name in enumerate(classes)}
    header = {seal.KEY: seal.seal(predictions.made_from, _arrays(predictions))}
    table = pa.table({"id": predictions.ids, **columns}).replace_schema_metadata(header)
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    files.write_bytes(path, buffer.getvalue())


def read(path: Path) -> Predictions:
    """The table that `write` wrote to `path`.

    Raises:
        UserError: if it is not there, damaged, or not one of ours.
    """
    try:
        table = pq.read_table(path)
        header = (table.schema.metadata or {}).get(seal.KEY.encode())
        if header is None:
            raise UserError(f"{path} was not written by this pipeline")
        ids = table["id"].to_pylist()
        names = [name for name in table.column_names if name != "id"]
        logits = np.stack([table[name].to_numpy() for name in names], axis=1)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    found = Predictions(ids, logits, {})
    made_from, _ = seal.unseal(header, _arrays(found), path=path)
    if "task" not in made_from:
        raise UserError(f"{path} was made by an older version: run `dvc repro`")
    return found._replace(made_from=made_from)


def _arrays(predictions: Predictions) -> Iterable[tuple[str, np.ndarray]]:
    yield "ids", np.frombuffer("\n".join(predictions.ids).encode(), dtype=np.uint8)
    yield "logits", predictions.logits


def align(parts: Sequence[Predictions], ids: Sequence[str], *, source: str) -> np.ndarray:
    """The logits of `ids` in their order, of parts that cover each of them once: [len(ids), C].

    Raises:
        UserError: naming `source`, if an id is not covered, covered twice, or unknown, or if a
            value is not a number.
    """
    found = [image for part in parts for image in part.ids]
    rows = {image: row for row, image in enumerate(found)}
    missing = [image for image in ids if image not in rows]
    problems = []
    if missing:
        problems.append(f"{len(missing)} images have no prediction: {examples(missing)}")
    if twice := len(found) - len(rows):
        problems.append(f"{twice} images are predicted more than once")
    if unknown := sorted(rows.keys() - set(ids)):
        problems.append(f"{len(unknown)} predictions are of unknown images: {examples(unknown)}")
    if problems:
        raise UserError(f"{source}: {'; '.join(problems)}")
    logits = np.concatenate([part.logits for part in parts])[[rows[image] for image in ids]]
    if bad := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise UserError(f"{source}: the logits of {bad} images are not finite numbers")
    return logits
