"""Names that differ in Unicode normalization only are the same, as CSV files of a Mac have them."""

import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import competitions
import pandas as pd
import pytest

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.config.tasks import TaskName
from podium.dataset import spelling, tables
from podium.dataset.image_files import ImageIndex, find_images
from podium.dataset.spelling import SampleNames
from podium.dataset.tables import Tables

NFC, NFD = "caf\u00e9", "cafe\u0301"
FOLDERS = {"train_csv": None, "test_csv": None}


def read(
    folder: Path, files: dict[str, str], task: TaskName = "multiclass", **layout: Any
) -> Tables:
    """The tables of a competition of one test image, 9."""
    defaults = {"test.csv": "id\n9\n", "sample_submission.csv": "id,label\n9,\n"}
    data = {name: text.encode() for name, text in {**defaults, **files}.items()}
    path = competitions.write_zip(folder / "files.zip", data)
    return tables.read(Archive(path), Prepare(**layout), task)


def train(*labels: str) -> str:
    return "id,label\n" + "".join(f"{n},{label}\n" for n, label in enumerate(labels))


def test_labels_in_both_forms_are_one_class_in_the_most_frequent_spelling(tmp_path: Path) -> None:
    for labels, name in (((NFC, NFC, NFD), NFC), ((NFC, NFD, NFD), NFD)):
        result = read(tmp_path, {"train.csv": train(*labels, "tea")})
        assert result.train["label"].tolist() == [name, name, name, "tea"]
        assert result.classes == [name, "tea"]


@pytest.mark.parametrize("variants", ["error", "merge", "keep"])
def test_both_forms_are_one_class_whatever_is_done_with_variants(
    tmp_path: Path, variants: str
) -> None:
    result = read(tmp_path, {"train.csv": train(NFC, NFD, "tea")}, label_variants=variants)
    assert len(result.classes) == 2


def test_variants_in_case_are_merged_across_forms(tmp_path: Path) -> None:
    labels = train(NFC, NFD.upper(), NFC, "tea")
    result = read(tmp_path, {"train.csv": labels}, label_variants="merge")
    assert result.classes == [NFC, "tea"]


@pytest.mark.parametrize(("ours", "theirs"), [(NFC, NFD), (NFD, NFC)])
@pytest.mark.parametrize(
    "sample",
    ["id,{},tea\n9,0,0\n", "id,label\n9,{}\n", "id,label\n9,tea {} x\n", "id,{}\n9,0.5\n"],
)
def test_classes_are_spelled_as_in_the_sample_submission(
    tmp_path: Path, ours: str, theirs: str, sample: str
) -> None:
    files = {"train.csv": train(ours, "tea", ours), "sample_submission.csv": sample.format(theirs)}
    result = read(tmp_path, files)
    assert result.classes == sorted([theirs, "tea"])
    assert result.train["label"].tolist() == [theirs, "tea", theirs]
    assert result.sample.to_csv(index=False) == files["sample_submission.csv"]


@pytest.mark.parametrize(("ours", "theirs"), [(NFC, NFD), (NFD, NFC)])
def test_folders_and_columns_are_spelled_as_in_the_sample_submission(
    tmp_path: Path, ours: str, theirs: str
) -> None:
    sample = f"id,{theirs},tea\n9,0,0\n"
    images = [f"train/{ours}/1.jpg", "train/tea/2.jpg", "test/9.jpg"]
    result = read(tmp_path, {**dict.fromkeys(images, ""), "sample_submission.csv": sample},
                 **FOLDERS)  # fmt: skip
    assert result.classes == [theirs, "tea"]
    files = {"train.csv": f"id,{ours},tea\n1,1,0\n2,0,1\n", "sample_submission.csv": sample}
    for task in ("multiclass", "multilabel"):
        for written in (ours, theirs):  # in params.yaml
            result = read(tmp_path, files, task, label_column=[written, "tea"])
            assert result.classes == [theirs, "tea"]
            assert result.train["label"].tolist() == result.classes


def test_several_labels_in_a_cell_are_spelled_as_in_the_sample_submission(tmp_path: Path) -> None:
    files = {"train.csv": train(f"{NFC} tea", NFD), "sample_submission.csv": f"id,x\n9,tea {NFD}\n"}
    result = read(tmp_path, files, "multilabel")
    assert result.train["label"].tolist() == [f"{NFD}|tea", NFD]


def test_test_ids_are_those_of_the_sample_submission(tmp_path: Path) -> None:
    files = {
        "train.csv": train("a", "b"),
        "test.csv": f"id\n{NFC}\n9\n",
        "sample_submission.csv": f"id,label\n9,\n{NFD},\n",
    }
    result = read(tmp_path, files)
    assert result.test["id"].tolist() == [NFD, "9"]
    assert result.sample["id"].tolist() == ["9", NFD]


def test_ids_and_groups_in_both_forms_are_the_same(tmp_path: Path) -> None:
    rows = f"id,label,who\n{NFC},a,{NFC}\n{NFD},a,{NFD}\n2,b,{NFD}\n"
    result = read(tmp_path, {"train.csv": rows}, group_column="who")
    assert result.train["id"].tolist() == [NFC, "2"]
    assert result.train["group"].nunique() == 1


def test_variants_are_labels_that_differ_in_case_or_whitespace() -> None:
    labels = ["b", "A", " a", NFC, NFD, "c ", "d"]
    assert spelling.variants(labels) == [[" a", "A"], ["c "]]


def test_names_that_nobody_respells_stay() -> None:
    names = SampleNames(pd.DataFrame({"id": ["1"], "x": ["y"]}))
    assert spelling.unify(Counter([NFC, "a"]), names) == {NFC: NFC, "a": "a"}
    assert names.spell("x") == "x" and unicodedata.is_normalized("NFC", names.spell(NFC))


def test_the_index_finds_paths_from_any_folder_on() -> None:
    index = ImageIndex(["train/cats/1.jpg", "train/cats/1.jpg.png", f"train/{NFD}/2.jpg"])
    assert index.find("1.jpg") == ["train/cats/1.jpg"]
    assert index.find("cats/1") == ["train/cats/1.jpg"]
    assert index.find(f" {NFC}\\2 ") == [f"train/{NFD}/2.jpg"]
    assert index.find("dogs/1") == []
    assert find_images(index.names, ["1.jpg.png"], folder="") == ["train/cats/1.jpg.png"]


def test_columns_of_the_sample_may_have_the_same_words_as_labels() -> None:
    columns = ["id", "normal_mild", "other kind", "a b", "a_b"]
    names = SampleNames(pd.DataFrame(columns=columns))
    labels = ["Normal/Mild", "other kind", "Other-Kind", "a-b"]
    # Not where a label is a column, or two columns have the same words.
    assert names.spell_words(labels) == {"Normal/Mild": "normal_mild"}
    assert spelling.unify(Counter(labels), names)["Normal/Mild"] == "normal_mild"
    assert SampleNames(pd.DataFrame(columns=columns[:2])).spell_words(labels) == {}
