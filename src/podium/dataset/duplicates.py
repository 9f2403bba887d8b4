"""Images with the same pixels: find them, group them for the folds, and report them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from podium.core.errors import examples


def find(checksums: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Find the images with the same pixels as another, at least one of them a training image.

    Args:
        checksums: the checksums of the pixels, by "train" or "test", and id.

    Returns:
        part ("train" or "test"), id, pixels (the checksum); images of a set are adjacent.
    """
    rows = [
        (part, image, checksum)
        for part, by_id in checksums.items()
        for image, checksum in by_id.items()
    ]
    table = pd.DataFrame(rows, columns=["part", "id", "pixels"], dtype=str)
    in_train = table.loc[table["part"] == "train", "pixels"]
    table = table[table["pixels"].duplicated(keep=False) & table["pixels"].isin(in_train)]
    return table.sort_values(["pixels", "part", "id"], ascending=[True, False, True])


def first_of_set(ids: pd.Series, duplicates: pd.DataFrame) -> pd.Series:
    """Per training image, the first of `ids` [N] with the same pixels (usually its own)."""
    train = duplicates[duplicates["part"] == "train"]
    pixels = ids.map(train.set_index("id")["pixels"])
    return ids.groupby(pixels).transform("first").fillna(ids)


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
        how: `folds.duplicates`, "group" or "ignore".
    """
    train, test = (duplicates[duplicates["part"] == part] for part in ("train", "test"))
    first = dict(zip(train["pixels"][::-1], train["id"][::-1], strict=True))
    train = train[train["pixels"].duplicated(keep=False)].merge(folds, on="id")
    sets, lines = train.groupby("pixels", sort=False), []
    if sets.ngroups:
        effect = f"each stays in one fold; {crossing} would cross folds otherwise"
        if how == "ignore":
            effect = (
                f"{crossing} cross folds, which inflates the validation scores. Set "
                "folds.duplicates: group to keep each in one fold"
            )
        lines = [f"{sets.ngroups} sets of identical training images ({len(train)}): {effect}"]
    differ = [images for _, images in sets if images["label"].nunique() > 1]
    if differ:
        shown = [
            " = ".join(f"{row.id} ({row.label})" for row in images.itertuples())
            for images in differ
        ]
        lines.append(
            f"warning: {len(differ)} sets of identical training images have different labels: "
            f"{examples(shown)}. Fix the labels, or remove the images"
        )
    if len(test):
        shown = [f"{row.id} = {first[row.pixels]}" for row in test.itertuples()]
        lines.append(f"{len(test)} test images are identical to training images: {examples(shown)}")
    return lines
