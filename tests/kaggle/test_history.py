"""The history of submissions: its file, correlations, plot and pending scores."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kaggle_server
import numpy as np
import pytest
from conftest import Project
from kaggle_server import Kaggle
from PIL import Image
from trainings import WITH_SRC

from podium.core.errors import UserError
from podium.kaggle import comparison, history, scores

PATH = Path("submissions/history.csv")


def add(number: int, oof: float, public: float | str, **values: str) -> None:
    """Add a submission to the history."""
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


def comparisons() -> list[comparison.Comparison]:
    return comparison.compare(history.read(PATH))


def rendered() -> str:
    return comparison.render(history.read(PATH), comparisons())


def submitted(kaggle: Kaggle, ref: int, **values: Any) -> None:
    """A submission on Kaggle."""
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


def test_a_correlation_requires_three_scores() -> None:
    add(1, 0.80, 0.79)
    add(2, 0.90, 0.85)
    assert comparisons()[0].correlations() is None
    add(3, 0.85, 0.86)
    (compared,) = comparisons()
    pearson = np.corrcoef([0.8, 0.9, 0.85], [0.79, 0.85, 0.86])[0, 1]
    assert compared.correlations() == pytest.approx((pearson, 0.5))
    assert compared.numbers == [1, 2, 3] and compared.best == 3
    assert f"Pearson {pearson:.3f}, Spearman 0.500" in rendered()
    assert "0.86*" in rendered() and rendered().count("*") == 1


@pytest.mark.parametrize("metric", ["log_loss", "rmse", "mean(a=rmse, b=2*mae)", "rmse(a=2)"])
def test_the_lowest_loss_is_the_best(metric: str) -> None:
    for number, (oof, public) in enumerate([(0.5, 0.6), (0.4, 0.5), (0.3, 0.45)], start=1):
        add(number, oof, public, metric=metric)
    (compared,) = comparisons()
    assert compared.best == 3 and "0.45*" in rendered()
    assert compared.correlations()[1] == pytest.approx(1)
    assert "negatively" not in rendered()


def test_a_negative_correlation_is_reported() -> None:
    for number in range(3):
        add(number, 0.8 + number / 100, 0.8 - number / 100)
    assert comparisons()[0].correlations() == pytest.approx((-1, -1))
    assert "negatively" in rendered()


def test_metrics_competitions_and_pending_rows_are_kept_apart() -> None:
    for number in range(3):
        add(number, 0.8 + number / 100, 0.8 + number / 100)
    add(4, 0.1, 0.9, metric="roc_auc")
    add(5, 0.1, 0.9, competition="other")
    add(6, 0.1, "")
    keys = [(c.competition, c.metric, c.numbers) for c in comparisons()]
    assert keys == [
        ("shapes", "accuracy", [1, 2, 3]),
        ("shapes", "roc_auc", [4]),
        ("other", "accuracy", [5]),
    ]
    assert "pending" in rendered()


def test_equal_scores_have_no_correlation() -> None:
    for number in range(3):
        add(number, 0.8, 0.8 + number / 100)
    assert comparisons()[0].correlations() is None and "nan" not in rendered()


def test_the_plot_has_one_panel_per_metric() -> None:
    for number in range(3):
        add(number, 0.8 + number / 100, 0.8)
    add(4, 0.1, 0.9, metric="log_loss")
    comparison.plot(comparisons(), Path("reports/history.png"))
    with Image.open("reports/history.png") as image:
        assert image.size == (2 * 6 * 120, 5 * 120)


def test_a_message_with_separators_stays_in_its_row() -> None:
    message = 'a "quoted", one\nof two lines; 1'
    add(1, 0.8, 0.8, message=message)
    assert history.read(PATH)["message"].tolist() == [message]
    assert 'a "quoted", one of two lines; 1' in rendered()


@pytest.mark.parametrize("message", ["one\rtwo", "one\r\ntwo", "one\n\rtwo", '"\r', "\r;,"])
def test_a_carriage_return_stays_in_its_row(message: str) -> None:
    add(1, 0.8, 0.7, message=message)
    add(2, 0.9, 0.8)
    table = history.read(PATH)
    assert table["message"].tolist() == [message, "try 2"]
    assert table["public"].tolist() == ["0.7", "0.8"]


def test_a_carriage_return_that_was_not_quoted_is_read_as_a_space() -> None:
    add(1, 0.8, 0.7, message="one#two")
    PATH.write_bytes(PATH.read_bytes().replace(b"#", b"\r"))
    assert history.read(PATH)["message"].tolist() == ["one two"]
    add(2, 0.9, 0.8, message='quoted "one"\r\ntwo')
    assert history.read(PATH)["message"].tolist() == ["one two", 'quoted "one"\r\ntwo']
    assert history.read(PATH)["ref"].tolist() == ["1", "2"]


@pytest.mark.usefixtures("kaggle")
def test_a_history_that_a_spreadsheet_has_saved_is_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    add(1, 0.8, "", ref="40000001")
    for number in (2, 3, 4):
        add(number, 0.8 + number / 100, 0.8 + number / 100)
    text = PATH.read_text()
    header, *rows = (line.split(",") for line in text.splitlines())
    rows = [[{"40000001": "4E+07"}.get(v, v.replace(".", ",")) for v in row] for row in rows]
    lines = [";".join([*row, ""]) for row in [header, *rows]]
    PATH.write_bytes(("\ufeff" + "\r\n".join([*lines, ";" * 12, ""])).encode())
    assert comparisons()[0].numbers == [2, 3, 4]
    assert comparisons()[0].correlations() == pytest.approx((1, 1))
    assert scores.refresh(PATH) == 0
    assert "submission 1: 4E+07 is not a number of Kaggle" in capsys.readouterr().out
    add(5, 0.9, 0.9)
    assert history.read(PATH)["ref"].tolist() == ["4E+07", "2", "3", "4", "5"]


def test_a_metric_that_no_longer_exists_is_shown() -> None:
    for number, metric in enumerate(["kappa", "custom.gone:score", "gone.py:score", "matthews"]):
        for part in range(3):
            add(10 * number + part, 0.8 + part / 100, 0.8 + part / 100, metric=metric)
    assert [c.greater_is_better for c in comparisons()] == [None, None, None, True]
    text = rendered()
    assert "shapes, kappa (which no longer exists): Pearson 1.000" in text
    assert text.count("*") == 1
    comparison.plot(comparisons(), Path("reports/history.png"))


def test_columns_of_the_user_are_kept() -> None:
    add(1, 0.8, 0.7)
    table = history.read(PATH).assign(notes="good")
    table[["notes", *reversed(history.COLUMNS)]].to_csv(PATH, index=False)
    add(2, 0.9, 0.8)
    table = history.read(PATH)
    assert table["notes"].tolist() == ["good", ""] and table["ref"].tolist() == ["1", "2"]


WRITER = """
import sys
from pathlib import Path
from podium.kaggle import history
for number in range(20):
    row = dict.fromkeys(history.COLUMNS, "x") | {"ref": f"{sys.argv[1]}{number:02}"}
    history.append(Path("submissions/history.csv"), row)
    history.update(Path("submissions/history.csv"), row, {"status": "COMPLETE"})
