"""The competition's tables, checked and in one format: `id`, `label` and optionally `group`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from podium.competition.archive import Archive
from podium.competition.text.names import NameIndex, find_class, nfc
from podium.config.prepare import Prepare
from podium.config.tasks import TaskName
from podium.core.errors import UserError, counted, examples
from podium.dataset import (
    class_list,
    label_numbers,
    labeled_folders,
    labels,
    long_rows,
    raters,
    rows,
    sample_submission,
    spelling,
    target_labels,
    units,
)
from podium.dataset.image_files import shown
from podium.dataset.rows import LABEL, Location
from podium.dataset.spelling import SampleNames
from podium.dataset.submission_file import SubmissionFile
from podium.dataset.table_columns import read_columns
from podium.scoring.task import LABEL_SEPARATOR, Task


class Tables(NamedTuple):
    """What the stage prepare reads from a competition's tables and folders."""

    train: pd.DataFrame  # id, label[, group][, unit][, shares of the raters per class]
    test: pd.DataFrame  # id
    sample: pd.DataFrame  # the sample submission (`SubmissionFile.wide`), or an empty one
    classes: list[str]
    warnings: Sequence[str] = ()
    new_class: str | None = None  # the label of images of none of the classes
    sample_rows: pd.DataFrame | None = None  # the sample submission as in its file
    file: SubmissionFile = SubmissionFile()
    targets: list[dict[str, Any]] | None = None  # several targets: see `Task.targets_json`

    def task(self, name: TaskName) -> Task:
        """The task called `name` with these classes."""
        return Task(name, self.classes, self.targets)

    @property
    def ids(self) -> dict[str, list[str]]:
        """The ids of the images, by "train" or "test"."""
        return {"train": self.train["id"].tolist(), "test": self.test["id"].tolist()}


def read(archive: Archive, layout: Prepare, task: TaskName) -> Tables:
    """Read and check the tables of a competition.

    Equal rows of the training table are dropped. With `task: multilabel`, the labels of an image
    may be in several rows.

    Raises:
        UserError: for missing columns, tables without rows, ids with different labels, missing or
            wrong labels (see `labels.read`), a single class, and a sample submission whose ids
            differ from the test ids or whose columns are neither a label nor the classes.
    """
    columns = None if isinstance(layout.label_column, str) else layout.label_columns
    submitted = sample_submission.read(archive, layout, columns)
    sample = None if submitted is None else submitted.wide
    train, read_task, warnings = _read_train(archive, layout, task, sample)
    classes = read_task.classes
    new_class = _find_new_class(layout, classes)
    if new_class is not None:
        classes = [name for name in classes if name != new_class]
        class_list.check(_known(train, new_class), classes, task, "prepare.new_class")
        if new_class not in {*train["label"]}:
            warnings.append(
                f"prepare.new_class: no training image is labeled {new_class}, so "
                "ensemble.new_class_threshold must be a number"
            )
    if sample is not None:
        sample_submission.check_targets(sample, read_task, layout)
        warnings += sample_submission.other_positive(sample, classes, task)
    test, sample = sample_submission.read_test(archive, layout, sample)
    folder, exclude = layout.train_images, layout.test_images
    train = units.of_images(train, archive, layout, folder=folder, exclude=exclude)
    targets = read_task.targets_json
    read_tables = Tables(train, test, sample, classes, warnings, new_class, targets=targets)
    if submitted is None:
        return read_tables
    return read_tables._replace(sample_rows=submitted.rows, file=submitted.file)


def _find_new_class(layout: Prepare, classes: list[str]) -> str | None:
    """`prepare.new_class` as the training table spells it, which may not contain it."""
    name = layout.new_class
    return None if name is None else NameIndex(classes).find(name) or name


def _known(train: pd.DataFrame, new_class: str | None) -> pd.Series:
    """The labels of the images that have one of the classes."""
    return train.loc[train["label"] != new_class, "label"]


def drop(
    tables: Tables,
    ids: list[str],
    task: TaskName,
    which: str = "unusable one",
    fix: str = "Fix or replace the images.",
) -> Tables:
    """Drop the training images `ids`; `which` describes one in errors, and `fix` what to do.

    Raises:
        UserError: if no image is left, or only one class.
    """
    if not ids:
        return tables
    train = tables.train[~tables.train["id"].isin(ids)].reset_index(drop=True)
    name = f"training images without the {counted(len(ids), which)}"
    if train.empty:
        raise UserError(f"{name}: none are left. {fix}")
    classes = tables.classes
    is_submitted = set(tables.sample.columns[1:]) == set(classes)
    if Task(task, classes).single_label and not is_submitted:
        present = set(train["label"])
        classes = [label for label in classes if label in present]
    known, remaining = _known(train, tables.new_class), tables._replace(classes=classes)
    _check(known, remaining.task(task), name, fix)
    return remaining._replace(train=train)


def _check(texts: pd.Series, task: Task, name: str, fix: str | None = None) -> None:
    """Check that there is something to learn from the labels `texts` of the table `name`."""
    if task.name == "multitarget":
        target_labels.check(texts, task, name, fix)
    else:
        class_list.check(texts, task.classes, task.name, name, fix)


