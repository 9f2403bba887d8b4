"""Whether a submission may go to Kaggle: its form, where it comes from, and what went before."""

import codecs
import csv
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from podium.config.submission import Submission
from podium.core import csvs, files
from podium.core.errors import UserError, examples
from podium.core.manifest import Manifest
from podium.scoring import metrics
from podium.scoring.task import Task
from podium.submission.formats import SubmissionFormat

LOCK = "dvc.lock"  # which the run itself has changed


class Checked(NamedTuple):
    """A submission that may go to Kaggle."""

    path: Path
    rows: int
    sha256: str
    metric: str
    oof: float
    commit: str
    params: str

    @property
    def message(self) -> str:
        """What it is called if nobody says."""
        commit = f", commit {self.commit[:8]}" if self.commit else ""
        return f"{self.metric} {self.oof:.5f} out of fold{commit}"


def check_made(
    path: Path,
    prepared: Manifest,
    metric: str | None,
    options: Submission,
    *,
    slug: str,
    past: pd.DataFrame,
) -> Checked:
    """`check` a CSV of the project's, in the form that the sample submission and `options` want."""
    task = Task.read(prepared)
    sample = prepared.csv("sample_submission.csv")
    form = SubmissionFormat.detect(sample, task, metrics.get(metric, task.name), options)
    return check(path, sample, slug=slug, past=past, may_be_empty=form.name == "labels")


def check(
    path: Path, sample: pd.DataFrame, *, slug: str, past: pd.DataFrame, may_be_empty: bool
) -> Checked:
    """Hold a CSV against the sample submission, the JSON beside it and what was submitted before.

    `may_be_empty`: whether a row may name no class.

    Raises:
        UserError: if it does not fit, is not what the JSON describes, or was submitted already.
    """
    data = files.read(path)
    _check_header(data, sample, path)
    table = csvs.parse(data, name=str(path)).fillna("")
    _check_rows(table, sample, path, may_be_empty=may_be_empty)
    sha256 = hashlib.sha256(data).hexdigest()
    described = path.with_suffix(".json")
    made = files.read_json(described)
    try:
        if made["sha256"] != sha256:
            raise UserError(
                f"{path} is not what {described} describes (its SHA-256 is another): one of both "
                "was edited, or is of another run; `dvc repro` writes both"
            )
        ((metric, oof),) = made["oof"].items()
        params = {name: stage["params"] for name, stage in made["stages"].items()}
        commit = _commit(made["git"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(f"{described} does not describe a submission: run `dvc repro`") from None
    before = past[(past["sha256"] == sha256) & (past["competition"] == slug)]
    if len(before):
        row = before.iloc[0]
        raise UserError(
            f"{path} was submitted already: {row['time'] or 'earlier'}, ref {row['ref']}, "
            f"{row['status']} {row['public']}".rstrip()
        )
    of_params = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()
    return Checked(path, len(table), sha256, metric, float(oof), commit, of_params)


def _check_header(data: bytes, sample: pd.DataFrame, path: Path) -> None:
    """Kaggle reads commas, where `csvs` reads other separators too."""
    line = data.removeprefix(codecs.BOM_UTF8).split(b"\n", 1)[0].decode(errors="replace")
    columns = next(csv.reader([line.rstrip("\r")]), [])
    if columns != (wanted := sample.columns.tolist()):
        raise UserError(
            f"{path} has the columns {examples(columns)}, the sample submission "
            f"{examples(wanted)}: `dvc repro` writes it in that form"
        )


def _check_rows(
    table: pd.DataFrame, sample: pd.DataFrame, path: Path, *, may_be_empty: bool
) -> None:
    ids, known = table.iloc[:, 0], sample.iloc[:, 0]
    problems = {
        "are missing": known[~known.isin(ids)].tolist(),
        "are unknown": ids[~ids.isin(known)].tolist(),
        "occur more than once": ids[ids.duplicated()].unique().tolist(),
    }
    if not any(problems.values()) and ids.tolist() != known.tolist():
        problems["are at other places"] = ids[ids.to_numpy() != known.to_numpy()].tolist()
    if not may_be_empty:
        problems["have an empty value"] = ids[(table.iloc[:, 1:] == "").any(axis=1)].tolist()
    lines = [
        f"  {len(images)} ids {task}: {examples(images)}"
        for task, images in problems.items()
        if images
    ]
    if lines:
        raise UserError(
            f"{path} does not fit the sample submission:\n"
            + "\n".join(lines)
            + "\n`dvc repro` writes one that does"
        )


def _commit(git: dict[str, Any] | None) -> str:
    if git is None:
        return ""
    changed = [line for line in git["changed"] if line[3:] != LOCK]
    return str(git["commit"]) + "-dirty" * bool(changed)
