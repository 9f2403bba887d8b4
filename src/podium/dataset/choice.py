"""Which training images are used: without those that the user excludes, and duplicates."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from podium.config.prepare import Prepare
from podium.config.tasks import TaskName
from podium.dataset import duplicates, listed, tables
from podium.dataset.tables import Tables


class Choice(NamedTuple):
    """The tables with the images that are used."""

    tables: Tables
    duplicates: pd.DataFrame  # as `duplicates.find`
    lines: Sequence[str]  # about what is left out


def choose(
    read: Tables, layout: Prepare, task: TaskName, checksums: Mapping[str, Mapping[str, str]]
) -> Choice:
    """Leave out what `prepare.exclude` and `prepare.duplicates` say, and find the duplicates among
    the others.

    Args:
        checksums: of the pixels, by part and id.

    Raises:
        UserError: if no image is left, or only one class.
    """
    lines = []
    sets = duplicates.find(checksums, listed.near_duplicates(layout))
    if excluded := set(listed.excluded(layout)):
        left_out = [image for image in read.train["id"] if image in excluded]
        read = tables.drop(read, left_out, task, "images of prepare.exclude")
        sets = duplicates.without(sets, left_out)
        lines.append(
            f"{len(left_out)} training images are left out (prepare.exclude), from validation, "
            "too: out-of-fold scores are not comparable with those before"
        )
    if layout.duplicates == "drop":
        left_out = duplicates.redundant(read.train, sets)
        read = tables.drop(read, left_out, task, "duplicates")
        sets = duplicates.without(sets, left_out)
        lines.append(f"{len(left_out)} duplicates are left out (prepare.duplicates: drop)")
    return Choice(read, sets, lines)
