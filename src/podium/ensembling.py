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
    folder: Path,
    folds: pd.DataFrame,
    *,
    test_ids: list[str],
    made_from: dict[str, dict[str, Any]],
) -> Member:
    """Read a model's predictions of the folds in `folds` (id, label, fold). `made_from` holds what
    those called oof and those called test must say of the data that they were made from.

    Raises:
        UserError: if they do not cover every image exactly once, come of other data, or do not
            belong together.
    """
    oof, test = list[Predictions](), list[Predictions]()
    for fold in sorted(folds["fold"].unique()):
        for name, part in (("oof", oof), ("test", test)):
            path = folder / f"fold{fold}" / f"{name}.parquet"
            part.append(predictions.read(path))
            found = part[-1].made_from
            expected = {**made_from[name], **_common(oof[0].made_from), "fold": fold}
            if name == "test":
                expected |= {k: oof[-1].made_from.get(k) for k in ("weights_sha256", "predict")}
            if other := sorted(key for key in expected if found.get(key) != expected[key]):
                raise UserError(
                    f"{path} was made with other data or params than the rest ("
                    f"{', '.join(other)}): run `dvc repro`"
                )
    source = f"{folder}/*/{{}}.parquet"
    each = [predictions.align([part], test_ids, source=source.format("test")) for part in test]
    aligned = predictions.align(oof, folds["id"].tolist(), source=source.format("oof"))
    return Member(aligned, np.stack(each).mean(axis=0), [part.made_from for part in test])


def _common(made_from: dict[str, Any]) -> dict[str, Any]:
    """What all of a model's folds share."""
    return {key: made_from.get(key) for key in ("config", "seed", "metric")}


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
