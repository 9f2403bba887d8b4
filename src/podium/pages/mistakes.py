"""Sections with images: confident mistakes, confused pairs, and likely label errors."""

import itertools
from collections import Counter

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.multilabel_classification.filter import (
    find_label_issues as find_multilabel_issues,
)
from cleanlab.rank import get_label_quality_scores
from sklearn.metrics import roc_auc_score

from podium.images.store import ImageStore
from podium.pages import pictures
from podium.pages.classes import MAX_MATRIX
from podium.pages.document import Card, Cards, Section, counted
from podium.pages.outcome import Outcome
from podium.scoring.task import LABEL_SEPARATOR

MISTAKES, PAIRS, ISSUES = 24, 8, 24
SHOWN = 3  # classes per image
# Below it, discrimination is poor: Hosmer, Lemeshow and Sturdivant 2013,
# Applied Logistic Regression.
MIN_AUC, MAX_JUDGED = 0.7, 100  # of how many classes: the most frequent ones
Heat = tuple[np.ndarray, np.ndarray]  # the pixels of an image, and its heat map
Heats = dict[int, list[Heat]]  # those of the images of each row


def confident(outcome: Outcome) -> list[int]:
    """The rows of the mistakes that the ensemble is surest of, the surest first."""
    if outcome.task.name == "multilabel":
        surest = np.abs(outcome.probabilities - (outcome.targets > 0)).max(axis=1)
    else:
        surest = outcome.probabilities[np.arange(len(outcome.ids)), outcome.predicted_targets]
    order = np.argsort(-np.where(outcome.wrong, surest, -1), kind="stable")
    return [int(row) for row in order[:MISTAKES] if outcome.wrong[row]]


def mistakes(outcome: Outcome, store: ImageStore, heats: Heats, explained_by: str = "") -> Section:
    """The most confident mistakes, with a heat map of where a model looked. `explained_by`: which
    one, or why there are none.
    """
    cards = [_card(outcome, store, row, heats.get(row, [])) for row in confident(outcome)]
    text = "Out of fold: no model was trained on these images."
    if heats:
        what = "predicted class"
        if outcome.task.name == "multilabel":
            what = "label that is most wrong or, if that is missing, for the most likely one"
        text += f" Bright: what speaks most for the {what} (Grad-CAM)."
    if explained_by:
        text += f" {explained_by}"
    return Section(
        "Most confident mistakes", [Cards(cards)] if cards else [], text if cards else ""
    )


def confused_pairs(outcome: Outcome, store: ImageStore) -> Section:
    """With many classes: the pairs that are confused most, with an image of each that was taken for
    the other.
    """
    if not outcome.task.single_label or len(outcome.classes) <= MAX_MATRIX:
        return Section("Confused pairs")
    rows = [int(row) for row in np.flatnonzero(outcome.wrong)]

    def pair(row: int) -> tuple[str, str]:
        return outcome.actual[row], outcome.predicted[row]

    cards = []
    for (actual, predicted), count in Counter(map(pair, rows)).most_common(PAIRS):
        row = next(row for row in rows if pair(row) == (actual, predicted))
        shown = [(_picture(outcome, store, row), f"{actual}, taken for {predicted}")]
        if predicted in outcome.actual:
            shown.append((_picture(outcome, store, outcome.actual.index(predicted)), predicted))
        cards.append(Card(f"{actual} → {predicted}", shown, [counted(count, outcome.noun)]))
    text = (
        "Out of fold. Left: a misclassified image; right: an image of the class it was taken for."
    )
    return Section("Confused pairs", [Cards(cards)] if cards else [], text if cards else "")


