"""The user's lists of images: training images to exclude, and sets of near-duplicates."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from podium.config.prepare import Prepare
from podium.core import csvs, paths
from podium.core.errors import UserError, counted, examples

EXCLUDED, SETS = "prepare.exclude", "prepare.near_duplicates"
PARTS = ("train", "test")


def check(layout: Prepare) -> None:
    """Check that the files exist and have the required columns.

    Raises:
        UserError: if not, or if they are outside custom/lists.
    """
    excluded(layout)
    near_duplicates(layout)


def excluded(layout: Prepare) -> list[str]:
    """The ids of the training images to exclude. Raises UserError like `check`."""
    return [] if layout.exclude is None else _read(layout.exclude, EXCLUDED, ["id"])["id"].tolist()


def near_duplicates(layout: Prepare) -> pd.DataFrame:
    """The sets of near-duplicates: set, part, id. Raises UserError like `check`."""
    columns = ["set", "part", "id"]
    if layout.near_duplicates is None:
        return pd.DataFrame(columns=columns, dtype=str)
    table = _read(layout.near_duplicates, SETS, columns)
    if unknown := sorted(set(table["part"]) - set(PARTS)):
        raise UserError(
            f"{SETS}: {layout.near_duplicates} has the parts {examples(unknown)}. Write train or "
            "test."
        )
    return table


def check_known(ids: Mapping[str, list[str]], layout: Prepare) -> None:
    """Check that the listed images exist, among `ids` by part.

    Raises:
        UserError: if not.
    """
    _check_ids(EXCLUDED, layout.exclude, "train", excluded(layout), ids)
    listed = near_duplicates(layout)
    for part in PARTS:
        named = listed.loc[listed["part"] == part, "id"].tolist()
        _check_ids(SETS, layout.near_duplicates, part, named, ids)


def _check_ids(
    key: str, name: str | None, part: str, named: list[str], ids: Mapping[str, list[str]]
) -> None:
    known = set(ids[part])
    if unknown := [image for image in named if image not in known]:
        what = {"train": "training", "test": "test"}[part]
        raise UserError(
            f"{key}: {name} has {counted(len(unknown), 'id')} of no {what} image: "
            f"{examples(unknown)}. Write them as in data/{part}.csv."
        )


def _read(name: str, key: str, columns: list[str]) -> pd.DataFrame:
    if not Path(name).resolve().is_relative_to(paths.LISTS.resolve()):
        raise UserError(
            f"{key}: {name} is not in {paths.LISTS}/, so `dvc repro` would not notice edits. Copy "
            f"it there and set {key}: {paths.LISTS / Path(name).name}."
        )
    table = csvs.read(Path(name))
    if missing := [column for column in columns if column not in table]:
        raise UserError(f"{key}: {name} has no column {', '.join(missing)}. Add it.")
    return table[columns]
