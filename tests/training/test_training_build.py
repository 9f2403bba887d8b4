from typing import Any

import pytest
from trainings import FOLDS, components, config, training_data

from podium.core.errors import UserError
from podium.images.store import ImageStore
from podium.training.build import build

PHASE = {"epochs": 1, "lr": 0.01}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"phases": [PHASE, {**PHASE, "trainable": {"last": 44}}]}, "44"),
        ({"phases": [PHASE, {**PHASE, "optimizer": "adamx"}]}, "adamx"),
        ({"phases": [PHASE, {**PHASE, "augment": [{"Blr": {}}]}]}, "Blr"),
        ({"pretrained": "nope.safetensors"}, r"nope\.safetensors"),
    ],
)
def test_an_impossible_setting_of_a_later_phase_is_an_error_at_the_start(
    images: ImageStore, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(UserError, match=named):
        components(images, **changes)


def test_mixing_an_odd_number_of_images_is_an_error(images: ImageStore) -> None:
    model = config(batch_size=100, mix={"mixup_alpha": 0.2})
    with pytest.raises(UserError, match=r"mix: .*89"):
        build(model, training_data(images, FOLDS.iloc[:-1]), fold=0, seed=1)
