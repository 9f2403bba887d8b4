"""Find ids without images, and rows whose image cell is empty."""

from collections.abc import Sequence

import pandas as pd

from podium.core.errors import counted, examples
from podium.dataset.rows import name_blank
from podium.init import folders, test_set
from podium.init.folders import ON_BAD_IMAGE
from podium.init.guesses import Confidence, Guess
from podium.init.recorder import Recorder
from podium.init.roles import Roles
from podium.init.survey import Survey, Table


def read(
    record: Recorder,
    survey: Survey,
    tables: Roles,
    images: Sequence[str],
    test_ids: pd.Series | None,
) -> None:
    """Record what to do about missing images, if there are any: of `images` in the training table,
    and of the `test_ids`.
    """
    prepare = record.prepare
    train = folders.missing(images, prepare["train_images"], survey)
    test = _missing_tests(record, survey, test_ids)
    submitted = prepare.get("submission_id_column")
    if tables.train is not None:
        train += _without_image(tables.train, prepare["id_column"], submitted)
    if tables.test is not None and submitted is not None:
        ids = prepare.get("test_id_column") or prepare["id_column"]
        test += _without_image(tables.test, ids, submitted)
    if train or test:
        record.take(guess(train, test))


def guess(train: Sequence[str], test: Sequence[str]) -> Guess:
    """What to do about missing training and test images. The submission needs a prediction for each
    of the latter, so they cannot be skipped.
    """
    found = [
        f"{counted(len(ids), f'{part} image', 'is')} missing: {examples(ids, 3)}"
        for part, ids in (("training", train), ("test", test))
        if ids
    ]
    value = "blank" if test else "skip" if train else "error"
    reason = "; ".join(found) + ("; blank: black images in their place" if test else "")
    confidence: Confidence = "guess" if found else "certain"
    possible = ("error", "blank") if test else ("error", "skip", "blank")
    others = tuple(choice for choice in possible if choice != value)
    return Guess(ON_BAD_IMAGE, value, confidence, reason or "no image is missing", others)


def _without_image(table: Table, ids: str, submitted: str | None) -> list[str]:
    """The rows whose cell in the id column is empty, as the stage prepare names them."""
    row_ids = table.rows[submitted] if submitted in table.columns else None
    blank = table.rows[ids].str.strip() == ""
    return name_blank(table.rows[ids], row_ids, table.name)[blank].tolist()


def _missing_tests(record: Recorder, survey: Survey, ids: pd.Series | None) -> list[str]:
    """The `ids` without a test image, if ids may have any number of images, unless most have none
    or Kaggle adds them. If each id is a file, a missing one is an error.
    """
    if ids is None or "images" not in record.prepare or record.prepare.get("hidden_test"):
        return []
    images = test_set.images_of(record, survey, ids.tolist())
    found = folders.missing(images, record.prepare["test_images"], survey)
    return found if 2 * len(found) < len(images) else []
