"""Checks that no table is ignored silently."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from podium.competition.text.names import NameIndex, canonical
from podium.core.errors import UserError, examples
from podium.init import class_lists, joined_ids, path_labels
from podium.init.guesses import Guess
from podium.init.label_columns import ATTRIBUTES
from podium.init.long_rows import LongRows
from podium.init.path_labels import LabeledFolder
from podium.init.roles import Roles
from podium.init.survey import NO_ROWS, Survey, Table, suffix
from podium.init.words import has_part, has_word

MIN_SHARED = 0.5  # of the values in two columns, for one to refer to the other
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
        class_lists.lists_classes(train, folder)
        and (not has_ids or len(train.rows) == len(folder.counts))
        for folder in every
    )
    if is_list:
        return every, False
    if not has_ids:
        joined_ids.check(train, survey.images)
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
    keys = {c: {*map(canonical, train.rows[c])} for c in others if train.rows[c].nunique() > 1}
    if not (ids and keys and all(train.rows[key].is_unique for key in keys)):
        return
    for table in survey.tables:
        if table is train or table.has_word("test", "sample", "submission") or identifies(table):
            continue
        cells = {column: {*map(canonical, table.rows[column])} for column in table.columns}
        shared = {
            (key, column): len(cells[column] & values) / len(cells[column] | values)
            for key, values in keys.items()
            for column in table.columns
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


def why_no_test(guess: Guess, tables: Sequence[Table], long: LongRows | None) -> Guess:
    """The guess of the test table; if it is none, why those that are named so are not used."""
    if guess.value is not None:
        return guess
    if long is not None and long.lists:
        reason = (
            f"{examples([*long.lists])} has the rows of the sample submission, whose ids are used"
        )
        return replace(guess, reason=reason)
    if named := [table.name for table in tables if table.has_word("test")]:
        reason = f"no column of {examples(named)} identifies images"
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
    cells = ({*map(canonical, train.rows[column].unique())} for column in train.columns)
    return not has_target and not any(values & known for known in cells)
