"""Scores over the folds, of several targets also those of each."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from podium.scoring import decisions, target_scoring
from podium.scoring.metrics import Metric
from podium.scoring.task import Task


class Score(NamedTuple):
    """The score of some images."""

    score: float
    targets: Mapping[str, float]  # the score of each, if there are several


def score(
    task: Task, metric: Metric, targets: np.ndarray, predicted: np.ndarray, labels: np.ndarray
) -> Score:
    """Score predictions: see `decisions.score_predictions`.

    Raises:
        UserError: if the metric is undefined.
    """
    if not task.parts:
        return Score(decisions.score_predictions(task, metric, targets, predicted, labels), {})
    scores = decisions.per_target(task, metric, targets, predicted, labels)
    counts = task.label_counts(targets)
    return Score(target_scoring.combine(task, metric, scores, counts), scores)


def summary(
    task: Task, metric: Metric, overall: Score, folds: Mapping[int, Score]
) -> dict[str, Any]:
    """The score of all images, of each fold, and the folds' mean and standard deviation, as
    metrics/ensemble.json has them; for several targets, also their metrics, weights and scores.
    """
    result = _summary(overall.score, {fold: scored.score for fold, scored in folds.items()})
    if not task.parts:
        return result
    result["targets"] = {
        part.name: {
            "metric": target_scoring.metric_of(metric, part).name,
            "weight": target_scoring.weight_of(metric, part),
            **_summary(
                overall.targets[part.name],
                {fold: scored.targets[part.name] for fold, scored in folds.items()},
            ),
        }
        for part in task.parts
    }
    return result


def _summary(overall: float, folds: Mapping[int, float]) -> dict[str, Any]:
    values = np.array(list(folds.values()))
    return {
        "oof": overall,
        "mean": float(values.mean()),
        "std": float(values.std(ddof=1)) if len(values) > 1 else None,
        "folds": dict(folds),
    }
