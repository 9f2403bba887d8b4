"""A competition for benchmarks/score.py: its files for each system, its test labels for scoring."""

import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import common  # noqa: F401  adds src to the path
import numpy as np
import pandas as pd

from podium.competition import digits, fetch
from podium.competition.archive import Archive
from podium.config import competition as config
from podium.config.prepare import Prepare
from podium.config.submission import Submission
from podium.core import csvs
from podium.dataset.build import match_images
from podium.dataset.tables import Tables
from podium.init import source as sources
from podium.init.dry_run import dry_run
from podium.init.layout import Layout
from podium.init.survey import survey
from podium.init.understand import understand
from podium.scoring import metrics
from podium.scoring.decisions import DecisionRule
from podium.scoring.metrics import Metric
from podium.scoring.task import Task
from podium.submission import write
from podium.submission.formats import SubmissionFormat

DIGITS = "digits"
DIGITS_TRAIN, DIGITS_TEST = 750, 250


class Predicted(NamedTuple):
    """What a system predicts for the test images."""

    ids: list[str]
    logits: np.ndarray  # [N, C]
    rule: DecisionRule = DecisionRule()


class Competition:
    """A competition as `make init` understands it, without questions."""

    def __init__(self, entry: str, folder: Path, *, per_class: int | None = None) -> None:
        """Read ARCHIVE:SOLUTION[:COLUMN] or `digits`; put the files for the systems in `folder`.
        With `per_class`, the archive keeps only as many training images of each class.

        Raises:
            UserError: if the files cannot be used.
        """
        source, solution, column = _parts(entry, folder)
        slug = sources.source_and_slug(str(source), None)[1]
        self.folder, self.archive = folder, folder / "raw" / f"{slug}.zip"
        labels, self._solution = solution.read_bytes(), csvs.read(solution)
        if entry == DIGITS:
            solution.unlink()  # it lies among the files for the systems
        local = config.Competition(source=str(source), slug=slug)
        fetch.fetch(local, raw=self.archive.parent, solution=folder / "nothing")
        if column is not None:
            others = set(self._solution.columns[1:]) - {column}
            self._solution = self._solution.drop(columns=sorted(others))
            _rewrite(self.archive, lambda name, data: _without(others, name, data))
        self.name = f"{slug} ({column})" if column else slug
        if per_class is not None:
            self.name += f", {per_class} per class"
            _keep(self.archive, per_class)
        with Archive(self.archive) as archive:
            _check_hidden(archive, labels)
            layout, self.tables = _understand(archive)
            self.task = Task(layout.task, self.tables.classes)
            if not self.task.single_label:
                sys.exit(f"error: {self.name}: task: {self.task.name}, not one label per image")
            self.metric = metrics.get(layout.metric, layout.task)
            self._options = Submission(**layout.submission)
            self._write_images(archive, Prepare(**layout.prepare))

    def _write_images(self, archive: Archive, layout: Prepare) -> None:
        """Write train.csv (path, label: the class's number), test.csv (path), and the images."""
        labels = self.task.targets(self.tables.train["label"].tolist())
        for part, images in match_images(archive, self.tables.ids, layout).items():
            (self.folder / part).mkdir()
            paths = []
            for number, (_, name) in enumerate(images):
                assert name is not None
                path = self.folder / part / f"{number:06d}{PurePosixPath(name).suffix}"
                path.write_bytes(archive.read(name))
                paths.append(str(path))
            columns = {"path": paths, **({"label": labels} if part == "train" else {})}
            pd.DataFrame(columns).to_csv(self.folder / f"{part}.csv", index=False)

    def scores(self, predicted: Predicted) -> dict[str, float]:
        """The competition's metric, the log loss and the accuracy on the test labels."""
        ids, plain = self.tables.sample.iloc[:, :1], predicted._replace(rule=DecisionRule())
        columns = pd.DataFrame("", ids.index, self.task.classes)
        log_loss, accuracy = (
            metrics.get(name, self.task.name) for name in ("log_loss", "accuracy")
        )
        return {
            "score": self._score(predicted, self.tables.sample, self.metric, self._options),
            "log_loss": self._score(
                plain, pd.concat([ids, columns], axis=1), log_loss, Submission(format="columns")
            ),
            "accuracy": self._score(
                plain, ids.assign(label=""), accuracy, Submission(format="label")
            ),
        }

    def _score(
        self, predicted: Predicted, sample: pd.DataFrame, metric: Metric, options: Submission
    ) -> float:
        submission = write.fill(
            sample,
            predicted.ids,
            predicted.logits,
            task=self.task,
            rule=predicted.rule,
            metric=metric,
            options=options,
        )
        form = SubmissionFormat.detect(sample, self.task, metric, options)
        return write.score(
            submission, self._solution, self.task, submission_format=form, metric=metric
        )


