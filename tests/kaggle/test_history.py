"""The history of submissions: its file, its correlation, its picture, and what is still open."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kaggle_server
import numpy as np
import pytest
from conftest import Project
from kaggle_server import KEY, Kaggle
from PIL import Image

from podium.core.errors import UserError
from podium.kaggle import history, submit

PATH = Path("submissions/history.csv")


def add(number: int, oof: float, public: float | str, **values: str) -> None:
    row = dict.fromkeys(history.COLUMNS, "") | {
        "time": f"2026-11-02T10:00:{number:02}Z",
        "competition": "shapes",
        "file": "submissions/shapes.csv",
        "commit": "0123456789012345-dirty",
        "metric": "accuracy",
        "oof": str(oof),
        "public": str(public),
        "message": f"try {number}",
        "ref": str(number),
        "status": "COMPLETE" if public else "PENDING",
    }
    history.append(PATH, row | values)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def kaggle(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kaggle]:
    with kaggle_server.serve({"shapes": b""}) as server:
        for name in [name for name in os.environ if name.startswith("KAGGLE_")]:
            monkeypatch.delenv(name)
        for name, value in server.environment(tmp_path_factory.mktemp("home")).items():
            monkeypatch.setenv(name, value)
        yield server


def shown() -> str:
    table = history.read(PATH)
    return history.render(table, history.agreements(table))


def submitted(kaggle: Kaggle, ref: int, **values: Any) -> None:
    """A submission that Kaggle knows."""
    kaggle.service.submissions.insert(
        0,
        {
            "ref": ref,
            "competition": "shapes",
            "date": "2026-11-02T11:00:00.500Z",
            "status": "COMPLETE",
            "publicScore": "0.7",
            "polls": 0,
            **values,
        },
    )


def test_three_scores_give_a_correlation_two_do_not() -> None:
    add(1, 0.80, 0.79)
    add(2, 0.90, 0.85)
    assert "shapes, accuracy: 2 scored: a correlation takes 3 or more" in shown()
    add(3, 0.85, 0.86)
    assert f"Pearson {np.corrcoef([0.8, 0.9, 0.85], [0.79, 0.85, 0.86])[0, 1]:.3f}" in shown()
    assert "Spearman 0.500 over 3 submissions" in shown()
    assert "0.86*" in shown() and shown().count("*") == 1


def test_where_less_is_better_the_least_is_the_best() -> None:
    for number, (oof, public) in enumerate([(0.5, 0.6), (0.4, 0.5), (0.3, 0.45)], start=1):
        add(number, oof, public, metric="log_loss")
    assert "0.45*" in shown() and shown().count("*") == 1
    assert "Spearman 1.000 over 3 submissions (less is better)" in shown()
    assert "worse on Kaggle" not in shown()


def test_scores_that_go_apart_are_told() -> None:
    for number in range(3):
        add(number, 0.8 + number / 100, 0.8 - number / 100)
    assert "Spearman -1.000 over 3 submissions: what was better here was worse" in shown()


def test_other_metrics_and_competitions_and_open_rows_are_not_mixed_in() -> None:
    for number in range(3):
        add(number, 0.8 + number / 100, 0.8 + number / 100)
    add(4, 0.1, 0.9, metric="roc_auc")
    add(5, 0.1, 0.9, competition="other")
    add(6, 0.1, "")
    assert "shapes, accuracy: Pearson 1.000, Spearman 1.000 over 3 submissions" in shown()
    assert "shapes, roc_auc: 1 scored" in shown() and "other, accuracy: 1 scored" in shown()
    assert "pending" in shown()


def test_equal_scores_have_no_correlation() -> None:
    for number in range(3):
        add(number, 0.8, 0.8 + number / 100)
    assert "no correlation" in shown() and "nan" not in shown()


def test_the_picture_has_a_panel_a_metric() -> None:
    for number in range(3):
        add(number, 0.8 + number / 100, 0.8)
    add(4, 0.1, 0.9, metric="log_loss")
    history.plot(history.agreements(history.read(PATH)), Path("reports/history.png"))
    with Image.open("reports/history.png") as image:
        assert image.size == (2 * 6 * 120, 5 * 120)


def test_what_a_message_holds_stays_in_its_row() -> None:
    message = 'a "quoted", one\nof two lines; 1'
    add(1, 0.8, 0.8, message=message)
    assert history.read(PATH)["message"].tolist() == [message]
    assert 'a "quoted", one of two lines; 1' in shown()


def test_a_history_of_other_columns_is_an_error() -> None:
    PATH.parent.mkdir()
    PATH.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="must have the columns time, competition"):
        history.read(PATH)


def test_what_is_open_is_asked_for_by_its_number(kaggle: Kaggle) -> None:
    add(1, 0.8, "", time="")
    add(2, 0.8, "")
    submitted(kaggle, 1)
    submitted(kaggle, 2, status="ERROR", publicScore="")
    for number in range(30):  # they are on the second page
        submitted(kaggle, 1000 + number)
    assert submit.update(PATH) == 2
    table = history.read(PATH)
    assert table["status"].tolist() == ["COMPLETE", "ERROR"]
    assert table["public"].tolist() == ["0.7", ""]
    assert table["time"].tolist() == ["2026-11-02T11:00:00Z"] * 2
    assert len(kaggle.of("ListSubmissions")) == 2
    assert submit.update(PATH) == 0 and len(kaggle.of("ListSubmissions")) == 2


def test_a_submission_that_kaggle_does_not_list_stays_open(kaggle: Kaggle) -> None:
    add(1, 0.8, "")
    assert submit.update(PATH) == 0
    assert history.read(PATH)["status"].tolist() == ["PENDING"]
    assert len(kaggle.of("ListSubmissions")) == 1


@pytest.mark.slow
def test_the_command_prints_and_draws_without_credentials(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = Project(tmp_path)
    home = {"HOME": str(tmp_path_factory.mktemp("home"))}
    done = project.stage("history", **home)
    assert done.returncode == 1 and "has no submissions yet" in done.stdout
    for number in range(3):
        add(number, 0.8 + number / 100, 0.8 + number / 100)
    add(4, 0.8, "")
    done = project.stage("history", **home)
    assert done.returncode == 0, done.stdout
    assert "scores that are open stay so: no Kaggle credentials" in done.stdout
    assert "Pearson 1.000" in done.stdout and "plot: reports/history.png" in done.stdout
    assert (tmp_path / "reports/history.png").exists()
    assert KEY not in done.stdout
