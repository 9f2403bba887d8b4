"""Checks that no table is ignored silently."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd

from podium.competition.text.names import NameIndex, canonical
from podium.core.errors import UserError, examples, listed
from podium.init import class_lists, joined_ids, path_labels
from podium.init.guesses import Guess
from podium.init.label_columns import ATTRIBUTES
from podium.init.long_rows import LongRows
from podium.init.matching import MAX_TESTED_VALUES
from podium.init.path_labels import LabeledFolder
from podium.init.roles import Roles
from podium.init.survey import NO_ROWS, Survey, Table, suffix
from podium.init.words import has_part, has_word

MIN_SHARED = 0.5  # of the values in two columns, for one to refer to the other
MAX_KEYS = 12  # columns
ROLE_WORDS = ("train", "label", "test", "sample", "submission")


def check_readable(survey: Survey) -> None:
    """Check that every CSV file whose name suggests a role could be read.

    Raises:
        UserError: if one could not be read, since guesses without it would be wrong.
    """
    problems = [
        problem
        for name, problem in survey.problems.items()
        if suffix(name) == ".csv"
        and has_word(name.rpartition("/")[2], *ROLE_WORDS)
        and not (problem.endswith(NO_ROWS) and _is_dispensable(name, survey))
    ]
    if problems:
        raise UserError("\n".join(problems))


def find_labeled(
    survey: Survey, train: Table | None, pattern: str | None, *, has_ids: bool
) -> tuple[list[LabeledFolder], bool]:
    """The folders whose image paths contain labels (see `path_labels.find_folders`), and whether
    the training table `train` really `has_ids` of images: in a list of classes, numbers may be the
    names of images by chance.

    Raises:
        UserError: if several of its columns identify images together.
    """
    labeled = path_labels.find_folders(survey, pattern, has_table=train is not None)
    if train is None or survey.id_patterns[train.name] is not None:
        return labeled, has_ids
    every = labeled if has_ids else path_labels.find_folders(survey, pattern, has_table=False)
    is_list = any(
        (not has_ids or len(train.rows) == len(folder.counts))
        and class_lists.lists_classes(train, folder)
        for folder in every
    )
    if is_list:
        return every, False
    if not has_ids:
        joined_ids.check(train.rows, train.name, survey.images)
    return labeled, has_ids


def check_labels_have_images(
    survey: Survey, chosen: Roles, identifies: Callable[[Table], bool]
) -> None:
    """Check that the target is in the training table, not in another table without image ids.

    Raises:
        UserError: if the two tables must be joined.
    """
    train, sample = chosen.train, chosen.sample
    targets = set() if sample is None else {*sample.columns[1:]}
    if train is None or train.pixels is not None or targets & {*train.columns}:
        return
    _check_labels_are_no_keys(survey, train, identifies)
    if sample is None or not targets:
        return
    for table in survey.tables:
        shared = {*table.columns} & {*train.columns} - {*table.columns[-1:]}
        is_label = targets <= {*table.columns} and table.name not in (train.name, sample.name)
        if is_label and shared and not table.has_word("test", "sample") and not identifies(table):
            raise UserError(
                f"{table.name} has the labels ({examples(sorted(targets))}), but no column that "
                f"identifies image files; {train.name} has one. Join the two on {min(shared)} into "
                "one table of image ids and labels."
            )


def _check_labels_are_no_keys(
    survey: Survey, train: Table, identifies: Callable[[Table], bool]
) -> None:
    """Check that the training table has other columns than keys of another one with the labels, as
    in a database: image_id, file_name, and image_id, category.

    Raises:
        UserError: if the two tables must be joined.
    """
    ids = {column.name for column in survey.id_candidates[train.name]}
    others = [c for c in train.columns if c not in ids and not has_part(c, ATTRIBUTES)]
    keys = [c for c in others if train.rows[c].nunique() > 1]
    if not (ids and keys and all(train.rows[key].is_unique for key in keys)):
        return
    for table in survey.tables:
        if table is train or table.has_word("test", "sample", "submission") or identifies(table):
            continue
        shared = {
            (key, column): _overlap(train.rows[key], cells)
            for column, cells in ((c, {*table.rows[c].unique()}) for c in table.columns)
            for key in keys[:MAX_KEYS]
        }
        if not shared:  # a table of pixels
            continue
        (key, column), share = max(shared.items(), key=lambda each: each[1])
        counts = table.rows.drop(columns=column).nunique()
        labels = [str(name) for name in counts.index[counts.between(2, len(table.rows) - 1)]]
        if share >= MIN_SHARED and labels:
            raise UserError(
                f"{table.name} may have the labels ({examples(labels)}), but no column that "
                f"identifies image files; {train.name} has one. Join the two on "
                f"{key if key == column else f'{key} and {column}'} into one table of image ids "
                "and labels."
            )


def _overlap(keys: pd.Series, known: set[str]) -> float:
    """The number of values that unique `keys` and those `known` have in common, as a fraction of
    all different ones. Of long columns it is estimated, from some of the keys.
    """
    if min(len(keys), len(known)) < MIN_SHARED * max(len(keys), len(known)):
        return 0
    if len(known) <= MAX_TESTED_VALUES:
        known = {*map(canonical, known)}
    tested = keys.iloc[:: max(1, len(keys) // MAX_TESTED_VALUES)].tolist()
    spellings = ({key, number := canonical(key), f"{number}.0"} for key in tested)
    shared = len(keys) * sum(not known.isdisjoint(each) for each in spellings) / len(tested)
    return shared / (len(keys) + len(known) - shared)


def why_no_test(guess: Guess, tables: Sequence[Table], long: LongRows | None) -> Guess:
    """The guess of the test table; if it is none, why those that are named so are not used."""
    if guess.value is not None:
        return guess
    if long is not None and long.lists:
        rows = "the rows of the sample submission, whose ids are used"
        reason = f"{listed([*long.lists], verb='has')} {rows}"
        return replace(guess, reason=reason)
    if named := [table.name for table in tables if table.has_word("test")]:
        reason = f"no column of {listed(named)} identifies images"
        return replace(guess, reason=reason, confidence="likely")
    return guess


def _is_dispensable(name: str, survey: Survey) -> bool:
    """Whether a file is a test table or a sample submission that is not needed, since the other one
    or a folder of test images exists.
    """
    file, words = name.rpartition("/")[2], ("test", "sample", "submission")
    others = any(table.has_word(*words) for table in survey.tables)
    has_folder = any(has_word(folder, "test") for folder in survey.folders)
    return has_word(file, *words) and not has_word(file, "train") and (others or has_folder)


def lacks_labels(tables: Roles, labeled: Sequence[LabeledFolder]) -> bool:
    """Whether the labels of the sample submission are those in the images' paths, but the training
    table has neither them nor the target.
    """
    train, sample = tables.train, tables.targets
    if train is None or sample is None or len(sample.targets) != 1 or not sample.values:
        return False
    values = {canonical(value) for value in sample.values}
    if not values <= {canonical(name) for folder in labeled for name in folder.counts}:
        return False
    has_target = NameIndex(train.columns).find(sample.targets[0]) is not None
    return not has_target and not any(
        _has_any(train.rows[column].unique().tolist(), values) for column in train.columns
    )


def _has_any(cells: list[str], labels: set[str]) -> bool:
    """Whether a column has one of `labels`; in a long one, only as these are spelled."""
    if len(cells) <= MAX_TESTED_VALUES:
        return not labels.isdisjoint(map(canonical, cells))
    return not labels.isdisjoint(cells)
