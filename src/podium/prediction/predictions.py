"""Tables of logits in Parquet, keyed by image id: what models and ensembles pass on."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from podium.core import checksums, files
from podium.core.errors import UserError, examples
from podium.core.provenance import EnsembleProvenance, PredictionProvenance

P = TypeVar("P", PredictionProvenance, EnsembleProvenance)


@dataclass(frozen=True)
class Predictions(Generic[P]):
    """Logits with the ids that they belong to."""

    ids: list[str]
    logits: np.ndarray  # float32 [N, C]
    provenance: P

    @property
    def table(self) -> tuple[list[str], np.ndarray]:
        """What `align` takes."""
        return self.ids, self.logits


def write(path: Path, predictions: Predictions[P]) -> None:
    """Write a table with the columns `id` and `logit_<class>` atomically."""
    classes = predictions.provenance.classes
    columns = {f"logit_{name}": predictions.logits[:, i] for i, name in enumerate(classes)}
    header = {
        checksums.KEY: checksums.sign(
            predictions.provenance.to_json(), _arrays(predictions.ids, predictions.logits)
        )
    }
    table = pa.table({"id": predictions.ids, **columns}).replace_schema_metadata(header)
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    files.write_bytes(path, buffer.getvalue())


def read(path: Path, kind: type[P]) -> Predictions[P]:
    """Read a table that `write` wrote to `path`, with its provenance of that `kind`.

    Raises:
        UserError: if it is not there, damaged, or not one of ours.
    """
    try:
        table = pq.read_table(path)
        header = (table.schema.metadata or {}).get(checksums.KEY.encode())
        if header is None:
            raise UserError(f"{path} was not written by this pipeline")
        ids = table["id"].to_pylist()
        names = [name for name in table.column_names if name != "id"]
        logits = np.stack([table[name].to_numpy() for name in names], axis=1)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    content, _ = checksums.verify(header, _arrays(ids, logits), path=path)
    return Predictions(ids, logits, kind.from_json(content, path=path))


def _arrays(ids: list[str], logits: np.ndarray) -> Iterable[tuple[str, np.ndarray]]:
    yield "ids", np.frombuffer("\n".join(ids).encode(), dtype=np.uint8)
    yield "logits", logits


def align(
    parts: Sequence[tuple[list[str], np.ndarray]], ids: Sequence[str], *, source: str
) -> np.ndarray:
    """The logits of `ids` in their order, of parts that cover each of them once: [len(ids), C].

    Raises:
        UserError: naming `source`, if an id is not covered, covered twice, or unknown, or if a
            value is not a number.
    """
    found = [image for names, _ in parts for image in names]
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
    logits = np.concatenate([logits for _, logits in parts])[[rows[image] for image in ids]]
    if bad := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise UserError(f"{source}: the logits of {bad} images are not finite numbers")
    return logits
