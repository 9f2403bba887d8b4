"""Metrics of several targets: the weighted mean of one metric per target.

`accuracy` scores each target, `accuracy(a=2)` with another weight, and `mean(a=accuracy, b=2*r2)`
has a metric for each.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, get_args

from podium.config.tasks import TargetTask

MEAN = "mean"
POOLED = "pooled_rmse"  # combines the targets by itself
OTHERS = "*"  # stands for the targets that are not named
WRITTEN = re.compile(r"([\w@*.]+)(?:\((.*)\))?")
WEIGHTED = re.compile(r"(?:([^*]+)\*)?\s*([\w@]+)")  # 2*accuracy
DEFAULTS: dict[str, str] = {  # all are better if higher, so that a mean makes sense
    "binary": "accuracy",
    "multiclass": "accuracy",
    "ordinal": "quadratic_weighted_kappa",
    "regression": "r2",
}


class TargetMetric(NamedTuple):
    """How one target is scored."""

    name: str | None  # of the metric; None: the default of its task
    weight: float = 1.0

    def of(self, task: str) -> str:
        """The name of the metric of a target."""
        return self.name or DEFAULTS[task]


TargetMetrics = Mapping[str, TargetMetric]  # by target


def parse(text: str) -> TargetMetrics:
    """Parse the metric of several targets.

    Raises:
        ValueError: if it is not written as in the examples above.
    """
    written = WRITTEN.fullmatch(text.strip())
    if written is None:
        raise _invalid(text)
    name, details = written[1], written[2]
    if details is None:
        return {OTHERS: TargetMetric(None if name == MEAN else name)}
    found = {} if name == MEAN else {OTHERS: TargetMetric(name)}
    for part in details.split(","):
        target, _, value = part.strip().rpartition("=")
        weighted = WEIGHTED.fullmatch(value.strip()) if name == MEAN else None
        number = value if name != MEAN else weighted and (weighted[1] or "1")
        try:
            weight = float(number or "")
        except ValueError:
            raise _invalid(text, part) from None
        if not target or not 0 < weight < float("inf") or (target in found and target != OTHERS):
            raise _invalid(text, part)
        found[target] = TargetMetric(name if weighted is None else weighted[2], weight)
    return found


def check(
    text: str,
    tasks: Mapping[str, TargetTask] | None,
    *,
    check_name: Callable[[str, TargetTask], None],
    greater_is_better: Callable[[str], bool],
) -> None:
    """Check the metric of targets with these `tasks`; None: targets that are not yet known.

    Raises:
        ValueError: if it names other targets, or metrics that do not suit their tasks or cannot be
            averaged.
    """
    metrics = parse(text)
    if tasks is None:  # a metric of all targets need not suit each kind
        named = {metric.name for metric in metrics.values() if metric.name is not None}
        for name in named:
            _check_any(name, check_name)
    else:
        if unknown := [target for target in metrics if target not in (OTHERS, *tasks)]:
            raise ValueError(f"{text}: {unknown[0]} is not a target: {', '.join(tasks)}.")
        if missing := [target for target in tasks if of_target(metrics, target) is None]:
            raise ValueError(f"{text}: there is no metric for {missing[0]}. Add one.")
        named = set()
        for target, task in tasks.items():
            named.add(name := metrics.get(target, metrics.get(OTHERS, TargetMetric(None))).of(task))
            try:
                check_name(name, task)
            except ValueError as error:
                raise ValueError(f"{text}, target {target}: {error}") from None
            if task == "regression" and name == "quadratic_weighted_kappa":
                raise ValueError(f"{text}, target {target}: {name} requires task: ordinal.")
    if POOLED in named and text.strip() != POOLED:
        raise ValueError(f"{text}: {POOLED} pools all targets. Use it alone, without weights.")
    by_direction = {greater_is_better(name): name for name in sorted(named)}
    if len(by_direction) > 1:
        raise ValueError(
            f"{text}: {by_direction[True]} and {by_direction[False]} cannot be averaged: one is "
            "better if higher, the other if lower. Choose r2 or accuracy instead of one of them."
        )


def _check_any(name: str, check_name: Callable[[str, TargetTask], None]) -> None:
    """Raises: ValueError: if `name` is not a metric of any kind of target."""
    problems = list[ValueError]()
    for task in get_args(TargetTask):
        try:
            check_name(name, task)
        except ValueError as error:
            problems.append(error)
        else:
            return
    raise problems[0]


def of_target(metrics: TargetMetrics, target: str) -> TargetMetric | None:
    """How a target is scored; None if `metrics` do not say."""
    return metrics.get(target, metrics.get(OTHERS))


def _invalid(text: str, part: str = "") -> ValueError:
    problem = f": {part.strip()!r} is not a target with its weight or metric" if part else ""
    return ValueError(
        f"{text} is not a metric of several targets{problem}. Write one metric for all, as in "
        "accuracy or accuracy(first=2), or one for each, as in mean(first=accuracy, second=2*r2)."
    )
