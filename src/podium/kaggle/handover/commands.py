"""The commands and paths from a competition's data to a submission, for whoever repeats it."""

from dataclasses import dataclass
from pathlib import Path

from podium.config.competition import Competition
from podium.config.models import Model
from podium.core import files

# Where the programs have their files, relative to the folder that they run in.
SETTINGS = {
    "RAW_DATA_DIR": "data/raw",
    "CLEAN_DATA_DIR": "data",
    "TRAIN_DATA_CLEAN_PATH": "data/images/train",
    "TEST_DATA_CLEAN_PATH": "data/images/test",
    "FOLDS_PATH": "data/folds.csv",
    "CHECKPOINT_DIR": ".checkpoints",
    "MODEL_DIR": "models",
    "METRICS_DIR": "metrics",
    "PREDICTIONS_DIR": "data/predictions",
    "ENSEMBLE_DIR": "data/ensemble",
    "SUBMISSION_DIR": "submissions",
}


@dataclass(frozen=True)
class Handover:
    """A submission, and the models and folds that it came from."""

    competition: Competition
    members: dict[str, Model]
    folds: list[int]

    @property
    def slug(self) -> str:
        return self.competition.slug

    @property
    def submission(self) -> Path:
        return Path("submissions") / f"{self.slug}.csv"

    @property
    def record(self) -> Path:
        """What the submission was made of, which stands beside it."""
        return self.submission.with_suffix(".json")

    @property
    def is_fetched(self) -> bool:
        """Whether `fetch` can get the archive anywhere else too."""
        given = self.competition
        return given.source in ("builtin", "kaggle") and given.solution is None

    def trainings(self) -> list[tuple[str, int]]:
        """Each model and fold."""
        return [(model, fold) for model in self.members for fold in self.folds]

    def weights(self) -> list[Path]:
        return [Path(f"models/{m}/fold{k}/weights.safetensors") for m, k in self.trainings()]

    def trained(self) -> list[Path]:
        """What the trainings made: weights, curves and metrics."""
        curves = [path.with_name("curves.csv") for path in self.weights()]
        return [*self.weights(), *curves, *(_metrics(*each) for each in self.trainings())]

    def stages(self) -> set[str]:
        """The stages that the submission came from, as DVC names them."""
        each = {f"{verb}@{m}-{k}" for m, k in self.trainings() for verb in ("train", "predict")}
        return {"fetch", "prepare", "folds", "ensemble", "submission"} | each

    def prepare(self) -> list[str]:
        """The commands from the archive to the folds."""
        fetch = ["python src/fetch.py"] if self.is_fetched else []
        return [*fetch, "python src/prepare.py", "python src/folds.py"]

    def train(self) -> list[str]:
        return [f"python src/train.py --model {m} --fold {k}" for m, k in self.trainings()]

    def predict(self) -> list[str]:
        """The commands from the weights to the submission."""
        each = [f"python src/predict.py --model {m} --fold {k}" for m, k in self.trainings()]
        return [*each, "python src/ensemble.py", "python src/submission.py"]

    def trained_seconds(self) -> dict[str, float]:
        """What the epochs of each training took, by its command."""
        each = (files.read_json(_metrics(*training))["seconds"] for training in self.trainings())
        return dict(zip(self.train(), each, strict=True))


def _metrics(model: str, fold: int) -> Path:
    return Path("metrics") / model / f"fold{fold}.json"


def directory_structure(names: list[str]) -> str:
    """The folders and files of an archive as `find . | LC_ALL=C sort` lists them."""
    paths = [Path(name) for name in names]
    folders = {parent for path in paths for parent in path.parents} - {Path()}
    return "\n".join([".", *sorted(f"./{path.as_posix()}" for path in {*paths, *folders})]) + "\n"


def text(made: Handover) -> str:
    """The commands of the three steps, one a line."""
    fetch = (
        "`fetch.py` keeps the competition's archive in RAW_DATA_DIR, or gets it there (README.md)"
        if made.is_fetched
        else f"Needs the competition's archive at `data/raw/{made.slug}.zip` (README.md)"
    )
    return f"""# Entry points

Run them in this folder, with the packages of `requirements.txt`. The names in capitals are paths:
`SETTINGS.json` has them. The weights are here: to predict, go from step 1 to step 3.

## 1. Prepare the data

```sh
{_lines(made.prepare())}
```

- {fetch}
- `prepare.py` reads RAW_DATA_DIR, writes TRAIN_DATA_CLEAN_PATH, TEST_DATA_CLEAN_PATH and the tables
  in CLEAN_DATA_DIR
- `folds.py` writes FOLDS_PATH

## 2. Train

```sh
{_lines(made.train())}
```

- read TRAIN_DATA_CLEAN_PATH and FOLDS_PATH
- write MODEL_DIR and METRICS_DIR, over what is there; while they run, CHECKPOINT_DIR, from which an
  interrupted command goes on when it is given again
- may run in any order, and at once

## 3. Predict

```sh
{_lines(made.predict())}
```

- `predict.py` reads MODEL_DIR, TRAIN_DATA_CLEAN_PATH and TEST_DATA_CLEAN_PATH, writes
  PREDICTIONS_DIR
- `ensemble.py` reads PREDICTIONS_DIR, writes ENSEMBLE_DIR
- `submission.py` reads ENSEMBLE_DIR, writes SUBMISSION_DIR
"""


def _lines(commands: list[str]) -> str:
    return "\n".join(commands)
