"""The winning solution: its models and folds, their files, and the commands that reproduce it."""

from dataclasses import dataclass
from pathlib import Path

from podium.config.competition import Competition
from podium.config.models import Model
from podium.core import files, paths
from podium.params.schema import Params


@dataclass(frozen=True)
class Solution:
    """A submission with the models and folds behind it."""

    competition: Competition
    models: dict[str, Model]  # the ensemble's members
    folds: list[int]

    @classmethod
    def of(cls, params: Params) -> "Solution":
        """The solution that params.yaml describes."""
        members = {name: params.models[name] for name in params.ensemble.members}
        return cls(params.competition, members, params.folds.run)

    @property
    def slug(self) -> str:
        return self.competition.slug

    @property
    def archive(self) -> Path:
        """The competition's data."""
        return paths.RAW / f"{self.slug}.zip"

    @property
    def submission(self) -> Path:
        return paths.SUBMISSIONS / f"{self.slug}.csv"

    @property
    def record(self) -> Path:
        """The submission's provenance as JSON."""
        return self.submission.with_suffix(".json")

    @property
    def can_fetch(self) -> bool:
        """Whether `fetch` can get the archive on another machine."""
        return self.competition.source in ("builtin", "kaggle") and not self.competition.solution

    @property
    def runs(self) -> list[tuple[str, int]]:
        """All pairs of model and fold."""
        return [(model, fold) for model in self.models for fold in self.folds]

    def outputs(self) -> list[Path]:
        """The solution's files other than code: weights, scores, submission."""
        weights = [paths.weights(*run) for run in self.runs]
        metrics = [_metrics(*run) for run in self.runs]
        curves = [path.with_name("curves.csv") for path in weights]
        return [*weights, *curves, *metrics, self.submission, self.record]

    def steps(self) -> dict[str, list[str]]:
        """The commands of Kaggle's three steps: prepare, train, predict."""
        options = [f"--model {model} --fold {fold}" for model, fold in self.runs]
        fetch = ["python src/fetch.py"] if self.can_fetch else []
        blend = ["python src/ensemble.py", "python src/submission.py"]
        return {
            "prepare": [*fetch, "python src/prepare.py", "python src/folds.py"],
            "train": [f"python src/train.py {option}" for option in options],
            "predict": [*(f"python src/predict.py {option}" for option in options), *blend],
        }

    def training_seconds(self) -> dict[str, float]:
        """The recorded training time of each `train` command."""
        seconds = (files.read_json(_metrics(*run))["seconds"] for run in self.runs)
        return dict(zip(self.steps()["train"], seconds, strict=True))


def _metrics(model: str, fold: int) -> Path:
    return paths.METRICS / f"{paths.fold_name(model, fold)}.json"
