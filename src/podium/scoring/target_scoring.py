"""How several targets are scored: the metric and the weight of each."""

from collections.abc import Mapping

from podium.core.errors import UserError
from podium.scoring import metrics, target_metrics
from podium.scoring.metrics import Metric
from podium.scoring.target_metrics import TargetMetric
from podium.scoring.task import Target, Task


def metric_of(metric: Metric, part: Target) -> Metric:
    """The metric of one of several targets."""
    return metrics.get(_found(metric, part).of(part.task.name), part.task.name)


def weight_of(metric: Metric, part: Target) -> float:
    """The weight of one of several targets in the score."""
    return _found(metric, part).weight


def combine(
    task: Task, metric: Metric, scores: Mapping[str, float], counts: Mapping[str, int]
) -> float:
    """The score of all targets: the weighted mean of theirs, or with `pooled_rmse` the root mean
    square error of all values together.

    Args:
        task: with several targets.
        metric: of several targets.
        scores: by target.
        counts: the number of labels of each target.
    """
    if metric.name == target_metrics.POOLED:
        squares = sum(counts[name] * score**2 for name, score in scores.items())
        return float((squares / sum(counts.values())) ** 0.5)
    weights = [weight_of(metric, part) for part in task.parts]
    return float(metric.function([*scores.values()], weights=weights))


def _found(metric: Metric, part: Target) -> TargetMetric:
    found = target_metrics.of_target(metric.targets or {}, part.name)
    if found is None:
        raise UserError(f"metric: {metric.name} has no metric for {part.name}. Add one.")
    return found
