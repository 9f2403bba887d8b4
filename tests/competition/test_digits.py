import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from podium.competition import digits
from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.core import csvs
from podium.dataset import tables
from podium.dataset.image_files import find_images
from podium.dataset.tables import Tables
from podium.images import codec


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    path = tmp_path_factory.mktemp("digits") / "digits.zip"
    digits.write_archive(path)
    return Archive(path)


@pytest.fixture(scope="module")
def found(archive: Archive) -> Tables:
    return tables.read(archive, Prepare(), "multiclass")


@pytest.fixture(scope="module")
def solution(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("digits") / "solution.csv"
    digits.write_solution(path)
    return csvs.read(path)


def test_the_archive_has_the_same_bytes_each_time(archive: Archive, tmp_path: Path) -> None:
    digits.write_archive(tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == archive.path.read_bytes()


def test_a_quarter_of_the_1797_digits_is_held_back(found: Tables) -> None:
    assert (len(found.train), len(found.test)) == (1347, 450)
    assert not set(found.train["id"]) & set(found.test["id"])
    assert found.classes == [str(digit) for digit in range(10)]


def test_every_class_has_its_share_in_both_parts(found: Tables, solution: pd.DataFrame) -> None:
    train, test = found.train["label"].value_counts(), solution["label"].value_counts()
    assert ((test / (train + test) - 0.25).abs() < 0.01).all()


def test_the_solution_labels_exactly_the_test_images(found: Tables, solution: pd.DataFrame) -> None:
    assert solution.columns.tolist() == ["id", "label"]
    assert solution["id"].tolist() == found.test["id"].tolist()
    assert solution["label"].nunique() == 10


def test_the_archive_does_not_give_the_solution_away(archive: Archive, found: Tables) -> None:
    assert set(found.sample["label"]) == {"0"}
    assert archive.read_csv("test.csv").columns.tolist() == ["id"]
    assert {name for name in archive.names if name.endswith(".csv")} == {
        "train.csv",
        "test.csv",
        "sample_submission.csv",
    }
    with zipfile.ZipFile(archive.path) as opened:
        assert len({entry.date_time for entry in opened.infolist()}) == 1


def test_every_image_is_a_scan_with_its_own_label(
    archive: Archive, found: Tables, solution: pd.DataFrame
) -> None:
    known = load_digits()
    labels = [str(label) for label in known.target]
    scans = {scan.tobytes(): label for scan, label in zip(known.data, labels, strict=True)}
    for table, folder in ((found.train, "train"), (solution, "test")):
        names = find_images(archive.names, table["id"].tolist(), folder=folder)
        for name, label in zip(names, table["label"], strict=True):
            pixels = codec.decode(archive.read(name))
            assert pixels.shape == (8, 8, 3)
            assert scans[np.round(pixels[..., 0] * (16 / 255)).tobytes()] == label


def test_ids_do_not_follow_the_order_of_the_labels(found: Tables) -> None:
    assert found.train["id"].is_monotonic_increasing
    numbers = found.train["label"].astype(int).reset_index(drop=True)
    assert abs(numbers.corr(pd.Series(range(len(numbers))))) < 0.1
