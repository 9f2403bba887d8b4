from collections.abc import Mapping
from pathlib import Path
from typing import Any

import competitions
import numpy as np
import pytest
from pydantic import ValidationError

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.config.submission import Submission
from podium.config.tasks import TaskName
from podium.core import csvs, files, manifest
from podium.core.errors import UserError
from podium.core.manifest import Manifest
from podium.dataset import tables
from podium.dataset.submission_file import SubmissionFile
from podium.dataset.tables import Tables
from podium.kaggle import check
from podium.scoring import metrics
from podium.scoring.decisions import DecisionRule
from podium.scoring.task import Task
from podium.submission import write
from podium.submission.formats import SubmissionFormat

FILES = {
    "train.csv": b"id,label\n01,cat\n02,dog\n03,cat\n",
    "test.csv": b"id\n04\n05\n",
    "sample_submission.csv": b"id,label\n05,cat\n04,cat\n",
}


def read(
    folder: Path,
    changed: Mapping[str, bytes | None] | None = None,
    task: TaskName = "multiclass",
    **layout: Any,
) -> Tables:
    """The tables of FILES with changes; None removes a file."""
    files = {**FILES, **(changed or {})}
    kept = {name: data for name, data in files.items() if data is not None}
    archive = Archive(competitions.write_zip(folder / "files.zip", kept))
    return tables.read(archive, Prepare(**layout), task)


def test_a_competition_has_training_images_test_images_and_classes(tmp_path: Path) -> None:
    result = read(tmp_path)
    assert result.train.to_dict("list") == {
        "id": ["01", "02", "03"],
        "label": ["cat", "dog", "cat"],
    }
    assert result.test.to_dict("list") == {"id": ["04", "05"]}
    assert result.classes == ["cat", "dog"]


@pytest.mark.parametrize("name", [".DS_Store", "train/._02", "Thumbs.db"])
def test_hidden_files_in_the_training_table_are_left_out(tmp_path: Path, name: str) -> None:
    result = read(tmp_path, {"train.csv": FILES["train.csv"] + f"{name},\n".encode()})
    assert result.train["id"].tolist() == ["01", "02", "03"]
    assert result.classes == ["cat", "dog"]
    assert f"train.csv: dropped 1 row of hidden files: {name}" in result.warnings


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_quotes_inside_quoted_fields_need_not_be_doubled(mark: str) -> None:
    rows = [
        ["id", "label", "caption"],
        ["1", "x", '"a sign "stop, now; go\tor" at a street"'],
        ["2", '"y"', '"a ""doubled"" one"'],
        ["3", "z", '""'],
        ["4", '"w "', '5" wide'],
    ]
    text = "\n".join(mark.join(row) for row in rows) + "\n"
    table = csvs.parse(text.encode())
    assert table["label"].tolist() == ["x", "y", "z", "w "]
    assert table["caption"].tolist() == [
        'a sign "stop, now; go\tor" at a street', 'a "doubled" one', "", '5" wide',
    ]  # fmt: skip


def test_rows_with_more_fields_than_the_header_stay_an_error() -> None:
    for row in ('1,x,"a" b, c', "1,x,y,z", '1,"x,y'):
        with pytest.raises(UserError, match="not a valid CSV: row 2"):
            csvs.parse(f"id,label,caption\n{row}\n2,y,\n".encode())


def test_the_sample_submission_keeps_its_order_and_columns(tmp_path: Path) -> None:
    sample = b"Image,Predicted\n05,x\n04,y\n"
    result = read(tmp_path, {"sample_submission.csv": sample})
    assert result.sample.to_dict("list") == {"Image": ["05", "04"], "Predicted": ["x", "y"]}
    assert result.test["id"].tolist() == ["04", "05"]


@pytest.mark.parametrize(
    "header", [",label", "id,", "label,label", '"id","label"', "Unnamed: 0,label", "id,label.1"]
)
def test_the_submission_has_the_samples_own_header(tmp_path: Path, header: str) -> None:
    sample = f"{header}\n05,cat\n04,cat\n".encode()
    result = read(tmp_path, {"sample_submission.csv": sample})
    files.write_csv(tmp_path / "sample_submission.csv", result.sample)
    manifest.write(tmp_path / "prepared.json", ["sample_submission.csv"])
    stored = Manifest(tmp_path / "prepared.json").csv("sample_submission.csv")
    filled = write.fill(
        stored,
        ["04", "05"],
        np.array([[1, 0], [0, 1]], np.float32),
        task=Task("multiclass", ["cat", "dog"]),
        rule=DecisionRule(),
        metric=metrics.get("accuracy", "multiclass"),
        options=Submission(),
    )
    path = tmp_path / "submission.csv"
    files.write_csv(path, filled)
    assert path.read_text() == header.replace('"', "") + "\n05,dog\n04,cat\n"
    detected = SubmissionFormat.detect(
        stored,
        Task("multiclass", ["cat", "dog"]),
        metrics.get("accuracy", "multiclass"),
        Submission(),
    )
    again = detected.read(Task("multiclass", ["cat", "dog"]), csvs.read(path))
    assert again.tolist() == [[0, 1], [1, 0]]
    expected = stored.set_axis([str(stored.columns[0]), *detected.columns], axis=1)
    with pytest.raises(UserError, match=r"submission\.json"):  # the header and the ids are right
        check.check_csv(path, sample=expected, file=SubmissionFile(), allow_empty=False)


