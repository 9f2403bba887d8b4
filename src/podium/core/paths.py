"""Paths of the pipeline's files, relative to the project's root folder."""

from pathlib import Path
from typing import Literal

Fold = int | Literal["all"]  # "all": trained on all folds

DATA = Path("data")
CHECKED = DATA / "params.checked"  # written by the stage `check`
METRIC = DATA / "metric.json"  # the metric, and a hash of its code if it is user-defined
EXPLORE = DATA / "explore.json"  # the network that the stage `explore` uses
RAW = DATA / "raw"
SOLUTION = DATA / "solution"
IMAGES = DATA / "images"
PREPARED = DATA / "prepared.json"
FOLDS = DATA / "folds.json"
PREDICTIONS = DATA / "predictions"
FEATURES = DATA / "features"
PSEUDO = DATA / "pseudo"
ENSEMBLE = DATA / "ensemble"
MODELS = Path("models")
METRICS = Path("metrics")
REPORTS = Path("reports")
LISTS = Path("custom/lists")
SUBMISSIONS = Path("submissions")
CHECKPOINTS = Path(".checkpoints")


def fold_name(model: str, fold: Fold) -> str:
    """The folder of a model's fold, below `MODELS`, `PREDICTIONS` and the like."""
    return f"{model}/all" if fold == "all" else f"{model}/fold{fold}"


def stage(name: str, model: str, fold: Fold) -> str:
    """What DVC calls the stage `name`, train or predict, of a model's fold."""
    return f"{name}_all@{model}" if fold == "all" else f"{name}@{model}-{fold}"


def metrics(model: str, fold: Fold) -> Path:
    """The scores of a model's fold. The record of a model of all folds is outside the folder of the
    folds' scores, on which its training depends.
    """
    name = f"{model}-all" if fold == "all" else fold_name(model, fold)
    return METRICS / f"{name}.json"


def metadata(part: str, folder: Path = DATA) -> Path:
    """The metadata that `prepare` writes; `part` is train or test."""
    return folder / "features" / "metadata" / f"{part}.parquet"


def embedding(name: str, part: str) -> Path:
    """The features that `embed` writes; `part` is train or test."""
    return FEATURES / name / f"{part}.parquet"


def neighbors(model: str, fold: Fold) -> Path:
    """The features of training images that `predict` writes if `predict.neighbors` is set."""
    return PREDICTIONS / fold_name(model, fold) / "neighbors.safetensors"


def weights(model: str, fold: Fold) -> Path:
    """The weights that `train` writes."""
    return MODELS / fold_name(model, fold) / "weights.safetensors"
