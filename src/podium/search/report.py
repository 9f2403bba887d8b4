"""What a search has found, in words."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Protocol

from podium.core import console
from podium.core.errors import counted
from podium.search.space import Value

BASELINE = "params.yaml"  # in `others`


class Row(Protocol):
    """See `study.Row`."""

    @property
    def number(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def score(self) -> float | None: ...
    @property
    def values(self) -> dict[str, Value]: ...


def table(rows: Sequence[Row], metric: str) -> list[list[str]]:
    """The trials, one per row, after a header."""
    keys = list(dict.fromkeys(key for row in rows for key in row.values))
    cells = [["trial", "state", metric, *keys]]
    for row in rows:
        score = "" if row.score is None else console.score(row.score)
        values = [str(row.values.get(key, "")) for key in keys]
        cells.append([str(row.number), row.state, score, *values])
    return cells


def summary(
    *,
    model: str,
    metric: str,
    folds: Sequence[int],
    rows: Sequence[Row],
    best: Row | None,
    has_baseline: bool,
    others: Mapping[str, Mapping[int, float]],
) -> str:
    """The best trial, and what its score is worth. `has_baseline`: trial 0 has the values of
    params.yaml. `others` are scores on folds that the search did not use, by name and fold.
    """
    states = [row.state for row in rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    trials = counted(len(rows), "trial")
    lines = [f"{model}: {trials} on {folds_text(folds)} ({counts})"]
    if best is None or best.score is None:
        return "\n".join([*lines, "no trial has a score"])
    values = "  ".join(f"{key}={value}" for key, value in best.values.items())
    lines.append(f"best: trial {best.number}, {metric} {console.score(best.score)}: {values}")
    if has_baseline and rows[0].score is not None:
        lines.append(f"params.yaml (trial 0): {metric} {console.score(rows[0].score)}")
    lines.append(
        f"warning: {console.score(best.score)} is optimistic: it is the best of {trials}, on the "
        "images by which it was chosen"
    )
    if f"trial {best.number}" not in others:
        lines.append("not scored on folds that the search did not use: set FOLDS to fewer of them")
        return "\n".join(lines)
    lines += [
        f"{name} on {folds_text(sorted(others[name]))}, which the search did not use: "
        f"{metric} {console.score(statistics.fmean(others[name].values()))}"
        for name in (f"trial {best.number}", BASELINE)
        if name in others
    ]
    return "\n".join(lines)


def folds_text(folds: Sequence[object]) -> str:
    """Folds in words."""
    return f"fold{'s' if len(folds) > 1 else ''} {', '.join(map(str, folds))}"
