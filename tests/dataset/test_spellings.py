"""Labels, groups and ids are the same in every spelling of a number, and of accented letters."""

from pathlib import Path
from typing import Any

import competitions
import numpy as np
import pandas as pd
import pytest

from podium.competition.archive import Archive
from podium.competition.text.names import NameIndex, canonical, find_class, natural_order, normalize
from podium.config.folds import Folds
from podium.config.prepare import Prepare
from podium.config.submission import Submission
from podium.config.tasks import TaskName
from podium.core import params_file
from podium.core.errors import UserError
from podium.dataset import labels, splitting, tables
from podium.dataset.image_files import ImageIndex
from podium.dataset.tables import Tables
from podium.scoring import metrics
from podium.scoring.task import Task
from podium.submission import write
from podium.submission.formats import SubmissionFormat

NFC, NFD = "caf\u00e9", "cafe\u0301"


def read(
    folder: Path, train: str, sample: str, task: TaskName = "multiclass", **layout: Any
) -> Tables:
    files = {"train.csv": train, "test.csv": "id\n9\n", "sample_submission.csv": sample}
    path = competitions.write_zip(folder / "x.zip", {k: v.encode() for k, v in files.items()})
    return tables.read(Archive(path), Prepare(**layout), task)


def rows(*cells: str) -> str:
    return "id,label\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(cells))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1", "1.0", "1.", "1e0", "1E+0", "+1", " 1", "1.00 ", "10e-1", ".1e1"], "1"),
        (["-1", "-1.0", " -1e0"], "-1"),
        (["0", "-0", "0.0", "-0.0", "+0", ".0"], "0"),
        (["100", "1e2", "1.00e+02"], "100"),
        (["0.5", ".5", "0.50", "5e-1"], "0.5"),
        (["04", "04.0"], "04"),
        (["00e1"], "00e1"),
        (["1e999"], "1e999"),
        (["1.2.3"], "1.2.3"),
        ([NFC, NFD], NFC),
        (["P3", "P3\u200b", "\ufeffP3", "\u202aP3"], "P3"),
        (["3.0\u200b", "\ufeff3", "3"], "3"),
        (["123456789012345678901234567890.0"], "123456789012345678901234567890"),
    ],
)
def test_all_spellings_of_a_number_or_a_letter_are_read_as_one(
    texts: list[str], expected: str
) -> None:
    assert [canonical(text) for text in texts] == [expected] * len(texts)


def test_natural_order() -> None:
    names = ["class_10", "class_2", "10", "2", "-1", "0", "b", "1.5", "Class_3", "class_2b"]
    assert sorted(names, key=natural_order) == [
        "-1", "0", "1.5", "2", "10", "Class_3", "b", "class_2", "class_2b", "class_10",
    ]  # fmt: skip


def test_a_name_is_found_by_its_nearest_spelling_only() -> None:
    index = NameIndex(["Cat", "cat", "DOG", "1.0", " x"])
    assert [index.find(text) for text in ("Cat", "cat", "CAT", "dog ", "+1", "x", "y")] == [
        "Cat", "cat", None, "DOG", "1.0", " x", None,
    ]  # fmt: skip
    assert NameIndex(["DOG"], ignore_case=False).find("dog") is None
    assert index.find_all(["dog", "1"]) == ["DOG", "1.0"] and index.find_all(["1", "1e0"]) is None
    assert normalize(f" {NFD.upper()}  A ") == f"{NFC} a"
    assert find_class("3", ["2.0", "3.0"], "folds.subsample") == "3.0"
    with pytest.raises(UserError, match="unknown class 4"):
        find_class("4", ["2.0", "3.0"], "folds.subsample")


@pytest.mark.parametrize(
    ("yaml", "label"),
    [
        ("3", "3"), ("04", "04"), ("1.0", "1"), ("1e3", "1000"), ("true", "True"), ("no", "no"),
        ("null", "null"), ("2020-01-31", "2020-01-31"), ("~", "null"), ("'007'", "007"),
    ],
)  # fmt: skip
def test_a_class_is_found_however_yaml_reads_its_name(yaml: str, label: str) -> None:
    raw = params_file.parse(f"{yaml}: 0.5", source="params.yaml")
    folds = Folds(count=2, run=[0], all=[], subsample=raw)
    (name,) = folds.subsample
    assert find_class(name, [label, "other", "40"], "folds.subsample") == label


