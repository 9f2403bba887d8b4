from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from provenances import training
from trainings import FOLDS, config

from podium.config.predict import Predict
from podium.core import seeding
from podium.core.errors import UserError
from podium.images.store import ImageStore
from podium.models import factory, weights
from podium.prediction import predictor as predicting
from podium.prediction.predictor import Predictor

IDS = FOLDS["id"].tolist()


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    made = config(resize_mode="squash")
    seeding.set_global("x")
    state = factory.create(made, outputs=3).state_dict()
    weights.save(tmp_path / "w.safetensors", state, training(config=made.model_dump()))
    return tmp_path / "w.safetensors"


def predictor(path: Path, **options: Any) -> Predictor:
    views = ["identity", "hflip", "vflip"]
    return Predictor(path, Predict.model_validate({"views": views, "batch_size": 8} | options))


def test_without_a_limit_nothing_is_measured(trained: Path, images: ImageStore) -> None:
    made = predictor(trained)
    made.net.forward = None  # type: ignore[assignment]
    made.keep_to_the_limit(images, IDS)
    assert made.views == ["identity", "hflip", "vflip"]


def test_within_the_limit_the_time_is_told(
    trained: Path,
    images: ImageStore,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = predictor(trained, time_limit_minutes=10)
    made.keep_to_the_limit(images, IDS)
    assert made.views == ["identity", "hflip", "vflip"]
    assert "120 images with 3 views will take about" in capsys.readouterr().out


def test_beyond_the_limit_it_fails_before_it_predicts(
    trained: Path,
    images: ImageStore,
) -> None:
    made = predictor(trained, time_limit_minutes=1e-7)
    with pytest.raises(UserError, match=r"120 images with 3 views .* is 1e-07: take fewer views"):
        made.keep_to_the_limit(images, IDS)


def test_beyond_the_limit_it_may_leave_views_out_the_last_first(
    trained: Path,
    images: ImageStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = predictor(trained, time_limit_minutes=1.0, on_timeout="fewer_views")
    monkeypatch.setattr(Predictor, "_minutes", lambda self, *_: 0.6 * len(self.views))
    made.keep_to_the_limit(images, IDS)
    assert made.views == ["identity"]
    predicted = made.predict(images, IDS[:5])
    assert predicted.provenance.predict["views"] == ["identity"]
    monkeypatch.setattr(Predictor, "_minutes", lambda *_: 2.0)
    with pytest.raises(UserError, match="with 1 views will take 2 min"):
        made.keep_to_the_limit(images, IDS)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize(
    ("workers", "images_told", "seconds"),
    [("0", 480, 60), ("4", 480, 15), ("4", 96, 3), ("0", 16, 2), ("4", 16, 10 + 1)],
)
def test_the_time_told_is_the_loaders_without_its_start(
    trained: Path,
    images: ImageStore,
    monkeypatch: pytest.MonkeyPatch,
    workers: str,
    images_told: int,
    seconds: float,
) -> None:
    """On a simulated clock: each worker starts in 10 seconds and gives a batch of 8 a second."""
    monkeypatch.setenv("PODIUM_WORKERS", workers)
    clock = 0.0
    in_order = Predictor._loader

    def clocked(self: Predictor, store: ImageStore, ids: list[str]) -> Iterator[Any]:
        nonlocal clock
        for number, batch in enumerate(in_order(self, store, ids)):
            clock = 10 + 1 + number // max(1, int(workers))
            yield batch

    monkeypatch.setattr(Predictor, "_loader", clocked)
    monkeypatch.setattr(predicting.time, "perf_counter", lambda: clock)
    ids = (IDS * 4)[:images_told]
    assert 60 * predictor(trained)._minutes(images, ids) == pytest.approx(seconds)
