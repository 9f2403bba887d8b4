"""The ensemble: blend and decision rule, with out-of-fold scores."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from podium.config.ensemble import Ensemble
from podium.core.provenance import Averaging, EnsembleProvenance
from podium.prediction.predictions import Predictions
from podium.scoring import decisions
from podium.scoring.decisions import DecisionRule
from podium.scoring.metrics import Metric
from podium.scoring.task import Task
from podium.submission import blend, target_scores, thresholds
from podium.submission import new_class as new_classes
from podium.submission.members import Member
from podium.submission.methods import base
from podium.submission.methods.base import Blend, Examples
from podium.submission.new_class import NewClass


class OutOfFold(NamedTuple):
    """Predictions for which no label of an image's own fold was used to fit blend or rule."""

    logits: np.ndarray  # [N, C]
    labels: np.ndarray  # in the form of `Task.targets`


@dataclass(frozen=True)
class Fitter:
    """Fits blend and rule to out-of-fold logits, and estimates how well they do."""

    task: Task  # the members'
    metric: Metric
    targets: np.ndarray  # as `Task.targets` of the submitted task returns them
    folds: np.ndarray  # [N]
    method: str
    averaging: Averaging
    tune: bool  # thresholds, if the metric asks for it
    scale: bool  # by a temperature
    new_class: NewClass | None = None
    metadata: pd.DataFrame | None = None  # N rows

    @property
    def submitted(self) -> Task:
        """The task with the new class, if there is one."""
        return self.task.with_new_class(None if self.new_class is None else self.new_class.name)

    def fit(self, logits: np.ndarray, rows: np.ndarray) -> tuple[Blend, DecisionRule]:
        """Fit blend and rule to the images `rows` (boolean, [N]) of the members' out-of-fold
        logits [M, N, C].
        """
        examples = self._examples(logits, rows)
        fitted = blend.fit(self.method, examples)
        if self.scale:
            fitted = blend.scale(fitted, examples)
        if self.new_class is not None:
            threshold = self.new_class.threshold
            if threshold is None:
                metadata = self._metadata(rows)
                blended = blend.apply(self.task, fitted, logits[:, rows], metadata)
                targets = self.targets[rows]
                threshold = new_classes.fit(self.submitted, self.metric, targets, blended)
            fitted = fitted._replace(new_class_threshold=threshold)
        if self.tune and (self.task.parts or self.task.name in self.metric.tune_for):
            blended = blend.apply(self.task, fitted, examples.logits, examples.metadata)
            return fitted, thresholds.fit(self.task, self.metric, examples.targets, blended)
        return fitted, decisions.default_rule(self.task, examples.targets)

    def out_of_fold(self, logits: np.ndarray) -> OutOfFold:
        """Blend and label each fold by what is fitted to the other folds (nested cross-validation).

        With a single fold there is nothing to fit to: what needs targets is a plain mean, the rule
        the default.
        """
        blended = np.empty((logits.shape[1], len(self.submitted.classes)), np.float32)
        labels = np.empty(self.targets.shape, self.targets.dtype)
        for fold in np.unique(self.folds):
            held_out = self.folds == fold
            if held_out.all():
                fitted = blend.unfitted(self.method, self._examples(logits, held_out))
                rule = DecisionRule()
                if self.new_class is not None:
                    default = self.new_class.threshold or new_classes.DEFAULT_THRESHOLD
                    fitted = fitted._replace(new_class_threshold=default)
            else:
                fitted, rule = self.fit(logits, ~held_out)
            metadata = self._metadata(held_out)
            blended[held_out] = blend.apply(self.task, fitted, logits[:, held_out], metadata)
            probabilities = self.submitted.probabilities(blended[held_out])
            labels[held_out] = decisions.labels(self.submitted, probabilities, rule)
        return OutOfFold(blended, labels)

    def scores(self, oof: OutOfFold) -> dict[str, Any]:
        """The score of all images, of each fold, and the folds' mean and standard deviation; of
        several targets, also those of each.
        """
        scored = partial(target_scores.score, self.submitted, self.metric)
        scores = {
            int(fold): scored(*self._of(oof, self.folds == fold)) for fold in np.unique(self.folds)
        }
        overall = scored(*self._of(oof, np.full(len(self.folds), True)))
        return target_scores.summary(self.submitted, self.metric, overall, scores)

    def _examples(self, logits: np.ndarray, rows: np.ndarray) -> Examples:
        """What a method is fitted to: the images `rows` that have one of the members' classes."""
        if self.new_class is not None:
            rows = rows & (self.targets < len(self.task.classes))
        return Examples(
            self.task,
            self.metric,
            logits[:, rows],
            self.targets[rows],
            self.folds[rows],
            self.averaging,
            self._metadata(rows),
        )

    def _metadata(self, rows: np.ndarray) -> pd.DataFrame | None:
        return None if self.metadata is None else self.metadata[rows]

    def _of(self, oof: OutOfFold, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Targets, probabilities and labels of the images `rows`."""
        probabilities = self.submitted.probabilities(oof.logits[rows])
        return self.targets[rows], probabilities, oof.labels[rows]


def fitter(
    members: dict[str, Member],
    folds: pd.DataFrame,
    *,
    options: Ensemble,
    metric: Metric,
    new_class: str | None = None,
    metadata: pd.DataFrame | None = None,
) -> Fitter:
    """The fitter for these members and the images in `folds` (columns id, label, fold).

    `new_class`: the label of those that have none of the members' classes. `metadata`: the rows of
    the images in `folds`, if the method uses them.

    Raises:
        UserError: if no image has this label, but its threshold must be fitted.
    """
    task = Task.of(next(iter(members.values())).provenance[0])
    labels, unknown = folds["label"].tolist(), None
    if new_class is not None:
        given = options.new_class_threshold
        unknown = NewClass(new_class, None if given == "auto" else given)
        new_classes.check(unknown, labels)
    return Fitter(
        task,
        metric,
        targets=task.with_new_class(new_class).targets(labels),
        folds=folds["fold"].to_numpy(),
        method=options.method,
        averaging=base.common(member.averaging for member in members.values()),
        tune=options.thresholds == "fitted",
        scale=options.temperature == "fitted",
        new_class=unknown,
        metadata=metadata,
    )


class Combined(NamedTuple):
    """Members combined into one submission."""

    oof: Predictions[EnsembleProvenance]  # with labels
    test: Predictions[EnsembleProvenance]
    scores: dict[str, Any]  # see `Fitter.scores`


def combine(
    members: dict[str, Member],
    folds: pd.DataFrame,
    *,
    test_ids: list[str],
    options: Ensemble,
    metric: Metric,
    new_class: str | None = None,
    metadata: pd.DataFrame | None = None,
    test_metadata: pd.DataFrame | None = None,
) -> Combined:
    """Blend the members' predictions for the images in `folds` (columns id, label, fold) and for
    the test images, and score the blend out of fold.

    Blend and rule for the test images are fitted to all folds.

    Raises:
        UserError: as `fitter`.
    """
    fits = fitter(
        members, folds, options=options, metric=metric, new_class=new_class, metadata=metadata
    )
    task = fits.submitted
    logits = np.stack([member.oof for member in members.values()])  # [M, N, C]
    oof = fits.out_of_fold(logits)
    scores = fits.scores(oof)
    fitted, rule = fits.fit(logits, np.full(len(folds), True))
    provenance = EnsembleProvenance(
        **task.facts(),
        blend=fitted._asdict(),
        weights=dict(zip(members, fitted.weights, strict=True)),
        decision=rule.to_json(),
        oof={metric.name: scores["oof"]},
        members={name: member.provenance for name, member in members.items()},
    )
    labels = oof.logits if task.name == "regression" else oof.labels
    test = np.stack([member.test for member in members.values()])  # [M, T, C]
    return Combined(
        Predictions(folds["id"].tolist(), oof.logits, provenance, decisions.to_texts(task, labels)),
        Predictions(test_ids, blend.apply(fits.task, fitted, test, test_metadata), provenance),
        scores,
    )


def summary(
    ensemble: Combined, members: dict[str, Combined], metric: Metric, without: dict[str, float]
) -> dict[str, Any]:
    """The content of metrics/ensemble.json: the scores of the ensemble, of each member alone, and
    of the ensemble without it.
    """
    provenance = ensemble.test.provenance
    fitted = {"thresholds": provenance.decision["thresholds"]}
    if (threshold := provenance.blend["new_class_threshold"]) is not None:
        fitted["new_class_threshold"] = threshold
    return {
        "metric": metric.name,
        "ensemble": {**fitted, **ensemble.scores},
        "members": {
            name: {
                "weight": provenance.weights[name],
                "ensemble_without": without.get(name),
                "all_folds": any(p.training.fold == "all" for p in provenance.members[name]),
                **member.scores,
            }
            for name, member in members.items()
        },
    }
