"""The members' predictions, checked and aligned, and their ensemble with its scores."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from podium.config.ensemble import Ensemble
from podium.core.errors import UserError
from podium.core.manifest import Manifest
from podium.core.provenance import EnsembleProvenance, PredictionProvenance, TrainingProvenance
from podium.prediction import predictions
from podium.prediction.predictions import Predictions
from podium.scoring import decisions
from podium.scoring.decisions import DecisionRule
from podium.scoring.metrics import Metric
from podium.scoring.task import Task
from podium.submission import blend, thresholds

Blended = Predictions[EnsembleProvenance]


@dataclass(frozen=True)
class Data:
    """The data that all members must have been trained on, and predict."""

    task: Task
    folds_sha256: str
    train_sha256: str  # of the training images
    test_sha256: str

    @classmethod
    def read(cls, prepared: Manifest, folds: Manifest) -> "Data":
        """What prepared.json and folds.json record."""
        images = prepared.facts["images_sha256"]
        sha256 = folds.sha256["folds.csv"]
        return cls(Task.read(folds), sha256, images["train"], images["test"])

    def differences(self, provenance: PredictionProvenance, images_sha256: str) -> set[str]:
        """What of `provenance` is of other data."""
        training = provenance.training
        pairs = {
            "task": (Task.of(training), self.task),
            "folds": (training.folds_sha256, self.folds_sha256),
            "training images": (training.images_sha256, self.train_sha256),
            "predicted images": (provenance.images_sha256, images_sha256),
        }
        return {name for name, (one, other) in pairs.items() if one != other}


@dataclass(frozen=True)
class Member:
    """One model's predictions over all its folds."""

    oof: np.ndarray  # [N, C], each image by the fold that did not see it
    test: np.ndarray  # [T, C], the mean of the folds
    provenance: list[PredictionProvenance]  # one per fold


def load_member(folder: Path, folds: pd.DataFrame, *, test_ids: list[str], data: Data) -> Member:
    """Read a model's predictions for the folds in `folds` (id, label, fold).

    Raises:
        UserError: if they do not cover every image exactly once, were made from other `data`, or
            do not belong together.
    """
    oof, test = list[Predictions[PredictionProvenance]](), list[Predictions[PredictionProvenance]]()
    for fold in sorted(folds["fold"].unique()):
        for name, parts in (("oof", oof), ("test", test)):
            path = folder / f"fold{fold}" / f"{name}.parquet"
            parts.append(predictions.read(path, PredictionProvenance))
            provenance, first = parts[-1].provenance, oof[0].provenance
            images = data.train_sha256 if name == "oof" else data.test_sha256
            different = data.differences(provenance, images)
            for key in ("config", "seed", "metric"):
                if getattr(provenance.training, key) != getattr(first.training, key):
                    different.add(key)
            if provenance.training.fold != fold:
                different.add("fold")
            if name == "test":
                held_out = oof[-1].provenance
                for key in ("weights_sha256", "predict"):
                    if getattr(provenance, key) != getattr(held_out, key):
                        different.add(key)
            if different:
                raise UserError(
                    f"{path} was made with different data or params from the rest "
                    f"({', '.join(sorted(different))}). Run `dvc repro`."
                )
    _check_pretrained(folder.name, [part.provenance.training for part in oof])
    source = f"{folder}/*/{{}}.parquet"
    by_fold = [
        predictions.align([part.table], test_ids, source=source.format("test")) for part in test
    ]
    aligned = predictions.align(
        [part.table for part in oof], folds["id"].tolist(), source=source.format("oof")
    )
    return Member(aligned, mean_over_folds(by_fold), [part.provenance for part in test])


def _check_pretrained(model: str, folds: list[TrainingProvenance]) -> None:
    """Raises: UserError: if the folds did not all start from the same pretrained weights."""
    starts = {fold.pretrained_sha256: fold for fold in folds}
    if len(starts) > 1:
        files = ", ".join(
            f"{fold.pretrained_revision or (sha256 or 'random weights')[:12]} (fold {fold.fold})"
            for sha256, fold in starts.items()
        )
        stages = " ".join(f"train@{model}-{fold.fold}" for fold in folds)
        raise UserError(
            f"models.{model}.pretrained: folds started from different weights: {files}. Retrain "
            f"them from the same: `dvc repro --force --single-item {stages}`, then `dvc repro`."
        )


