"""Read the test ids and the sample submission; no labels are needed."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from podium.competition.archive import Archive
from podium.competition.text.names import NameIndex, nfc
from podium.config.prepare import Prepare
from podium.config.tasks import TaskName
from podium.core.errors import UserError, counted, examples
from podium.dataset import rows, stacks, submission_file, submission_rows, units
from podium.dataset.image_files import image_names, images_below, shown
from podium.dataset.submission_file import SubmissionFile
from podium.dataset.table_columns import find, read_columns
from podium.scoring.task import Task


class Sample(NamedTuple):
    """A sample submission."""

    rows: pd.DataFrame  # as in the file
    file: SubmissionFile
    wide: pd.DataFrame  # one row per image, see `SubmissionFile.wide`


def read(archive: Archive, layout: Prepare, classes: Sequence[str] | None = None) -> Sample | None:
    """Read the sample submission; None if `layout` has none.

    `classes`: for a file with one row per image and label; None: inferred.

    Raises:
        UserError: if it has no rows, rows without an id, duplicate ids, or not the columns that
            `layout` names; and as `submission_rows.read`.
    """
    name = layout.sample_submission
    if name is None:
        return None
    table = archive.read_csv(find(archive, name, "sample_submission"), own_names=True)
    file = _file(archive, layout, name)
    ids = table.iloc[:, [file.id_place]].set_axis(["id"], axis=1)
    rows.check_ids(ids, name)
    if table.shape[1] == 1 and ids["id"].duplicated().any():
        raise UserError(
            f"{name} has one column, {table.columns[0]}, with repeated values: it lacks ids or a "
            "header. Add both, or set prepare.sample_submission: null."
        )
    rows.check_unique(ids["id"], name)
    about = submission_rows.read(archive, layout, file.predicted(table), classes)
    file = file._replace(rows=about)
    return Sample(table, file, file.wide(table, classes))


def _file(archive: Archive, layout: Prepare, name: str) -> SubmissionFile:
    path = find(archive, name, "sample_submission")
    header = [nfc(column) for column in archive.header(path)]
    own_header = [nfc(column) for column in archive.header(path, own_names=True)]

    def place(column: str, key: str) -> int:
        for names in (own_header, header):
            if nfc(column) in names:
                return names.index(nfc(column))
        raise UserError(f"{name} has no column {column}; it has {', '.join(header)}. Fix {key}.")

    copied = [place(column, "prepare.copied_columns") for column in layout.copied_columns]
    ids = next((n for n in range(len(header)) if n not in copied), 0)
    if layout.sample_id_column is not None:
        ids = place(layout.sample_id_column, "prepare.sample_id_column")
    return SubmissionFile(ids, copied)


def read_test(
    archive: Archive, layout: Prepare, sample: pd.DataFrame | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the test ids: `id`, and `unit` if several images share a row of the submission. Without
    a `sample`, make one with empty cells. Returns both.

    Raises:
        UserError: for missing columns, a table without rows, and ids that differ from the sample's.
    """
    if layout.hidden_test and sample is not None:
        return pd.DataFrame({"id": []}, dtype=str), sample
    test = _test_ids(archive, layout, sample)
    key = "unit" if "unit" in test else "id"
    if sample is None:
        empty = dict.fromkeys(layout.label_columns, "")
        sample = pd.DataFrame({"": test[key].drop_duplicates(), **empty}, dtype=str)
        sample = sample.set_axis([_id_name(archive, layout), *empty], axis=1)
    else:
        test = _spell_like_sample(test, key, sample.iloc[:, 0], layout)
    folder, exclude = layout.test_images, layout.train_images
    return units.of_images(test, archive, layout, folder=folder, exclude=exclude), sample


