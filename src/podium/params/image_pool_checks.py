"""Checks of `image_pool`: what it requires, and what does not support it; see `checks`."""

from collections.abc import Iterator

from podium.config import prepare_checks
from podium.config.folds import Folds
from podium.config.models import Model
from podium.config.predict import Predict
from podium.config.prepare import Prepare
from podium.core.validation import Problem


def needs_units(models: dict[str, Model], prepare: Prepare) -> Iterator[Problem]:
    """Check that images can share an id."""
    if prepare_checks.has_units(prepare):
        return
    for name, model in models.items():
        if model.image_pool is not None:
            yield (
                f"models.{name}.image_pool",
                "requires several images per id. Set prepare.images (without prepare.stack) or "
                "prepare.submission_id_column, or set image_pool: null.",
            )


def unsupported(models: dict[str, Model], predict: Predict, folds: Folds) -> Iterator[Problem]:
    """Check the settings that are about single images."""
    for name, model in models.items():
        if model.image_pool is None:
            continue
        options = {
            f"models.{name}.mix": model.mix is not None,
            f"models.{name}.pseudo_labels": model.pseudo_labels is not None,
            f"models.{name}.compile": model.compile,
            "predict.neighbors": predict.neighbors is not None,
            "folds.subsample": bool(folds.subsample),
        }
        for key, is_set in options.items():
            if is_set:
                yield key, f"is not supported with models.{name}.image_pool. Remove one of them."
