"""The classes of a task: their order, and whether there is something to learn."""

from collections.abc import Iterable

import pandas as pd

from podium.competition.text.names import natural_order
from podium.config.tasks import TaskName
from podium.core.errors import UserError, counted, examples
from podium.scoring.task import LABEL_SEPARATOR


def union(texts: Iterable[str], classes: list[str]) -> str:
    """The label of an image from several rows: all their classes, in the order of `classes`."""
    present = {label for text in texts for label in text.split(LABEL_SEPARATOR) if label}
    return LABEL_SEPARATOR.join(label for label in classes if label in present)


def in_order(labels: Iterable[str], columns: list[str]) -> list[str]:
    """Order the classes like `columns`, if these are the same names; else numbers by value, and
    names by the numbers in them (class_2 before class_10).
    """
    classes = sorted(labels, key=natural_order)
    return columns if sorted(columns, key=natural_order) == classes else classes


def check(
    texts: pd.Series, classes: list[str], task: TaskName, name: str, fix: str | None = None
) -> None:
    """Check that the labels `texts` of the table `name` differ. `fix` says what to do if not, where
    that is known.

    Raises:
        UserError: if all are the same, or a binary task does not have two classes.
    """
    is_number = task == "regression" and len(classes) == 1
    different = texts.astype(float) if is_number else texts
    if different.nunique() < 2:
        found = (
            "all labels are " + repr(texts.iloc[0]) if len(texts) else "there are no other labels"
        )
        usual = "Add images of other classes, or set prepare.label_column to another column."
        raise UserError(f"{name}: {found}. {fix or usual}")
    if task == "binary" and len(classes) != 2:
        raise UserError(
            f"{name}: task: binary requires 2 classes, not {len(classes)}: {examples(classes)}. "
            f"{fix or 'Set task: multiclass.'}"
        )


def without_images(train: pd.DataFrame, classes: list[str], task: TaskName) -> list[str]:
    """A warning about classes of the submission without a training image."""
    if task in ("regression", "multitarget"):
        return []
    labeled = set(train["label"])
    if task == "multilabel":
        labeled = set(LABEL_SEPARATOR.join(labeled).split(LABEL_SEPARATOR))
    missing = [name for name in classes if name not in labeled]
    warning = f"{counted(len(missing), 'class', 'has')} no training image: {examples(missing)}"
    return [warning] if missing else []