"""


def test_processes_that_write_at_the_same_time_lose_nothing() -> None:
    command = [sys.executable, "-c", WRITER]
    writers = [subprocess.Popen([*command, str(n)], env=WITH_SRC) for n in range(1, 4)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    table = history.read(PATH)
    assert sorted(table["ref"]) == [f"{n}{m:02}" for n in range(1, 4) for m in range(20)]
    assert set(table["status"]) == {"COMPLETE"}


def test_other_columns_are_an_error() -> None:
    PATH.parent.mkdir()
    PATH.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"history\.csv .*time, competition.* a, b"):
        history.read(PATH)


def test_pending_scores_are_requested_by_number(kaggle: Kaggle) -> None:
    add(1, 0.8, "", time="")
    add(2, 0.8, "")
    submitted(kaggle, 1)
    submitted(kaggle, 2, status="ERROR", publicScore="")
    for number in range(30):  # so that the others are on the second page
        submitted(kaggle, 1000 + number)
    assert scores.refresh(PATH) == 2
    table = history.read(PATH)
    assert table["status"].tolist() == ["COMPLETE", "ERROR"]
    assert table["public"].tolist() == ["0.7", ""]
    assert table["time"].tolist() == ["2026-11-02T11:00:00Z"] * 2
    assert len(kaggle.of("ListSubmissions")) == 2
    assert scores.refresh(PATH) == 0 and len(kaggle.of("ListSubmissions")) == 2


def test_a_submission_that_kaggle_does_not_list_stays_pending(kaggle: Kaggle) -> None:
    add(1, 0.8, "")
    assert scores.refresh(PATH) == 0
    assert history.read(PATH)["status"].tolist() == ["PENDING"]
    assert len(kaggle.of("ListSubmissions")) == 1


@pytest.mark.slow
def test_the_command_prints_and_plots_without_credentials(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = Project(tmp_path)
    home = {"HOME": str(tmp_path_factory.mktemp("home"))}
    process = project.stage("history", **home)
    assert process.returncode == 1 and str(PATH) in process.stdout
    for number in range(3):
        add(number, 0.8 + number / 100, 0.8 + number / 100)
    add(4, 0.8, "")
    process = project.stage("history", **home)
    assert process.returncode == 0, process.stdout
    assert process.stdout.startswith("warning: ") and "Pearson 1.000" in process.stdout
    assert (tmp_path / "reports/history.png").exists()
