"""benchmarks/score.py: its table, what systems get to see, and Podium against another system."""

import math
import subprocess
import sys
import zipfile
from pathlib import Path

import competitions
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from podium.scoring.decisions import DecisionRule

sys.path.append(str(ROOT / "benchmarks"))  # its other names are those of our stages
import score
import score_plot
import score_table
from score_competition import Competition, Predicted
from score_runs import Limit, Run, RunError, minutes
from score_table import Mean


@pytest.fixture
def entry(tmp_path: Path) -> str:
    """A competition and its solution."""
    competitions.write_zip(tmp_path / "shapes.zip", competitions.competition(60, 30))
    competitions.tables(60, 30)[1].to_csv(tmp_path / "solution.csv", index=False)
    return f"{tmp_path / 'shapes.zip'}:{tmp_path / 'solution.csv'}"


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def finished(system: str, seed: int, score: float | None, **changes: object) -> Run:
    facts = {
        "competition": "shapes", "metric": "accuracy", "greater_is_better": True, "limit": 300.0,
        "size": 160, "cpu_seconds": 10.0, "seconds": 6.0, "log_loss": score, "accuracy": score,
    }  # fmt: skip
    return Run(**{**facts, "system": system, "seed": seed, "score": score, **changes})


def test_mean_and_standard_error() -> None:
    mean = Mean.of([0.8, 0.9, 1.0])
    assert mean.value == pytest.approx(0.9)
    assert mean.error == pytest.approx(0.1 / math.sqrt(3))
    assert Mean.of([0.5]) == (0.5, 0.0)


def test_ranks_are_shared_within_a_standard_error_of_the_difference() -> None:
    means = {"a": Mean(0.90, 0.03), "b": Mean(0.94, 0.04), "c": Mean(0.80, 0.0), "d": None}
    assert score_table.ranks(means, greater_is_better=True) == {"a": 1, "b": 1, "c": 3, "d": 4}
    assert score_table.ranks(means, greater_is_better=False) == {"a": 2, "b": 2, "c": 1, "d": 4}


def test_the_plot_is_of_the_tables_in_the_docs() -> None:
    text = score_plot.RESULTS.read_text()
    points = score_plot.points(text)
    assert {*points} == {"ants-bees", "weather", "clothing", "digits"}
    for name, systems in points.items():
        assert {*score_plot.SYSTEMS} == {point.system for point in systems} and len(systems) == 6
        for point in systems:
            assert f"{point.accuracy:.4f}" in text and f"{point.seconds:.0f}" in text, name
    assert score_plot.Point("fastai", 0.8911, 0.0058, 223) in points["ants-bees"]
    assert score_plot.Point("podium", 0.7867, 0.0, 858) in points["clothing"]
    picture = ROOT / "docs/score.svg"
    assert score_plot.plot(points) == picture.read_text(), "run benchmarks/score_plot.py"
    assert picture.stat().st_size < 300_000


def test_the_table_has_a_row_per_system_and_a_failed_run_fails_its_row() -> None:
    runs = [
        finished("podium", 1, 0.9),
        finished("podium", 2, 1.0, cpu_seconds=20.0),
        finished("logistic", 1, 0.5),
        finished("logistic", 2, 0.5),
        finished("fastai", 1, 1.0),
        finished("fastai", 2, None, failure="over 300 s"),
    ]
    table = [dict(zip(score_table.HEADER, row, strict=True)) for row in score_table.rows(runs)]
    assert [row["system"] for row in table] == ["podium", "logistic", "fastai"]
    assert [row["score"] for row in table] == ["0.9500 ± 0.0500", "0.5000", "failed (over 300 s)"]
    assert [row["rank"] for row in table] == ["1", "2", "3"]
    assert [row["log loss"] for row in table] == ["0.9500 ± 0.0500", "0.5000", ""]
    assert table[0]["CPU s"] == "15" and table[0]["competition, metric"] == "shapes, accuracy"


def test_scores_are_those_of_the_submission(entry: str, tmp_path: Path) -> None:
    competition = Competition(entry, folder(tmp_path / "files"))
    known = competitions.tables(60, 30)[1]
    right = np.array([competition.task.classes.index(label) for label in known["label"]])
    right[0] = (right[0] + 1) % 3  # one mistake
    probabilities = np.full((30, 3), 0.1)
    probabilities[np.arange(30), right] = 0.8
    order = np.arange(30)[::-1]
    predicted = Predicted(known["id"][order].tolist(), np.log(probabilities)[order])
    scores = competition.scores(predicted)
    assert scores["score"] == scores["accuracy"] == pytest.approx(29 / 30)
    assert scores["log_loss"] == pytest.approx(-(29 * math.log(0.8) + math.log(0.1)) / 30)


def test_systems_get_images_and_training_labels_only(entry: str, tmp_path: Path) -> None:
    files = folder(tmp_path / "files")
    competition = Competition(entry, files)
    train, test = pd.read_csv(files / "train.csv"), pd.read_csv(files / "test.csv")
    assert list(train) == ["path", "label"] and list(test) == ["path"]
    known = competitions.tables(60, 30)[0]["label"]
    assert [competition.task.classes[label] for label in train["label"]] == known.tolist()
    assert Path(test["path"][7]).read_bytes() == competitions.competition(60, 30)["test/0067.png"]
    assert not [path for path in files.rglob("*") if "solution" in path.name]


