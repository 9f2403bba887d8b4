"""Which images a model trains on, and which of them are one example."""

import numpy as np
import pandas as pd

from podium.config.models import Model
from podium.core.errors import UserError
from podium.core.paths import Fold
from podium.images import sampling


def training_rows(folds: pd.DataFrame, fold: Fold, config: Model, *, extra: int) -> np.ndarray:
    """Select the labeled training images of `fold`, to which `extra` are added: boolean [images].

    Raises:
        UserError: if there are none, or if a batch of them cannot be mixed in pairs.
    """
    rows = folds["fold"] != fold
    if "train" in folds:
        rows &= folds["train"] == "yes"
    is_train = rows.to_numpy()
    if not is_train.any():
        raise UserError(f"fold {fold} has no training images. Keep more with folds.subsample.")
    if config.mix and (count := min(is_train.sum() + extra, config.batch_size)) % 2:
        raise UserError(
            f"mix: requires an even number of images per batch, but fold {fold} has {count} "
            "training images. Set mix: null."
        )
    return is_train


def arranged(folds: pd.DataFrame, config: Model) -> pd.DataFrame:
    """The table of images, those of a unit one after the other if `config` pools their features.

    Raises:
        UserError: if it does, but the images have no units.
    """
    if config.image_pool is None:
        return folds
    if "unit" not in folds:
        raise UserError(
            f"image_pool: {config.image_pool} requires that training images share an id. Set "
            "prepare.images or prepare.unit_column, or set image_pool: null."
        )
    order, _ = sampling.adjacent(folds["unit"].tolist())
    return folds.take(order)


def numbers(images: pd.DataFrame, config: Model) -> np.ndarray | None:
    """The number of the unit of each of the arranged `images` [N]; None if images are examples."""
    if config.image_pool is None:
        return None
    codes: np.ndarray = pd.factorize(images["unit"])[0]
    return codes


def noun(config: Model) -> str:
    """What a batch consists of."""
    return "images" if config.image_pool is None else "ids"


def one_per_example(images: pd.DataFrame, targets: np.ndarray, config: Model) -> np.ndarray:
    """The target of each example, from those of the arranged `images`."""
    if config.image_pool is None:
        return targets
    return targets[~images["unit"].duplicated().to_numpy()]
