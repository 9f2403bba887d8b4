"""The members' predictions, checked and aligned, and their ensemble with its scores."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from podium import blending, cuts, decisions, predictions
from podium.decisions import Decision
from podium.errors import UserError
from podium.metrics import Metric
from podium.predictions import Predictions
from podium.problem import Problem
from podium.schema import Ensemble


@dataclass(frozen=True)
class Member:
    """One model's predictions over all its folds."""

    oof: np.ndarray  # [N, C], each image by the fold that did not see it
    test: np.ndarray  # [T, C], the mean of the folds
    made_from: list[dict[str, Any]]  # one a fold

    def predictions(self, test_ids: list[str], decision: Decision) -> Predictions:
        """What this model alone would submit."""
        problem = Problem.of(self.made_from[0])._asdict()
        made_from = {**problem, "decision": [*decision], "folds": self.made_from}
        return Predictions(test_ids, self.test, made_from)


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
    return Member(aligned, over_folds(each), [part.made_from for part in test])


def over_folds(logits: list[np.ndarray]) -> np.ndarray:
    """A model's test logits, from those of its folds, [T, C] each."""
    return np.stack(logits).mean(axis=0)


def _common(made_from: dict[str, Any]) -> dict[str, Any]:
    """What all of a model's folds share."""
    return {key: made_from.get(key) for key in ("config", "seed", "metric")}


@dataclass(frozen=True)
class Scorer:
    """What out-of-fold logits are held against."""

    problem: Problem
    metric: Metric
    targets: np.ndarray  # as `Problem` has them
    folds: np.ndarray  # [N]
    fitted: bool  # whether labels are given by fitted cuts, where the metric wants them

    def decision(self, logits: np.ndarray) -> Decision:
        """The cuts with which logits like these [N, C] become labels of test images."""
        if not (self.fitted and cuts.is_fitted(self.problem, self.metric)):
            return decisions.plain(self.problem, self.targets)
        return cuts.fit(self.problem, self.metric, self.targets, logits)

    def scores(
        self, logits: np.ndarray, logits_for: Callable[[int], np.ndarray] | None = None
    ) -> dict[str, Any]:
        """The score of all out-of-fold logits together, and of each fold, with mean ± std. Cuts are
        fitted on the other folds, of what `logits_for` gives where given (see `cuts`).
        """
        problem, metric = self.problem, self.metric
        if self.fitted and cuts.is_fitted(problem, metric):
            found = cuts.out_of_fold(
                problem, metric, self.targets, logits_for or (lambda _: logits), self.folds
            )

            def score(rows: np.ndarray) -> float:
                return decisions.score_labels(problem, metric, self.targets[rows], found[rows])
        else:
            decision = decisions.plain(problem, self.targets)

            def score(rows: np.ndarray) -> float:
                targets = self.targets[rows]
                return decisions.score(problem, metric, targets, logits[rows], decision=decision)

        each = {int(fold): score(self.folds == fold) for fold in np.unique(self.folds)}
        values = np.array(list(each.values()))
        return {
            "oof": score(np.full(len(logits), True)),
            "mean": float(values.mean()),
            "std": float(values.std(ddof=1)) if len(values) > 1 else None,
            "folds": each,
        }


def combine(
    members: dict[str, Member],
    folds: pd.DataFrame,
    *,
    test_ids: list[str],
    options: Ensemble,
    metric: Metric,
) -> tuple[Predictions, Predictions, dict[str, Predictions], dict[str, Any]]:
    """The ensemble's out-of-fold and test logits, what each member alone would submit, and the
    scores of ensemble and members.
    """
    problem = Problem.of(next(iter(members.values())).made_from[0])
    targets = problem.targets(folds["label"].tolist())
    scorer = Scorer(
        problem, metric, targets, folds["fold"].to_numpy(), options.thresholds == "fitted"
    )
    oof, test = (
        np.stack([getattr(member, part) for member in members.values()]) for part in ("oof", "test")
    )  # [M, N, C], [M, T, C]
    weights = blending.equal_weights(len(members))
    by_fold = {int(fold): weights for fold in np.unique(scorer.folds)}
    if options.method == "weighted":
        weights = blending.fit_weights(problem, oof, targets)
        by_fold = blending.weights_by_fold(problem, oof, targets, scorer.folds)
    blended = blending.blend_by_fold(oof, by_fold, scorer.folds)
    named = dict(zip(members, weights.tolist(), strict=True))
    decision = scorer.decision(blended)
    ensemble = scorer.scores(blended, lambda fold: blending.blend(oof, by_fold[fold]))
    scores: dict[str, Any] = {
        "metric": metric.name,
        "ensemble": {"thresholds": decision.cuts, **ensemble},
        "members": {
            name: {"weight": named[name], **scorer.scores(member.oof)}
            for name, member in members.items()
        },
    }
    made_from = {
        **problem._asdict(),
        "method": options.method,
        "weights": named,
        "decision": [*decision],
        "oof": {metric.name: scores["ensemble"]["oof"]},
        "members": {name: member.made_from for name, member in members.items()},
    }
    return (
        Predictions(folds["id"].tolist(), blended, made_from),
        Predictions(test_ids, blending.blend(test, weights), made_from),
        {
            name: member.predictions(test_ids, scorer.decision(member.oof))
            for name, member in members.items()
        },
        scores,
    )