def test_few_training_images_per_class(entry: str, tmp_path: Path) -> None:
    competition = Competition(entry, folder(tmp_path / "files"), per_class=4)
    train, everything = competition.tables.train, competitions.tables(60, 30)[0]
    assert competition.name == "shapes, 4 per class"
    assert train["label"].value_counts().to_dict() == dict.fromkeys(competitions.CLASSES, 4)
    assert train.merge(everything, on=["id", "label"])["id"].tolist() == train["id"].tolist()
    assert len(competition.tables.test) == 30
    with zipfile.ZipFile(competition.archive) as archive:
        assert len([name for name in archive.namelist() if name.startswith("train/")]) == 12


def test_an_archive_that_contains_the_solution_is_refused(entry: str, tmp_path: Path) -> None:
    archive, _, solution = entry.partition(":")
    with zipfile.ZipFile(archive, "a") as target:
        target.writestr("labels.csv", Path(solution).read_bytes())
    with pytest.raises(SystemExit, match=r"shapes\.zip contains the solution, as labels\.csv"):
        Competition(entry, folder(tmp_path / "files"))


def test_one_of_several_label_columns(tmp_path: Path) -> None:
    files = competitions.competition(60, 30)
    known, hidden = competitions.tables(60, 30)
    colors = {"color": ["red", "green"] * 45}
    for name, table in (("train.csv", known), ("sample_submission.csv", hidden)):
        both = table.assign(color=colors["color"][: len(table)])
        files[name] = competitions.csv(both)
    competitions.write_zip(tmp_path / "shapes.zip", files)
    hidden.assign(color="red").to_csv(tmp_path / "solution.csv", index=False)
    entry = f"{tmp_path / 'shapes.zip'}:{tmp_path / 'solution.csv'}:label"
    competition = Competition(entry, folder(tmp_path / "files"))
    assert competition.name == "shapes (label)"
    assert competition.task.classes == sorted(competitions.CLASSES)
    logits = np.zeros((30, 3))
    scores = competition.scores(Predicted(hidden["id"].tolist(), logits))
    assert scores["log_loss"] == pytest.approx(math.log(3))


def test_digits_are_a_thousand(tmp_path: Path) -> None:
    competition = Competition("digits", folder(tmp_path / "files"))
    assert not [path for path in tmp_path.rglob("*") if "solution" in path.name]
    sizes = [len(competition.tables.ids[part]) for part in ("train", "test")]
    assert sizes == [750, 250] and len(competition.task.classes) == 10
    predicted = Predicted(competition.tables.ids["test"], np.zeros((250, 10)), DecisionRule())
    assert competition.scores(predicted)["log_loss"] == pytest.approx(math.log(10))


def test_systems_whose_environment_is_absent_are_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    python = Path(sys.executable)
    assert score.is_available("podium", None) and score.is_available("logistic", python)
    assert not score.is_available("fastai", python)  # not in Podium's environment
    assert not score.is_available("autogluon", tmp_path / "python")
    assert capsys.readouterr().err.splitlines() == [
        f"fastai is skipped: {python} does not have it",
        f"autogluon is skipped: {tmp_path / 'python'} does not have it",
    ]
    with pytest.raises(SystemExit, match="choose from podium,"):
        score.is_available("keras", None)


def test_podium_gets_the_minutes_that_init_leaves() -> None:
    assert minutes(300) == pytest.approx(0.85 * 255 / 60)
    assert minutes(10) == 0.1


def test_cpu_time_is_limited_with_that_of_grandchildren(tmp_path: Path) -> None:
    limit = Limit(1.0, tmp_path / "log")
    busy = f"import subprocess; subprocess.run([{sys.executable!r}, '-c', 'while True: pass'])"
    with pytest.raises(RunError, match="over 1 s"):
        limit.run(sys.executable, "-c", busy, folder=tmp_path, environment={})
    assert 1 < limit.cpu_seconds < 30


def test_a_program_that_fails_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = Limit(60.0, tmp_path / "log")
    with pytest.raises(RunError, match="exit status 3"):
        limit.run("sh", "-c", "echo reason; exit 3", folder=tmp_path, environment={})
    assert "reason" in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("systems", ["logistic,fastai", "podium,logistic,fastai"])
def test_systems_on_a_small_competition(entry: str, tmp_path: Path, systems: str) -> None:
    import safetensors.torch
    import timm
    import torch

    torch.manual_seed(0)
    weights = tmp_path / "test_resnet.safetensors"
    safetensors.torch.save_file(timm.create_model("test_resnet").state_dict(), weights)
    command = [
        sys.executable, str(ROOT / "benchmarks/score.py"), entry, "--weights", str(weights),
        "--seeds", "1", "--size", "32", "--results", str(tmp_path / "scores.jsonl"),
        "--systems", systems,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "note: " in done.stderr and "fastai is skipped: --others is not given" in done.stderr
    header, _, *rows = (
        [cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()
    )
    table = [dict(zip(header, row, strict=True)) for row in rows]
    assert [row["system"] for row in table] == systems.split(",")[:-1], done.stderr
    for row in table:
        assert float(row["accuracy"]) > 0.4 and float(row["log loss"]) < 1.1, row
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout == done.stdout and ", seed" not in again.stderr
