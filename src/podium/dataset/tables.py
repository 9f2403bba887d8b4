"""The competition's tables, checked and in one form: `id`, `label` and, where given, `group`."""

from dataclasses import dataclass, field, replace

import pandas as pd

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.config.tasks import TaskName
from podium.core.errors import UserError, examples
from podium.dataset import labels, pixel_tables, rows
from podium.dataset.image_files import images_below, label_in
from podium.dataset.rows import Source


@dataclass(frozen=True)
class Tables:
    """What a competition's tables and folders say."""

    train: pd.DataFrame  # id, label[, group]
    test: pd.DataFrame  # id
    sample: pd.DataFrame  # the sample submission, or what it would be
    classes: list[str]
    notes: list[str] = field(default_factory=list)  # what a person should know of them


def read(archive: Archive, layout: Prepare, task: TaskName) -> Tables:
    """Read and check the tables of a competition.

    A row that stands in the training table several times is taken once. Where labels of one image
    stand in several rows, `task: multilabel` takes all of them.

    Raises:
        UserError: for columns that are not there, no rows, ids with different labels, missing or
            wrong labels (see `labels.read`), a single class, and a sample submission whose ids are
            not the test ids or whose columns are neither a label nor the classes.
    """
    sample = None
    if layout.sample_submission is not None:
        path = _find(archive, layout.sample_submission, "sample_submission")
        sample = archive.read_csv(path)
        rows.check_ids(sample.iloc[:, :1].set_axis(["id"], axis=1), layout.sample_submission)
    targets = [] if sample is None else [str(name) for name in sample.columns[1:]]

    train, classes, notes = _labelled(archive, layout, task, targets)
    test = test_ids(archive, layout, sample)
    if sample is None:
        target = dict.fromkeys(layout.label_columns, "")
        sample = pd.DataFrame({layout.id_column or "id": test["id"], **target}, dtype=str)
    else:
        check_same_ids(sample.iloc[:, 0], test["id"], layout)
        check_targets(sample, classes, task, layout)
    return Tables(train, test, sample, classes, notes)


def leave_out(found: Tables, ids: list[str], task: TaskName) -> Tables:
    """The tables without those training images.

    Raises:
        UserError: if no image is left, or only one class.
    """
    if not ids:
        return found
    train = found.train[~found.train["id"].isin(ids)].reset_index(drop=True)
    what = f"the training images without the {len(ids)} that cannot be used"
    if train.empty:
        raise UserError(f"{what}: none are left")
    classes = found.classes
    if task in ("binary", "multiclass", "ordinal") and set(found.sample.columns[1:]) != {*classes}:
        left = set(train["label"])
        classes = [name for name in classes if name in left]
    labels.check(train["label"], classes, task, what)
    return replace(found, train=train, classes=classes)


def summary(found: Tables, task: TaskName) -> str:
    """How much there is, in a line."""
    of = "" if task == "regression" else f" of {len(found.classes)} classes"
    if task == "multilabel":
        of = f" of {len(found.classes)} labels"
    return f"{len(found.train)} training images{of}, {len(found.test)} test images"


