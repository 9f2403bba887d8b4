"""Trials without Optuna: what they report, when they are pruned, what is kept."""

import json
from pathlib import Path
from typing import Any

import pytest

from podium.core.errors import UserError
from podium.search import report, space
from podium.search.space import Value
from podium.search.trials import Setting, Trial

TEXT = """models: {m: {lr: 0.1, epochs: 9}}
folds: {run: [0], count: 3}
"""
LINE = "epoch {:3d}  train loss 0.6  valid loss 0.5  accuracy {:.4f}{} lr 1.0e-03  99 images/s"


class Study:
    """Always says that the trial is bad."""

    def __init__(self) -> None:
        self.reported = dict[int, float]()
        self.notes = dict[str, Any]()
        self.ended = list[Any]()

    def begin(self, number: int | None) -> tuple[int, dict[str, Value]]:
        return number or 0, {"lr": 0.2}

    def should_prune(self, number: int, step: int, score: float) -> bool:
        self.reported[step] = score
        return True

    def note(self, number: int, key: str, value: object) -> None:
        self.notes[key] = value

    def noted(self, number: int) -> dict[str, Any]:
        return self.notes

    def complete(self, number: int, score: float) -> None:
        self.ended.append(score)

    def prune(self, number: int) -> None:
        self.ended.append("pruned")