def label_issues(outcome: Outcome) -> list[int]:
    """The rows whose labels are likely wrong by the out-of-fold probabilities, likeliest first.

    Source: Northcutt et al. 2021, https://arxiv.org/abs/1911.00068
    """
    if outcome.task.name == "multilabel":
        share = (outcome.targets > 0).mean(axis=0)
        varying = (share > 0) & (share < 1)  # cleanlab rejects constant labels
        if not varying.any():
            return []
        given = [np.flatnonzero(row).tolist() for row in outcome.targets[:, varying] > 0]
        found = find_multilabel_issues(
            given,
            outcome.probabilities[:, varying],
            return_indices_ranked_by="self_confidence",
            n_jobs=1,
        )
        return [int(row) for row in found]
    probabilities = outcome.probabilities / outcome.probabilities.sum(axis=1, keepdims=True)
    found = find_label_issues(
        outcome.targets, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    return [int(row) for row in found]


def label_errors(outcome: Outcome, store: ImageStore) -> Section:
    """Images whose labels are likely wrong."""
    if set(np.unique(outcome.targets)) != set(range(len(outcome.classes))) and (
        outcome.task.name != "multilabel"
    ):
        return Section("Likely label errors")  # a class has no image
    area = discrimination(outcome)
    if area < MIN_AUC:
        text = (
            f"The models are too weak to judge labels: their mean AUC over classes is {area:.2f}, "
        )
        text += f"below {MIN_AUC}."
        return Section("Likely label errors", [], text)
    rows = label_issues(outcome)
    if not rows:
        return Section("Likely label errors")
    cards = [_card(outcome, store, row, []) for row in rows[:ISSUES]]
    if outcome.task.single_label and cards:
        quality = get_label_quality_scores(outcome.targets, outcome.probabilities)
        for card, row in zip(cards, rows, strict=False):
            card.lines.append(f"label quality {quality[row]:.2f}")
    text = (
        f"The label of {len(rows):,} of {counted(len(outcome.ids), outcome.noun)} disagrees with "
        "the out-of-fold probabilities, by more than is usual for its class (cleanlab). Look "
        "before you change any: hard images are among them."
    )
    if outcome.task.single_label and (accuracy := 1 - outcome.wrong.mean()) < 0.5:
        text += f" Accuracy is {accuracy:.2f}, so most of them are the models' own mistakes."
    caption = (
        f"{len(cards)} of {len(rows):,}, most suspicious first" if len(cards) < len(rows) else ""
    )
    return Section("Likely label errors", [Cards(cards, caption)], text)


def discrimination(outcome: Outcome) -> float:
    """The mean AUC of the most frequent classes, each against the others; 0.5 if undefined."""
    if outcome.task.name == "multilabel":
        has = outcome.targets > 0
    else:
        has = outcome.targets[:, None] == np.arange(len(outcome.classes))
    sizes = has.sum(axis=0)
    judged = np.argsort(-sizes, kind="stable")[:MAX_JUDGED]
    judged = judged[(sizes[judged] > 0) & (sizes[judged] < len(has))]
    areas = [roc_auc_score(has[:, c], outcome.probabilities[:, c]) for c in judged]
    return float(np.mean(areas)) if areas else 0.5


def _picture(outcome: Outcome, store: ImageStore, row: int) -> str:
    return pictures.thumbnail(store.decode(outcome.images[row][0]))


def _text(outcome: Outcome, label: str) -> str:
    """A label as it is shown."""
    if outcome.task.name == "multilabel":
        label = label.replace(LABEL_SEPARATOR, ", ")
    return label or "(none)"


def _card(outcome: Outcome, store: ImageStore, row: int, heats: list[Heat]) -> Card:
    shown = list[tuple[str, str]]()
    for picture, heat in itertools.zip_longest(pictures.of_unit(store, outcome.images[row]), heats):
        shown.append(picture)
        if heat is not None:
            shown.append((pictures.thumbnail(*heat), f"{picture[1]}, heat map"))
    values = outcome.probabilities[row]
    top = np.argsort(-values, kind="stable")[:SHOWN]
    likely = ", ".join(f"{outcome.classes[i]} {values[i]:.2f}" for i in top)
    lines = [f"actual: {_text(outcome, outcome.actual[row])}"]
    if (predicted := outcome.predicted[row]) == outcome.classes[top[0]]:
        lines.append(f"predicted: {likely}")
    else:
        lines += [f"predicted: {_text(outcome, predicted)}", f"probabilities: {likely}"]
    if (count := len(outcome.images[row])) > pictures.MAX_IMAGES:
        lines.append(f"{pictures.MAX_IMAGES} of its {count} images")
    return Card(outcome.ids[row], shown, lines)
