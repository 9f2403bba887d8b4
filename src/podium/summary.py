"""The report in Markdown: what scored how, and where the submission is."""

from pathlib import Path
from typing import Any


def render(scores: dict[str, Any], *, submission: Path, rows: int, held_back: float | None) -> str:
    """A table of the models' and the ensemble's scores, then the submission.

    `scores` is metrics/ensemble.json; `held_back` the score on the test labels, where known.
    """
    metric = scores["metric"]
    folds = list(scores["ensemble"]["folds"])
    header = ["model", "weight", *(f"fold {fold}" for fold in folds), "mean ± std", "out of fold"]
    table = [header]
    for name, member in scores["members"].items():
        table.append([name, f"{member['weight']:.3f}", *_cells(member)])
    table.append(["**ensemble**", "", *_cells(scores["ensemble"])])
    lines = [f"# {submission.stem}", "", f"Metric: {metric}.", "", *_markdown(table), ""]
    lines.append(f"- Submission: `{submission}`, {rows} rows")
    if held_back is not None:
        lines.append(f"- Score on the held-back test labels: **{held_back:.4f}**")
    return "\n".join(lines) + "\n"


def _cells(scores: dict[str, Any]) -> list[str]:
    spread = "" if scores["std"] is None else f" ± {scores['std']:.4f}"
    each = [f"{value:.4f}" for value in scores["folds"].values()]
    return [*each, f"{scores['mean']:.4f}{spread}", f"{scores['oof']:.4f}"]


def _markdown(table: list[list[str]]) -> list[str]:
    """The rows of a Markdown table, with columns that line up in plain text too."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    rows = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in table
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [rows[0], rule, *rows[1:]]
