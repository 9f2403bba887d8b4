"""Which images belong to an id, and how units share folds."""

from pathlib import Path

import layouts
import pandas as pd
import pytest
import test_small_competitions as small

from podium.config.prepare import Prepare
from podium.config.tasks import TaskName
from podium.core.errors import UserError
from podium.dataset import build, units
from podium.dataset.splitting import make_folds, rare_classes
from podium.scoring.task import Task


@pytest.mark.parametrize(
    ("pattern", "paths", "expected"),
    [
        ("{id}_*", ["a_1.jpg", "a_2.jpg", "b.jpg"], {"a": ["a_1.jpg", "a_2.jpg"]}),
        ("{id}_*", ["a_1_x.jpg", "a_2.jpg"], {"a_1": ["a_1_x.jpg"], "a": ["a_2.jpg"]}),
        ("{id}/*", ["a/1.png", "a/2/3.png", "c/1.png"], {"a": ["a/1.png", "a/2/3.png"]}),
        ("*_{id}", ["x_a.png", "x_y_b.png", "a.png"], {"a": ["x_a.png"], "b": ["x_y_b.png"]}),
        ("im{id}-?", ["ima-?.png", "ima-1.png"], {"a": ["ima-?.png"]}),
        ("{id}_*.png", ["a_1.png", "a_1.jpg"], {"a": ["a_1.png"]}),
    ],
)
def test_images_of_ids(pattern: str, paths: list[str], expected: dict[str, list[str]]) -> None:
    assert units.find(paths, ["a", "b", "a_1"], pattern) == expected


def test_a_pattern_contains_the_id_once() -> None:
    for wrong in ("*", "{id}_{id}"):
        with pytest.raises(ValueError, match="must contain"):
            Prepare(images=wrong)


def test_images_of_a_unit_have_one_label() -> None:
    train = pd.DataFrame({"id": list("abc"), "unit": list("xxy"), "label": ["0", "1", "1"]})
    with pytest.raises(UserError, match=r"1 unit have different labels: x\."):
        units.check(train, "train.csv")
    units.check(train[1:], "train.csv")


@pytest.mark.parametrize("grouped", [False, True])
def test_units_and_groups_stay_in_one_fold(grouped: bool) -> None:
    train = pd.DataFrame({"id": [f"{n:02d}" for n in range(24)]})
    train["label"] = ["x" if n % 4 < 2 else "y" for n in range(24)]
    train["unit"] = [str(n // 2) for n in range(24)]
    if grouped:
        train["group"] = [str(n // 3) for n in range(24)]  # joins two or three units
    folds = make_folds(train, Task("binary", ["x", "y"]), count=3, seed=1)
    assert (folds.groupby("unit")["fold"].nunique() == 1).all()
    if grouped:
        merged = folds.assign(group=train["group"])
        assert (merged.groupby("group")["fold"].nunique() == 1).all()


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_folds_are_stratified_by_unit_however_many_images_each_has(
    task: TaskName, *, grouped: bool
) -> None:
    """One has 60, and those of a class have few."""
    sizes = [60 if n == 4 else 1 + n % 12 for n in range(60)]
    units = pd.DataFrame({"unit": [f"u{n:02d}" for n in range(60)], "label": ["0", "1", "2"] * 20})
    if grouped:
        units["group"] = [str(n // 6) for n in range(60)]
    train = units.loc[units.index.repeat(sizes)].reset_index(drop=True)
    train["id"] = [f"{n:03d}" for n in range(len(train))]
    classes = ["score"] if task == "regression" else ["0", "1", "2"]
    folds = make_folds(train, Task(task, classes), count=5, seed=1)
    assert (folds.groupby("unit")["fold"].nunique() == 1).all()
    of_units = folds.drop_duplicates("unit")
    assert (of_units.groupby(["fold", "label"]).size() == 4).all()


def test_a_class_with_many_images_of_few_units_is_rare() -> None:
    train = pd.DataFrame({"id": [*map(str, range(40))], "label": ["x"] * 20 + ["y"] * 20})
    train["unit"] = ["a"] * 20 + [*map(str, range(20))]
    (warning,) = rare_classes(train, Task("binary", ["x", "y"]), 5)
    assert warning.startswith("1 class has fewer ids than the 5 folds") and "x (1)" in warning
    assert rare_classes(train.drop(columns="unit"), Task("binary", ["x", "y"]), 5) == []


def test_ids_without_images_are_named_as_such(tmp_path: Path) -> None:
    files = {f"train/a{n}_{k}.png": small.image(n) for n in small.N if n != 7 for k in (1, 2)}
    files |= {f"test/b{n}_{k}.png": small.image(n) for n in small.T if n != 2 for k in (1, 2)}
    files["train.csv"] = small.table("id,label", [f"a{n},{'xyz'[n % 3]}" for n in small.N])
    files["sample_submission.csv"] = small.table("id,label", [f"b{n},x" for n in small.T])
    found = layouts.inspect(tmp_path, files)
    ids = found.tables.ids
    layout = Prepare(**found.layout.prepare)
    for change, expected in (
        ("error", r"^1 train id has no images in train/: a7; 1 test id has no .* test/: b2\. "),
        ("skip", r"^1 test id has no images in test/: b2\. Set prepare.on_bad_image: blank"),
    ):
        with pytest.raises(UserError, match=expected):
            build.match_images(
                found.archive, ids, layout.model_copy(update={"on_bad_image": change})
            )
    stored = build.store_images(
        found.archive, ids, folder=tmp_path / "images", layout=layout, processes=1
    )
    assert stored.unusable == {"train": {"a7": "no images"}, "test": {"b2": "no images"}}
