"""The user's lists of images: accepted files, and the remaining training images."""

from pathlib import Path
from typing import Any

import competitions
import pandas as pd
import pytest
from conftest import Project

from podium.config.prepare import Prepare
from podium.config.tasks import TaskName
from podium.core import csvs
from podium.core.errors import UserError
from podium.dataset import choice, listed
from podium.dataset.tables import Tables

EXCLUDE, SETS = "custom/lists/e.csv", "custom/lists/s.csv"
IDS = {"train": ["a", "b", "c"], "test": ["x"]}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "lists"
    for name in ("reports", "custom/lists"):
        (folder / name).mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def error(layout: Prepare) -> str:
    with pytest.raises(UserError) as caught:
        listed.check(layout)
        listed.check_known(IDS, layout)
    return str(caught.value)


def test_lists_are_read(folder: Path) -> None:
    (folder / EXCLUDE).write_text("id,label\nb,cat\n")
    (folder / SETS).write_text("set,part,id,fold\n0,train,a,1\n0,test,x,\n")
    layout = Prepare(exclude=EXCLUDE, near_duplicates=SETS)
    listed.check(layout)
    listed.check_known(IDS, layout)
    assert listed.excluded(layout) == ["b"]
    assert listed.near_duplicates(layout).to_numpy().tolist() == [
        ["0", "train", "a"], ["0", "test", "x"]
    ]  # fmt: skip
    assert listed.excluded(Prepare()) == [] and listed.near_duplicates(Prepare()).empty


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, f"cannot read {EXCLUDE}"),
        ("image\nb\n", f"prepare.exclude: {EXCLUDE} has no column id"),
        ("id\nb\nz\n", "1 id of no training image: z"),
    ],
)
def test_a_wrong_list_of_ids_is_an_error(folder: Path, text: str | None, message: str) -> None:
    if text is not None:
        (folder / EXCLUDE).write_text(text)
    assert message in error(Prepare(exclude=EXCLUDE))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0,train,x\n", "1 id of no training image: x"),
        ("0,test,a\n", "1 id of no test image: a"),
        ("0,valid,a\n", "has the parts valid"),
    ],
)
def test_a_wrong_list_of_sets_is_an_error(folder: Path, rows: str, message: str) -> None:
    (folder / SETS).write_text("set,part,id\n" + rows)
    assert message in error(Prepare(near_duplicates=SETS))


@pytest.mark.parametrize(
    "name",
    ["e.csv", "reports/label_issues.csv", "custom/e.csv", "custom/lists/../e.csv", "/tmp/e.csv",
     "custom/lists/link.csv"],
)  # fmt: skip
def test_a_list_outside_custom_lists_is_refused(folder: Path, name: str) -> None:
    for path in ("e.csv", "reports/label_issues.csv", "custom/e.csv"):
        (folder / path).write_text("id\nb\n")
    (folder / "custom/lists/link.csv").symlink_to("../../e.csv")
    message = error(Prepare(exclude=name))
    assert message.startswith(f"prepare.exclude: {name} is not in custom/lists/")
    assert message.endswith(f"set prepare.exclude: custom/lists/{Path(name).name}.")
    assert "prepare.near_duplicates: e.csv is not" in error(Prepare(near_duplicates="e.csv"))


def test_a_list_in_a_folder_of_custom_lists_is_read(folder: Path) -> None:
    (folder / "custom/lists/a").mkdir()
    (folder / "custom/lists/a/e.csv").write_text("id\nb\n")
    for name in ("custom/lists/a/e.csv", f"{folder}/custom/lists/a/e.csv"):
        assert listed.excluded(Prepare(exclude=name)) == ["b"]