def test_columns_named_with_numbers() -> None:
    layout = Prepare.model_validate({"id_column": 0, "label_column": [1, 2, 3.5]})
    assert (layout.id_column, layout.label_columns) == ("0", ["1", "2", "3.5"])
    assert Prepare(id_column=None, pixel_columns="p", positive_class=None).id_column is None
    mapped = Prepare.model_validate({"label_map": {1: 0, "x": True}, "train_csv": None})
    assert mapped.label_map == {"1": "0", "x": "true"}


@pytest.mark.parametrize(
    ("ours", "sample", "expected"),
    [
        (["0.0", "1.0", "2.0", "10.0"], ["0", "0"], ["0", "1", "2", "10"]),
        (["0.0", "1.0", "2.0", "10.0"], ["10", "2"], ["0", "1", "2", "10"]),
        (["0", "1", "2", "10"], ["0.0", "2.0"], ["0.0", "1.0", "2.0", "10.0"]),
        (["0.0", "1.0", "2.0", "10.0"], ["", ""], ["0.0", "1.0", "2.0", "10.0"]),
        (["1", "1.0", "2.0", "3"], ["", ""], ["1", "2", "3"]),
        (["1.0", "1.0", "1", "+2", "2"], ["1", "1"], ["1", "2"]),
        (["-1", "0", "1", "10", "2"], ["0", "0"], ["-1", "0", "1", "2", "10"]),
        (["01", "02", "03"], ["01", "01"], ["01", "02", "03"]),
        (["class_10", "class_2", "class_1"], ["", ""], ["class_1", "class_2", "class_10"]),
        ([NFD, NFC, "tea"], [NFC, NFC], [NFC, "tea"]),
    ],
)
def test_classes_are_in_order_and_spelled_as_in_the_sample(
    tmp_path: Path, ours: list[str], sample: list[str], expected: list[str]
) -> None:
    text = "id,label\n" + "".join(f"{9 + n},{cell}\n" for n, cell in enumerate(sample))
    found = read(tmp_path, rows(*ours), text, test_csv=None)
    assert found.classes == expected
    assert list(map(canonical, found.train["label"])) == list(map(canonical, ours))
    columns = f"id,{','.join(sorted(set(sample) - {''}))}\n9,0\n"
    if len(set(sample)) == len(expected):
        assert (
            read(tmp_path, rows(*ours), columns).classes
            == columns.split("\n", maxsplit=1)[0].split(",")[1:]
        )


def test_columns_of_the_sample_may_spell_numbers_differently(tmp_path: Path) -> None:
    found = read(tmp_path, rows("0.0", "1.0", "2.0"), "id,2,1,0\n9,0,0,0\n")
    assert found.classes == ["2", "1", "0"] and found.train["label"].tolist() == ["0", "1", "2"]


def test_numbers_spelled_in_several_ways_are_one_class_with_a_warning(tmp_path: Path) -> None:
    found = read(tmp_path, rows("0", "1", "1.0", "2"), "id,label\n9,0\n")
    assert found.classes == ["0", "1", "2"] and found.train["label"].tolist() == [
        "0",
        "1",
        "1",
        "2",
    ]
    assert "train.csv: 1 label is spelled in several ways: '1' = '1.0'" in found.warnings
    lists = read(tmp_path, rows("1 2.0", "2 +1", "3"), "id,label\n9,1 2\n", "multilabel")
    assert lists.train["label"].tolist() == ["1|2", "1|2", "3"]


@pytest.mark.parametrize("other", ["3.0", " 3", "+3", "3e0", "3.0\u200b"])
def test_a_group_is_one_in_every_spelling(tmp_path: Path, other: str) -> None:
    pairs = [("3", other), ("P4", "P4 "), ("P5", "p5"), (f"P{NFC}", f"P{NFD}")]
    groups = [name for pair in pairs for name in pair] * 3
    lines = [f"{n},{'ab'[n // 8 % 2]},{group}\n" for n, group in enumerate(groups)]
    found = read(tmp_path, "id,label,who\n" + "".join(lines), "id,label\n9,a\n", group_column="who")
    assert found.train["group"].nunique() == 4
    folds = splitting.make_folds(found.train, Task("binary", found.classes), count=2, seed=0)
    by_id = folds.set_index("id")["fold"]
    whose = [normalize(group) for group in groups]
    folds_of = pd.Series(by_id[[str(n) for n in range(24)]].to_numpy()).groupby(np.array(whose))
    assert folds_of.nunique().tolist() == [1, 1, 1, 1]


