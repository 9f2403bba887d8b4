"""The user's lists of images: accepted files, and the remaining training images."""

from pathlib import Path

import competitions
import pytest
from conftest import Project

from podium.config.prepare import Prepare
from podium.core import csvs
from podium.core.errors import UserError
from podium.dataset import listed

IDS = {"train": ["a", "b", "c"], "test": ["x"]}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    return tmp_path


def error(layout: Prepare) -> str:
    with pytest.raises(UserError) as caught:
        listed.check(layout)
        listed.check_known(IDS, layout)
    return str(caught.value)


def test_lists_are_read(folder: Path) -> None:
    (folder / "e.csv").write_text("id,label\nb,cat\n")
    (folder / "s.csv").write_text("set,part,id,fold\n0,train,a,1\n0,test,x,\n")
    layout = Prepare(exclude="e.csv", near_duplicates="s.csv")
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
        (None, "cannot read e.csv"),
        ("image\nb\n", "prepare.exclude: e.csv has no column id"),
        ("id\nb\nz\n", "1 ids that are not training images: z"),
    ],
)
def test_a_wrong_list_of_ids_is_an_error(folder: Path, text: str | None, message: str) -> None:
    if text is not None:
        (folder / "e.csv").write_text(text)
    assert message in error(Prepare(exclude="e.csv"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0,train,x\n", "1 ids that are not training images: x"),
        ("0,test,a\n", "1 ids that are not test images: a"),
        ("0,valid,a\n", "has the parts valid"),
    ],
)
def test_a_wrong_list_of_sets_is_an_error(folder: Path, rows: str, message: str) -> None:
    (folder / "s.csv").write_text("set,part,id\n" + rows)
    assert message in error(Prepare(near_duplicates="s.csv"))


def test_the_files_that_look_writes_are_not_read_in_place(folder: Path) -> None:
    (folder / "reports/label_issues.csv").write_text("id\nb\n")
    message = error(Prepare(exclude="reports/label_issues.csv"))
    assert "Copy it to custom/lists/" in message


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
