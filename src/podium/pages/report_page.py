"""reports/report.html: all sections of a finished project, and the facts at its top."""

from dataclasses import replace

import numpy as np
import pandas as pd

from podium.core import files, paths
from podium.core.console import deviation, score
from podium.images.store import ImageStore
from podium.kaggle import comparison, history
from podium.pages import classes, mistakes, pictures, residuals, scores
from podium.pages.document import Section, render
from podium.pages.heatmaps import Explainer, NoGridError
from podium.pages.outcome import Outcome
from podium.pages.scores import Curves, Interval
from podium.scoring.task import Target

MAX_HEATS = 24  # each takes up to a second


def write(outcome: Outcome, slug: str, *, test_score: float | None) -> None:
    """Write the page.

    Raises:
        UserError: if a file of the stages before is missing or damaged.
    """
    store = ImageStore(paths.IMAGES / "train")
    metric = outcome.metric.name
    correlations = files.read_json(paths.ENSEMBLE / "error_correlations.json")
    between = scores.intervals(outcome)
    sections = [scores.members(outcome, between, correlations)]
    submitted = comparison.compare(history.read(history.PATH))
    sections.append(scores.leaderboard([c for c in submitted if c.competition == slug]))
    if outcome.task.parts:
        sections.append(scores.targets(outcome))
        for own, part in zip(outcome.of_targets(), outcome.task.parts, strict=True):
            heats = _heats(own, store, MAX_HEATS // len(outcome.task.parts), part)
            named = _details(own, store, *heats)
            sections += [replace(section, group=own.target) for section in named]
    else:
        sections += _details(outcome, store, *_heats(outcome, store, MAX_HEATS))
    sections.append(scores.learning_curves(_curves(outcome), metric))
    html = render(slug, _facts(outcome, between["ensemble"], test_score), sections)
    files.write_text(paths.REPORTS / "report.html", html)


def _details(
    outcome: Outcome, store: ImageStore, heats: mistakes.Heats, explained_by: str
) -> list[Section]:
    """The sections about the predictions of one target."""
    if outcome.task.name == "regression":
        return [residuals.residuals(outcome), residuals.largest_errors(outcome, store)]
    sections = [classes.confusion(outcome), mistakes.confused_pairs(outcome, store)]
    sections.append(mistakes.mistakes(outcome, store, heats, explained_by))
    sections.append(mistakes.label_errors(outcome, store))
    sections += [classes.per_class(outcome), classes.calibration(outcome)]
    if outcome.task.name == "multilabel":
        sections.append(classes.thresholds(outcome))
    return [*sections, classes.distribution(outcome)]


def _facts(
    outcome: Outcome, interval: Interval, test_score: float | None
) -> list[tuple[str, str, str]]:
    ensemble = outcome.scores["ensemble"]
    between = "" if interval is None else f"95% interval {' to '.join(map(score, interval))}"
    std, mean = ensemble["std"], ensemble["mean"]
    spread = "" if std is None else f"± {deviation(std, mean=mean)} over folds"
    facts = [
        (f"{outcome.metric.name}, out of fold", score(ensemble["oof"]), between),
        ("mean of folds", score(mean), spread),
        (f"{outcome.noun}s, out of fold", f"{len(outcome.ids):,}", outcome.task.name),
        ("models", str(len(outcome.scores["members"])), ", ".join(outcome.scores["members"])),
    ]
    if test_score is not None:
        facts.insert(2, ("on known test labels", score(test_score), ""))
    return facts


def _runs(outcome: Outcome) -> list[tuple[str, int]]:
    """The fine-tuned members with their folds, by weight."""
    members = outcome.scores["members"]
    names = sorted(members, key=lambda name: -members[name]["weight"])
    runs = [(name, int(fold)) for name in names for fold in members[name]["folds"]]
    return [run for run in runs if "epoch" in files.read_json(paths.metrics(*run))]  # not probes


def _curves(outcome: Outcome) -> dict[str, dict[str, Curves]]:
    curves = dict[str, dict[str, Curves]]()
    for model, fold in _runs(outcome):
        table = pd.read_csv(paths.weights(model, fold).with_name("curves.csv"))
        kept = files.read_json(paths.metrics(model, fold))["epoch"]
        curves.setdefault(model, {})[f"fold {fold}"] = Curves(table, kept)
    return curves


def _heats(
    outcome: Outcome, store: ImageStore, limit: int, part: Target | None = None
) -> tuple[mistakes.Heats, str]:
    """At most `limit` heat maps, of the most confident mistakes, by the heaviest fine-tuned model,
    each by the fold that did not train on the image, and a sentence that names the model or says
    why there are none. `part`: the target of `outcome`, if it is one of several.
    """
    runs = _runs(outcome)
    if outcome.task.name == "regression":
        return {}, ""
    if not runs:
        return {}, "There are no heat maps, since no model was fine-tuned."
    model, heats = runs[0][0], mistakes.Heats()
    shown = {row: outcome.images[row][: pictures.MAX_IMAGES] for row in mistakes.confident(outcome)}
    rows = [row for row, total in zip(shown, np.cumsum([*map(len, shown.values())]), strict=True)
            if total <= limit]  # fmt: skip
    for fold in sorted({int(outcome.folds[row]) for row in rows}):
        explainer = Explainer(paths.weights(model, fold))
        classes = len((part.task if part else explainer.codec.task).classes)
        places = [
            (row, image) for row in rows if outcome.folds[row] == fold for image in shown[row]
        ]
        wanted = [_explained_class(outcome, row, classes) for row, _ in places]
        try:
            explained = explainer.explain(store, [image for _, image in places], wanted, part)
        except NoGridError:
            return {}, f"There are no heat maps: no layer of {model} has a grid of several cells."
        for (row, _), *heat in zip(places, *explained, strict=True):
            heats.setdefault(row, []).append((heat[0], heat[1]))
    if not heats:
        return {}, ""
    is_used = outcome.scores["members"][model]["weight"] > 0
    note = "" if is_used else ", whose weight in the ensemble is 0"
    return heats, f"The heat maps are those of {model}{note}."


def _explained_class(outcome: Outcome, row: int, classes: int) -> int:
    """The class that was predicted, of those that the network knows; for multilabel, the one that
    is most wrong, or the most likely one if that is missing: nothing speaks for it.
    """
    if outcome.task.name == "multilabel":
        errors = outcome.probabilities[row] - outcome.targets[row]
        worst = int(np.abs(errors).argmax())
        return worst if errors[worst] > 0 else int(outcome.probabilities[row].argmax())
    predicted = int(outcome.predicted_targets[row])
    return predicted if predicted < classes else int(outcome.probabilities[row, :classes].argmax())
