"""Several images per unit: an epoch's score is that of the units."""

from typing import Any

import numpy as np
import pytest
import torch
from conftest import PARAMS
from trainings import FOLDS, components, training_data

from podium.core import files
from podium.core.errors import UserError
from podium.images.store import ImageStore
from podium.params.schema import Params
from podium.scoring import metrics, units
from podium.training import loop
from podium.training.state import TrainState

ACCURACY = metrics.get("accuracy", "multiclass")
# Images i and i + 12 have the same label and fold.
WITH_UNITS = FOLDS.assign(unit=[f"{i // 24}-{i % 12}" for i in range(len(FOLDS))])


@pytest.mark.parametrize(("how", "expected"), [(None, 0.5), ("mean", 1.0), ("max", 0.0)])
def test_an_epochs_score_is_that_of_the_units(
    how: Any, expected: float, images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = training_data(images, FOLDS if how is None else WITH_UNITS)
    run = components(images, data=data if how is None else data._replace(aggregate=how))
    assert run.loaders.valid is not None
    dataset = run.loaders.valid.dataset
    wrong = [int(image) % 24 >= 12 for image in dataset.ids]  # the second of each unit
    logits = torch.eye(3)[dataset.targets] * 5
    other = (dataset.targets + 1) % 3
    second = torch.eye(3)[other] * 4  # right by the mean
    if how == "max":
        second *= 2  # wrong by the highest probability
    logits[wrong] = second[wrong]
    monkeypatch.setattr(loop, "predict", lambda *_: logits)
    scores = loop.evaluate(run, TrainState(run), metric=ACCURACY)
    assert scores["score"] == scores["accuracy"] == expected
    loss = torch.nn.functional.cross_entropy(logits, dataset.targets).item()
    assert np.isclose(scores["valid_loss"], loss)  # of images


@pytest.mark.parametrize(
    ("prepare", "aggregate", "written"),
    [
        ({}, "max", {}),
        ({"images": "{id}_*"}, "mean", {}),
        ({"images": "{id}_*"}, "max", {"aggregate": "max"}),
        ({"images": "{id}_*", "stack": ["a", "b"], "channels": 2}, "max", {}),
        ({"submission_id_column": "patient"}, "max", {"aggregate": "max"}),
    ],
)
def test_trainings_depend_on_the_aggregation_only_if_it_matters(
    prepare: dict[str, Any], aggregate: str, written: dict[str, str], tmp_path: Any
) -> None:
    changed = {
        **PARAMS,
        "prepare": PARAMS["prepare"] | prepare,
        "ensemble": PARAMS["ensemble"] | {"aggregate": aggregate},
    }
    params = Params.model_validate(changed)
    metric = metrics.get(params.metric, params.task)
    assert params.scored_by(metric) == metric.facts() | written
    path = tmp_path / "metric.json"
    with pytest.raises(UserError, match=r"metric\.json not found. Run `dvc repro check`"):
        units.read_how(path)
    files.write_json(path, params.scored_by(metric))
    assert units.read_how(path) == written.get("aggregate", "mean")
