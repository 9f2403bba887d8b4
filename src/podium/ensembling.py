"""The members' predictions, checked and aligned, and their ensemble with its scores."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from podium import blending, metrics, predictions
from podium.errors import UserError
from podium.predictions import Predictions
from podium.schema import Ensemble, MetricName


@dataclass(frozen=True)
class Member:
    """One model's predictions over all its folds."""

    oof: np.ndarray  # [N, C], each image by the fold that did not see it
    test: np.ndarray  # [T, C], the mean of the folds
    made_from: list[dict[str, Any]]  # one a fold

    def predictions(self, test_ids: list[str]) -> Predictions:
        """What this model alone would submit."""
        classes = self.made_from[0]["classes"]
        return Predictions(test_ids, self.test, {"classes": classes, "folds": self.made_from})


def load_member(
    folder: Path, folds: pd.DataFrame, *, test_ids: list[str], folds_sha256: str
) -> Member:
    """Read a model's predictions of the folds in `folds` (id, label, fold).

    Raises:
        UserError: if they do not cover every image exactly once, or come of other folds.
    """
    oof, test, made_from = [], [], []
    for fold in sorted(folds["fold"].unique()):
        part = folder / f"fold{fold}"
        oof.append(predictions.read(part / "oof.parquet"))
        test_part = predictions.read(part / "test.parquet")
        for made in (oof[-1].made_from, test_part.made_from):
            if made["folds_sha256"] != folds_sha256:
                raise UserError(f"{part} was made with other folds: run `dvc repro`")
        test.append(predictions.align([test_part], test_ids, source=f"{part}/test.parquet"))
        made_from.append(test_part.made_from)
    aligned = predictions.align(oof, folds["id"].tolist(), source=f"{folder}/*/oof.parquet")
    return Member(aligned, np.stack(test).mean(axis=0), made_from)


def combine(
    members: dict[str, Member],
    folds: pd.DataFrame,
    *,
    test_ids: list[str],
    options: Ensemble,
    metric: MetricName,
) -> tuple[Predictions, Predictions, dict[str, Any]]:
    """The ensemble's out-of-fold and test logits, and the scores of it and of each member."""
    first = next(iter(members.values())).made_from[0]
    targets = pd.Categorical(folds["label"], categories=first["classes"]).codes
    oof, test = (
        np.stack([getattr(member, part) for member in members.values()]) for part in ("oof", "test")
    )  # [M, N, C], [M, T, C]
    if options.method == "weighted":
        weights = blending.fit_weights(oof, targets)
        blended = blending.out_of_fold(oof, targets, folds["fold"].to_numpy())
    else:
        weights = blending.equal_weights(len(members))
        blended = blending.blend(oof, weights)
    named = dict(zip(members, weights.tolist(), strict=True))
    scores: dict[str, Any] = {
        "metric": metric,
        "ensemble": _scores(blended, targets, folds=folds["fold"], metric=metric),
        "members": {
            name: {
                "weight": named[name],
                **_scores(member.oof, targets, folds=folds["fold"], metric=metric),
            }
            for name, member in members.items()
        },
    }
    made_from = {
        "classes": first["classes"],
        "method": options.method,
        "weights": named,
        "oof": {metric: scores["ensemble"]["oof"]},
        "members": {name: member.made_from for name, member in members.items()},
    }
    return (
        Predictions(folds["id"].tolist(), blended, made_from),
        Predictions(test_ids, blending.blend(test, weights), made_from),
        scores,
    )


def _scores(
    logits: np.ndarray, targets: np.ndarray, *, folds: pd.Series, metric: MetricName
) -> dict[str, Any]:
    """The score of all out-of-fold logits together, and of each fold, with mean ± std."""
    each = {
        int(fold): metrics.score(metric, targets[folds == fold], logits[folds == fold])
        for fold in sorted(folds.unique())
    }
    values = np.array(list(each.values()))
    return {
        "oof": metrics.score(metric, targets, logits),
        "mean": float(values.mean()),
        "std": float(values.std(ddof=1)) if len(values) > 1 else None,
        "folds": each,
    }
