"""Duplicates: find images with the same pixels, group them for the folds, and report them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from podium.core.errors import counted, examples


def find(
    checksums: Mapping[str, Mapping[str, str]], listed: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Find sets of images with the same pixels, or in the same listed set, that contain a training
    image.

    Args:
        checksums: the checksums of the pixels, by "train" or "test", and id.
        listed: further sets of duplicates: set, part, id. Sets that share an image are merged.

    Returns:
        part ("train" or "test"), id, pixels (the checksum), set (the first checksum in it); images
        of a set are adjacent.
    """
    rows = [
        (part, image, checksum)
        for part, by_id in checksums.items()
        for image, checksum in by_id.items()
    ]
    table = pd.DataFrame(rows, columns=["part", "id", "pixels"], dtype=str)
    table["set"] = table["pixels"]
    if listed is not None and len(listed):
        table["set"] = _joined(table, listed)
    in_train = table.loc[table["part"] == "train", "set"]
    table = table[table["set"].duplicated(keep=False) & table["set"].isin(in_train)]
    return table.sort_values(["set", "part", "id"], ascending=[True, False, True])


def _joined(table: pd.DataFrame, listed: pd.DataFrame) -> pd.Series:
    """The set of each image, after merging images with the same pixels and listed sets."""
    sets = listed.merge(table, on=["part", "id"])  # a listed image may be unusable
    codes, names = pd.factorize(table["pixels"], sort=True)
    own = pd.Index(names).get_indexer(sets["pixels"])
    first = sets.assign(own=own).groupby("set_x")["own"].transform("first").to_numpy()
    shape = (len(names), len(names))
    _, components = connected_components(
        coo_array((np.ones(len(own)), (own, first)), shape=shape), directed=False
    )
    joined = pd.Series(names).groupby(components).transform("first")
    return pd.Series(joined.to_numpy()[codes], table.index)


def redundant(train: pd.DataFrame, duplicates: pd.DataFrame) -> list[str]:
    """The training images to drop so that only the first of each set is left, or none if their
    labels differ. `train` has the columns id and label.
    """
    known = duplicates[duplicates["part"] == "train"].merge(train[["id", "label"]], on="id")
    differ = known.groupby("set")["label"].transform("nunique") > 1
    ids: list[str] = known.loc[differ | known["set"].duplicated(), "id"].tolist()
    return ids


def without(duplicates: pd.DataFrame, ids: list[str]) -> pd.DataFrame:
    """Drop the training images `ids`, and then sets without a training image or with one image."""
    left = duplicates[(duplicates["part"] == "test") | ~duplicates["id"].isin(ids)]
    in_train = left.loc[left["part"] == "train", "set"]
    return left[left["set"].duplicated(keep=False) & left["set"].isin(in_train)]


def first_of_set(ids: pd.Series, duplicates: pd.DataFrame) -> pd.Series:
    """Per training image, the first of `ids` [N] in the same set (usually its own)."""
    train = duplicates[duplicates["part"] == "train"]
    sets = ids.map(train.set_index("id")["set"])
    return ids.groupby(sets).transform("first").fillna(ids)


def merge_groups(train: pd.DataFrame, first: pd.Series) -> pd.Series:
    """The groups [N] of the training images; groups that share a set of duplicates are merged.

    Args:
        train: with the columns id and group.
        first: as `first_of_set` returns it for the ids.
    """
    codes, names = pd.factorize(train["group"], sort=True)
    other = codes[pd.Index(train["id"]).get_indexer(first)]
    graph = coo_array((np.ones(len(codes)), (codes, other)), shape=(len(names), len(names)))
    _, components = connected_components(graph, directed=False)
    # Each component is named after its first group.
    merged = pd.Series(names).groupby(components).transform("first")
    return pd.Series(merged.to_numpy()[codes], train.index)


def crossing(folds: pd.DataFrame, duplicates: pd.DataFrame) -> int:
    """The number of sets of `duplicates` that are in more than one fold of `folds` (id, fold)."""
    first = first_of_set(folds["id"], duplicates)
    return int((folds.groupby(first)["fold"].nunique() > 1).sum())


def describe(
    folds: pd.DataFrame, duplicates: pd.DataFrame, *, crossing: int, how: str
) -> list[str]:
    """Describe the duplicates, one line per problem.

    Args:
        folds: id, label and fold of each training image.
        duplicates: as `find` returns them.
        crossing: the number of sets that cross folds if they are not grouped.
        how: `prepare.duplicates`.
    """
    train, test = (duplicates[duplicates["part"] == part] for part in ("train", "test"))
    first = dict(zip(train["set"][::-1], train["id"][::-1], strict=True))
    train = train[train["set"].duplicated(keep=False)].merge(folds, on="id")
    sets, lines = train.groupby("set", sort=False), []
    if sets.ngroups:
        effect = f"each stays in one fold; {crossing} would cross folds otherwise"
        if how == "keep":
            effect = (
                f"{crossing} cross folds, which inflates the validation scores. Set "
                "prepare.duplicates: group to keep each in one fold"
            )
        lines = [
            f"{counted(sets.ngroups, 'set')} of duplicate training images ({len(train)}): {effect}"
        ]
    differ = [images for _, images in sets if images["label"].nunique() > 1]
    if differ:
        shown = [
            " = ".join(f"{row.id} ({row.label})" for row in images.itertuples())
            for images in differ
        ]
        lines.append(
            f"warning: {counted(len(differ), 'set')} of duplicate training images with "
            "different labels: "
            f"{examples(shown)}. Fix the labels, or remove the images"
        )
    if len(test):
        shown = [f"{row.id} = {first[row.set]}" for row in test.itertuples()]
        lines.append(
            f"{counted(len(test), 'copy')} of training images in the test set: {examples(shown)}"
        )
    return lines
