from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold

from podium.core.errors import UserError
from podium.dataset import splitting
from podium.scoring.task import Task


def make_folds(train: pd.DataFrame, **options: Any) -> pd.DataFrame:
    task = Task("multiclass", sorted(set(train["label"])))
    return splitting.make_folds(train, task, **options)


def table(sizes: dict[str, int], *, group: int | None = None) -> pd.DataFrame:
    """A training table with so many images per class, in groups of `group` images."""
    labels = [label for label, size in sizes.items() for _ in range(size)]
    train = pd.DataFrame({"id": [f"{n:04d}" for n in range(len(labels))], "label": labels})
    return train if group is None else train.assign(group=[f"g{n // group}" for n in train.index])


@pytest.mark.parametrize("count", [2, 3, 5])
def test_every_fold_has_its_share_of_every_class(count: int) -> None:
    sizes = {"cat": 41, "dog": 17, "eel": 9, "fox": 5}
    folds = make_folds(table(sizes), count=count, seed=1)
    images = pd.crosstab(folds["label"], folds["fold"])
    assert images.sum(axis=1).to_dict() == sizes
    assert images.columns.tolist() == list(range(count))
    assert (images.max(axis=1) - images.min(axis=1) <= 1).all()


def test_each_image_keeps_its_label_and_is_in_one_fold() -> None:
    train = table({"cat": 7, "dog": 8})
    folds = make_folds(train.sample(frac=1, random_state=0), count=3, seed=1)
    assert folds.columns.tolist() == ["id", "label", "fold"]
    assert folds["fold"].dtype == int
    pd.testing.assert_frame_equal(folds[["id", "label"]], train)


@pytest.mark.parametrize("sizes", [{"cat": 30, "dog": 20}, {"cat": 2, "dog": 2, "eel": 2}])
@pytest.mark.parametrize("group", [None, 2])
def test_the_order_of_rows_plays_no_part(sizes: dict[str, int], group: int | None) -> None:
    train = table(sizes, group=group)
    folds = make_folds(train, count=3, seed=1)
    for order in range(3):
        shuffled = train.sample(frac=1, random_state=order)
        pd.testing.assert_frame_equal(make_folds(shuffled, count=3, seed=1), folds)


@pytest.mark.parametrize("sizes", [{"cat": 30, "dog": 20}, {"cat": 6, "dog": 6, "eel": 6}])
@pytest.mark.parametrize("group", [None, 2])
def test_the_seed_decides(sizes: dict[str, int], group: int | None) -> None:
    train = table(sizes, group=group)
    one, other = (make_folds(train, count=7, seed=seed) for seed in (1, 2))
    assert (one["fold"] != other["fold"]).any()
    pd.testing.assert_frame_equal(make_folds(train, count=7, seed=1), one)


@pytest.mark.parametrize("sizes", [{"cat": 40, "dog": 24}, {"cat": 4, "dog": 4, "eel": 4}])
def test_a_group_is_never_split(sizes: dict[str, int]) -> None:
    train = table(sizes, group=2)
    folds = make_folds(train, count=5, seed=1)
    assert (folds.groupby(train["group"])["fold"].nunique() == 1).all()
    assert set(folds["fold"]) == set(range(5))


def test_groups_are_stratified_as_far_as_that_goes() -> None:
    folds = make_folds(table({"cat": 40, "dog": 20}, group=2), count=5, seed=1)
    images = pd.crosstab(folds["label"], folds["fold"])
    assert (images.max(axis=1) - images.min(axis=1) <= 2).all()


@pytest.mark.filterwarnings("error")
def test_the_warning_names_a_class_with_fewer_images_than_folds() -> None:
    train = table({"cat": 30, "dog": 5, "eel": 4, "fox": 1})
    assert len(make_folds(train, count=5, seed=1)) == 40
    task = Task("multiclass", ["cat", "dog", "eel", "fox"])
    (warning,) = splitting.rare_classes(train, task, 5)
    assert warning.startswith("2 classes ") and warning.endswith(": eel (4), fox (1)")
    assert splitting.rare_classes(train, task, 1) == []


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("group", [None, 1, 2])
def test_all_classes_may_be_rare(group: int | None) -> None:
    train = table({f"class {number}": 2 for number in range(10)}, group=group)
    folds = make_folds(train, count=5, seed=1)
    assert folds["fold"].value_counts().to_dict() == dict.fromkeys(range(5), 4)


def test_more_folds_than_images_are_an_error() -> None:
    with pytest.raises(UserError, match=r"folds\.count is 5, .* only 4 .*images"):
        make_folds(table({"cat": 2, "dog": 2}), count=5, seed=1)


def test_more_folds_than_groups_are_an_error() -> None:
    with pytest.raises(UserError, match=r"folds\.count is 5, but there are only 4 groups"):
        make_folds(table({"cat": 20, "dog": 20}, group=10), count=5, seed=1)