def test_an_unnamed_id_column_stays_unnamed_without_a_sample(tmp_path: Path) -> None:
    changed: dict[str, bytes | None] = {
        "train.csv": b",label\n01,cat\n02,dog\n",
        "test.csv": b",width\n04,3\n05,4\n",
        "sample_submission.csv": None,
    }
    result = read(tmp_path, changed, sample_submission=None, id_column="Unnamed: 0")
    assert result.sample.columns.tolist() == ["", "label"]
    assert result.sample.iloc[:, 0].tolist() == ["04", "05"]


def test_tables_and_columns_may_have_other_names_and_there_may_be_others(tmp_path: Path) -> None:
    files: dict[str, bytes | None] = {
        "train.csv": None,
        "a/labels.csv": b"width,breed,image\n3,pug,1.jpg\n4,husky,2.jpg\n",
        "test.csv": b"width,image\n3,4\n4,5\n",
        "sample_submission.csv": b"image,breed\n4,pug\n5,pug\n",
    }
    result = read(tmp_path, files, train_csv="labels.csv", id_column="image", label_column="breed")
    assert result.train.to_dict("list") == {"id": ["1.jpg", "2.jpg"], "label": ["pug", "husky"]}
    assert result.test.columns.tolist() == ["id"]


def test_the_columns_id_and_label_may_be_swapped(tmp_path: Path) -> None:
    files: dict[str, bytes | None] = {
        "train.csv": b"label,id\n01,cat\n02,dog\n",
        "test.csv": b"label\n04\n05\n",
    }
    result = read(tmp_path, files, id_column="label", label_column="id")
    assert result.train.to_dict("list") == {"id": ["01", "02"], "label": ["cat", "dog"]}


def test_the_group_column_is_kept(tmp_path: Path) -> None:
    train = b"id,patient,label\n01,p1,cat\n02,p1,dog\n"
    result = read(tmp_path, {"train.csv": train}, group_column="patient")
    assert result.train.to_dict("list") == {
        "id": ["01", "02"],
        "label": ["cat", "dog"],
        "group": ["p1", "p1"],
    }


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["10", "9", "0"], ["0", "9", "10"]),
        (["1", "-1", "0"], ["-1", "0", "1"]),
        (["10", "9", "b"], ["9", "10", "b"]),
        (["1.5", "10.5", "2.5"], ["1.5", "2.5", "10.5"]),
        (["class_10", "class_2", "b"], ["b", "class_2", "class_10"]),
        (["01", "1", "2"], ["01", "1", "2"]),
        (["NA", "no", "yes"], ["NA", "no", "yes"]),
    ],
)
def test_classes_are_in_natural_order(
    tmp_path: Path, labels: list[str], classes: list[str]
) -> None:
    rows = [f"{number},{label}\n" for number, label in enumerate(labels)]
    for order in (rows, rows[::-1]):
        train = "".join(["id,label\n", *order]).encode()
        assert read(tmp_path, {"train.csv": train}).classes == classes


def test_without_test_csv_the_test_ids_are_those_of_the_sample(tmp_path: Path) -> None:
    result = read(tmp_path, {"test.csv": None}, test_csv=None)
    assert result.test.to_dict("list") == {"id": ["05", "04"]}


def test_without_a_sample_the_submission_has_the_columns_of_the_training_table(
    tmp_path: Path,
) -> None:
    train = b"image,breed\n01,pug\n02,husky\n"
    files: dict[str, bytes | None] = {
        "train.csv": train,
        "test.csv": b"image\n04\n05\n",
        "sample_submission.csv": None,
    }
    result = read(tmp_path, files, sample_submission=None, id_column="image", label_column="breed")
    assert result.sample.to_dict("list") == {"image": ["04", "05"], "breed": ["", ""]}


def test_without_both_the_test_ids_are_the_files_of_the_folder(tmp_path: Path) -> None:
    files = dict.fromkeys(("test/b/2.jpg", "test/01.png", "test/notes.txt", "train/3.jpg"), b"")
    left_out = {"test.csv": None, "sample_submission.csv": None}
    result = read(tmp_path, {**files, **left_out}, test_csv=None, sample_submission=None)
    assert result.test.to_dict("list") == {"id": ["01.png", "b/2.jpg"]}
    assert result.sample.to_dict("list") == {"id": ["01.png", "b/2.jpg"], "label": ["", ""]}


def test_a_test_folder_without_images_is_an_error(tmp_path: Path) -> None:
    left_out = {"test.csv": None, "sample_submission.csv": None}
    with pytest.raises(UserError, match=r"^test/ .*prepare\.test_images"):
        read(tmp_path, left_out, test_csv=None, sample_submission=None)