def label_range(tables: Tables, task: TaskName) -> list[list[float]] | None:
    """The minimum and the maximum of each target's training labels [C, 2]; None if labels are not
    numbers.
    """
    if task != "regression":
        return None
    values = tables.train["label"].str.split(LABEL_SEPARATOR, expand=True).astype(float)
    return [[float(values[name].min()), float(values[name].max())] for name in values]


def summary(tables: Tables, task: TaskName) -> str:
    """Describe the number of images and classes in one line."""
    parts = {"training image": tables.train, "test image": tables.test}
    training, test = (counted(len(table), noun) for noun, table in parts.items())
    if "unit" in tables.test:
        test += f" for {counted(tables.test['unit'].nunique(), 'row')} of the submission"
    if tables.targets is not None:
        return f"{training}, {test}; {target_labels.describe(tables.task(task))}"
    positive = f"; the positive class is {tables.classes[1]}" if task == "binary" else ""
    noun = "labels" if task == "multilabel" else "classes"
    classes = "" if task == "regression" else f" of {len(tables.classes)} {noun}"
    new = ""
    if tables.new_class is not None:
        count = (tables.train["label"] == tables.new_class).sum()
        new = f"; {counted(count, 'training image', 'is')} {tables.new_class}, which is not a class"
    return f"{training}{classes}, {test}{positive}{new}"


def _read_train(
    archive: Archive, layout: Prepare, task: TaskName, sample: pd.DataFrame | None
) -> tuple[pd.DataFrame, Task, list[str]]:
    """The training table, one row per image; the task with its classes; and warnings."""
    names = SampleNames(sample)
    if layout.train_csv is None:
        name, raw = (
            f"the folder {shown(layout.train_images)}",
            labeled_folders.read(archive, layout),
        )
        hidden = list[str]()
    else:
        name = examples([layout.train_csv, *layout.more_train_csv])
        raw, hidden = _read_train_csv(archive, layout, name)
    raw, more_warnings = target_labels.clear_missing(raw, layout)
    hidden += more_warnings
    if layout.unlabeled == "drop":
        raw, unlabeled = rows.drop_unlabeled(raw, name, all_empty=task == "multitarget")
        hidden += unlabeled
    raw = long_rows.widen(raw, layout, names)
    location = Location(name, raw["id"].tolist(), has_rows=layout.train_csv is not None)
    columns = raw[[column for column in raw.columns if str(column).startswith(LABEL)]]
    columns = columns.rename(columns=lambda column: column.removeprefix(LABEL))
    columns, more_warnings = label_numbers.plain(columns, layout, task, name)
    hidden += more_warnings
    targets = None
    if task == "multitarget":
        texts, joined, more_warnings = target_labels.read(columns, layout, location, sample)
        classes, targets = joined.classes, joined.targets_json
        hidden += more_warnings
    else:
        texts, classes = labels.read(columns, layout, task, location, names)
    train = raw[[column for column in ("id", "group", "unit", "image") if column in raw]]
    train.insert(1, "label", pd.Series(texts, index=train.index, dtype=str))
    if layout.pixel_columns is not None:
        rows.check_unique(train["id"], name, "Set prepare.id_column: null to number the rows.")
    join = raters.join(layout.raters, task, classes)
    if join is None and task == "multilabel" and columns.shape[1] == 1:
        join = lambda texts: class_list.union(texts, classes)  # noqa: E731
    if layout.raters == "soft":
        train["shares"] = raters.shares(train, task)
    if layout.raters != "error":
        train = raters.join_units(train, join)
    train, warnings = rows.deduplicate(train, location, join)
    _check(train["label"], Task(task, classes, targets), name)
    if "unit" in train:
        units.check(train, name)
    if layout.positive_class is not None:
        name = find_class(layout.positive_class, classes, "prepare.positive_class")
        classes = [*(label for label in classes if label != name), name]
    warnings += hidden + class_list.without_images(train, classes, task)
    if task in ("binary", "multiclass") and columns.shape[1] == 1:
        warnings += spelling.joined_numbers(columns.iloc[:, 0], location.name)
    return train, Task(task, classes, targets), warnings


def _read_train_csv(archive: Archive, layout: Prepare, name: str) -> tuple[pd.DataFrame, list[str]]:
    """The training table unchecked: id[, group], and a column `label <name>` per label column; and
    warnings.
    """
    columns = {LABEL + column: column for column in layout.label_columns}
    if layout.group_column is not None:
        columns["group"] = layout.group_column
    of_units = units.columns(archive, layout) | units.name_columns(layout)
    train = read_columns(archive, str(layout.train_csv), "train_csv", columns | of_units, layout)
    for column in of_units:
        rows.check_lines(train[column], name, column.partition(" ")[0])
    train = units.join(train)
    train, warnings = rows.drop_hidden(train, name)
    train["id"] = train["id"].map(nfc)
    train = units.join_names(train, layout)
    for column in columns:
        rows.check_lines(train[column], name, "group" if column == "group" else "label")
    if "group" in train:
        if empty := (train["group"].str.strip() == "").to_numpy().nonzero()[0].tolist():
            where = Location(name, train["id"].tolist()).describe(empty)
            raise UserError(f"{name}: no group in {counted(len(empty), 'row')}: {where}. Add one.")
        train["group"] = spelling.unify_groups(train["group"])
    return train, warnings