def mean_over_folds(logits: list[np.ndarray]) -> np.ndarray:
    """A model's test logits, from those of its folds, [T, C] each."""
    return np.stack(logits).mean(axis=0)


@dataclass(frozen=True)
class Scorer:
    """What out-of-fold logits are held against."""

    task: Task
    metric: Metric
    targets: np.ndarray  # as `Task` has them
    folds: np.ndarray  # [N]
    fitted: bool  # whether labels are given by fitted cuts, where the metric wants them

    def decision(self, logits: np.ndarray) -> DecisionRule:
        """The cuts with which logits like these [N, C] become labels of test images."""
        if not (self.fitted and thresholds.is_fitted(self.task, self.metric)):
            return decisions.default_rule(self.task, self.targets)
        return thresholds.fit(self.task, self.metric, self.targets, logits)

    def scores(
        self, logits: np.ndarray, logits_for: Callable[[int], np.ndarray] | None = None
    ) -> dict[str, Any]:
        """The score of all out-of-fold logits together, and of each fold, with mean ± std. Cuts are
        fitted on the other folds, of what `logits_for` gives where given (see `cuts`).
        """
        task, metric = self.task, self.metric
        if self.fitted and thresholds.is_fitted(task, metric):
            found = thresholds.out_of_fold(
                task, metric, self.targets, logits_for or (lambda _: logits), self.folds
            )

            def score(rows: np.ndarray) -> float:
                return decisions.score_labels(task, metric, self.targets[rows], found[rows])
        else:
            decision = decisions.default_rule(task, self.targets)

            def score(rows: np.ndarray) -> float:
                targets = self.targets[rows]
                return decisions.score(task, metric, targets, logits[rows], rule=decision)

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
) -> tuple[Blended, Blended, dict[str, Blended], dict[str, Any]]:
    """The ensemble's out-of-fold and test logits, what each member alone would submit, and the
    scores of ensemble and members.
    """
    task = Task.of(next(iter(members.values())).provenance[0])
    targets = task.targets(folds["label"].tolist())
    scorer = Scorer(task, metric, targets, folds["fold"].to_numpy(), options.thresholds == "fitted")
    oof, test = (
        np.stack([getattr(member, part) for member in members.values()]) for part in ("oof", "test")
    )  # [M, N, C], [M, T, C]
    weights = blend.equal_weights(len(members))
    by_fold = {int(fold): weights for fold in np.unique(scorer.folds)}
    if options.method == "weighted":
        weights = blend.fit_weights(task, oof, targets)
        by_fold = blend.weights_by_fold(task, oof, targets, scorer.folds)
    blended = blend.blend_by_fold(oof, by_fold, scorer.folds)
    named = dict(zip(members, weights.tolist(), strict=True))
    decision = scorer.decision(blended)
    ensemble = scorer.scores(blended, lambda fold: blend.blend(oof, by_fold[fold]))
    scores: dict[str, Any] = {
        "metric": metric.name,
        "ensemble": {"thresholds": decision.thresholds, **ensemble},
        "members": {
            name: {"weight": named[name], **scorer.scores(member.oof)}
            for name, member in members.items()
        },
    }
    provenance = EnsembleProvenance(
        **task.facts(),
        method=options.method,
        weights=named,
        decision=decision._asdict(),
        oof={metric.name: scores["ensemble"]["oof"]},
        members={name: member.provenance for name, member in members.items()},
    )
    return (
        Predictions(folds["id"].tolist(), blended, provenance),
        Predictions(test_ids, blend.blend(test, weights), provenance),
        {
            name: Predictions(
                test_ids,
                member.test,
                replace(
                    provenance,
                    method="mean",
                    weights={name: 1.0},
                    decision=scorer.decision(member.oof)._asdict(),
                    oof={metric.name: scores["members"][name]["oof"]},
                    members={name: member.provenance},
                ),
            )
            for name, member in members.items()
        },
        scores,
    )