@pytest.mark.parametrize(
    "layout", [{"label_column": "id"}, {"group_column": "id"}, {"group_column": "label"}]
)
def test_no_column_has_two_roles(layout: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="must be different columns"):
        Prepare(**layout)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_table_is_an_error_with_its_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=f": {name} not found"):
        read(tmp_path, {name: None})


@pytest.mark.parametrize(
    ("name", "data", "layout", "message"),
    [
        (
            "train.csv",
            b"id,class\n1,a\n",
            {},
            r"train\.csv has no column label; it has id, class\. Fix prepare\.label_column\.",
        ),
        (
            "train.csv",
            b"a,b\n1,a\n",
            {},
            r"train\.csv has no column id, label; it has a, b\. Fix prepare\.id_column and",
        ),
        (
            "train.csv",
            FILES["train.csv"],
            {"group_column": "who"},
            r"train\.csv has no column who; .*Fix prepare\.group_column",
        ),
        (
            "train.csv",
            b"id label\n1 a\n",
            {},
            r"it has id label; are its fields separated by , ; | ",
        ),
        ("test.csv", b"image\n04\n", {}, r"test\.csv has no column id; it has image"),
        (
            "test.csv",
            b"image,x\n04,1\n",
            {"test_id_column": "name"},
            r"test\.csv has no column name; it has image, x\. Fix prepare\.test_id_column\.",
        ),
        ("train.csv", b"id,label\n", {}, r"train\.csv has no rows"),
        ("test.csv", b"id\n", {}, r"test\.csv has no rows"),
        ("sample_submission.csv", b"id,label\n", {}, r"sample_submission\.csv has no rows"),
        (
            "train.csv",
            b"id,label\n1,a\n1,b\n1,a\n2,b\n3,c\n3,c\n",
            {},
            r"train\.csv: 1 id .* different labels: 1 \(row 2: a, row 3: b, row 4: a\)\.",
        ),
        ("test.csv", b"id\n04\n04\n05\n", {}, r"test\.csv: 1 duplicate id: 04"),
        (
            "sample_submission.csv",
            b"id,label\n04,a\n05,a\n05,a\n",
            {},
            r"sample_submission\.csv: 1 duplicate id: 05",
        ),
        (
            "sample_submission.csv",
            b"id,label\n04,a\n04,a\n",
            {"test_csv": None},
            r"sample_submission\.csv: 1 duplicate id: 04",
        ),
        (
            "train.csv",
            b"id,label\n1,a\n2,\n3,b\n4\n",
            {},
            r"train\.csv: 2 rows have no label: 2 \(row 3\), 4 \(row 5\)\.",
        ),
        (
            "train.csv",
            b"id,label,who\n1,a,x\n2,b,\n",
            {"group_column": "who"},
            r"train\.csv: no group in 1 row: 2 \(row 3\)\.",
        ),
        (
            "train.csv",
            b'id,label\n"",a\n2,b\n',
            {},
            r"train\.csv: 1 row without an id: row 2\. Remove it, or.*on_bad_image",
        ),
        ("test.csv", b'id\n" "\n05\n', {}, r"test\.csv: 1 row without an id: row 2\. Remove it\."),
        ("train.csv", b"id,label\n1,a,b\n2,b\n", {}, r"train\.csv in .* is not a valid CSV"),
        ("train.csv", b"id,label\n1,a\n2,a\n", {}, r"train\.csv: all labels are 'a'"),
        (
            "sample_submission.csv",
            b"id,label\n04,a\n06,a\n07,a\n",
            {},
            r"sample_submission\.csv and test\.csv .*: 2 only in the first \(06, 07\), "
            r"1 only in the second \(05\)",
        ),
        (
            "sample_submission.csv",
            b"id,label\n04,a\n",
            {},
            r"0 only in the first \(none\), 1 only in the second \(05\)",
        ),
        (
            "sample_submission.csv",
            b"id,label\n04,a\n05,a\n06,a\n",
            {},
            r"1 only in the first \(06\), 0 only in the second \(none\)",
        ),
        (
            "sample_submission.csv",
            b"id,cat,god\n04,0,0\n05,0,0\n",
            {},
            r"has columns that are not classes of the training images: god, and no columns for the "
            r"classes: dog\. Fix it",
        ),
        (
            "sample_submission.csv",
            (
                "id,"
                + ",".join(f"c{n}" for n in range(99))
                + ("\n04" + ",0" * 99)
                + ("\n05" + ",0" * 99)
            ).encode(),
            {},
            r"has the columns id, c0, c1, c2, c3 and 95 more, but .*: cat, dog\. If",
        ),
        # Ids are text: 4 is not 04.
        ("test.csv", b"id\n4\n5\n", {}, r"2 only in the first \(04, 05\)"),
    ],
)
def test_a_wrong_table_is_an_error_that_names_the_place(
    tmp_path: Path, name: str, data: bytes, layout: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, {name: data}, **layout)