def check_targets(sample: pd.DataFrame, task: Task, layout: Prepare) -> None:
    """Check that the sample submission has, after the id, one column, or one per class or target.

    Raises:
        UserError: if not.
    """
    columns = [str(name) for name in sample.columns]
    targets, classes = columns[1:], task.submitted_names
    if task.parts:
        targets = submission_file.targets_of(targets)
    has_targets = task.name in ("regression", "multitarget")
    noun = "targets" if has_targets else "classes"
    is_one = len(targets) == 1 and (not has_targets or len(classes) == 1)
    if is_one or sorted(targets) == sorted(classes):
        return
    if (not has_targets or len(classes) > 1) and set(targets) & set(classes):
        different = {
            f"columns that are not {noun} of the training images": sorted({*targets} - {*classes}),
            f"no columns for the {noun}": sorted({*classes} - {*targets}),
            "columns with the same name": sorted({t for t in targets if targets.count(t) > 1}),
        }
        found = [f"{what}: {examples(names)}" for what, names in different.items() if names]
        raise UserError(f"{layout.sample_submission} has {', and '.join(found)}. Fix it.")
    expected = "number"
    if len(classes) > 1:
        expected = f"column per target: {examples(classes)}"
    if not has_targets:
        expected = f"label or one column per class: {examples(classes)}"
    raise UserError(
        f"{layout.sample_submission} has the columns {examples(columns)}, but Podium would predict "
        f"one {expected}. If the labels are others, set prepare.label_column or task; if the "
        "columns are of different kinds, use a sample submission with one of them."
    )


def other_positive(sample: pd.DataFrame, classes: list[str], task: TaskName) -> list[str]:
    """A warning if the sample submission's only column is named after the negative class."""
    target = str(sample.columns[1]) if sample.shape[1] == 2 else ""
    if task != "binary" or target != classes[0]:
        return []
    return [
        f"the submission contains the probability of {target}, after which the sample submission's "
        f"column is named, but the positive class is {classes[1]}. Set prepare.positive_class: "
        f"{target}"
    ]


def _id_name(archive: Archive, layout: Prepare) -> str:
    """The name of the id column in the test table: "" for what pandas calls "Unnamed: 0"."""
    ids = layout.submission_id_column or layout.test_id_column or layout.id_column
    if ids is None or layout.test_csv is None:
        return ids or "id"
    path = archive.find(layout.test_csv)
    names, own_names = archive.header(path), archive.header(path, own_names=True)
    return dict(zip(names, own_names, strict=True)).get(ids, ids)


def _test_ids(archive: Archive, layout: Prepare, sample: pd.DataFrame | None) -> pd.DataFrame:
    """The ids of the test images."""
    name = layout.test_csv
    sample_ids = None if sample is None else sample.iloc[:, :1].set_axis(["id"], axis=1)
    if name is not None:
        column = layout.submission_id_column
        columns = units.name_columns(layout) if column is None else {"unit": column}
        test = units.join_names(read_columns(archive, name, "test_csv", columns, layout), layout)
        if layout.id_label_separator is not None:  # it may have a row per label, too
            test = test.drop_duplicates(ignore_index=True)
        if sample_ids is None or (layout.test_id_column or layout.id_column) is not None:
            rows.check_unique(test["id"], name)
            return test
        if len(sample_ids) != len(test):
            raise UserError(
                f"{layout.sample_submission} has {counted(len(sample_ids), 'row')}, but {name} has "
                f"{len(test)}. With prepare.id_column: null both must have the same images in the "
                "same order."
            )
        return sample_ids
    if sample_ids is not None:
        return sample_ids
    files = images_below(image_names(archive), layout.test_images, exclude=layout.train_images)
    if not files:
        raise UserError(
            f"{shown(layout.test_images)} contains no images. Set prepare.test_images to another "
            "folder, or prepare.test_csv to a table of ids."
        )
    ids = [*files] if layout.stack is None else stacks.ids(files, layout)
    test = pd.DataFrame({"id": ids}, dtype=str)
    rows.check_ids(test, shown(layout.test_images))
    return test


def _spell_like_sample(
    test: pd.DataFrame, key: str, sample: pd.Series, layout: Prepare
) -> pd.DataFrame:
    """The test ids, in the column `key`, as the sample submission spells them.

    Raises:
        UserError: if the two do not have the same ids. The sample submission need not have rows of
            `lookup_csv` for each image.
    """
    names = NameIndex(sample, ignore_case=False)
    test = test.assign(**{key: [names.find(image) or image for image in test[key]]})
    extra, missing = set(sample) - set(test[key]), set(test[key]) - set(sample)
    if extra or (missing and layout.lookup_csv is None):
        raise UserError(
            f"{layout.sample_submission} and {layout.test_csv} have different ids: "
            f"{len(extra)} only in the first ({examples(sorted(extra)) or 'none'}), "
            f"{len(missing)} only in the second ({examples(sorted(missing)) or 'none'}). Give both "
            "the same ids."
        )
    return test
