"""Guess which tables are the training table, the test table and the sample submission."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import pandas as pd

from podium.core.errors import UserError, counted, examples
from podium.dataset.image_files import ImageIndex
from podium.init import more_tables
from podium.init.guesses import Confidence, Guess
from podium.init.matching import IdColumn, is_unnamed
from podium.init.sample import Sample, read_sample
from podium.init.survey import Survey, Table


@dataclass(frozen=True)
class Roles:
    """The tables of a competition; None for missing ones."""

    train: Table | None
    test: Table | None
    sample: Table | None
    classes: tuple[str, ...] = ()  # the columns of each target in the sample submission

    @property
    def sample_ids(self) -> pd.Series | None:
        """The ids of the sample submission, if there is one."""
        return None if self.sample is None else self.sample.rows.iloc[:, 0]

    @property
    def targets(self) -> Sample | None:
        """What the sample submission shows besides its ids."""
        found = None if self.sample is None else read_sample(self.sample.rows)
        return found if found is None else replace(found, classes=self.classes)


def fail_without_labels(survey: Survey) -> NoReturn:
    """Raises: UserError: no labeled images were found; it says what was, and what is expected."""
    cause = "no labeled training images"
    if not survey.images:
        others = examples([f"{n:,} {k} file{'s' * (n > 1)}" for k, n in survey.ignored.items()])
        cause += f" (no image files{f', but {others}' if others else ''})"
    raise UserError(
        f"{survey.path}: {cause}. {survey.describe()}. Expected images and a "
        "CSV with a column of image ids and a column of labels; one folder of images per class, "
        "all in one folder (train/cats, train/dogs); images named after their class "
        "(train/cat.1.jpg; --label-pattern for other names); CSV files of pixels for training and "
        "test."
    )


def guess_sample(tables: Sequence[Table]) -> Guess:
    """The sample submission: by its name, else a table whose target columns are constant. Samples
    of something else, such as `sample_labels.csv`, do not count.
    """
    candidates = [table for table in tables if _is_named_sample(table) and table.pixels is None]
    candidates.sort(key=lambda t: (not t.has_word("sample"), len(t.name), t.name))
    if not candidates and len(tables) > 1:
        candidates = [table for table in tables if _is_constant(table)]
    words = ("sample", "submission")
    guess = _guess("sample_submission", candidates, words, "has the same targets in all rows")
    if guess.confidence == "certain" and candidates and not candidates[0].has_word("submission"):
        return replace(guess, confidence="likely")
    return guess


def without_samples(tables: Sequence[Table], sample: Table | None) -> list[Table]:
    """The tables that are not sample submissions: `sample` and further ones, such as benchmarks,
    which are named so or have the same columns and ids.
    """
    if sample is None:
        return [*tables]
    ids, *_ = columns = sample.columns
    submitted = {*sample.rows[ids]}

    def is_sample(table: Table) -> bool:
        if table.has_word("train", "test", "label") or table.pixels is not None:
            return False
        is_like = {*columns} <= {*table.columns} and {*table.rows[ids]} == submitted
        return is_like or _is_named_sample(table)

    return [t for t in tables if t.name != sample.name and not is_sample(t)]


def find_sample_ids(
    sample: Table, others: Sequence[Table], id_columns: Mapping[str, Sequence[IdColumn]]
) -> str:
    """The id column of the sample submission: the first, unless only another one has unique values
    that are images or ids of another table, or it is an unnamed index.
    """
    rows, first = sample.rows, sample.columns[0]
    images = {column.name for column in id_columns[sample.name]}
    known = [
        set(t.rows[column]) for t in others for column in t.columns if t.rows[column].is_unique
    ]
    unique = [column for column in sample.columns if rows[column].is_unique]
    ids = [c for c in unique if c in images or any(set(rows[c]) <= values for values in known)]
    ids = [column for column in ids if not is_unnamed(column)] or ids
    if first in ids or not (ids or (unique and first not in unique)):
        return first
    return (ids or unique)[0]


def guess_train(
    tables: Sequence[Table], sample: Table | None, identifies: Callable[[Table], bool]
) -> Guess:
    """The training table, among `tables` without the sample submission; `identifies` says
    whether one has ids of images.
    """
    targets = [] if sample is None else sample.columns[1:]

    def is_usable(table: Table) -> bool:
        return table.pixels is not None or identifies(table)

    most_rows = dict[str, int]()  # of the tables of a name, in any folder
    for table in tables:
        _, file = _place(table)
        most_rows[file] = max(most_rows.get(file, 0), len(table.rows))

    def rank(table: Table) -> tuple[bool | int, ...]:
        values = [set(table.rows[column]) for column in table.columns] if len(targets) > 1 else []
        has_targets = set(targets) <= set(table.columns) or set(targets) in values
        folder, file = _place(table)
        return (
            is_usable(table),
            bool(targets) and has_targets,
            table.has_word("train"),
            table.has_word("label"),
            most_rows[file],
            -table.name.count("/"),
            sample is not None and folder == _place(sample)[0],
            len(table.rows),
        )

    labeled = [t for t in tables if (len(t.columns) > 1 or t.pixels) and _may_be_train(t)]
    labeled.sort(key=rank, reverse=True)
    usable = [table for table in labeled if is_usable(table)]
    candidates = usable or [table for table in labeled if table.has_word("train", "label")]
    guess = _guess("train_csv", candidates, ("train", "label"), "has image ids and other columns")
    named = [table.name for table in labeled if table.has_word("train") and table not in usable]
    if usable and named and not usable[0].has_word("train"):
        reason = f"{guess.reason}, but {named[0]} is named like one; its ids match no images"
        guess = replace(guess, confidence="guess", reason=reason)
    return guess


def guess_test(
    tables: Sequence[Table], train: Table | None, id_columns: Mapping[str, IdColumn | None]
) -> Guess:
    """The table of test images, among `tables` without the other two."""
    if train is None:
        candidates = [t for t in tables if t.has_word("test") and id_columns[t.name] is not None]
    elif train.pixels is not None:
        columns = train.pixels.columns
        candidates = [t for t in tables if t.pixels and t.pixels.columns == columns]
        candidates.sort(key=lambda table: not table.has_word("test"))
    else:
        candidates = [t for t in tables if t.has_word("test") and t.columns]
        candidates.sort(
            key=lambda t: (
                id_columns[t.name] is None,
                _place(t)[0] != _place(train)[0],
                len(t.name),
            )
        )
        if not candidates:
            others = [t for t in tables if not more_tables.is_validation(t, train)]
            candidates = [t for t in others if _has_other_ids(t, train, id_columns)]
    return _guess(
        "test_csv", candidates, ("test",), "has ids of other images than the training table"
    )


def describe(table: Table, images: ImageIndex) -> str:
    """The name of a table, and what is missing for another sample submission, as of the
    competition's second stage, or that it is about a validation set.
    """
    if table.has_word("val"):
        return f"{table.name} ({counted(len(table.rows), 'row')} of a validation set)"
    if not table.has_word("sample", "submission"):
        return table.name
    ids = table.rows.iloc[:, 0].tolist()
    missing = [value for value in ids if not images.find(value)]
    if not missing:
        return table.name
    return f"{table.name} (no images yet for {len(missing)} of its {len(ids)} ids: {missing[0]})"


def _place(table: Table) -> tuple[str, str]:
    """The folder of a table, and its name in it."""
    folder, _, file = table.name.rpartition("/")
    return folder, file


def _is_named_sample(table: Table) -> bool:
    is_other = table.has_word("train", "label", "image")
    return table.has_word("submission") or (table.has_word("sample") and not is_other)


def _may_be_train(table: Table) -> bool:
    others = ("test", "valid", "sample", "submission")  # a stage's sample submission, too
    return table.has_word("train", "label") or not table.has_word(*others)


def _is_constant(table: Table) -> bool:
    """Whether it has unique ids and the same targets in all rows, as sample submissions do."""
    rows = table.rows
    if table.has_word("train", "test", "label") or table.pixels or min(rows.shape) < 2:
        return False
    counts = rows.nunique()
    return sorted(counts) == [1] * (len(counts) - 1) + [len(rows)]


def _has_other_ids(table: Table, train: Table, id_columns: Mapping[str, IdColumn | None]) -> bool:
    """Whether it has image ids, none of which are in the training table, and isn't one itself."""
    mine, other = id_columns[train.name], id_columns[table.name]
    if other is None or table.has_word("train", "label"):
        return False
    return mine is None or set(train.rows[mine.name]).isdisjoint(table.rows[other.name])


def _guess(name: str, candidates: Sequence[Table], words: Sequence[str], content: str) -> Guess:
    """The first of `candidates`; the reason is a word of `words` in its name, or its `content`."""
    key = f"prepare.{name}"
    if not candidates:
        return Guess(key, None, "certain", "not found")
    first, *others = candidates
    by_name = first.has_word(*words)
    confidences: tuple[Confidence, ...] = ("guess", "likely", "certain")
    confidence = confidences[by_name + (not others)]
    reason = "by its name" if by_name else content
    return Guess(key, first.name, confidence, reason, tuple(table.name for table in others))