class Pipeline:
    """Keeps objects in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def inputs(self, stages: object) -> tuple[list[str], list[str]]:
        return [], []

    def uncached(self, stages: object) -> dict[str, bytes]:
        return {}

    def with_contents(self, name: str) -> list[str]:
        return [name]

    def object_path(self, name: str) -> Path:
        return self.root / name

    def add_object(self, name: str, content: bytes) -> None:
        (self.root / name).write_bytes(content)

    def add_entry(self, name: str, content: bytes) -> None:
        pass


def new(tmp_path: Path, study: Study, folds: list[int], epochs: int = 9) -> tuple[Trial, Pipeline]:
    pipeline: Any = Pipeline(tmp_path)
    setting = Setting(TEXT, "m", folds, "accuracy", lambda raw: raw["models"]["m"]["epochs"])
    trial = Trial(study, setting, pipeline, number=0, is_new=True, folder=Path("saved"), say=print)
    trial.begin()
    return trial, pipeline


def send(trial: Trial, pipeline: Any, fold: int, score: float) -> None:
    """The result of a fold, as a node sends it."""
    digest = f"{fold:032x}"
    entry = f"outs:\n- path: metrics/m/fold{fold}.json\n  md5: '{digest}'\n"
    trial.receive(pipeline, "object", digest, json.dumps({"accuracy": score}).encode())
    trial.receive(pipeline, "entry", f"{fold}", entry.encode())


def test_a_bad_trial_is_pruned_after_a_third_of_its_epochs(tmp_path: Path) -> None:
    study = Study()
    trial, _ = new(tmp_path, study, [0])
    stops = [trial.read(LINE.format(epoch, 0.5 + epoch / 100, "*")) for epoch in range(1, 5)]
    assert stops == [False, False, False, True]
    assert study.reported == {1: 0.51, 2: 0.52, 3: 0.53, 4: 0.54}
    assert trial.complete and study.ended == ["pruned"]


def test_it_is_never_pruned_at_a_last_epoch(tmp_path: Path) -> None:
    study = Study()
    trial, _ = new(tmp_path, study, [0, 1])
    assert not trial.read("Running stage 'train@m-0':")
    assert not trial.read(LINE.format(9, 0.5, " "))
    assert not trial.read("Running stage 'train@m-1':")
    assert trial.read(LINE.format(1, 0.25, " "))
    assert study.reported == {9: 0.5, 10: 0.25}


def test_other_lines_are_no_scores(tmp_path: Path) -> None:
    study = Study()
    trial, _ = new(tmp_path, study, [0])
    for line in ("resuming from checkpoint at step 9", LINE.format(5, float("nan"), " ")):
        assert not trial.read(line)
    assert not study.reported


def test_the_score_is_the_mean_of_the_folds_and_survives_an_interruption(tmp_path: Path) -> None:
    study = Study()
    trial, pipeline = new(tmp_path, study, [0, 2])
    send(trial, pipeline, 0, 0.1234567)
    assert not trial.complete and not study.ended
    trial, pipeline = new(tmp_path, study, [0, 2])
    work = trial.work(pipeline, {"params.yaml": b""}, {})  # type: ignore[arg-type]
    assert work.stages == ("train@m-0", "train@m-2") and work.entries.keys() == {"0"}
    params = space.parsed(work.files["params.yaml"].decode())
    assert params["models"]["m"]["lr"] == 0.2 and params["folds"]["run"] == [0, 2]
    send(trial, pipeline, 2, 0.2)
    assert study.ended == [(0.1234567 + 0.2) / 2] and trial.complete


def test_checkpoints_of_each_fold_are_kept_here_and_sent_again(tmp_path: Path) -> None:
    trial, pipeline = new(tmp_path, Study(), [0, 2])
    trial.receive(pipeline, "checkpoint", "fold2/1.ckpt", b"state")  # type: ignore[arg-type]
    assert (tmp_path / "saved/0/fold2/1.ckpt").read_bytes() == b"state"
    work = trial.work(pipeline, {}, {})  # type: ignore[arg-type]
    assert work.checkpoints == {".checkpoints/m/fold2/1.ckpt": b"state"}
    assert work.checkpoint_folder == ".checkpoints/m"


def test_divergence_is_a_trials_failure_and_other_errors_are_the_users(tmp_path: Path) -> None:
    study = Study()
    trial, _ = new(tmp_path, study, [0])
    assert not trial.excuses("batch_size: 512 does not fit the memory") and not study.ended
    assert trial.excuses("epoch 1, step 3: loss is nan (images 1). Lower lr")
    assert study.ended == ["pruned"] and trial.complete


def test_values_that_do_not_fit_each_other_end_the_search_and_their_trial(tmp_path: Path) -> None:
    def epochs(_: object) -> int:
        raise UserError("warmup_epochs must be less than epochs")

    study, pipeline = Study(), Pipeline(tmp_path)
    setting = Setting(TEXT, "m", [0], "accuracy", epochs)
    trial = Trial(study, setting, pipeline, number=0, is_new=True, folder=Path("s"), say=print)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="warmup_epochs"):
        trial.begin()
    assert study.ended == ["pruned"]


class Row:
    """A trial."""

    def __init__(self, number: int, state: str, score: float | None) -> None:
        self.number, self.state, self.score = number, state, score
        self.values: dict[str, Value] = {"lr": number / 10}


def test_the_report_says_what_the_best_score_is_worth() -> None:
    rows = [Row(0, "complete", 0.8), Row(1, "pruned", 0.5), Row(2, "complete", 0.9)]
    others = {"params.yaml": {1: 0.8, 2: 0.82}, "trial 2": {2: 0.86, 1: 0.84}}
    text = report.summary(
        model="m",
        metric="accuracy",
        folds=[0],
        rows=rows,
        best=rows[2],
        has_baseline=True,
        others=others,
    )
    assert text.splitlines() == [
        "m: 3 trials on fold 0 (2 complete, 1 pruned)",
        "best: trial 2, accuracy 0.9000: lr=0.2",
        "params.yaml (trial 0): accuracy 0.8000",
        "warning: 0.9000 is optimistic: it is the best of 3 trials, on the images by which it was "
        "chosen",
        "trial 2 on folds 1, 2, which the search did not use: accuracy 0.8500",
        "params.yaml on folds 1, 2, which the search did not use: accuracy 0.8100",
    ]
    assert report.table(rows, "accuracy")[:2] == [
        ["trial", "state", "accuracy", "lr"],
        ["0", "complete", "0.8000", "0.0"],
    ]


def test_without_other_folds_the_report_says_so() -> None:
    rows = [Row(0, "complete", 0.8)]
    text = report.summary(
        model="m",
        metric="accuracy",
        folds=[0, 1],
        rows=rows,
        best=rows[0],
        has_baseline=False,
        others={},
    )
    assert "not scored on folds that the search did not use" in text