def test_it_says_that_scores_are_not_comparable_without_excluded_images(folder: Path) -> None:
    (folder / EXCLUDE).write_text("id\nb\n")
    train = pd.DataFrame({"id": IDS["train"], "label": ["x", "x", "y"]})
    test = pd.DataFrame({"id": IDS["test"]})
    read = Tables(train, test, test.assign(label=""), ["x", "y"])
    checksums = {part: {image: image for image in ids} for part, ids in IDS.items()}
    chosen = choice.choose(read, Prepare(exclude=EXCLUDE), "multiclass", checksums)
    assert chosen.tables.train["id"].tolist() == ["a", "c"]
    (line,) = chosen.lines
    assert line.startswith("1 training image is excluded (prepare.exclude), from validation")
    assert "out-of-fold scores are not comparable" in line


def choose(task: TaskName, labels: str, pixels: str, **layout: Any) -> choice.Choice:
    """Training images a, b, c, … with these labels and pixels, a letter each."""
    ids = [*"abcdef"[: len(labels)]]
    train, test = pd.DataFrame({"id": ids, "label": [*labels]}), pd.DataFrame({"id": ["z"]})
    read = Tables(train, test, test.assign(label=""), sorted({*labels}))
    checksums = {"train": dict(zip(ids, pixels, strict=True)), "test": {"z": "z"}}
    return choice.choose(read, Prepare(**layout), task, checksums)


@pytest.mark.parametrize(
    ("task", "labels", "left"),
    [
        ("multiclass", "xxyz", "all labels are 'x'"),
        ("binary", "xxyy", "all labels are 'x'"),
        ("regression", "1122", "all labels are '1'"),
        ("multiclass", "xyxy", "none are left"),
    ],
)
def test_what_to_do_if_exclude_leaves_too_little(
    task: TaskName, labels: str, left: str, folder: Path
) -> None:
    ids = "abcd" if left.startswith("none") else "cd"
    (folder / EXCLUDE).write_text("\n".join(["id", *ids, ""]))
    message = rf"without the {len(ids)} excluded images: {left}\. Remove some of them "
    with pytest.raises(UserError, match=rf"{message}from {EXCLUDE}\.$"):
        choose(task, labels, "pqrs", exclude=EXCLUDE)


def test_what_to_do_if_duplicates_leave_too_little() -> None:
    fix = r"Set prepare\.duplicates: group to keep them in one fold\.$"
    with pytest.raises(UserError, match=rf"without the 4 duplicates: none are left\. {fix}"):
        choose("binary", "xyxy", "ppqq", duplicates="drop")
    with pytest.raises(UserError, match=rf"without the 2 duplicates: all labels are 'y'\. {fix}"):
        choose("multiclass", "xyyy", "ppqr", duplicates="drop")


def test_classes_that_are_left_without_images_are_named() -> None:
    chosen = choose("multiclass", "xyzzyy", "ppqrst", duplicates="drop")
    assert chosen.tables.classes == ["y", "z"]
    assert chosen.lines[-1] == "1 class has no training image left: x"


@pytest.mark.slow
def test_lists_decide_what_is_trained_on(project: Project) -> None:
    files = competitions.competition()
    files["train/0009.png"] = files["train/0000.png"]
    project.write_archive(files)
    lists = project.folder / "custom/lists"
    (lists / "exclude.csv").write_text("id\n0004\n")
    (lists / "sets.csv").write_text("set,part,id\n1,train,0005\n1,train,0008\n1,test,0036\n")
    names = {"exclude": "custom/lists/exclude.csv", "near_duplicates": "custom/lists/sets.csv"}
    project.edit(lambda params: params["prepare"].update(names))
    assert project.repro("folds") == {"check", "fetch", "prepare", "folds"}
    folds = csvs.read(project.folder / "data/folds.csv").set_index("id")["fold"]
    assert "0004" not in folds and len(folds) == 35
    assert folds["0005"] == folds["0008"] and folds["0000"] == folds["0009"]

    (lists / "exclude.csv").write_text("id\n0004\n0005\n")
    project.edit(lambda params: params["prepare"].update(duplicates="drop"))
    assert project.repro("folds") == {"check", "prepare", "folds"}
    left = csvs.read(project.folder / "data/folds.csv")["id"].tolist()
    assert len(left) == 33 and not {"0004", "0005", "0009"} & {*left} and "0008" in left
