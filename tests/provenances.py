"""Provenance of made-up weights and predictions."""

from collections.abc import Sequence
from typing import Any

from podium.core.provenance import EnsembleProvenance, PredictionProvenance, TrainingProvenance
from podium.scoring.decisions import DecisionRule
from podium.submission.methods.base import Blend


def training(**changes: Any) -> TrainingProvenance:
    values = {
        "task": "multiclass",
        "classes": ["x", "y", "z"],
        "folds_sha256": "f",
        "images_sha256": "i",
        "config": {},
        "fold": 0,
        "epochs": None,
        "seed": 1,
        "metric": "accuracy",
        "metric_sha256": None,
        "deterministic": True,
        "pretrained_sha256": None,
        "pretrained_revision": None,
        "scale": [0.0, 1.0],
        "torch": "2",
        "device": "cpu",
        "micro_batches": 1,
    }
    return TrainingProvenance(**(values | changes))


def prediction(training_: TrainingProvenance | None = None, **changes: Any) -> PredictionProvenance:
    values = {
        "training": training_ or training(),
        "weights_sha256": "w",
        "predict": {},
        "images_sha256": "i",
        "averaging": "logits",
    }
    return PredictionProvenance(**(values | changes))


def ensemble(
    task: str = "multiclass",
    classes: Sequence[str] = ("x", "y", "z"),
    rule: DecisionRule = DecisionRule(),  # noqa: B008  immutable
) -> EnsembleProvenance:
    return EnsembleProvenance(
        task=task,
        classes=[*classes],
        blend=Blend("mean", "logits", [1.0], {})._asdict(),
        weights={"a": 1.0},
        decision=rule._asdict(),
        oof={"accuracy": 0.5},
        members={"a": [prediction(training(task=task, classes=[*classes]))]},
    )
