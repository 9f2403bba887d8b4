from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from trainings import components

from commands import lr_range
from podium.core.errors import UserError
from podium.images.store import ImageStore


def test_rates_grow_in_equal_ratios_until_the_loss_diverges(images: ImageStore) -> None:
    curve = lr_range.run(components(images), 1, low=1e-5, high=100.0, steps=71)
    assert curve["lr"].iloc[0] == pytest.approx(1e-5)
    ratios = curve["lr"].to_numpy()[1:] / curve["lr"].to_numpy()[:-1]
    assert ratios == pytest.approx(np.full(len(ratios), 10**0.1))
    assert len(curve) < 71 and curve["smoothed"].iloc[-1] > 3 * curve["smoothed"].min()
    assert 1e-5 < lr_range.suggest(curve) < 1


def test_the_suggestion_is_a_tenth_of_the_rate_of_the_lowest_loss() -> None:
    curve = pd.DataFrame({"lr": [0.1, 1.0, 10.0], "loss": 1.0, "smoothed": [2.0, 1.0, 3.0]})
    assert lr_range.suggest(curve) == pytest.approx(0.1)


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    curve = pd.DataFrame({"lr": [0.1, 1.0, 10.0], "loss": 1.0, "smoothed": [2.0, 1.0, 3.0]})
    lr_range.plot(curve, tmp_path / "x" / "y.png", title="a model")
    picture = np.asarray(Image.open(tmp_path / "x" / "y.png").convert("RGB"))
    assert picture.shape[0] > 300 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 20


def test_a_phase_that_is_not_there_and_a_rate_that_diverges_at_once_are_errors(
    images: ImageStore,
) -> None:
    with pytest.raises(UserError, match="there is no phase 2: the model has 1"):
        lr_range.run(components(images), 2, low=1e-5, high=1.0, steps=19)
    with pytest.raises(UserError, match="give 10 steps or more, and rates from low to high"):
        lr_range.run(components(images), 1, low=1e-5, high=1.0, steps=9)
    with pytest.raises(UserError, match=r"diverged after \d steps: begin below 1e\+20"):
        lr_range.run(components(images), 1, low=1e20, high=1e30, steps=50)