def _labelled(
    archive: Archive, layout: Prepare, task: TaskName, targets: list[str]
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """The training table, one row an image; the classes; and notes."""
    name = layout.train_csv or f"the folder {layout.train_images or '(all)'}"
    raw = _train(archive, layout)
    source = Source(name, raw["id"].tolist(), has_rows=layout.train_csv is not None)
    columns = raw[[f"label {column}" for column in layout.label_columns]]
    columns = columns.set_axis(layout.label_columns, axis=1)
    found = labels.read(columns, layout, task, source, targets=targets)
    train = raw[[column for column in ("id", "group") if column in raw]]
    train.insert(1, "label", pd.Series(found.texts, index=train.index, dtype=str))
    if layout.pixel_columns is not None:
        rows.check_unique(train["id"], name, "; prepare.id_column: null numbers the rows")
    long = task == "multilabel" and len(layout.label_columns) == 1
    join = (lambda texts: labels.union(texts, found.classes)) if long else None
    train, notes = rows.each_once(train, source, join)
    labels.check(train["label"], found.classes, task, name)
    return train, found.classes, [*notes, *_unseen(train, found.classes, task)]


def _train(archive: Archive, layout: Prepare) -> pd.DataFrame:
    """The training table as it is: id[, group], and of each label column `label <its name>`."""
    if layout.train_csv is None:
        return _files(archive, layout)
    columns = {f"label {column}": column for column in layout.label_columns}
    if layout.group_column is not None:
        columns["group"] = layout.group_column
    train = _columns(archive, layout.train_csv, "train_csv", columns, layout)
    for column in train.columns.difference(["id"]):
        empty = (train[column] == "").to_numpy().nonzero()[0].tolist()
        if empty and column == "group":
            at = Source(layout.train_csv, train["id"].tolist()).at(empty)
            raise UserError(f"{layout.train_csv}: {len(empty)} rows have no group: {at}")
        rows.check_lines(
            train[column], layout.train_csv, "labels" if column != "group" else "groups"
        )
    return train


def _files(archive: Archive, layout: Prepare) -> pd.DataFrame:
    """Labels that are folders, or stand in the files' names."""
    where = f"the archive's folder {layout.train_images or '(all)'}"
    found = images_below(archive.names, layout.train_images, besides=layout.test_images)
    if not found:
        raise UserError(f"{where} holds no images: name another in prepare.train_images")
    texts = [label_in(path, layout.label_pattern) for path in found]
    if loose := [path for path, text in zip(found, texts, strict=True) if text is None]:
        kind = "lie in no folder of a class"
        if layout.label_pattern is not None:
            kind = f"have no label in their name by prepare.label_pattern, {layout.label_pattern!r}"
        raise UserError(
            f"{len(loose)} of {len(found)} images in {where} {kind}: {examples(loose)}; name "
            "another in prepare.train_images, or a table of labels in prepare.train_csv"
        )
    if len(layout.label_columns) > 1:
        raise UserError(
            "prepare.label_column is a list, but each image has one label by its path: name one"
        )
    table = pd.DataFrame({"id": [*found]}, dtype=str)
    table[f"label {layout.label_columns[0]}"] = texts
    rows.check_ids(table, where)
    return table


def test_ids(archive: Archive, layout: Prepare, sample: pd.DataFrame | None) -> pd.DataFrame:
    """The ids of the test images."""
    name = layout.test_csv
    given = None if sample is None else sample.iloc[:, :1].set_axis(["id"], axis=1)
    if name is not None:
        test = _columns(archive, name, "test_csv", {}, layout)
        if given is None or layout.id_column is not None:
            rows.check_unique(test["id"], name)
            return test
        if len(given) != len(test):
            raise UserError(
                f"{layout.sample_submission} has {len(given)} rows, {name} has {len(test)}: "
                "prepare.id_column: null takes its ids in the order of the rows"
            )
        return given
    if given is not None:
        return given
    found = images_below(archive.names, layout.test_images, besides=layout.train_images)
    if not found:
        raise UserError(
            f"the archive's folder {layout.test_images or '(all)'} holds no images: name another "
            "in prepare.test_images, or a table of ids in prepare.test_csv"
        )
    test = pd.DataFrame({"id": [*found]}, dtype=str)
    rows.check_ids(test, layout.test_images)
    return test


def _find(archive: Archive, name: str, key: str) -> str:
    try:
        return archive.find(name)
    except UserError as error:
        raise UserError(f"{error}; prepare.{key} names it, or is null for none") from None


def _columns(
    archive: Archive, name: str, key: str, columns: dict[str, str], layout: Prepare
) -> pd.DataFrame:
    """The ids of a CSV, and those of its columns by their new names."""
    if layout.id_column is not None:
        columns = {"id": layout.id_column, **columns}
    elif layout.pixel_columns is None:
        raise UserError(f"prepare.id_column is null: name the column of {name} that has the ids")
    path = _find(archive, name, key)
    header = archive.header(path)
    if missing := [column for column in columns.values() if column not in header]:
        shown = header if len(header) <= 50 else [*header[:20], f"… ({len(header)} in all)"]
        hint = "; are its fields separated by , ; | or a tab?" if len(header) == 1 else ""
        raise UserError(
            f"{name} has no column {examples(missing)}; it has {', '.join(shown)}{hint}"
        )
    if layout.pixel_columns is not None:
        pixel_tables.columns(header, layout, name)
    wanted = [*columns.values()] or header[:1]
    table = archive.read_csv(path, wanted if layout.pixel_columns is not None else None)
    numbers = [str(number) for number in range(1, len(table) + 1)]
    table = pd.DataFrame({new: table[old] for new, old in columns.items()}, index=table.index)
    if "id" not in table:
        table.insert(0, "id", pd.Series(numbers, index=table.index, dtype=str))
    rows.check_ids(table, name)
    return table


def check_same_ids(sample: pd.Series, test: pd.Series, layout: Prepare) -> None:
    name = str(layout.sample_submission)
    rows.check_unique(sample, name)
    unknown, missing = set(sample) - set(test), set(test) - set(sample)
    if unknown or missing:
        raise UserError(
            f"the ids of {name} are not those of {layout.test_csv}: "
            f"{len(unknown)} only in the first ({examples(sorted(unknown)) or 'none'}), "
            f"{len(missing)} only in the second ({examples(sorted(missing)) or 'none'})"
        )


def check_targets(
    sample: pd.DataFrame, classes: list[str], task: TaskName, layout: Prepare
) -> None:
    """After the id, a sample submission has one column, or one a class."""
    columns = [str(name) for name in sample.columns]
    targets = columns[1:]
    if len(targets) == 1 or (task != "regression" and sorted(targets) == sorted(classes)):
        return
    each = "" if task == "regression" else f" or one column for each class: {examples(classes, 99)}"
    what = "number" if task == "regression" else "label"
    raise UserError(
        f"{layout.sample_submission} has the columns {examples(columns, 99)}: after the id it must "
        f"have one {what}{each}"
    )


def _unseen(train: pd.DataFrame, classes: list[str], task: TaskName) -> list[str]:
    """That classes of the submission have no image to learn from."""
    if task == "regression":
        return []
    seen = {label for text in train["label"].unique() for label in (text.split(labels.JOINT)
            if task == "multilabel" else [text])}  # fmt: skip
    unseen = [name for name in classes if name not in seen]
    return [f"{len(unseen)} classes have no training image: {examples(unseen)}"] if unseen else []
