"""Drop training images that the user excludes, and duplicates."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from podium.config.prepare import Prepare
from podium.config.tasks import TaskName
from podium.core.errors import counted, examples
from podium.dataset import duplicates, listed, tables
from podium.dataset.tables import Tables


class Choice(NamedTuple):
    """The tables of the remaining images."""

    tables: Tables
    duplicates: pd.DataFrame  # see `duplicates.find`
    lines: Sequence[str]  # to print: what was dropped


def choose(
    read: Tables, layout: Prepare, task: TaskName, checksums: Mapping[str, Mapping[str, str]]
) -> Choice:
    """Drop training images according to `prepare.exclude` and `prepare.duplicates`, and find the
    duplicates among the others.

    Args:
        checksums: of the pixels, by part and id.

    Raises:
        UserError: if no image is left, or only one class.
    """
    lines, classes = list[str](), read.classes
    sets = duplicates.find(checksums, listed.near_duplicates(layout))
    if excluded := set(listed.excluded(layout)):
        left_out = [image for image in read.train["id"] if image in excluded]
        fix = f"Remove some of them from {layout.exclude}."
        read = tables.drop(read, left_out, task, "excluded image", fix)
        sets = duplicates.without(sets, left_out)
        lines.append(
            f"{counted(len(left_out), 'training image', 'is')} excluded "
            "(prepare.exclude), from validation, "
            "too: out-of-fold scores are not comparable with those before"
        )
    if layout.duplicates == "drop":
        left_out = duplicates.redundant(read.train, sets)
        fix = "Set prepare.duplicates: group to keep them in one fold."
        read = tables.drop(read, left_out, task, "duplicate", fix)
        sets = duplicates.without(sets, left_out)
        lines.append(f"dropped {counted(len(left_out), 'duplicate')} (prepare.duplicates: drop)")
    if lost := [name for name in classes if name not in read.classes]:
        lines.append(
            f"{counted(len(lost), 'class', 'has')} no training image left: {examples(lost)}"
        )
    return Choice(read, sets, lines)
