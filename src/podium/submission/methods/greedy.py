"""`greedy`: ensemble selection with replacement, by the competition's metric.

Source: Caruana et al. 2004, https://doi.org/10.1145/1015330.1015432. The sets of images on which
the members are selected are bagged.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.stats import rankdata

from podium.core import seeding
from podium.scoring import decisions
from podium.submission.methods.base import Examples, Fitted, Method
from podium.submission.methods.weighted import columns_of_targets, loss_per_image

Score = tuple[float, float]
BAGS = 10
SHARE = 0.5  # of the images, in a bag
MAX_ROUNDS = 20  # members selected in a bag
TINY = 1e-300  # instead of a probability of 0
PATIENCE = 5  # rounds without a better score, before the selection ends


def fit(examples: Examples) -> Fitted:
    """Each member's share of the selections, as the mean over the bags."""
    bags = [_select(_bag(examples, number)) for number in range(BAGS)]
    return Fitted(np.mean(bags, axis=0), {})


def _bag(examples: Examples, number: int) -> Examples:
    """A random half of the images, of each class if an image has one."""
    rng, rows = seeding.generator("greedy", number), np.arange(len(examples.targets))
    groups = [rows]
    if examples.task.single_label:
        groups = [rows[examples.targets == label] for label in np.unique(examples.targets)]
    drawn = [rng.permutation(group)[: int(np.ceil(SHARE * len(group)))] for group in groups]
    chosen = np.sort(np.concatenate(drawn))
    return examples._replace(
        logits=examples.logits[:, chosen],
        targets=examples.targets[chosen],
        folds=examples.folds[chosen],
    )


def _select(examples: Examples) -> np.ndarray:
    """Add the member that improves the score most, again and again: the weights [M] of the best
    selection. Of equal scores, that with the lower loss is better.
    """
    members = range(len(examples.logits))
    score = _scorer(examples)
    counts = best = (0,) * len(members)
    best_score, best_size = (-np.inf, -np.inf), 0
    for size in range(1, MAX_ROUNDS + 1):
        larger = [(*counts[:m], counts[m] + 1, *counts[m + 1 :]) for m in members]
        counts = max(larger, key=score)
        if score(counts) > best_score:
            best, best_score, best_size = counts, score(counts), size
        if size - best_size >= PATIENCE:
            break
    return np.array(best) / sum(best)


def _scorer(examples: Examples) -> Callable[[tuple[int, ...]], Score]:
    """A function that scores how often each member was selected, by the metric with the default
    decision rule; the second number is the negative loss. Higher is better.
    """
    task, metric, targets = examples.task, examples.metric, examples.targets
    rule = decisions.default_rule(task, targets)
    columns = np.eye(len(task.classes))[targets] if task.single_label else targets
    known: np.ndarray | float = 1.0
    if task.parts:
        columns, known = columns_of_targets(task, targets)
    logits = examples.logits.astype(np.float64)
    if by_probability := examples.averaging == "probabilities":
        logits = np.stack([task.probabilities(member) for member in logits])

    @cache
    def of_weights(weights: tuple[float, ...]) -> Score:
        blended = np.einsum("m,mnc->nc", np.array(weights), logits)
        if by_probability:
            blended = np.log(blended.clip(TINY))
        if metric.name == "roc_auc":
            value = mean_auc(columns, task.probabilities(blended))
        else:
            value = decisions.score(task, metric, targets, blended, rule=rule)
        return metric.rank(value), -float(loss_per_image(task, blended, columns, known).mean())

    return lambda counts: of_weights(tuple(count / sum(counts) for count in counts))


def mean_auc(columns: np.ndarray, probabilities: np.ndarray) -> float:
    """The metric roc_auc from 0/1 targets [N, C]: 30 times as fast for 20 classes, by ranks."""
    positives, images = columns.sum(axis=0), len(columns)
    defined = (positives > 0) & (positives < images)
    if not defined.any():
        return 0.0  # as good as any other selection
    columns, positives = columns[:, defined], positives[defined]
    ranks = rankdata(probabilities[:, defined], axis=0)
    wins = (ranks * columns).sum(axis=0) - positives * (positives + 1) / 2
    return float((wins / (positives * (images - positives))).mean())


METHOD = Method(fit)