def _parts(entry: str, folder: Path) -> tuple[Path, Path, str | None]:
    """The archive, its solution, and the label column to keep."""
    if entry == DIGITS:
        return *_digits(folder), None
    archive, separator, rest = entry.partition(":")
    solution, _, column = rest.partition(":")
    if not separator:
        sys.exit(f"error: {entry}: must be ARCHIVE:SOLUTION, ARCHIVE:SOLUTION:COLUMN or {DIGITS}")
    return Path(archive), Path(solution), column or None


def _digits(folder: Path) -> tuple[Path, Path]:
    """The first digits of Podium's built-in competition, whose order is random."""
    archive, solution = folder / f"{DIGITS}.zip", folder / f"{DIGITS}-solution.csv"
    digits.write_archive(archive)
    digits.write_solution(solution)
    known = csvs.read(solution)[:DIGITS_TEST]
    known.to_csv(solution, index=False)
    with Archive(archive) as full:
        train = full.read_csv("train.csv")[:DIGITS_TRAIN]
    kept = {*train["id"], *known["id"]}

    def change(name: str, data: bytes) -> bytes | None:
        if not name.endswith(".csv"):
            return data if PurePosixPath(name).stem in kept else None
        table = csvs.parse(data)
        return _csv(table[table["id"].isin(kept)])

    _rewrite(archive, change)
    return archive, solution


def _understand(archive: Archive) -> tuple[Layout, Tables]:
    """The layout, without questions, and the tables.

    Raises:
        UserError: if the files cannot be used.
    """
    layout = understand(survey(archive), {})
    if layout.error is not None:
        raise layout.error
    return layout, dry_run(archive, layout)


def _keep(path: Path, per_class: int) -> None:
    """Keep a random sample of up to `per_class` training images of each class."""
    with Archive(path) as archive:
        layout, tables = _understand(archive)
        config = Prepare(**layout.prepare)
        sample = tables.train.sample(frac=1, random_state=0).groupby("label").head(per_class)
        dropped = {*tables.train["id"]} - {*sample["id"]}
        images = dict(match_images(archive, tables.ids, config)["train"])
    unused = {images[image] for image in dropped}

    def change(name: str, data: bytes) -> bytes | None:
        if name != config.train_csv:
            return None if name in unused else data
        table = csvs.parse(data)
        return _csv(table[~table[config.id_column].isin(dropped)])

    _rewrite(path, change)


def _without(columns: set[str], name: str, data: bytes) -> bytes:
    """A file of the archive; from a table, `columns` are dropped."""
    if not name.lower().endswith(".csv"):
        return data
    table = csvs.parse(data)
    return _csv(table.drop(columns=[column for column in table if column in columns]))


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()


def _rewrite(archive: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """Replace the archive's files by what `change` makes of them; None leaves a file out."""
    new = archive.with_suffix(".new")
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(new, "w") as target:
        for name in source.namelist():
            if not name.endswith("/") and (data := change(name, source.read(name))) is not None:
                target.writestr(name, data)
    shutil.move(new, archive)


def _check_hidden(archive: Archive, solution: bytes) -> None:
    """Exit if the archive contains the file with the test labels."""
    for name in archive.names:
        if name.lower().endswith(".csv") and archive.read(name) == solution:
            sys.exit(f"error: {archive.path.name} contains the solution, as {name}. Remove it.")
