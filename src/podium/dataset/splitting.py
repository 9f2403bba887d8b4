"""Stratified folds, on scikit-learn."""

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from podium.core import seeding
from podium.core.errors import UserError, examples, nearest
from podium.scoring.task import LABEL_SEPARATOR, Task

BINS = 10  # of numbers, for folds with equal shares of each


def make_folds(
    train: pd.DataFrame,
    task: Task,
    *,
    count: int,
    seed: int,
    subsample: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Put each training image into one of `count` folds: id, label, fold, in the order of ids.
    With `subsample`, also train: "yes", but "no" for the images of a class beyond its share.

    Folds hold the classes in equal shares as far as that goes, of numbers their tenths, of several
    labels an image each of them (iterative stratification, by the package of that name); the images
    of one `group` (where the table has that column) stay in one fold. The order of rows plays no
    part.

    Raises:
        UserError: if there are fewer images, or groups, than folds, or for a class in `subsample`
            that
            is not there.
    """
    train = train.sort_values("id", ignore_index=True)
    strata = _strata(train["label"], task, grouped="group" in train, count=count)
    if task.name != "regression":
        _warn_of_rare_classes(train["label"], task, count)
    groups = train.get("group")
    units = len(train) if groups is None else groups.nunique()
    if units < count:
        what = "images" if groups is None else "groups"
        raise UserError(f"folds.count is {count}, but there are only {units} {what}")
    splitter = _splitter(strata, grouped=groups is not None, count=count, seed=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")  # said above
        for fold, (_, valid) in enumerate(splitter.split(train, strata, groups)):
            train.loc[valid, "fold"] = fold
    if empty := set(range(count)) - set(train["fold"].astype(int)):
        raise UserError(f"the groups do not fill {count} folds: fold {min(empty)} stays empty")
    folds = train[["id", "label", "fold"]].astype({"fold": int})
    return _thin_out(folds, subsample, seed) if subsample else folds


def _thin_out(folds: pd.DataFrame, subsample: Mapping[str, float], seed: int) -> pd.DataFrame:
    """Take training images from classes, in each fold its share, so that any training set lacks
    as many. Of a class with a share, at least one image a fold stays.
    """
    labels = set(folds["label"])
    for name in subsample:
        if name not in labels:
            hint = nearest(name, labels) or f"; they are {examples(sorted(labels))}"
            raise UserError(f"folds.subsample: no class is called {name}{hint}")
    kept = pd.Series("yes", folds.index)
    for label, share in subsample.items():
        for fold in folds["fold"].unique():
            rows = folds.index[(folds["label"] == label) & (folds["fold"] == fold)]
            order = seeding.generator(seed, "keep", label, fold).permutation(rows)
            count = max(1, round(share * len(rows))) if share else 0
            kept[order[count:]] = "no"
    return folds.assign(train=kept)


def _strata(labels: pd.Series, task: Task, *, grouped: bool, count: int) -> np.ndarray:
    """What folds are to have equal shares of: labels [N], bins of numbers [N], or the labels of an
    image as 0 and 1 [N, C].
    """
    if task.name == "multilabel" and not grouped:
        return task.targets(labels.tolist())
    if task.name != "regression":  # of several labels in groups: each combination
        return labels.to_numpy()
    ranks = labels.astype(float).rank(method="dense").to_numpy()  # the same number, the same bin
    bins = max(1, min(BINS, len(labels) // count))
    return np.ceil(ranks / ranks.max() * bins).astype(int)


def _splitter(
    strata: np.ndarray, *, grouped: bool, count: int, seed: int
) -> KFold | GroupKFold | StratifiedKFold | StratifiedGroupKFold | MultilabelStratifiedKFold:
    if strata.ndim > 1:
        return MultilabelStratifiedKFold(count, shuffle=True, random_state=seed)
    # scikit-learn cannot stratify where all are rare.
    all_rare = np.unique(strata, return_counts=True)[1].max() < count
    if grouped:
        kind = GroupKFold if all_rare else StratifiedGroupKFold
    else:
        kind = KFold if all_rare else StratifiedKFold
    return kind(count, shuffle=True, random_state=seed)


def _warn_of_rare_classes(labels: pd.Series, task: Task, count: int) -> None:
    if task.name == "multilabel":
        labels = labels[labels != ""].str.split(LABEL_SEPARATOR).explode()
    sizes = labels.value_counts().sort_index()
    if rare := [f"{label} ({size})" for label, size in sizes.items() if size < count]:
        print(
            f"warning: {len(rare)} classes have fewer images than the {count} folds, so some folds "
            f"are validated without them: {examples(rare)}"
        )
