"""Find the ids of the test images and their folder, and the images of ids."""

from collections.abc import Collection, Sequence

import pandas as pd

from podium.competition.text.names import NameIndex
from podium.core.errors import UserError, counted, examples
from podium.init import folders, id_columns, id_patterns, joined_ids
from podium.init.id_patterns import IdPattern
from podium.init.recorder import Recorder
from podium.init.roles import Roles
from podium.init.survey import Survey

MIN_PER_ID = 1.5  # images


def find_ids(record: Recorder, survey: Survey, tables: Roles, ids: str) -> pd.Series | None:
    """The ids of the test images: from the test table if it has the column `ids` and only ids of
    the sample submission, else from the latter; None if no table lists them.
    """
    test, submitted = tables.test, tables.sample_ids
    if test is None:
        return submitted
    if ids in test.columns:
        own = test.rows[ids]
        if submitted is None or "submission_id_column" in record.prepare:
            return own
        known = NameIndex(submitted, ignore_case=False)
        spelled = {known.find(value) or value for value in own}
        if spelled == {*submitted}:
            return own
        missing, others = len({*submitted} - spelled), len(spelled - {*submitted})
        reason = (
            f"lacks {counted(missing, 'id')} of the sample submission and has {others} "
            f"{'other' if others == 1 else 'others'}; the sample submission's ids are used"
        )
        record.drop("prepare.test_csv", reason, "likely")
        return submitted
    other = survey.id_columns[test.name]
    has_own_ids = tables.sample is None or "submission_id_column" in record.prepare
    if has_own_ids and other is not None:
        record.prepare["test_id_column"] = other.name
        record.note(f"{test.name}: the ids are in column {other.name}")
        return test.rows[other.name]
    record.drop("prepare.test_csv", id_columns.why_sample_ids(test, tables.sample, ids))
    return submitted


def read(
    record: Recorder,
    survey: Survey,
    ids: pd.Series | None,
    *,
    train_ids: Sequence[str] = (),
    classes: Collection[str] = (),
) -> None:
    """The folder of the test images with these `ids`; None: all images in the folder. `train_ids`
    are those of a training table, `classes` those of the training folder.
    """
    train = record.prepare["train_images"]
    if ids is None:
        record.take(folders.guess_unlisted(survey, train, classes))
        return
    train_images = images_of(record, survey, [*train_ids])
    known = _training_images(survey, train, train_images, classes)
    _check_single(record, survey, ids, known)
    images = images_of(record, survey, ids.tolist())
    has_sample = record.prepare.get("sample_submission") is not None
    hidden = folders.guess_hidden(images, train, survey, known) if has_sample else []
    levels = folders.depth(train_images, train, survey)
    for guess in hidden:
        is_folder = guess.value in survey.folders
        record.take(folders.like_train(guess, levels, train) if is_folder else guess)
    if hidden:
        return
    are_paths = "images" in record.prepare
    guess = folders.guess_folder("test", images, survey, are_paths=are_paths)
    missing_levels = levels - folders.depth(images, guess.value, survey)
    folder = record.take(folders.like_train(guess, max(0, missing_levels), train))
    if folder == train and (same := {*train_ids} & {*ids}):
        shared = counted(len(same), "test id", "is")
        record.doubt("prepare.test_images", f"{shared} in the training table, too")
        record.note(
            f"{counted(len(same), 'test id')} in the training table, too: "
            f"{examples(sorted(same), 3)}"
        )


def _training_images(
    survey: Survey, train: str, images: Sequence[str], classes: Collection[str]
) -> set[str]:
    """The files in the folder `train` of the training images: those of the ids `images`, or with
    `classes`, those directly in it, or in a folder of a class.
    """
    inside = f"{train}/" if train else ""
    found = {name for image in images for name in survey.index.find(image)}
    if classes:
        first = ((name, name.removeprefix(inside).split("/")) for name in survey.images)
        found |= {name for name, parts in first if len(parts) == 1 or parts[0] in classes}
    return {name for name in found if name.startswith(inside)}


def _check_single(record: Recorder, survey: Survey, ids: pd.Series, known: set[str]) -> None:
    """Check that `ids`, if they are those of images, are not parts of the names of several each,
    other than the training images `known`.

    Raises:
        UserError: if they are.
    """
    if "images" in record.prepare or any(survey.index.find(image) for image in ids):
        return
    others = [name for name in survey.images if name not in known]
    found = id_patterns.find(pd.DataFrame({"id": ids}), id_patterns.index(others))
    if found is None or found.per_id < MIN_PER_ID:
        return
    tails = id_patterns.tails(ids, others, found.pattern)
    image, names = next((image, names) for image, names in tails.items() if len(names) > 1)
    raise UserError(
        f"the submission's ids have several images each ({image}: {examples(names, 3)}), but the "
        "training labels are those of single images. Write a train.csv with a row for each id and "
        "its label, named like the columns of the sample submission, instead."
    )


def use_pattern(record: Recorder, survey: Survey, tables: Roles, found: IdPattern) -> None:
    """Record that ids have several images, or images that are named after other columns.

    Raises:
        UserError: if the test table lacks one of these columns.
    """
    assert tables.train is not None
    columns = None if tables.test is None else tables.test.columns
    joined_ids.check_test(found, tables.train.name, columns)
    record.prepare["images"] = found.pattern
    of_tables = [table.rows for table in survey.tables]
    record.names = joined_ids.names_of(of_tables, found.column, found.pattern)


def images_of(record: Recorder, survey: Survey, ids: list[str]) -> list[str]:
    """The image ids for `ids`: the images that match the pattern, if there is one (else, or for an
    id without images, the id itself, or what columns name).
    """
    if (pattern := record.prepare.get("images")) is None:
        return ids
    ids = record.named(ids)
    tails = id_patterns.tails(ids, survey.images, pattern)
    return [image for value in ids for image in tails.get(value, [value])]
