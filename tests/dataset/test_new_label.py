"""`prepare.new_class`: a label of images that have none of the classes."""

from pathlib import Path
from typing import Any

import competitions
import pytest

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core import manifest
from podium.core.errors import UserError
from podium.core.manifest import Manifest
from podium.dataset import tables
from podium.dataset.tables import Tables
from podium.scoring.task import Task, with_known_class


def read(folder: Path, labels: str, **layout: Any) -> Tables:
    rows = "".join(f"{number},{label}\n" for number, label in enumerate(labels.split()))
    files = {
        "train.csv": f"id,label\n{rows}",
        "test.csv": "id\n9\n",
        "sample_submission.csv": "id,label\n9,new_whale w1 w2\n",
    }
    path = competitions.write_zip(folder / "files.zip", {n: t.encode() for n, t in files.items()})
    return tables.read(Archive(path), Prepare(**layout), "multiclass")


def test_it_is_not_a_class_but_its_images_stay_in_the_table(tmp_path: Path) -> None:
    plain = read(tmp_path, "w2 new_whale w1 w2 new_whale")
    assert plain.classes == ["new_whale", "w1", "w2"] and plain.new_class is None
    found = read(tmp_path, "w2 new_whale w1 w2 new_whale", new_class="New_whale")
    assert (found.classes, found.new_class) == (["w1", "w2"], "new_whale")
    assert found.train.equals(plain.train) and not found.warnings
    assert tables.summary(found, "multiclass").endswith(
        "2 training images are new_whale, which is not a class"
    )
    assert tables.drop(found, ["0"], "multiclass").classes == ["w1", "w2"]


def test_without_an_image_of_it_there_is_a_warning(tmp_path: Path) -> None:
    found = read(tmp_path, "w2 w1", new_class="new_whale")
    assert (found.classes, found.new_class) == (["w1", "w2"], "new_whale")
    (warning,) = found.warnings
    assert "ensemble.new_class_threshold must be a number" in warning


@pytest.mark.parametrize("labels", ["w1 new_whale", "new_whale new_whale w1"])
def test_at_least_two_classes_must_be_left(labels: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"prepare.new_class: all labels are 'w1'"):
        read(tmp_path, labels, new_class="new_whale")


def test_the_manifest_says_which_rows_have_a_class(tmp_path: Path) -> None:
    found = read(tmp_path, "w2 new_whale w1", new_class="new_whale")
    facts = Task("multiclass", found.classes).facts()
    manifest.write(tmp_path / "m.json", [], **facts, new_class=found.new_class)
    stated = Manifest(tmp_path / "m.json")
    assert with_known_class(found.train, stated)["label"].tolist() == ["w2", "w1"]
    assert Task.submitted(stated).classes == ["w1", "w2", "new_whale"]
    assert Task.read(stated).classes == ["w1", "w2"]
