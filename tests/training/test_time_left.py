"""The time left for all models and folds of params.yaml."""

import time
from dataclasses import replace
from pathlib import Path

import provenances
import pytest
import trainings

from podium.config.folds import Folds
from podium.core import files, paths
from podium.core.paths import Fold
from podium.training import time_left
from podium.training.epochs import Epoch
from podium.training.status import Status
from podium.training.time_left import Left, Trainings

THIS = ("a", 0)


def all_trainings(root: Path, *, all_folds: list[str] | None = None, seed: int = 1) -> Trainings:
    """Two models of three folds."""
    folds = Folds.model_validate(
        {"count": 3, "run": [0, 1, 2], "all": all_folds or [], "subsample": {}}
    )
    models = {"a": trainings.config(), "b": trainings.config(dropout=0.5)}
    made = Trainings(models, folds, root=root, seed=seed)
    made.identify(provenances.training(), "c")
    return made


def finish(made: Trainings, model: str, fold: Fold, seconds: float) -> None:
    files.write_bytes(made.root / paths.weights(model, fold), b"")
    made.finish(model, fold, seconds)


def epochs(*seconds: float, phase: int = 1, features: float = 0.0) -> list[Epoch]:
    """The epochs of a phase, the first of which computed `features` for so many seconds before."""
    rest = (0.5, None, None, None, None, None, None, 0.1, None, 1, 100.0)
    curves = [Epoch(n, phase, *rest, value) for n, value in enumerate(seconds, 1)]
    first = replace(curves[0], seconds=seconds[0] + features, feature_seconds=features)
    return [first, *curves[1:]]


def test_a_pause_does_not_change_the_estimate() -> None:
    assert time_left.seconds_left(epochs(10, 10, 3600), {1: 1}) == 10
    assert time_left.seconds_left(epochs(3600, 10), {1: 1}) == 10
    assert time_left.usual_seconds(epochs(10, 3600, 10)) == 30
    slower = [*epochs(10, 10, 10), *epochs(30, 3600, 31, phase=2)]  # the backbone trains, too
    assert time_left.seconds_left(slower, {2: 0.5}) == 31 / 2
    assert time_left.usual_seconds(slower) == 30 + 3 * 31


def test_epochs_on_features_say_nothing_about_epochs_on_images() -> None:
    head = epochs(0.25, 0.25, 0.25, features=100.0)
    assert time_left.seconds_left(head, {1: 7}) == 7 * 0.25
    assert time_left.seconds_left(head, {1: 7, 2: 5}) is None
    assert not time_left.is_measured(head, {1: 7, 2: 5})
    later = [*head, *epochs(30, phase=2)]
    assert time_left.seconds_left(later, {2: 4, 3: 2}) == 6 * 30  # gradual unfreezing
    assert time_left.seconds_left(epochs(20), {1: 1, 2: 2}) == 60  # on images


def test_other_folds_compute_the_features_once_too(tmp_path: Path) -> None:
    head = epochs(0.25, 0.25, 0.25, features=100.0)
    assert time_left.usual_seconds(head) == 100 + 3 * 0.25
    resumed = [*head, *epochs(0.25, features=120.0)]  # computes them again
    assert time_left.usual_seconds(resumed) == 100 + 4 * 0.25
    spent = time_left.usual_seconds(head)
    left = all_trainings(tmp_path).left(THIS, [], seconds=0.25, spent=spent)
    assert left.seconds == pytest.approx(0.25 + 2 * 101)


def test_a_phase_that_was_not_reached_takes_as_long_as_in_finished_trainings(
    tmp_path: Path,
) -> None:
    made = all_trainings(tmp_path)
    assert made.as_finished("a", spent=10.0) is None
    finish(made, "a", 1, 100.0)
    finish(made, "a", 2, 140.0)
    assert made.as_finished("a", spent=10.0) == 110.0
    assert made.as_finished("a", spent=500.0) == 0.0
    assert made.as_finished("b", spent=10.0) is None


def test_nothing_is_estimated_without_a_measurement(tmp_path: Path) -> None:
    assert all_trainings(tmp_path).left(THIS, []) == Left(6, None, 6)


def test_folds_of_a_model_take_as_long_as_this_one_and_others_are_counted(
    tmp_path: Path,
) -> None:
    left = all_trainings(tmp_path).left(THIS, [], seconds=30.0, spent=30.0)
    assert left == Left(6, 30.0 + 2 * 60.0, 3)
    assert str(left) == "2 min and 3 unmeasured runs"
    assert str(Left(3, 0.0, 3)) == str(Left(3, None, 3)) == "3 unmeasured runs"
    assert str(Left(1, 0.0, 0)) == "0 s"


def test_finished_trainings_are_measured_and_no_longer_counted(tmp_path: Path) -> None:
    made = all_trainings(tmp_path, all_folds=["b"])
    finish(made, "b", 0, 100.0)
    finish(made, "b", 2, 140.0)
    left = made.left(THIS, [], seconds=30.0, spent=30.0)
    assert left == Left(5, 30 + 2 * 60 + 2 * 120, 0)  # b-1 and b-all
    assert made.left(("b", 1), [], spent=20.0) == Left(5, 100 + 120, 3)  # of a, nothing is known


def test_a_result_that_was_removed_or_is_of_other_settings_counts_again(tmp_path: Path) -> None:
    made = all_trainings(tmp_path)
    finish(made, "a", 1, 100.0)
    assert made.left(THIS, []).trainings == 5
    assert all_trainings(tmp_path, seed=2).left(THIS, []) == Left(6, None, 6)
    (tmp_path / paths.weights("a", 1)).unlink()
    assert made.left(THIS, []) == Left(6, 3 * 100, 3)


@pytest.mark.parametrize("others", [1, 2])
def test_trainings_that_run_at_once_share_the_time(tmp_path: Path, others: int) -> None:
    made, now = all_trainings(tmp_path), time.monotonic()
    running = [
        Status("a", str(fold), made.key("a", fold), left=90.0, updated=now)
        for fold in range(1, others + 1)
    ]
    itself = Status("a", "0", made.key(*THIS), left=1e9, updated=now)
    left = made.left(THIS, [itself, *running], seconds=30.0, spent=30.0)
    waiting = 60.0 * (2 - others)
    assert left.seconds == pytest.approx((30 + 90 * others + waiting) / (1 + others), abs=1)
    assert made.left(THIS, running, seconds=500.0).seconds >= 500.0
