"""`stack` and `stack_lightgbm`: a model on the members' logits.

It is a probe whose features are the members' logits: standardized, with a strength that is chosen
by cross-validation over the folds. `stack` is linear: logistic regression, or ridge for regression.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from podium.features import boosting, fitting
from podium.features.fitting import Blocks
from podium.features.linear import Arrays, Head, head_for
from podium.metadata.encoding import Encoding
from podium.scoring.task import Task
from podium.submission.methods.base import Blend, Examples, Fitted, Method

METADATA = "metadata"  # array with the encoding as JSON
SEED = 0  # of the parts for cross-validation if there is a single fold


def _method(head_of: Callable[[Task], Head], sizes: Callable[[Arrays, int], np.ndarray]) -> Method:
    """Stack with the head of a task. `sizes`: how much each of D features counts, from the fitted
    arrays and D: [D]. The weights do not include the metadata.
    """

    def fit(examples: Examples) -> Fitted:
        """The weights, which are only shown, are the members' shares of the sizes."""
        task, (members, _, classes) = examples.task, examples.logits.shape
        features, blocks = _features(task, examples.logits), [classes] * members
        scales, encoding = [1.0] * members, None
        if examples.metadata is not None:
            encoding = Encoding.fit(examples.metadata)
            features = fitting.join([features], encoding.encode_all(examples.metadata))
            blocks.append(encoding.size)
            scales.append(fitting.metadata_scale([classes] * members, encoding.size))
        arrays = fitting.fit(
            head_of(task),
            features,
            examples.targets,
            blocks=Blocks(blocks, scales),
            task=task,
            folds=examples.folds,
            seed=SEED,
        ).arrays
        shares = sizes(arrays, sum(blocks))[: members * classes].reshape(members, classes)
        shares = shares.sum(axis=1)
        total = shares.sum()
        weights = shares / total if total else np.full(members, 1 / members)
        packed = {name: _packed(name, values) for name, values in arrays.items()}
        if encoding is not None:
            packed[METADATA] = np.array([json.dumps(encoding.to_json())])
        return Fitted(weights, packed)

    def apply(
        task: Task, blend: Blend, logits: np.ndarray, metadata: pd.DataFrame | None
    ) -> np.ndarray:
        """Logits [M, N, C] -> [N, C]."""
        fitted, features = dict(blend.arrays), _features(task, logits)
        if (encoding := fitted.pop(METADATA, None)) is not None:
            assert metadata is not None
            encoded = Encoding.from_json(json.loads(encoding[0])).encode_all(metadata)
            features = fitting.join([features], encoded)
        arrays = {name: _unpacked(name, values) for name, values in fitted.items()}
        return fitting.predict(head_of(task), arrays, features)

    return Method(fit, apply, takes_metadata=True, takes_targets=False, fits_scale=True)


def _coefficients(arrays: Arrays, dimensions: int) -> np.ndarray:
    """The sizes of each feature's coefficients [D]."""
    return abs(arrays["weight"].astype(np.float64)).reshape(-1, dimensions).sum(axis=0)


def _packed(name: str, values: np.ndarray) -> np.ndarray:
    """Text as such: JSON would have a number for each of its bytes."""
    return np.array([values.tobytes().decode()]) if name == boosting.MODELS else values


def _unpacked(name: str, values: Any) -> np.ndarray:
    if name == boosting.MODELS:
        return np.frombuffer(values[0].encode(), np.uint8)
    array = np.array(values)
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _features(task: Task, logits: np.ndarray) -> np.ndarray:
    """The members' logits side by side: [M, N, C] -> float32 [N, 1, M * C].

    Those of an image with one class are centered, since a constant does not change its
    probabilities.
    """
    if task.single_label:
        logits = logits - logits.mean(axis=2, keepdims=True)
    members, images, classes = logits.shape
    joined = logits.transpose(1, 0, 2).reshape(images, 1, members * classes)
    return joined.astype(np.float32)


LINEAR = _method(head_for, _coefficients)
TREES = boosting.LIGHTGBM._replace(strengths=(10.0, 20.0, 50.0, 100.0))  # part of the provenance
LIGHTGBM = _method(lambda _: TREES, boosting.importance)