def test_a_fold_that_the_groups_leave_empty_is_an_error() -> None:
    """scikit-learn leaves one empty for a few tables, such as this."""
    columns = {"id": list("abcdefghi"), "label": list("xyxyyxyyy"), "group": list("214114331")}
    with pytest.raises(UserError, match=r"folds\.count: .* only 3 of 4 folds"):
        make_folds(pd.DataFrame(columns), count=4, seed=0)


def test_simulated_imbalance_keeps_a_share_of_a_class_and_touches_nothing_else() -> None:
    train = table({"cat": 60, "dog": 60, "eel": 7})
    plain = make_folds(train, count=3, seed=1)
    folds = make_folds(train, count=3, seed=1, subsample={"cat": 0.2, "eel": 0.0})
    pd.testing.assert_frame_equal(folds[plain.columns], plain)
    kept = folds[folds["train"] == "yes"].groupby(["label", "fold"]).size()
    assert kept["cat"].tolist() == [4, 4, 4]
    assert kept["dog"].tolist() == [20, 20, 20]
    assert "eel" not in kept
    assert set(folds["train"]) == {"yes", "no"}
    other = make_folds(train, count=3, seed=2, subsample={"cat": 0.2})
    chosen = [
        set(f.loc[(f["label"] == "cat") & (f["train"] == "yes"), "id"]) for f in (folds, other)
    ]
    assert chosen[0] != chosen[1]
    shuffled = train.sample(frac=1, random_state=0)
    again = make_folds(shuffled, count=3, seed=1, subsample={"cat": 0.2, "eel": 0.0})
    pd.testing.assert_frame_equal(again, folds)


def test_a_small_share_of_a_rare_class_leaves_an_image_in_each_fold() -> None:
    folds = make_folds(table({"cat": 60, "eel": 6}), count=3, seed=1, subsample={"eel": 0.2})
    kept = folds[(folds["label"] == "eel") & (folds["train"] == "yes")]
    assert sorted(kept["fold"]) == [0, 1, 2]


def test_a_class_may_be_named_in_either_unicode_form() -> None:
    train = table({"cafe\u0301": 9, "dog": 9})
    folds = make_folds(train, count=3, seed=1, subsample={"caf\u00e9": 0.3})
    assert (folds["train"] == "no").sum() == 6


def test_a_share_of_an_unknown_class_is_an_error() -> None:
    with pytest.raises(UserError, match=r"folds\.subsample: .* cats: did you mean cat\?"):
        make_folds(table({"cat": 9, "dog": 9}), count=3, seed=1, subsample={"cats": 0.2})


LABELS = Task("multilabel", ["a", "b", "c"])


def several(count: int) -> pd.DataFrame:
    """A table whose images have any of three labels, the third of them rarely."""
    rng = np.random.default_rng(0)
    hot = rng.random((count, 3)) < [0.5, 0.3, 0.05]
    labels = ["|".join(np.array(LABELS.classes)[row]) for row in hot]
    return pd.DataFrame({"id": [f"{n:04d}" for n in range(count)], "label": labels})


def test_every_fold_has_its_share_of_each_of_several_labels() -> None:
    folds = splitting.make_folds(several(400), LABELS, count=5, seed=1)
    hot = LABELS.targets(folds["label"].tolist())
    each = np.array([hot[folds["fold"] == fold].sum(0) for fold in range(5)])
    assert (each.max(0) - each.min(0) <= 1.5).all(), each
    assert folds["fold"].value_counts().max() - folds["fold"].value_counts().min() <= 4
    shuffled = splitting.make_folds(several(400).sample(frac=1), LABELS, count=5, seed=1)
    pd.testing.assert_frame_equal(shuffled, folds)


def test_the_warning_names_a_rare_label_of_several() -> None:
    table = several(40)
    table["label"] = table["label"].str.replace("|c", "").replace("c", "")
    table.loc[3, "label"] = "a|c"
    (warning,) = splitting.rare_classes(table, LABELS, 5)
    assert warning.endswith(": c (1)")


def test_several_labels_in_groups_stay_together() -> None:
    table = several(200).assign(group=[f"g{n // 4}" for n in range(200)])
    folds = splitting.make_folds(table, LABELS, count=5, seed=1)
    assert (folds.groupby(table["group"])["fold"].nunique() == 1).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("group", [None, 2])
def test_every_fold_has_its_share_of_the_range_of_numbers(group: int | None) -> None:
    numbers = np.random.default_rng(0).exponential(10, 200).round(1)
    table = pd.DataFrame({"id": [f"{n:04d}" for n in range(200)], "label": numbers.astype(str)})
    if group is not None:
        table["group"] = [f"g{n // group}" for n in range(200)]
    folds = splitting.make_folds(table, Task("regression", ["x"]), count=5, seed=1)
    means = folds.assign(x=folds["label"].astype(float)).groupby("fold")["x"].mean()
    assert means.max() - means.min() < 3
    spread = [KFold(5, shuffle=True, random_state=seed).split(numbers) for seed in range(20)]
    plain = np.mean([np.ptp([numbers[v].mean() for _, v in split]) for split in spread])
    if group is None:
        assert means.max() - means.min() < plain / 2
