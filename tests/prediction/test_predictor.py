from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from provenances import training
from trainings import FOLDS, config

from podium.config.predict import Predict
from podium.core import seeding
from podium.core.errors import UserError
from podium.images.ordered import InOrder
from podium.images.store import ImageStore
from podium.models import factory, weights
from podium.prediction import predictor as module
from podium.prediction.predictor import Predictor
from podium.scoring.task import Task

IDS = FOLDS["id"].tolist()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save(tmp_path / "w.safetensors", outputs=3)


def save(path: Path, *, outputs: int, loss: str | None = None, **provenance: Any) -> Path:
    """Weights of an untrained model."""
    model = config(resize_mode="squash", loss=loss)
    seeding.set_global("x")
    state = factory.create(model, outputs=outputs).state_dict()
    weights.save(path, state, training(config=model.model_dump(), **provenance))
    return path


def create(path: Path, **options: Any) -> Predictor:
    views = ["identity", "hflip", "vflip"]
    return Predictor(path, Predict.model_validate({"views": views, "batch_size": 8} | options))


@pytest.mark.parametrize("task", [Task("multiclass", list("abc")), Task("ordinal", list("012"))])
def test_logits_or_for_cumulative_losses_probabilities_are_averaged_over_views(
    task: Task, images: ImageStore, tmp_path: Path
) -> None:
    is_cumulative = task.name == "ordinal"
    outputs = 2 if is_cumulative else 3
    path = save(tmp_path / "w", outputs=outputs, task=task.name, classes=task.classes)
    both = create(path, views=["identity", "vflip"]).predict(images, IDS[:8])
    alone = [create(path, views=[view]).predict(images, IDS[:8]) for view in ("identity", "vflip")]
    logits = np.stack([predicted.logits for predicted in alone])
    assert not np.allclose(logits[0], logits[1])
    if is_cumulative:
        expected = np.mean([task.probabilities(view) for view in logits], axis=0)
        assert task.probabilities(both.logits) == pytest.approx(expected, abs=1e-6)
    else:
        assert both.logits == pytest.approx(logits.mean(axis=0), abs=1e-6)
    assert both.provenance.averaging == ("probabilities" if is_cumulative else "logits")


def test_without_a_time_limit_nothing_is_measured(path: Path, images: ImageStore) -> None:
    predictor = create(path)
    predictor.net.forward = None  # type: ignore[assignment]
    predictor.enforce_time_limit(images, IDS)
    assert predictor.views == ["identity", "hflip", "vflip"]


def test_within_the_time_limit_the_estimate_is_printed(
    path: Path, images: ImageStore, capsys: pytest.CaptureFixture[str]
) -> None:
    predictor = create(path, time_limit_minutes=10)
    predictor.enforce_time_limit(images, IDS)
    assert predictor.views == ["identity", "hflip", "vflip"]
    assert "120 images with 3 views" in capsys.readouterr().out


def test_beyond_the_time_limit_it_fails_before_it_predicts(path: Path, images: ImageStore) -> None:
    predictor = create(path, time_limit_minutes=1e-7)
    with pytest.raises(UserError, match=r"predict.time_limit_minutes: 120 images .* 1e-07"):
        predictor.enforce_time_limit(images, IDS)


def test_beyond_the_time_limit_views_can_be_dropped_from_the_end(
    path: Path, images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = create(path, time_limit_minutes=1.0, on_timeout="fewer_views")
    monkeypatch.setattr(Predictor, "_estimate_minutes", lambda self, *_: 0.6 * len(self.views))
    predictor.enforce_time_limit(images, IDS)
    assert predictor.views == ["identity"]
    predicted = predictor.predict(images, IDS[:5])
    assert predicted.provenance.predict["views"] == ["identity"]
    monkeypatch.setattr(Predictor, "_estimate_minutes", lambda *_: 2.0)
    with pytest.raises(UserError, match="1 view: 2 min"):
        predictor.enforce_time_limit(images, IDS)


class OnASimulatedClock:
    """A loader that takes 10 seconds to start, then 1 second for as many batches of 8 as it loads
    at a time.
    """

    clock = 0.0

    def __init__(self, loader: InOrder, ahead: int) -> None:
        self.loader, self.ahead, self.batch_sampler = loader, ahead, loader.batch_sampler

    def __iter__(self) -> Iterator[Any]:
        for number, batch in enumerate(self.loader):
            type(self).clock = 10 + 1 + number // (1 + self.ahead)
            yield batch


@pytest.mark.parametrize(
    ("ahead", "images_count", "seconds"),
    [(0, 480, 60), (3, 480, 15), (3, 96, 3), (0, 16, 2), (3, 16, 10 + 1)],
)
def test_the_estimate_leaves_out_the_start_of_the_loader(
    path: Path,
    images: ImageStore,
    monkeypatch: pytest.MonkeyPatch,
    ahead: int,
    images_count: int,
    seconds: float,
) -> None:
    loader = Predictor._loader
    monkeypatch.setattr(OnASimulatedClock, "clock", 0.0)
    monkeypatch.setattr(Predictor, "_loader", lambda *to: OnASimulatedClock(loader(*to), ahead))
    monkeypatch.setattr(module.time, "perf_counter", lambda: OnASimulatedClock.clock)
    ids = (IDS * 4)[:images_count]
    assert 60 * create(path)._estimate_minutes(images, ids) == pytest.approx(seconds)