def test_groups_that_are_spelled_in_one_way_keep_their_names(tmp_path: Path) -> None:
    train = "id,label,who\n1,a,P 3\n2,b,07\n3,b,7.0\n4,b,X\n"
    found = read(tmp_path, train, "id,label\n9,a\n", group_column="who")
    assert found.train["group"].tolist() == ["P 3", "07", "7.0", "X"]
    with pytest.raises(UserError, match="no group in 1 row"):
        read(tmp_path, train.replace("P 3", "  "), "id,label\n9,a\n", group_column="who")


def test_ids_are_found_in_every_spelling_of_a_number_that_no_file_has(tmp_path: Path) -> None:
    index = ImageIndex(["train/7.jpg", "train/a/8.0.jpg", "train/a/8.jpg", "train/09.jpg"])
    assert index.find("7.0") == index.find("train/+7") == index.find("7e0") == ["train/7.jpg"]
    assert index.find("8.0") == ["train/a/8.0.jpg"] and index.find("9.0") == []
    assert index.find("other/7.0") == []
    sample = "id,label\n9.0,a\n"
    found = read(tmp_path, rows("a", "b"), sample)
    assert found.test["id"].tolist() == ["9.0"] == found.sample["id"].tolist()


FORMATS = {"accuracy": "id,label\n9,{}\n8,{}\n", "log_loss": "id,{},{}\n9,0,0\n8,0,0\n"}


@pytest.mark.parametrize("metric_name", FORMATS)
@pytest.mark.parametrize(
    ("classes", "solution"),
    [
        (["0", "1"], ["1.0", "0.0"]),
        (["SADNESS", "joy"], ["joy ", "sadness"]),
        ([NFC, "tea"], ["tea", NFD]),
    ],
)
def test_a_solution_may_spell_ids_and_classes_differently(
    metric_name: str, classes: list[str], solution: list[str]
) -> None:
    task, metric = Task("multiclass", classes), metrics.get(metric_name, "multiclass")
    header, *cells = FORMATS[metric_name].format(*classes).split()
    sample = pd.DataFrame([cell.split(",") for cell in cells], columns=header.split(","))
    detected = SubmissionFormat.detect(sample, task, metric, Submission())
    right = [classes[1], classes[0]]
    submission = sample.copy()
    if metric_name == "accuracy":
        submission["label"] = right
    else:
        submission[classes] = [["0", "1"], ["1", "0"]]
    expected = 1.0 if metric_name == "accuracy" else 0.0
    known = pd.DataFrame({"id": ["9.0", "8"], "label": solution, "Usage": ["Public", "Private"]})
    one_hot = pd.DataFrame({solution[1]: ["False", "1.0"], solution[0]: ["TRUE", "0"]})
    one_hot = pd.concat(
        [pd.DataFrame({"Unnamed: 0": ["0", "1"], "id": ["9", "8"]}), one_hot], axis=1
    )
    for table in (known, known[["id", "label"]], one_hot):
        if metric_name == "log_loss" and table is known:
            continue  # no column of it is named in the submission
        score = write.score(submission, table, task, submission_format=detected, metric=metric)
        assert score == pytest.approx(expected, abs=1e-6)


def test_a_solution_of_lists_may_spell_its_labels_differently() -> None:
    task, metric = Task("multilabel", ["1", "2", "Cat"]), metrics.get("samples_f1", "multilabel")
    submission = pd.DataFrame({"id": ["9", "8"], "label": ["1 Cat", "2"]})
    detected = SubmissionFormat.detect(submission, task, metric, Submission())
    solution = pd.DataFrame({"id": ["8", "9"], "label": ["2.0", "cat 1.0"]})
    assert write.score(submission, solution, task, submission_format=detected, metric=metric) == 1


def test_columns_of_true_and_false_are_columns_of_1_and_0(tmp_path: Path) -> None:
    train = "id,a,b\n1,True,False\n2,FALSE,true\n3,1.0,0.0\n"
    found = read(tmp_path, train, "id,a,b\n9,0.5,0.5\n", label_column=["a", "b"])
    assert found.train["label"].tolist() == ["a", "b", "a"]
    assert labels.flags(pd.DataFrame({"x": ["2", "", "yes"]})).isna().all(axis=None)
