"""Nearest neighbors among a fold's training images, by the features of its fine-tuned network."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import safetensors.numpy
from safetensors import SafetensorError, safe_open
from scipy.special import softmax

from podium.config.predict import Neighbors
from podium.core import checksums, files
from podium.core.errors import UserError
from podium.core.paths import Fold
from podium.features.neighbors import smooth, unit, vote

IMAGES_PER_BLOCK = 1024


class Reference(NamedTuple):
    """The training images that vote."""

    features: np.ndarray  # float16 [M, D], of length 1
    targets: np.ndarray  # int64 [M], as `Task.targets` returns them
    weights_sha256: str  # of the network that computed the features

    @classmethod
    def of(cls, features: np.ndarray, targets: np.ndarray, weights_sha256: str) -> "Reference":
        """The reference with features [M, D] of any length."""
        return cls(unit(features).astype(np.float16), targets, weights_sha256)


def voters(folds: pd.DataFrame, fold: Fold) -> pd.DataFrame:
    """The rows of the images that the models of `fold` train on: no other may vote, since the
    predictions of the held-out images are scored. With "all", nothing is held out.
    """
    rows = folds["fold"] != fold
    if "train" in folds:  # folds.subsample
        rows &= folds["train"] == "yes"
    return folds[rows]


def blend(
    logits: np.ndarray, features: np.ndarray, reference: Reference, options: Neighbors
) -> np.ndarray:
    """The logarithm of the weighted mean of the probabilities of logits [N, C] and the neighbors'
    votes: float32 [N, C].

    `features` [N, V, D] are those of each image's views, whose votes are averaged.
    """
    images, views, size = features.shape
    classes = logits.shape[1]
    known, values = reference.features.astype(np.float32), np.eye(classes)[reference.targets]
    flat = unit(features.reshape(-1, size))
    blocks = [
        vote(flat[start : start + IMAGES_PER_BLOCK], known, values, count=options.count)
        for start in range(0, len(flat), IMAGES_PER_BLOCK)
    ]
    votes = np.concatenate(blocks).reshape(images, views, classes).mean(axis=1)
    votes = smooth(votes, count=min(options.count, len(known)), prior=1 / classes)
    probabilities = softmax(logits.astype(np.float64), axis=1)
    mean = (1 - options.weight) * probabilities + options.weight * votes
    result: np.ndarray = np.log(mean).astype(np.float32)
    return result


def write(path: Path, reference: Reference) -> None:
    """Write the reference to `path` atomically."""
    arrays = {"features": reference.features, "targets": reference.targets}
    content = {"weights_sha256": reference.weights_sha256}
    header = {checksums.KEY: checksums.sign(content, _sorted(arrays))}
    files.write_bytes(path, safetensors.numpy.save(arrays, header))


def read(path: Path) -> Reference:
    """Read what `write` wrote to `path`.

    Raises:
        UserError: if the file is missing, damaged, or was not written by `write`.
    """
    try:
        with safe_open(path, "np") as file:
            header = checksums.header(file.metadata(), path=path)
        arrays = safetensors.numpy.load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read: {error}. {files.RERUN_HINT}") from None
    content, _ = checksums.verify(header, _sorted(arrays), path=path)
    return Reference(arrays["features"], arrays["targets"], content["weights_sha256"])


def _sorted(arrays: dict[str, np.ndarray]) -> Iterable[tuple[str, np.ndarray]]:
    return sorted(arrays.items())
