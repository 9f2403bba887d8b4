"""submissions/history.csv: all submissions with their out-of-fold (CV) and public (LB) scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from podium.core import csvs, files, paths
from podium.core.errors import UserError
from podium.scoring import metrics
from podium.scoring.metrics import Metric
from podium.submission import text_tables

PATH = paths.SUBMISSIONS / "history.csv"
COLUMNS = (
    "time",  # when Kaggle received it, UTC
    "competition",
    "file",
    "sha256",
    "commit",  # ends with -dirty if tracked files were edited
    "params",  # SHA-256 of the params that its stages ran with
    "metric",
    "oof",
    "public",
    "message",
    "ref",  # Kaggle's number of the submission
    "status",  # PENDING, COMPLETE or ERROR
)
MIN_SCORES = 3  # for a correlation


class Comparison(NamedTuple):
    """The scored submissions of one competition and metric, in the order of the history."""

    competition: str
    metric: Metric
    numbers: list[int]  # of the rows, from 1
    oof: np.ndarray  # [N]
    public: np.ndarray  # [N]

    def correlations(self) -> tuple[float, float] | None:
        """Pearson and Spearman correlation of the scores; None if undefined."""
        from scipy import stats

        if len(self.oof) < MIN_SCORES or np.ptp(self.oof) == 0 or np.ptp(self.public) == 0:
            return None
        pearson, spearman = (f(self.oof, self.public)[0] for f in (stats.pearsonr, stats.spearmanr))
        return float(pearson), float(spearman)

    @property
    def best(self) -> int:
        """The number of the row with the best public score."""
        return self.numbers[int(np.argmax([self.metric.rank(score) for score in self.public]))]

    def describe(self) -> str:
        """Summarize the correlation in one line."""
        count, text = len(self.numbers), f"{self.competition}, {self.metric.name}: "
        if count < MIN_SCORES:
            return f"{text}{count} scored; at least {MIN_SCORES} are needed for a correlation"
        if (values := self.correlations()) is None:
            return f"{text}{count} scored; no correlation, since all OOF or public scores are equal"
        text += f"Pearson {values[0]:.3f}, Spearman {values[1]:.3f} ({count} submissions)"
        return text + (" (CV and LB are negatively correlated)" if values[1] < 0 else "")


def read(path: Path) -> pd.DataFrame:
    """Read a history as text: [submissions, COLUMNS]; empty if the file does not exist.

    Raises:
        UserError: if it cannot be read, or has other columns.
    """
    if not path.exists():
        return pd.DataFrame(columns=list(COLUMNS), dtype=str)
    table = csvs.read(path)
    if tuple(table.columns) != COLUMNS:
        raise UserError(
            f"{path} must have the columns {', '.join(COLUMNS)}, not {', '.join(table.columns)}. "
            "Fix its header, or move the file away."
        )
    return table.fillna("")


def append(path: Path, row: Mapping[str, str]) -> None:
    """Add a submission with a value for each of `COLUMNS`; raises as `read` does."""
    assert set(row) == set(COLUMNS)
    files.write_csv(path, pd.concat([read(path), pd.DataFrame([row])[list(COLUMNS)]]))


def update(path: Path, ref: str, values: Mapping[str, str]) -> None:
    """Change values of the submission `ref`; raises as `read` does."""
    table = read(path)
    table.loc[table["ref"] == ref, list(values)] = list(values.values())
    files.write_csv(path, table)


def remove(path: Path, ref: str) -> None:
    """Remove the submission `ref`; raises as `read` does."""
    table = read(path)
    files.write_csv(path, table[table["ref"] != ref])


def compare(table: pd.DataFrame) -> list[Comparison]:
    """Group the scored submissions by competition and metric.

    Raises:
        UserError: if a user-defined metric cannot be loaded.
    """
    scores = table.assign(number=range(1, len(table) + 1))
    for name in ("oof", "public"):
        scores[name] = pd.to_numeric(scores[name], errors="coerce")
    scores = scores[np.isfinite(scores["oof"]) & np.isfinite(scores["public"])]
    return [
        Comparison(
            competition,
            _metric(metric),
            rows["number"].tolist(),
            rows["oof"].to_numpy(dtype=np.float64),
            rows["public"].to_numpy(dtype=np.float64),
        )
        for (competition, metric), rows in scores.groupby(["competition", "metric"], sort=False)
    ]


def _metric(name: str) -> Metric:
    metric = metrics.METRICS.get(metrics.family(name))  # None if it is user-defined
    return metrics.get(name, metric.tasks[0] if metric else "multiclass")


def render(table: pd.DataFrame, comparisons: list[Comparison]) -> str:
    """Format the history and its correlations; the best public scores are marked with *."""
    best = {comparison.best for comparison in comparisons}
    rows = [("", "time", "file", "metric", "OOF", "public", "commit", "message")]
    for number, row in enumerate(table.to_dict("records"), start=1):
        oof = pd.to_numeric(row["oof"], errors="coerce")
        rows.append(
            (
                str(number),
                row["time"][:16].replace("T", " "),
                Path(row["file"]).name,
                row["metric"],
                f"{oof:.5f}" if np.isfinite(oof) else row["oof"],
                (row["public"] or row["status"].lower()) + "*" * (number in best),
                row["commit"][:8] + "-dirty" * row["commit"].endswith("-dirty"),
                " ".join(row["message"].split()),
            )
        )
    lines = [comparison.describe() for comparison in comparisons]
    return "\n".join([text_tables.plain(rows), "", *lines])


def plot(comparisons: list[Comparison], path: Path) -> None:
    """Plot out-of-fold against public scores, one panel per competition and metric.

    Better is up and to the right; points have the numbers of `render`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6 * len(comparisons), 5), layout="constrained")
    panels = figure.subplots(1, len(comparisons), squeeze=False)
    for axes, comparison in zip(panels[0], comparisons, strict=True):
        axes.scatter(comparison.oof, comparison.public, zorder=2)
        for number, x, y in zip(comparison.numbers, comparison.oof, comparison.public, strict=True):
            axes.annotate(str(number), (x, y), xytext=(5, 5), textcoords="offset points")
        axes.margins(0.15)
        # Freeze the limits: the line of equal scores may be far from the points.
        axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
        axes.axline((comparison.oof[0], comparison.oof[0]), slope=1, color="0.8", zorder=1)
        if not comparison.metric.greater_is_better:
            axes.invert_xaxis()
            axes.invert_yaxis()
        axes.set(xlabel=f"{comparison.metric.name}, out of fold", ylabel="public score")
        axes.set_title(comparison.describe(), fontsize="small", wrap=True)
    with files.atomic(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
