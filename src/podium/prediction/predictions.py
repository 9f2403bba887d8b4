"""Parquet tables of logits keyed by image id, for members and ensembles."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from podium.core import checksums, files
from podium.core.errors import UserError, counted, examples
from podium.core.provenance import EnsembleProvenance, PredictionProvenance, PseudoProvenance

P = TypeVar("P", PredictionProvenance, PseudoProvenance, EnsembleProvenance)
LOGIT = "logit_"  # prefix of the logits' columns


@dataclass(frozen=True)
class Predictions(Generic[P]):
    """Logits with the ids of their images."""

    ids: list[str]
    logits: np.ndarray  # float32 [N, C]
    provenance: P
    labels: list[str] | None = None  # the predicted labels, where the stage decides on them

    @property
    def table(self) -> tuple[list[str], np.ndarray]:
        """Ids and logits, as `align` takes them."""
        return self.ids, self.logits


def write(path: Path, predictions: Predictions[P]) -> None:
    """Write the columns `id`, `logit_<class>` and, if there are any, `label` atomically."""
    columns: dict[str, list[str] | np.ndarray] = {"id": predictions.ids}
    for index, name in enumerate(predictions.provenance.classes):
        columns[LOGIT + name] = predictions.logits[:, index]
    if predictions.labels is not None:
        columns["label"] = predictions.labels
    arrays = _arrays(predictions.ids, predictions.logits, predictions.labels)
    header = {checksums.KEY: checksums.sign(predictions.provenance.to_json(), arrays)}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(header), buffer)
    files.write_bytes(path, buffer.getvalue())


def read(path: Path, kind: type[P]) -> Predictions[P]:
    """Read a table that `write` wrote to `path`, whose provenance is of class `kind`.

    Raises:
        UserError: if it is missing, damaged, or was not written by `write`.
    """
    try:
        table = pq.read_table(path)
        header = checksums.header(table.schema.metadata, path=path)
        ids = table["id"].to_pylist()
        names = [name for name in table.column_names if name.startswith(LOGIT)]
        logits = np.stack([table[name].to_numpy() for name in names], axis=1)
        labels = table["label"].to_pylist() if "label" in table.column_names else None
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read: {error}. {files.RERUN_HINT}") from None
    content, _ = checksums.verify(header, _arrays(ids, logits, labels), path=path)
    return Predictions(ids, logits, kind.from_json(content, path=path), labels)


def _arrays(
    ids: list[str], logits: np.ndarray, labels: list[str] | None
) -> Iterable[tuple[str, np.ndarray]]:
    yield "ids", np.frombuffer("\n".join(ids).encode(), dtype=np.uint8)
    yield "logits", logits
    if labels is not None:
        yield "labels", np.frombuffer("\n".join(labels).encode(), dtype=np.uint8)


def align(
    parts: Sequence[tuple[list[str], np.ndarray]], ids: Sequence[str], *, source: str
) -> np.ndarray:
    """Bring the logits of `parts`, which together cover each id once, into the order of `ids`.

    Returns [len(ids), C].

    Raises:
        UserError: naming `source`, if an id is missing, predicted twice or unknown, or if a logit
            is not finite.
    """
    predicted = [image for names, _ in parts for image in names]
    rows = {image: row for row, image in enumerate(predicted)}
    problems = []
    if missing := [image for image in ids if image not in rows]:
        problems.append(
            f"{counted(len(missing), 'image', 'has')} no prediction ({examples(missing)})"
        )
    if repeated := len(predicted) - len(rows):
        problems.append(f"{counted(repeated, 'image', 'is')} predicted more than once")
    if unknown := sorted(rows.keys() - set(ids)):
        problems.append(
            f"{counted(len(unknown), 'unknown image', 'has')} predictions ({examples(unknown)})"
        )
    if problems:
        raise UserError(f"{source}: {'; '.join(problems)}. Run `dvc repro`.")
    logits = np.concatenate([logits for _, logits in parts])[[rows[image] for image in ids]]
    if bad := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise UserError(
            f"{source}: {counted(bad, 'image', 'has')} non-finite logits (NaN/inf). Retrain."
        )
    return logits
