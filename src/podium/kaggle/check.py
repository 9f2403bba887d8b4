"""Check a submission before it goes to Kaggle: its format, its provenance, earlier submissions."""

import codecs
import csv
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from podium.core import csvs, files, paths
from podium.core.errors import UserError, examples
from podium.core.manifest import Manifest
from podium.dataset.submission_file import SubmissionFile
from podium.kaggle import history
from podium.params.schema import Params
from podium.scoring import metrics
from podium.scoring.task import Task
from podium.submission.formats import SubmissionFormat

OUTPUTS = ("dvc.lock", "metrics/", "reports/", "submissions/")


class CheckedSubmission(NamedTuple):
    """A CSV that may be submitted, and what its provenance says."""

    path: Path
    rows: int
    sha256: str
    metric: str
    oof: float
    commit: str  # "" without git
    params_sha256: str

    @property
    def message(self) -> str:
        """The default description on Kaggle."""
        commit = f", commit {self.commit[:8]}" if self.commit else ""
        return f"{self.metric} {self.oof:.5f} out of fold{commit}"


def check(path: Path, params: Params, past: pd.DataFrame | None = None) -> CheckedSubmission:
    """Check a CSV against the sample submission in data/, and against the history `past`.

    Raises:
        UserError: as in `check_csv`, or if it was submitted before.
    """
    prepared = Manifest(paths.PREPARED)
    task = Task.submitted(prepared)
    rows = prepared.csv("sample_submission.csv")
    file = SubmissionFile.read(prepared)
    sample = file.wide(rows, task.submitted_names)
    metric = metrics.get(params.metric, task.name)
    if task.parts:
        columns, is_list = [*map(str, sample.columns[1:])], False
    else:
        form = SubmissionFormat.detect(sample, task, metric, params.submission)
        columns, is_list = form.columns, form.name == "labels"
    expected = file.fill(rows, sample.iloc[:, :1].assign(**dict.fromkeys(columns, "")))
    checked = check_csv(path, sample=expected, file=file, allow_empty=is_list)
    if past is not None:
        slug = params.competition.slug
        history.check_new(past, slug=slug, sha256=checked.sha256, file=str(path))
    return checked


def check_csv(
    path: Path, *, sample: pd.DataFrame, file: SubmissionFile, allow_empty: bool
) -> CheckedSubmission:
    """Check a CSV's columns and ids, and the JSON next to it.

    `sample` has the expected columns and ids, in the layout `file`. `allow_empty` permits rows
    without a label.

    Raises:
        UserError: naming what is wrong, with the ids of the rows.
    """
    data = files.read(path)
    _check_header(data, [str(column) for column in sample.columns], path)
    table = file.predicted(csvs.parse(data, name=str(path)).fillna(""))
    _check_rows(table, sample.iloc[:, file.id_place], path, allow_empty=allow_empty)
    sha256 = hashlib.sha256(data).hexdigest()
    return _read_provenance(path, rows=len(table), sha256=sha256)


def _check_header(data: bytes, columns: list[str], path: Path) -> None:
    """Kaggle requires commas, whereas `csvs` accepts other separators."""
    line = data.removeprefix(codecs.BOM_UTF8).split(b"\n", 1)[0].decode(errors="replace")
    header = next(csv.reader([line.rstrip("\r")]), [])
    if header != columns:
        raise UserError(
            f"{path} has the columns {examples(header)}; the sample submission requires "
            f"{examples(columns)}. Run `dvc repro`."
        )


def _check_rows(table: pd.DataFrame, ids: pd.Series, path: Path, *, allow_empty: bool) -> None:
    submitted = table.iloc[:, 0]
    problems = {
        "missing ids": ids[~ids.isin(submitted)],
        "unknown ids": submitted[~submitted.isin(ids)],
        "duplicate ids": submitted[submitted.duplicated()].drop_duplicates(),
    }
    if not any(map(len, problems.values())):
        problems["ids in a different order"] = submitted[submitted.to_numpy() != ids.to_numpy()]
    if not allow_empty:
        problems["empty values"] = submitted[(table.iloc[:, 1:] == "").any(axis=1)]
    lines = [
        f"  {len(rows)} {problem}: {examples(rows.tolist())}"
        for problem, rows in problems.items()
        if len(rows)
    ]
    if lines:
        raise UserError(
            "\n".join([f"{path} does not match the sample submission:", *lines, "Run `dvc repro`."])
        )


def _read_provenance(path: Path, *, rows: int, sha256: str) -> CheckedSubmission:
    """Read the JSON that `dvc repro` writes next to the CSV."""
    record = path.with_suffix(".json")
    values = files.read_json(record)
    try:
        recorded_sha256 = values["sha256"]
        ((metric, oof),) = values["oof"].items()
        params = {name: stage["params"] for name, stage in values["stages"].items()}
        commit = _commit(values["git"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(
            f"{record} is not the provenance of a submission. Run `dvc repro`."
        ) from None
    if recorded_sha256 != sha256:
        raise UserError(
            f"{path} does not match {record} (SHA-256 mismatch): one of the two was edited or "
            "comes from a different run. Run `dvc repro`."
        )
    params_sha256 = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()
    return CheckedSubmission(path, rows, sha256, metric, float(oof), commit, params_sha256)


def _commit(git: dict[str, Any] | None) -> str:
    if git is None:
        return ""
    # Earlier versions listed what the run itself writes, too.
    edited = [line for line in git["changed"] if not line[3:].startswith(OUTPUTS)]
    return f"{git['commit']}{'-dirty' if edited else ''}"
