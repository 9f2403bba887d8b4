"""The table of benchmarks/score.py: means, standard errors and ranks."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from score_runs import Run

HEADER = (
    "competition, metric", "system", "seeds", "score", "rank", "log loss", "accuracy", "CPU s", "s",
)  # fmt: skip


class Mean(NamedTuple):
    """A mean and its standard error, 0 for a single value."""

    value: float
    error: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Mean":
        """The mean of the values."""
        error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
        return cls(statistics.fmean(values), error)


def ranks(means: dict[str, Mean | None], *, greater_is_better: bool) -> dict[str, int]:
    """1 + the number of systems that are better by more than the standard error of the difference.
    None, a system that failed, is worse than all others.
    """

    def is_better(one: Mean | None, other: Mean | None) -> bool:
        if one is None or other is None:
            return one is not None
        gain = one.value - other.value if greater_is_better else other.value - one.value
        return gain > math.hypot(one.error, other.error)

    return {
        name: 1 + sum(is_better(rival, mean) for key, rival in means.items() if key != name)
        for name, mean in means.items()
    }


def rows(runs: Sequence[Run]) -> list[list[str]]:
    """The table's rows: one per competition and system."""
    groups: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        groups.setdefault(run.competition, {}).setdefault(run.system, []).append(run)
    table = []
    for competition, systems in groups.items():
        first = next(iter(systems.values()))[0]
        means = {name: _mean(group, "score") for name, group in systems.items()}
        places = ranks(means, greater_is_better=first.greater_is_better)
        for name, group in systems.items():
            failures = [run.failure for run in group if run.failure is not None]
            score = f"failed ({', '.join(sorted({*failures}))})" if failures else _text(means[name])
            table.append([
                f"{competition}, {first.metric}", name, str(len(group)), score, str(places[name]),
                *(_text(_mean(group, key)) for key in ("log_loss", "accuracy")),
                *(f"{statistics.fmean(getattr(run, key) for run in group):.0f}"
                  for key in ("cpu_seconds", "seconds")),
            ])  # fmt: skip
    return table


def _mean(runs: Sequence[Run], key: str) -> Mean | None:
    """Over the seeds; None if a run failed."""
    values = [getattr(run, key) for run in runs]
    return None if None in values else Mean.of(values)


def _text(mean: Mean | None) -> str:
    if mean is None:
        return ""
    return f"{mean.value:.4f}" + (f" ± {mean.error:.4f}" if mean.error else "")
