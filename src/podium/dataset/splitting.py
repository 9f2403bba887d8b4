"""Split the training images into stratified folds, by scikit-learn."""

import warnings
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from podium.competition.text.names import find_class
from podium.core import seeding
from podium.core.errors import UserError, counted, examples
from podium.dataset.duplicates import first_of_set, merge_groups
from podium.scoring.task import LABEL_SEPARATOR, Target, Task

MAX_BINS = 10  # regression is stratified by bins of the target
STRATA = Task("multiclass", [])  # of rows whose labels are strata


def make_folds(
    train: pd.DataFrame,
    task: Task,
    *,
    count: int,
    seed: int,
    duplicates: pd.DataFrame | None = None,
    subsample: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Assign each training image to one of `count` folds: id, label, fold, sorted by id. With
    `subsample`, the column train is "no" for the images that are not trained on, else "yes".

    Folds are stratified by class, by bins of the target (regression), or by each label (multilabel,
    and classes and bins of several targets: iterative stratification). The images of one `group` or
    `unit` (if the table has these columns) stay in one fold, and so do `duplicates` (see
    `duplicates.find`); a unit counts once, however many images it has. The order of rows has no
    effect.

    Raises:
        UserError: if there are fewer images, or groups, than folds, or for an unknown class in
            `subsample`.
    """
    train = _with_units_grouped(train.sort_values("id", ignore_index=True))
    first = train["id"]
    if duplicates is not None:
        first = first_of_set(train["id"], duplicates)
    rows, keys = train[train["id"] == first].reset_index(drop=True), first  # one image per set
    if "group" in train:
        rows = train.assign(group=merge_groups(train, first))
    if "unit" in train:  # which have one label, and are scored
        rows, keys = rows.drop_duplicates("unit", ignore_index=True), train["unit"]
    split = _split(rows, task, count=count, seed=seed)
    fold_of = dict(zip(rows["unit" if "unit" in train else "id"], split, strict=True))
    folds = train[["id", "label"]].assign(fold=keys.map(fold_of).astype(int))
    for column in ("unit", "shares"):
        if column in train:
            folds[column] = train[column]
    return _subsample(folds, subsample, seed) if subsample else folds


def _with_units_grouped(train: pd.DataFrame) -> pd.DataFrame:
    """The table with the images of each unit, if it has units, in one group."""
    if "unit" not in train:
        return train
    if "group" not in train:
        return train.assign(group=train["unit"])
    first = train.groupby("unit", sort=False)["id"].transform("first")
    return train.assign(group=merge_groups(train, first))


def rare_classes(train: pd.DataFrame, task: Task, count: int) -> list[str]:
    """A warning about classes with fewer images, or units, than there are folds."""
    if task.name == "regression":
        return []
    noun = "images"
    if "unit" in train:
        train, noun = train.drop_duplicates("unit"), "ids"
    labels = train["label"]
    if task.name == "multitarget":
        parts = [(p, own[own != ""]) for p, own in _of_targets(labels, task)]
        classes = [f"{p.name}: " + own for p, own in parts if p.task.name != "regression"]
        labels = pd.concat([labels[:0], *classes])
    if task.name == "multilabel":
        labels = labels[labels != ""].str.split(LABEL_SEPARATOR).explode()
    sizes = labels.value_counts().sort_index()
    rare = [f"{label} ({size})" for label, size in sizes.items() if size < count]
    warning = (
        f"{counted(len(rare), 'class', 'has')} fewer {noun} than the {count} folds, "
        "so some folds are "
    )
    return [f"{warning}validated without them: {examples(rare)}"] if rare else []


def _split(train: pd.DataFrame, task: Task, *, count: int, seed: int) -> list[int]:
    """The fold of each row of `train`."""
    groups = train.get("group")
    if task.name == "multitarget" and groups is not None:
        rows = _one_row_per_target(train, task, count=count)
        by_id = dict(zip(rows["id"], _split(rows, STRATA, count=count, seed=seed), strict=True))
        return [by_id[image] for image in train["id"]]
    strata = _strata(train["label"], task, grouped=groups is not None, count=count)
    units = len(train) if groups is None else groups.nunique()
    if units < count:
        what = counted(units, "different image" if groups is None else "group", "is")
        there = f"there {what.rpartition(' ')[2]} only {what.rpartition(' ')[0]}"
        raise UserError(f"folds.count is {count}, but {there}. Set fewer.")
    splitter = _splitter(strata, grouped=groups is not None, count=count, seed=seed)
    folds = np.full(len(train), -1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")  # see rare_classes
        for fold, (_, valid) in enumerate(splitter.split(train, strata, groups)):
            folds[valid] = fold
    if empty := set(range(count)) - set(folds.tolist()):
        raise UserError(
            f"folds.count: the groups fill only {count - len(empty)} of {count} folds. Set fewer."
        )
    return folds.tolist()


def _subsample(folds: pd.DataFrame, shares: Mapping[str, float], seed: int) -> pd.DataFrame:
    """Add the column train: "yes" for the share of each class's images to train on, the same in
    each fold and at least one image per fold unless it is 0, else "no".
    """
    is_trained_on = pd.Series("yes", folds.index)
    classes = sorted(set(folds["label"]))
    for name, share in shares.items():
        label = find_class(name, classes, "folds.subsample")
        for fold in folds["fold"].unique():
            rows = folds.index[(folds["label"] == label) & (folds["fold"] == fold)]
            order = seeding.generator(seed, "keep", label, fold).permutation(rows)
            count = max(1, round(share * len(rows))) if share else 0
            is_trained_on[order[count:]] = "no"
    return folds.assign(train=is_trained_on)


def _strata(labels: pd.Series, task: Task, *, grouped: bool, count: int) -> np.ndarray:
    """What to stratify by: labels [N], bins of the target [N], or label indicators [N, C]."""
    if task.name == "multilabel" and not grouped:
        return task.targets(labels.tolist())
    if task.name == "multitarget":
        strata = [_strata_of_target(part, own, count) for part, own in _of_targets(labels, task)]
        indicators: np.ndarray = pd.concat(map(pd.get_dummies, strata), axis=1).to_numpy(np.float32)
        return indicators
    if task.name != "regression":  # multilabel in groups: each combination is a stratum
        return labels.to_numpy()
    # Equal numbers share a bin; of several targets, the mean rank decides.
    numbers = labels.str.split(LABEL_SEPARATOR, expand=True, regex=False).astype(float)
    ranks = numbers.rank(method="dense")
    mean = (ranks / ranks.max()).mean(axis=1).to_numpy()
    bins = max(1, min(MAX_BINS, len(labels) // count))
    return np.ceil(mean * bins).astype(int)


def _of_targets(labels: pd.Series, task: Task) -> Iterator[tuple[Target, pd.Series]]:
    """The labels of each target; "" where there is none."""
    columns = labels.str.split(LABEL_SEPARATOR, expand=True, regex=False)
    return ((part, columns[part.position]) for part in task.parts)


def _strata_of_target(part: Target, labels: pd.Series, count: int) -> pd.Series:
    """The stratum of each image, by its class or its bin; missing without a label."""
    known = labels[labels != ""]
    strata = _strata(known, part.task, grouped=False, count=count)
    names = [f"{part.name}: {stratum}" for stratum in strata]
    return pd.Series(names, known.index, dtype=object).reindex(labels.index)


def _one_row_per_target(train: pd.DataFrame, task: Task, *, count: int) -> pd.DataFrame:
    """A row per image and target, with the image's group: folds of these groups in which the labels
    of all rows are stratified are stratified by each target.
    """
    labels = [
        _strata_of_target(part, own, count) for part, own in _of_targets(train["label"], task)
    ]
    rows = train[["id", "group"]].join(pd.concat(labels).dropna().rename("label"))
    return rows.reset_index(drop=True)


def _splitter(
    strata: np.ndarray, *, grouped: bool, count: int, seed: int
) -> KFold | GroupKFold | StratifiedKFold | StratifiedGroupKFold | MultilabelStratifiedKFold:
    if strata.ndim > 1:
        return MultilabelStratifiedKFold(count, shuffle=True, random_state=seed)
    # scikit-learn refuses to stratify if every stratum is rarer than the folds.
    all_rare = np.unique(strata, return_counts=True)[1].max() < count
    if grouped:
        kind = GroupKFold if all_rare else StratifiedGroupKFold
    else:
        kind = KFold if all_rare else StratifiedKFold
    return kind(count, shuffle=True, random_state=seed)
