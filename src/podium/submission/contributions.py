"""What each member contributes to the ensemble: the score without it, and how alike the members'
errors are.
"""

import numpy as np
import pandas as pd

from podium.config.ensemble import Ensemble
from podium.scoring.metrics import Metric
from podium.scoring.task import Task
from podium.submission import ensemble
from podium.submission.members import Member

Correlations = dict[str, dict[str, float | None]]  # by the names of two members


def scores_without(
    members: dict[str, Member],
    folds: pd.DataFrame,
    *,
    options: Ensemble,
    metric: Metric,
    new_class: str | None = None,
    metadata: pd.DataFrame | None = None,
) -> dict[str, float]:
    """The out-of-fold score of the ensemble without each member, fitted again; none if there is
    only one.
    """
    scores = {}
    for name in members if len(members) > 1 else ():
        others = {other: member for other, member in members.items() if other != name}
        fitter = ensemble.fitter(
            others, folds, options=options, metric=metric, new_class=new_class, metadata=metadata
        )
        oof = fitter.out_of_fold(np.stack([member.oof for member in others.values()]))
        scores[name] = fitter.scores(oof)["oof"]
    return scores


def error_correlations(
    members: dict[str, Member], folds: pd.DataFrame, *, new_class: str | None = None
) -> Correlations:
    """Pearson's correlation of the members' out-of-fold errors: 1 - the probability of the actual
    class; for multilabel, of each label; for regression, the difference; of several targets, all of
    these. None if all errors of a
    member are equal. Images of the new class are left out.
    """
    known = (folds["label"] != new_class).to_numpy()
    task = Task.of(next(iter(members.values())).provenance[0])
    targets = task.targets(folds.loc[known, "label"].tolist())
    errors = {name: _errors(task, targets, member.oof[known]) for name, member in members.items()}
    return {
        name: {other: _correlation(own, others) for other, others in errors.items()}
        for name, own in errors.items()
    }


def _errors(task: Task, targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    if task.parts:
        of_parts = [
            _errors(part.task, part.of_labeled(targets), logits[rows, part.columns])
            / part.task.scale(part.of_labeled(targets)).std[0]
            for part in task.parts
            if (rows := part.labeled(targets)).any()
        ]
        return np.concatenate(of_parts)
    predicted = task.probabilities(logits)
    if task.single_label:
        return 1 - predicted[np.arange(len(targets)), targets]
    if task.name == "multilabel":
        return np.abs(targets - predicted).ravel()
    errors = targets - predicted
    if len(task.classes) > 1:  # which may have different units
        errors = errors / np.array(task.scale(targets).std)
    return errors.ravel()


def _correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    if not (np.ptp(first) and np.ptp(second)):
        return None
    return float(np.corrcoef(first, second)[0, 1])
