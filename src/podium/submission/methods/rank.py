"""`rank`: the mean of the members' ranks, for metrics that look only at the order of the images."""

import numpy as np
from scipy.special import log_softmax, logit, logsumexp
from scipy.stats import rankdata

from podium.scoring.metrics import Metric
from podium.scoring.task import Task
from podium.submission.methods.base import Blend, Examples, Fitted, Method

METRICS = ("roc_auc", "average_precision")


def fit(examples: Examples) -> Fitted:
    """Equal weights."""
    members = len(examples.logits)
    return Fitted(np.full(members, 1 / members), {})


def apply(task: Task, blend: Blend, logits: np.ndarray) -> np.ndarray:
    """Logits [M, N, C] -> logits [N, C] of the mean ranks, which are between 0 and 1.

    For each class, the images are ranked by its log-odds among those given here: an image's result
    depends on the others. With more than two classes of which an image has one, its ranks are
    divided by their sum.
    """
    odds = logits.astype(np.float64) if task.name == "multilabel" else _log_odds(logits)
    ranks = (rankdata(odds, axis=1) - 0.5) / odds.shape[1]  # equal values share their mean rank
    mean = np.einsum("m,mnc->nc", blend.weights, ranks)
    blended: np.ndarray = logit(mean) if task.name == "multilabel" else np.log(mean)
    return blended.astype(np.float32)


def problem(metric: Metric) -> str | None:
    """See `Method.problem`."""
    user_defined = metric.sha256 is not None and metric.inputs == "probabilities"
    if metric.name in METRICS or user_defined:
        return None
    return (
        f"replaces probabilities by ranks, which {metric.name} cannot score: it suits "
        f"{' and '.join(METRICS)}, and user-defined metrics of probabilities."
    )


def _log_odds(logits: np.ndarray) -> np.ndarray:
    """The log-odds of each class against the others, exact where probabilities round to 1:
    logits [M, N, C] -> [M, N, C].
    """
    log_p = log_softmax(logits.astype(np.float64), axis=2)
    top = log_p == log_p.max(axis=2, keepdims=True)
    others = np.where(top & (top.cumsum(axis=2) == 1), -np.inf, log_p)  # all but one top class
    rest = logsumexp(others, axis=2, keepdims=True)
    return np.where(np.isinf(others), log_p - rest, log_p - np.log1p(-np.exp(others)))


METHOD = Method(fit, apply, problem, needs_targets=False, takes_targets=False)
