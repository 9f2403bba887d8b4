"""Sections on regression: predicted against actual numbers, and residuals."""

import numpy as np

from podium.core.console import number
from podium.images.store import ImageStore
from podium.pages import charts, pictures
from podium.pages.document import Card, Cards, Chart, Section
from podium.pages.outcome import Outcome

MAX_POINTS = 4000
LARGEST = 16
SLOPE = "A downward slope on the right means that predictions shrink towards the mean."


def residuals(outcome: Outcome) -> Section:
    """Predicted against actual, and the distribution of the differences, for each number."""
    parts = []
    for index, name in enumerate(outcome.classes):
        actual, predicted = outcome.targets[:, index], outcome.probabilities[:, index]
        step = -(-len(actual) * len(outcome.classes) // MAX_POINTS)
        with charts.style():
            figure, (both, errors) = charts.panels(2, columns=2, height=3.2)
            ends = np.concatenate([actual, predicted])
            ends = np.array([ends.min(), ends.max()])
            both.plot(ends, ends, color=charts.GRID)
            both.scatter(actual[::step], predicted[::step], s=9, alpha=0.5)
            both.set(xlabel=f"actual {name}", ylabel="predicted, out of fold")
            errors.scatter(actual[::step], (predicted - actual)[::step], s=9, alpha=0.5)
            errors.axhline(0, color=charts.GRID)
            errors.set(xlabel=f"actual {name}", ylabel="predicted - actual")
            svg = charts.svg(figure, f"Predicted against actual {name}")
        parts.append(Chart(svg, SLOPE))
    if outcome.test_labels:
        with charts.style():
            figure, axes = charts.panels(len(outcome.classes))
            for index, panel in enumerate(axes):
                values = [outcome.probabilities[:, index], outcome.test_probabilities[:, index]]
                charts.histogram(panel, values, ["out of fold", "test"], noun=outcome.noun)
                panel.set(xlabel=f"predicted {outcome.classes[index]}")
            where = f"out of fold and on test {outcome.noun}s"
            svg = charts.svg(figure, f"Predicted numbers {where}")
        parts.append(Chart(svg, f"Predictions {where}."))
    return Section("Predicted against actual", list(parts))


def largest_errors(outcome: Outcome, store: ImageStore) -> Section:
    """The images whose predictions are farthest off, relative to each number's spread."""
    spread = np.maximum(outcome.targets.std(axis=0), 1e-12)
    errors = (np.abs(outcome.probabilities - outcome.targets) / spread).max(axis=1)
    cards = []
    for row in np.argsort(-errors, kind="stable")[:LARGEST]:
        lines = [
            f"{name}: {number(actual)}, predicted {number(predicted)}"
            for name, actual, predicted in zip(
                outcome.classes, outcome.targets[row], outcome.probabilities[row], strict=True
            )
        ]
        cards.append(Card(outcome.ids[row], pictures.of_unit(store, outcome.images[row]), lines))
    return Section("Largest errors", [Cards(cards)], "Out of fold.")
