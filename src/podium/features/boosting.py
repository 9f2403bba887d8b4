"""Gradient-boosted trees as the head of a probe: LightGBM, stored as the text of its models."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from podium.features.linear import Arrays, Head, columns, prior
from podium.scoring.task import Task

MODELS = "models"  # the array: text, with END between the models
END = "\0"
TREES = (10.0, 20.0, 50.0, 100.0, 200.0, 400.0)
MIN_SHARE, MIN_FEATURES = 0.2, 64  # of the features that a tree may use: faster than all
PARAMS: dict[str, Any] = {
    "learning_rate": 0.1,
    "num_leaves": 7,
    "min_data_in_leaf": 5,
    "lambda_l2": 1.0,
    "max_bin": 63,
    "seed": 0,
    "deterministic": True,
    "force_col_wise": True,
    "verbosity": -1,
}


def fit(features: np.ndarray, targets: np.ndarray, task: Task, strength: float) -> Arrays:
    """Fit `strength` trees, or as many per class."""
    return next(path(features, targets, task, [strength]))


def path(
    features: np.ndarray, targets: np.ndarray, task: Task, strengths: Iterable[float]
) -> Iterator[Arrays]:
    """Fit each of `strengths` in ascending order: a model with more trees begins with the fewer."""
    base, parts = _parts(features, targets, task)
    for strength in strengths:
        for part in parts:
            part.grow(max(1, round(strength)))
        text = END.join(part.booster.model_to_string(num_iteration=-1) for part in parts)
        yield {
            MODELS: np.frombuffer(text.encode() or END.encode(), np.uint8).copy(),
            "columns": np.array([c for part in parts for c in part.columns], np.int64),
            "base": base,
        }


def scores(arrays: Arrays, features: np.ndarray) -> np.ndarray:
    """The scores [N, C]: those of classes without a model are constant."""
    shape = (len(features), -1)
    result = np.tile(arrays["base"].astype(np.float64), (len(features), 1))
    outputs = [
        np.reshape(booster.predict(features, raw_score=True), shape)
        for booster in _boosters(arrays)
    ]
    if outputs:
        result[:, arrays["columns"]] += np.concatenate(outputs, axis=1)
    return result


def importance(arrays: Arrays, dimensions: int) -> np.ndarray:
    """How much each feature lowers the loss of the training images, summed over all trees: [D]."""
    gains = [booster.feature_importance("gain") for booster in _boosters(arrays)]
    return np.sum(gains, axis=0) if gains else np.zeros(dimensions)


def _boosters(arrays: Arrays) -> list[Any]:
    import lightgbm

    texts = arrays[MODELS].tobytes().decode().split(END)
    return [lightgbm.Booster(model_str=text) for text in texts if text]


class _Part:
    """A model that grows, and the columns of the scores that it gives."""

    def __init__(
        self, features: np.ndarray, targets: np.ndarray, places: list[int], **params: Any
    ) -> None:
        import lightgbm

        dimensions = features.shape[1]
        fraction = min(1.0, max(MIN_SHARE, MIN_FEATURES / dimensions))
        params = {**PARAMS, **params, "feature_fraction": fraction}
        data = lightgbm.Dataset(features, targets, params=params)
        self.booster = lightgbm.Booster(params, data)
        self.columns, self.is_finished = places, False

    def grow(self, rounds: int) -> None:
        """Train up to `rounds` trees (per class), fewer if none can be split."""
        while self.booster.current_iteration() < rounds and not self.is_finished:
            self.is_finished = self.booster.update()


def _parts(features: np.ndarray, targets: np.ndarray, task: Task) -> tuple[np.ndarray, list[_Part]]:
    """The constant scores [C], and the models of those columns that are not constant."""
    if task.name == "regression":
        return np.zeros(targets.shape[1], np.float32), [
            _Part(features, column, [c], objective="l2") for c, column in enumerate(targets.T)
        ]
    values = columns(targets, task)
    if task.name == "multilabel":
        constant = values.min(axis=0) == values.max(axis=0)
        base = np.array([prior(c) if k else 0 for c, k in zip(values.T, constant, strict=True)])
        return base.astype(np.float32), [
            _Part(features, values[:, c], [c], objective="binary")
            for c in np.flatnonzero(~constant).tolist()
        ]
    present, indices = np.unique(targets, return_inverse=True)
    base = np.full(len(task.classes), -np.log(len(targets) + 1.0), np.float32)
    base[present] = 0
    places = present.tolist()
    if len(places) == 1:
        return base, []
    if len(places) == 2:  # one model: the second class against the first
        return base, [_Part(features, indices, places[1:], objective="binary")]
    objective = {"objective": "multiclass", "num_class": len(places)}
    return base, [_Part(features, indices, places, **objective)]


LIGHTGBM = Head(fit, scores, TREES, path=path)
