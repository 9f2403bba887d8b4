"""What `make init` decides after measuring, with and without a limit on the time."""

from collections.abc import Iterator
from pathlib import Path

import competitions
import pytest
import safetensors.torch
import timm
import torch

from podium.competition.archive import Archive
from podium.core.errors import UserError
from podium.features.linear import head_for
from podium.init import decide, measure
from podium.init.decide import Data, Decision
from podium.init.dry_run import dry_run
from podium.init.survey import survey
from podium.init.understand import understand
from podium.init.weights import Weights
from podium.planning import stopwatch


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    path = tmp_path_factory.mktemp("weights") / "test_resnet.safetensors"
    torch.manual_seed(0)
    safetensors.torch.save_file(timm.create_model("test_resnet").state_dict(), path)
    return Weights(str(path), "test_resnet")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    folder = tmp_path_factory.mktemp("archive")
    path = competitions.write_zip(folder / "x.zip", competitions.competition(60, 9))
    with Archive(path) as opened:
        yield opened


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopwatch, "SECONDS", 0.1)
    monkeypatch.setattr(stopwatch, "_imports", lambda _: 1.0)
    monkeypatch.setattr(measure, "MAX_STEPS", 1)
    monkeypatch.setattr(measure, "head_for", lambda task: head_for(task)._replace(strengths=(1.0,)))


def run(
    archive: Archive, weights: Weights | None, *, minutes: float | None, quick: bool = False
) -> Decision:
    layout = understand(survey(archive), {})
    data = Data(archive, layout, dry_run(archive, layout), "cpu", weights)
    return decide.decide(data, minutes=minutes, quick=quick)


def test_without_a_limit_only_features_are_compared(archive: Archive, weights: Weights) -> None:
    measured, choice = run(archive, weights, minutes=None)
    assert measured is not None and measured.images == 60 and choice is None


def test_a_limit_gives_a_choice_with_its_times(
    archive: Archive, weights: Weights, capsys: pytest.CaptureFixture[str]
) -> None:
    measured, choice = run(archive, weights, minutes=600)
    assert measured is not None and choice is not None
    assert choice.models and choice.epochs == 30 and choice.folds == 5
    printed = capsys.readouterr().out
    assert "For 10 h 00 min: test_resnet (" in printed and " pixels, 30 epochs)" in printed
    assert "more minutes would not be used" in printed
    assert [line for line in printed.splitlines() if line.startswith("  total ")]


def test_quick_with_a_limit_compares_no_features(archive: Archive, weights: Weights) -> None:
    measured, choice = run(archive, weights, minutes=0.001, quick=True)
    assert measured is None
    assert choice is not None and not choice.models and len(choice.kinds) == 1


def test_what_cannot_be_measured(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = Weights(str(tmp_path / "no.safetensors"), "test_resnet")
    assert run(archive, missing, minutes=None) == (None, None)
    assert "were not measured: " in capsys.readouterr().out
    with pytest.raises(UserError, match=r"--minutes: not measured: .*no\.safetensors"):
        run(archive, missing, minutes=5)


@pytest.mark.parametrize("train_images", [6, 14])
def test_too_few_images_to_compare_features(
    weights: Weights, tmp_path: Path, train_images: int
) -> None:
    path = competitions.write_zip(tmp_path / "x.zip", competitions.competition(train_images, 3))
    with Archive(path) as few:
        assert run(few, weights, minutes=None) == (None, None)
        decision = run(few, weights, minutes=5)
    assert decision.measured is None and decision.choice is not None
