"""Sample submissions with one row per image and label or target: as tables with one per image."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd

from podium.core.errors import counted, examples, listed
from podium.dataset import submission_file
from podium.init.guesses import Confidence, Guess
from podium.init.survey import Survey, Table


@dataclass(frozen=True)
class LongRows:
    """What each row of a sample submission is about, and where that is said."""

    rows: pd.DataFrame  # as `SubmissionFile.rows`
    labels: list[str]  # all, also those that no row is about
    train: str  # the table with these labels
    separator: str | None = None  # in the rows' ids; None: `lookup` says it
    lookup: tuple[str, str, str] | None = None  # the table, its column of images and of labels
    ids: str | None = None  # the id column of `train`; None: it has a column per label
    values: str | None = None  # its column of values, if it has an id column
    lists: tuple[str, ...] = ()  # other tables with the same rows
    classes: tuple[str, ...] = ()  # the columns of each row's label; empty: it has one column

    @property
    def not_asked(self) -> list[str]:
        """The labels that no row is about."""
        asked = {*self.rows["label"]}
        return [label for label in self.labels if label not in asked]


def widen(survey: Survey, sample: Table, ids: str, found: LongRows) -> Survey:
    """Reshape the sample submission to one row per image, and the training table if its ids end
    with labels, too. Drops tables that list the sample's rows.
    """
    known, values = {*sample.rows[ids]}, next(c for c in sample.columns if c != ids)
    cells = sample.rows[values]
    if found.classes:  # whose numbers are no labels
        cells = pd.Series("", cells.index)
    tables = []
    for table in survey.tables:
        if table.name == sample.name:
            rows = submission_file.pivot(found.rows, cells, found.labels, name=ids)
            tables.append(replace(table, rows=rows))
        elif table.name == found.train and found.values is not None:
            assert found.separator is not None
            own = str(found.ids)
            names = table.rows[own].tolist()
            about = submission_file.split_rows(names, found.separator, found.labels, name=own)
            submission_file.check_complete(about, found.labels)
            rows = submission_file.pivot(about, table.rows[found.values], found.labels, name=own)
            tables.append(replace(table, rows=rows))
        elif found.lookup is not None and table.name == found.lookup[0]:
            continue
        elif not any({*table.rows[column]} == known for column in table.columns):
            tables.append(table)
    return replace(survey, tables=tables)


def guesses(found: LongRows, sample: Table) -> Iterator[Guess]:
    """Where it is said what each row is about."""
    reason = f"{sample.name} has a row for each of {counted(len(found.labels), 'label')} per image"
    if missing := found.not_asked:
        asked = [label for label in found.labels if label not in missing]
        reason = (
            f"{sample.name} has rows for {listed(asked)}; {listed(missing)} "
            f"of {found.train} would be predicted, too"
        )
    elif len(found.rows) < found.rows["id"].nunique() * len(found.labels):
        reason = f"{sample.name} has rows for some of {len(found.labels)} labels per image"
    reason += f": {examples(found.labels, 3)}"
    if found.classes:
        reason += f"; its columns are their classes: {examples(found.classes, 3)}"
    confidence: Confidence = "likely" if found.not_asked else "certain"
    if found.lookup is None:
        yield Guess("prepare.id_label_separator", found.separator, confidence, reason)
        return
    name, *columns = found.lookup
    yield Guess("prepare.lookup_csv", name, confidence, f"{reason}; {name} lists the rows")
    reason = f"what each {found.rows.columns[0]} of {sample.name} is about"
    yield Guess("prepare.lookup_columns", columns, "certain", reason)
