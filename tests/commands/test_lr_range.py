from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from conftest import Project
from PIL import Image
from trainings import components

from commands import batch_size, lr_range
from podium.core.errors import UserError
from podium.images.store import ImageStore

CURVE = pd.DataFrame({"lr": [0.1, 1.0, 10.0], "loss": 1.0, "smoothed": [2.0, 1.0, 3.0]})


def test_rates_grow_geometrically_until_the_loss_diverges(images: ImageStore) -> None:
    curve = lr_range.range_test(components(images), 1, low=1e-5, high=100.0, steps=71)
    assert curve["lr"].iloc[0] == pytest.approx(1e-5)
    ratios = curve["lr"].to_numpy()[1:] / curve["lr"].to_numpy()[:-1]
    assert ratios == pytest.approx(np.full(len(ratios), 10**0.1))
    assert len(curve) < 71 and curve["smoothed"].iloc[-1] > 3 * curve["smoothed"].min()
    assert 1e-5 < lr_range.suggest_lr(curve) < 1


def test_the_suggestion_is_a_tenth_of_the_rate_with_the_lowest_loss() -> None:
    assert lr_range.suggest_lr(CURVE) == pytest.approx(0.1)


def test_the_plot_is_an_image(tmp_path: Path) -> None:
    lr_range.plot(CURVE, tmp_path / "x" / "y.png", title="a model")
    pixels = np.asarray(Image.open(tmp_path / "x" / "y.png").convert("RGB"))
    assert pixels.shape[0] > 300 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20


@pytest.mark.parametrize(
    ("phase", "low", "high", "steps", "named"),
    [
        (2, 1e-5, 1.0, 19, "--phase 2"),
        (1, 1e-5, 1.0, 9, "--steps"),
        (1, 1.0, 1e-5, 19, "--low"),
        (1, 1e20, 1e30, 50, r"diverged after \d steps.*1e\+20"),
    ],
)
def test_what_cannot_be_measured_is_an_error(
    images: ImageStore, phase: int, low: float, high: float, steps: int, named: str
) -> None:
    with pytest.raises(UserError, match=named):
        lr_range.range_test(components(images), phase, low=low, high=high, steps=steps)


@pytest.mark.parametrize("command", [lr_range, batch_size])
def test_a_size_that_the_network_does_not_take_is_one_message(
    command: ModuleType, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.enter(monkeypatch)
    project.edit(lambda p: p["models"]["a"].update(architecture="test_vit", image_size=100))
    monkeypatch.setattr("sys.argv", ["command", "a"])
    with pytest.raises(UserError, match=r"test_vit does not take 100 pixels\. Use 96 or 112"):
        command.main()
