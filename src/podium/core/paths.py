"""Paths of the pipeline's files, relative to the project's root folder."""

from pathlib import Path

DATA = Path("data")
CHECKED = DATA / "params.checked"  # written by the stage `check`
METRIC = DATA / "metric.json"  # the metric, and a hash of its code if it is user-defined
RAW = DATA / "raw"
SOLUTION = DATA / "solution"
IMAGES = DATA / "images"
PREPARED = DATA / "prepared.json"
FOLDS = DATA / "folds.json"
PREDICTIONS = DATA / "predictions"
EMBEDDINGS = DATA / "embeddings"
PSEUDO = DATA / "pseudo"
ENSEMBLE = DATA / "ensemble"
MODELS = Path("models")
METRICS = Path("metrics")
REPORTS = Path("reports")
SUBMISSIONS = Path("submissions")
CHECKPOINTS = Path(".checkpoints")


def fold_name(model: str, fold: int) -> str:
    """The folder of a model's fold, below `MODELS`, `METRICS` and the like."""
    return f"{model}/fold{fold}"


def embedding(name: str, part: str) -> Path:
    """The features that `embed` writes; `part` is train or test."""
    return EMBEDDINGS / name / f"{part}.parquet"


def weights(model: str, fold: int) -> Path:
    """The weights that `train` writes."""
    return MODELS / fold_name(model, fold) / "weights.safetensors"
