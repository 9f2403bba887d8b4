"""submissions/history.csv: what was submitted, how it scored, and how far both scores agree."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from podium.core import csvs, files
from podium.core.errors import UserError
from podium.scoring import metrics

COLUMNS = (
    "time",  # of Kaggle, UTC
    "competition",
    "file",
    "sha256",
    "commit",  # with -dirty if tracked files were changed since
    "params",  # SHA-256 of the params that its stages ran with
    "metric",
    "oof",
    "public",
    "message",
    "ref",  # Kaggle's number of it
    "status",  # PENDING, COMPLETE or ERROR
)
FEWEST = 3  # scores of which a correlation says anything
GROUP = ["competition", "metric"]


class Agreement(NamedTuple):
    """Scored submissions of one competition and metric, in the order of the history."""

    competition: str
    metric: metrics.Metric
    numbers: list[int]  # of the rows, from 1
    oof: np.ndarray  # [N]
    public: np.ndarray  # [N]

    def correlations(self) -> tuple[float, float] | None:
        """Pearson's and Spearman's, of scores such that more is better; None if there are too few,
        or one of both is the same everywhere.
        """
        from scipy import stats

        oof, public = self._ranked(self.oof), self._ranked(self.public)
        if len(oof) < FEWEST or np.ptp(oof) == 0 or np.ptp(public) == 0:
            return None
        return float(stats.pearsonr(oof, public)[0]), float(stats.spearmanr(oof, public)[0])

    @property
    def best(self) -> int:
        """The number of the row with the best public score."""
        return self.numbers[int(self._ranked(self.public).argmax())]

    def _ranked(self, scores: np.ndarray) -> np.ndarray:
        return np.array([self.metric.rank(score) for score in scores])


def read(path: Path) -> pd.DataFrame:
    """The history as text: [submissions, COLUMNS]; without rows if there is none.

    Raises:
        UserError: if it cannot be read, or has other columns.
    """
    if not path.exists():
        return pd.DataFrame(columns=list(COLUMNS), dtype=str)
    table = csvs.read(path)
    if tuple(table.columns) != COLUMNS:
        raise UserError(
            f"{path} must have the columns {', '.join(COLUMNS)}, not {', '.join(table.columns)}: "
            "put its header right, or move it away"
        )
    return table.fillna("")


def append(path: Path, row: Mapping[str, str]) -> None:
    """Add a submission; `row` has all of `COLUMNS`.

    Raises:
        UserError: as of `read`.
    """
    assert set(row) == set(COLUMNS)
    files.write_csv(path, pd.concat([read(path), pd.DataFrame([row])[list(COLUMNS)]]))


def change(path: Path, ref: str, values: Mapping[str, str] | None) -> None:
    """Write `values` into the row of Kaggle's number `ref`; None: take the row out.

    Raises:
        UserError: as of `read`.
    """
    table = read(path)
    here = table["ref"] == ref
    if values is None:
        table = table[~here]
    else:
        for name, value in values.items():
            table.loc[here, name] = value
    files.write_csv(path, table)


def open_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of which Kaggle has more to say."""
    return table[(table["status"] == "PENDING") | (table["time"] == "")]


def agreements(table: pd.DataFrame) -> list[Agreement]:
    """The scored rows, by competition and metric.

    Raises:
        UserError: for a metric of the user's own that is not there.
    """
    scores = table.assign(number=range(1, len(table) + 1))
    for name in ("oof", "public"):
        scores[name] = pd.to_numeric(scores[name], errors="coerce")
    scores = scores[np.isfinite(scores["oof"]) & np.isfinite(scores["public"])]
    return [
        Agreement(
            competition,
            metrics.get(name, "multiclass"),
            rows["number"].tolist(),
            rows["oof"].to_numpy(dtype=np.float64),
            rows["public"].to_numpy(dtype=np.float64),
        )
        for (competition, name), rows in scores.groupby(GROUP, sort=False)
    ]


def render(table: pd.DataFrame, found: list[Agreement]) -> str:
    """The history as text, the best public score marked with *, and how far the scores agree."""
    best = {agreement.best for agreement in found}
    rows = [("", "time", "file", "metric", "OOF", "public", "commit", "message")]
    for number, row in enumerate(table.to_dict("records"), start=1):
        public = row["public"] or row["status"].lower()
        rows.append(
            (
                str(number),
                row["time"][:16].replace("T", " "),
                Path(row["file"]).name,
                row["metric"],
                f"{float(row['oof']):.5f}" if _is_number(row["oof"]) else row["oof"],
                public + "*" * (number in best),
                row["commit"][:8] + "-dirty" * row["commit"].endswith("-dirty"),
                " ".join(row["message"].split()),
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, "", *(_say(agreement) for agreement in found)])


def _say(found: Agreement) -> str:
    count = len(found.numbers)
    of = f"{found.competition}, {found.metric.name}"
    if count < FEWEST:
        return f"{of}: {count} scored: a correlation takes {FEWEST} or more"
    if (both := found.correlations()) is None:
        return f"{of}: {count} scored, one score the same everywhere: no correlation"
    text = f"{of}: Pearson {both[0]:.3f}, Spearman {both[1]:.3f} over {count} submissions"
    if not found.metric.greater_is_better:
        text += " (less is better)"
    return text + (": what was better here was worse on Kaggle" if both[1] < 0 else "")


def plot(found: list[Agreement], path: Path) -> None:
    """Draw out-of-fold scores against public ones, a panel a competition and metric; better is up
    and to the right. The numbers are those of `render`.
    """
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    size = (6 * len(found), 5)
    figure, panels = plt.subplots(1, len(found), figsize=size, layout="constrained", squeeze=False)
    for axes, agreement in zip(panels[0], found, strict=True):
        axes.scatter(agreement.oof, agreement.public, zorder=2)
        for number, x, y in zip(agreement.numbers, agreement.oof, agreement.public, strict=True):
            axes.annotate(str(number), (x, y), xytext=(5, 5), textcoords="offset points")
        axes.margins(0.15)
        # As the points have them: the line of equal scores may lie far away.
        axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
        axes.axline((agreement.oof[0], agreement.oof[0]), slope=1, color="0.8", zorder=1)
        if not agreement.metric.greater_is_better:
            axes.invert_xaxis()
            axes.invert_yaxis()
        axes.set(xlabel=f"{agreement.metric.name}, out of fold", ylabel="public score")
        axes.set_title(_say(agreement), fontsize="small", wrap=True)
    with files.atomic(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
    plt.close(figure)


def _is_number(text: str) -> bool:
    return bool(np.isfinite(pd.to_numeric(text, errors="coerce")))
