"""Images with the same pixels: which are found, how they are split, and what is reported."""

from collections.abc import Mapping

import competitions
import numpy as np
import pandas as pd
import pytest
from conftest import Project

from podium.config.tasks import TaskName
from podium.core import csvs
from podium.dataset import duplicates, splitting
from podium.images import codec
from podium.scoring.task import Task


def table(labels: list[str], *, groups: list[str] | None = None) -> pd.DataFrame:
    train = pd.DataFrame({"id": [f"{n:04d}" for n in range(len(labels))], "label": labels})
    return train if groups is None else train.assign(group=groups)


def same(*sets: list[str], test: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The duplicates of training images in `sets`, and of test images: id -> training id."""
    train = {image: f"pixels{number}" for number, images in enumerate(sets) for image in images}
    return duplicates.find(
        {"train": train, "test": {image: train[other] for image, other in (test or {}).items()}}
    )


def pairs(count: int) -> pd.DataFrame:
    """The first `count` images are duplicates, two and two."""
    return same(*([f"{n:04d}", f"{n + 1:04d}"] for n in range(0, count, 2)))


def test_only_sets_with_a_training_image_are_found() -> None:
    train = {"a": "1", "b": "2", "c": "1", "d": "3"}
    test = {"x": "2", "y": "4", "z": "4", "a": "1"}
    duplicate_sets = duplicates.find({"train": train, "test": test})
    assert duplicate_sets.to_numpy().tolist() == [
        ["train", "a", "1", "1"], ["train", "c", "1", "1"], ["test", "a", "1", "1"],
        ["train", "b", "2", "2"], ["test", "x", "2", "2"],
    ]  # fmt: skip
    assert duplicates.find({"train": {"a": "1"}, "test": {}}).empty


def split(
    train: pd.DataFrame, duplicate_sets: pd.DataFrame | None, task: str = "multiclass"
) -> pd.DataFrame:
    classes = sorted({label for text in train["label"] for label in text.split("|")})
    return splitting.make_folds(
        train, Task(task, classes), count=5, seed=1, duplicates=duplicate_sets
    )


LABELS = [*["cat"] * 60, *["dog"] * 40]


@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])
def test_a_set_is_never_split(task: TaskName, group: bool) -> None:
    labels = {
        "multiclass": LABELS,
        "multilabel": [("a", "a|b", "b|c", "")[n // 2 % 4] for n in range(100)],
        "regression": [str(n // 2) for n in range(100)],
    }[task]
    groups = [f"g{n // 2 % 30}" for n in range(100)] if group else None
    train, duplicate_sets = table(labels, groups=groups), pairs(60)
    assert duplicates.crossing(
        split(train.drop(columns="group", errors="ignore"), None, task), duplicate_sets
    )
    folds = split(train, duplicate_sets, task)
    assert duplicates.crossing(folds, duplicate_sets) == 0
    assert folds["id"].tolist() == train["id"].tolist()
    assert folds["fold"].value_counts().min() >= 10
    if groups:
        assert (folds.groupby(train["group"])["fold"].nunique() == 1).all()
    shuffled = split(
        train.sample(frac=1, random_state=0), duplicate_sets.sample(frac=1, random_state=0), task
    )
    pd.testing.assert_frame_equal(shuffled, folds)


def test_folds_of_sets_are_stratified() -> None:
    folds = split(table(LABELS), pairs(100))
    images = pd.crosstab(folds["label"], folds["fold"])
    assert (images.max(axis=1) == images.min(axis=1)).all()


@pytest.mark.parametrize("group", [False, True])
def test_folds_are_the_same_where_there_are_no_duplicates(group: bool) -> None:
    groups = [f"g{n // 3}" for n in range(100)] if group else None
    train = table(LABELS, groups=groups)
    only_test = same(["0001"], ["0007"], test={"9": "0001"})
    for duplicate_sets in (pairs(0), only_test):
        pd.testing.assert_frame_equal(split(train, duplicate_sets), split(train, None))


def test_groups_that_share_an_image_are_one() -> None:
    groups = [f"g{n // 10}" for n in range(100)]
    chain = same(["0009", "0010"], ["0019", "0025", "0033"])  # g0 = g1 = g2 = g3
    train = table(LABELS, groups=groups)
    first = duplicates.first_of_set(train["id"], chain)
    merged = duplicates.merge_groups(train, first)
    assert merged.tolist() == ["g0"] * 40 + groups[40:]
    folds = split(train, chain)
    assert folds.loc[:39, "fold"].nunique() == 1


def test_sets_and_groups_in_any_number_are_united() -> None:
    """Against paths over images that share a group or pixels."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        groups = [f"g{n}" for n in rng.integers(0, 12, 40)]
        train = table(["x"] * 40, groups=groups)
        checksums = {
            image: str(n) for image, n in zip(train["id"], rng.integers(0, 60, 40), strict=True)
        }
        duplicate_sets = duplicates.find({"train": checksums, "test": {}})
        merged = duplicates.merge_groups(
            train, duplicates.first_of_set(train["id"], duplicate_sets)
        )
        keys = (np.array(groups), train["id"].map(checksums).to_numpy())
        linked = np.any([key[:, None] == key for key in keys], axis=0)  # [40, 40]
        reached = np.linalg.matrix_power(linked.astype(float), 40) > 0
        assert (reached == (merged.to_numpy()[:, None] == merged.to_numpy())).all()


def lines(train: pd.DataFrame, duplicate_sets: pd.DataFrame, how: str) -> list[str]:
    plain = split(train, None)
    folds = plain if how == "keep" else split(train, duplicate_sets)
    crossing = duplicates.crossing(plain, duplicate_sets)
    return duplicates.describe(folds, duplicate_sets, crossing=crossing, how=how)


def test_sets_are_counted_with_those_that_cross_folds() -> None:
    train, duplicate_sets = table(LABELS), pairs(10)
    crossing = duplicates.crossing(split(train, None), duplicate_sets)
    assert 0 < crossing <= 5
    for how in ("group", "keep"):
        (line,) = lines(train, duplicate_sets, how)
        assert line.startswith("5 sets") and "(10)" in line and f" {crossing} " in line
        assert ("prepare.duplicates" in line) == (how == "keep")
    assert lines(train, pairs(0), "group") == []


def test_the_warning_names_duplicates_with_different_labels() -> None:
    duplicate_sets = same(["0000", "0001"], ["0059", "0060"], ["0058", "0061", "0062"])
    _, line = lines(table(LABELS), duplicate_sets, "group")
    assert line.startswith("warning: 2 sets ")
    assert "0059 (cat) = 0060 (dog), 0058 (cat) = 0061 (dog) = 0062 (dog)" in line


def test_the_warning_names_test_images_that_are_training_images() -> None:
    duplicate_sets = same(["0003"], ["0005", "0006"], test={"9": "0003", "8": "0006"})
    *_, line = lines(table(LABELS), duplicate_sets, "group")
    assert line.startswith("2 copies of training images in the test set") and line.endswith(
        ": 9 = 0003, 8 = 0005"
    )


def test_subsampling_keeps_sets_together() -> None:
    train, duplicate_sets = table(LABELS), pairs(60)
    task = Task("multiclass", ["cat", "dog"])
    folds = splitting.make_folds(
        train, task, count=5, seed=1, duplicates=duplicate_sets, subsample={"cat": 0.5}
    )
    assert duplicates.crossing(folds, duplicate_sets) == 0 and (folds["train"] == "no").sum() == 30


def test_listed_sets_join_those_of_equal_pixels() -> None:
    train = {"a": "1", "b": "1", "c": "2", "d": "3", "e": "4", "f": "5"}
    rows = [("x", "train", "b"), ("x", "train", "d"), ("y", "train", "d"), ("y", "test", "t")]
    rows += [("z", "train", "e"), ("z", "train", "unusable")]
    listed = pd.DataFrame(rows, columns=["set", "part", "id"])
    found = duplicates.find({"train": train, "test": {"t": "6", "a": "7"}}, listed)
    assert found[["part", "id"]].to_numpy().tolist() == [
        ["train", "a"], ["train", "b"], ["train", "d"], ["test", "t"]
    ]  # fmt: skip
    assert found["set"].nunique() == 1 and found["pixels"].nunique() == 3


def test_one_of_each_set_is_left_or_none_if_labels_differ() -> None:
    train, sets = (
        table(LABELS),
        same(["0000", "0001", "0002"], ["0059", "0060"], test={"9": "0059"}),
    )
    redundant = duplicates.redundant(train, sets)
    assert sorted(redundant) == ["0001", "0002", "0059", "0060"]
    assert duplicates.without(sets, redundant).empty
    left = duplicates.without(sets, ["0001"])
    assert sorted(left["id"]) == ["0000", "0002", "0059", "0060", "9"]


@pytest.mark.slow
def test_the_stage_keeps_sets_together_and_names_conflicts(project: Project) -> None:
    files = competitions.competition()
    first = files["train/0000.png"]
    files |= {"train/0009.png": first, "train/0010.png": first, "test/0040.png": first}
    files["train/0030.png"] = competitions.encode(codec.decode(files["train/0031.png"]), "BMP")
    files["train/0033.png"] = files["test/0044.png"] = b"damaged"
    project.write_archive(files)
    project.edit(lambda params: params["prepare"].update(on_bad_image="blank"))
    project.edit(lambda params: params["folds"].update(count=4))
    printed = {}
    for how in ("group", "keep"):
        project.edit(lambda params, how=how: params["prepare"].update(duplicates=how))
        for stage in ("fetch", "prepare", "folds") if how == "group" else ("prepare", "folds"):
            done = project.stage(stage)
            assert done.returncode == 0, done.stdout
        printed[how] = done.stdout
        folds = csvs.read(project.folder / "data/folds.csv").set_index("id")["fold"]
        together = [folds[["0000", "0009", "0010"]].nunique(), folds[["0030", "0031"]].nunique()]
        assert (together == [1, 1]) == (how == "group"), together
    for text in printed.values():
        assert "2 sets" in text and "(5)" in text
        assert "0000 (circle) = 0009 (circle) = 0010 (square)" in text
        assert "1 copy of training images in the test set: 0040 = 0000\n" in text
    listed = csvs.read(project.folder / "data/duplicates.csv")
    assert sorted(listed["id"]) == ["0000", "0009", "0010", "0030", "0031", "0040"]
